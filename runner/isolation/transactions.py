"""Transactions of verify: short, with timeouts, rolled back, safe beside live traffic."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from runner.errors import NO_CHANGES, DatabaseUnreachable, LockTimeout, ProofError
from runner.isolation.matrix.cases import Case
from runner.isolation.project import Project
from runner.postgres.connection import Connection
from runner.postgres.retry import Backoff
from runner.queries import query

SEARCH_PATH = '"$user", public'
_LOCK_ERRORS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class TransactionLimits:
    """How long a transaction may wait, run and be idle, in seconds."""

    lock: float
    statement: float
    idle: float
    budget: float  # after this long, roll back and continue in a new transaction
    batch_size: int  # cases sent before the first result is read

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
            connection.execute(_settings(limits).encode())
            yield
    except _LOCK_ERRORS as error:
        raise LockTimeout(
            f"Could not acquire a lock: {error.diag.message_primary}",
            hint=f"Locks are held by {lock_holders(connection) or 'a session that has since ended'}"
            ".\nRun verify again when they are released.",
        ) from None
    except psycopg.Error as error:
        if not connection.closed:
            raise
        raise DatabaseUnreachable(
            f"The connection was lost: {str(error).strip().partition(chr(10))[0]}",
            hint=f"If this program stalled for {_ms(limits.idle)} ms: PostgreSQL was asked to end "
            "the session in that case, so that no other session waits for it. Run verify "
            "again.",
            state=NO_CHANGES,
        ) from None


def _settings(limits: TransactionLimits) -> str:
    return (
        "set transaction isolation level read committed;"
        f" set local lock_timeout = {_ms(limits.lock)};"
        f" set local statement_timeout = {_ms(max(limits.lock, limits.statement))};"
        f" set local idle_in_transaction_session_timeout = {_ms(limits.idle)};"
        " set local application_name = 'runner verify';"
        " set local row_security = on;"
        f" set local search_path = {SEARCH_PATH}"
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


def in_fixture(
    connection: Connection,
    project: Project,
    limits: TransactionLimits,
    work: Callable[[], Result],
    drop_policies: str = "",
) -> Result:
    """Run `work` in a transaction that contains the fixture rows.

    `drop_policies`: SQL that drops policies first. The set-up is retried while a lock blocks it.
    Raises LockTimeout, naming the holders, and ProofError if the rows cannot be inserted.
    """
    backoff = setup_backoff(limits.lock)
    while True:
        prepared = False
        try:
            with rolled_back(connection, limits):
                _prepare(connection, project, drop_policies)
                limit = f"set local statement_timeout = {_ms(limits.statement)}"
                connection.execute(limit.encode())
                prepared = True
                return work()
        except LockTimeout:
            if prepared or backoff.exhausted:
                raise
        backoff.sleep()


def _prepare(connection: Connection, project: Project, drop_policies: str) -> None:
    try:
        project.insert_rows(connection)
        if drop_policies:
            connection.execute(drop_policies.encode())
    except _LOCK_ERRORS:
        raise
    except psycopg.Error as error:
        if connection.closed:
            raise
        raise ProofError(
            f"The fixture rows could not be inserted: {error.diag.message_primary or error}",
            hint=f"{project.fixture_path} inserts them: is this the schema it is for, and may this "
            "role write to it?",
        ) from None


def in_batches(
    connection: Connection,
    project: Project,
    todo: deque[Case],
    work: Callable[[Iterator[Case]], None],
    limits: TransactionLimits,
    *,
    drop_policies: str = "",
) -> None:
    """Work through the cases in transactions that end when their budget is spent."""
    while todo:
        in_fixture(
            connection,
            project,
            limits,
            lambda: work(_until(time.monotonic() + limits.budget, todo)),
            drop_policies,
        )


def lock_holders(connection: Connection, table: str | None = None) -> str:
    """Return who holds locks on a table, or on any: pid, user, program, query."""
    rows = connection.execute(query("isolation/lock_holders"), {"table": table}).fetchall()
    return "; ".join(holder for _, holder in rows)


def _until(end: float, todo: deque[Case]) -> Iterator[Case]:
    while todo:
        yield todo.popleft()
        if time.monotonic() > end:
            return


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
