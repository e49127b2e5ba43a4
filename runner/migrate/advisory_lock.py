"""One run at a time: an advisory lock, which belongs to the connection and dies with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import pq

from runner.errors import LockTimeout
from runner.events import Note, Report, Working
from runner.postgres.connection import Connection
from runner.queries import query

KEY = 0x796F796F  # "yoyo" in ASCII; advisory locks are per database
_LOST = (
    "The lock was gone before the end of the run, and another may have begun meanwhile: a file "
    "released it, with `discard all` or `pg_advisory_unlock_all()`."
)


@contextmanager
def hold(connection: Connection, *, wait: float, report: Report) -> Iterator[None]:
    """Hold the lock of this connection's database.

    It is polled, never waited for inside a statement: a waiting statement holds a snapshot, and
    `create index concurrently` in the other run would wait for that in turn. Raises LockTimeout
    after `wait` seconds, naming the holder.
    """
    _acquire(connection, wait, report)
    try:
        yield
    finally:
        # Else an interrupt left a transaction open: the lock goes with the connection.
        idle = connection.info.transaction_status == pq.TransactionStatus.IDLE
        if idle and not _release(connection):
            report(Note(_LOST))


def _acquire(connection: Connection, wait: float, report: Report) -> None:
    deadline = time.monotonic() + wait
    pause = 0.05
    while not _try(connection):
        if time.monotonic() >= deadline:
            raise LockTimeout(
                f"Another run holds the lock: {_holder(connection)}",
                hint=f"Waited {wait:g} s. Wait longer: --lock-wait SECONDS. The lock goes when "
                "that session ends. Nothing was done.",
            )
        report(Working(f"waiting for the lock, held by {_holder(connection)}"))
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.5, 1.0)


def _try(connection: Connection) -> bool:
    row = connection.execute("select pg_try_advisory_lock(%s)", (KEY,)).fetchone()
    return bool(row and row[0])


def _release(connection: Connection) -> bool:
    row = connection.execute("select pg_advisory_unlock(%s)", (KEY,)).fetchone()
    return bool(row and row[0])


def _holder(connection: Connection) -> str:
    row = connection.execute(query("migrate/lock_holder"), {"key": KEY}).fetchone()
    if not row:
        return "a session that just ended"
    pid, program, host, user, age, state, statement = row
    return f"pid {pid}, {program} as {user} from {host}, connected for {age}, {state}: {statement}"
