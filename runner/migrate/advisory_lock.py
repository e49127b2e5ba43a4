"""One run at a time: an advisory lock, which belongs to the connection and ends with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import pq

from runner.errors import LockTimeout
from runner.events import Note, Report, Working
from runner.postgres.connection import Connection
from runner.postgres.retry import Backoff
from runner.queries import query

KEY = 0x796F796F  # "yoyo" in ASCII; advisory locks are per database
_RELEASED = (
    "The lock was released before the end of the run, so another run may have started: a file "
    "contains `discard all` or `pg_advisory_unlock_all()`."
)


@contextmanager
def hold(connection: Connection, *, wait: float, report: Report) -> Iterator[None]:
    """Hold the lock of this connection's database.

    The lock is polled and never waited for in a statement: a waiting statement holds a snapshot,
    for which `create index concurrently` of the other run would wait in turn.

    Raises LockTimeout after `wait` seconds, naming the holder.
    """
    _acquire(connection, wait, report)
    try:
        yield
    finally:
        # If an interrupt left a transaction open, the lock ends with the connection.
        idle = connection.info.transaction_status == pq.TransactionStatus.IDLE
        if idle and not _call(connection, "pg_advisory_unlock"):
            report(Note(_RELEASED))


def _acquire(connection: Connection, wait: float, report: Report) -> None:
    backoff = Backoff(0.05, 1.0, limit=wait)
    while not _call(connection, "pg_try_advisory_lock"):
        if backoff.exhausted:
            raise LockTimeout(
                f"Another run holds the lock: {_holder(connection)}",
                hint=f"Waited {wait:g} s. To wait longer: --lock-wait SECONDS. The lock is "
                "released when that session ends.",
            )
        report(Working(f"waiting for the lock, held by {_holder(connection)}"))
        backoff.sleep()


def _call(connection: Connection, function: str) -> bool:
    row = connection.execute(f"select {function}({KEY})".encode()).fetchone()
    return bool(row and row[0])


def _holder(connection: Connection) -> str:
    row = connection.execute(query("migrate/lock_holder"), {"key": KEY}).fetchone()
    if not row:
        return "a session that just ended"
    pid, program, user, host, age, state, statement = row
    return f"pid {pid}, {program} as {user} from {host}, connected for {age}, {state}: {statement}"
