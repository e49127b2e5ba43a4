"""Transactions of verify: short, with timeouts, rolled back, safe beside live traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from runner.errors import NO_CHANGES, DatabaseUnreachable, LockTimeout
from runner.isolation import untrusted
from runner.postgres.connection import Connection
from runner.postgres.retry import Backoff
from runner.queries import query

SEARCH_PATH = '"$user", public'
_BEGIN = (
    "set transaction isolation level read committed;"
    " set local application_name = 'runner verify';"
    " set local row_security = on; set local jit = off;"  # compiling costs more than it saves
    " set local client_min_messages = error;"  # DROP OWNED BY warns of every object
    f" set local search_path = {SEARCH_PATH}"
)
LOCK_ERRORS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
)

Result = TypeVar("Result")


class Awaited(LockTimeout):
    """Another session waits for a lock that this transaction holds."""

    def __init__(self, session: str) -> None:
        super().__init__(
            f"Another session changes the schema again and again: {session}",
            hint="It had to wait for verify, which started again each time. Run verify again when "
            "it has ended.",
        )


@dataclass(frozen=True)
class TransactionLimits:
    """How long a transaction may wait, run and be idle, in seconds."""

    lock: float
    statement: float
    idle: float
    budget: float  # after this long, roll back and continue in a new transaction
    batch_size: int  # cases sent before the first result is read

    @property
    def settings(self) -> str:
        """The statements that set these limits in the open transaction or savepoint."""
        return (
            f"set local lock_timeout = {_ms(self.lock)};"
            f" set local statement_timeout = {_ms(max(self.lock, self.statement))};"
            f" set local idle_in_transaction_session_timeout = {_ms(self.idle)}"
        )

    @classmethod
    def reading(cls, limit: float) -> TransactionLimits:
        """For transactions that only read the catalog."""
        return cls(limit, max(30.0, limit), max(10.0, limit), limit, batch_size=1)

    @classmethod
    def shared(cls, limit: float) -> TransactionLimits:
        """For transactions that block only schema changes of the same tables."""
        return cls(limit, limit, max(10.0, limit), limit / 2, batch_size=40)

    @classmethod
    def exclusive(cls, limit: float) -> TransactionLimits:
        """For transactions that block all other sessions: everything fits into the limit.

        That is the lock wait (0.3), the budget (0.2) and a last batch of 4 cases with 2 statements
        each (4 * 2 * 0.05). If this program stalls, PostgreSQL ends its session.
        """
        return cls(limit * 0.3, limit * 0.05, limit * 0.7, limit * 0.2, batch_size=4)


@contextmanager
def rolled_back(connection: Connection, limits: TransactionLimits) -> Iterator[None]:
    """Open a transaction that is always rolled back, including its settings.

    Raises LockTimeout, naming the holders, for a lock error that the body did not handle.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"{_BEGIN}; {limits.settings}".encode())
            untrusted.limit_search_path(connection)
            yield
    except LOCK_ERRORS as error:
        raise _timeout(connection, error, limits) from None
    except psycopg.Error as error:
        if not connection.closed:
            raise
        raise lost(error, limits) from None


def _timeout(
    connection: Connection, error: psycopg.Error, limits: TransactionLimits
) -> LockTimeout:
    holders = lock_holders(connection)
    if not holders and isinstance(error, psycopg.errors.QueryCanceled):
        return LockTimeout(
            f"A statement took longer than {max(limits.lock, limits.statement):g} s",
            hint="The server is slow or busy. Run verify again when it is not.",
        )
    return LockTimeout(
        f"Could not acquire a lock: {error.diag.message_primary}",
        hint=f"Locks are held by {holders or 'a session that has since ended'}"
        ".\nRun verify again when they are released.",
    )


def lost(error: psycopg.Error, limits: TransactionLimits) -> DatabaseUnreachable:
    """Return the error of a connection that ended while these limits were set."""
    return DatabaseUnreachable(
        f"The connection was lost: {str(error).strip().partition(chr(10))[0]}",
        hint=f"If this program stalled for {_ms(limits.idle)} ms: PostgreSQL was asked to end "
        "the session in that case, so that no other session waits for it. Run verify again.",
        state=NO_CHANGES,
    )


def setup_backoff(lock_timeout: float) -> Backoff:
    """Return pauses for about six attempts that each wait `lock_timeout` seconds for a lock."""
    return Backoff(0.1, 1.6, factor=2.0, limit=3.0 + 5 * lock_timeout)


def read(connection: Connection, lock_timeout: float, work: Callable[[], Result]) -> Result:
    """Run a catalog query, retrying while a lock blocks it. Raises LockTimeout."""
    backoff = setup_backoff(lock_timeout)
    while True:
        try:
            with rolled_back(connection, TransactionLimits.reading(lock_timeout)):
                return work()
        except LockTimeout:
            if backoff.exhausted:
                raise
        backoff.sleep()


def lock_holders(connection: Connection, table: str | None = None) -> str:
    """Return who holds locks on a table, or on any: pid, user, program, query."""
    rows = connection.execute(query("isolation/lock_holders"), {"table": table}).fetchall()
    return "; ".join(holder for _, holder in rows)


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
