"""Transactions that a proof is made in: short, with timeouts, rolled back, safe beside traffic."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from runner.errors import DatabaseUnreachable, LockTimeout, ProofError
from runner.isolation import fixture
from runner.isolation.matrix.cases import Try, tables
from runner.postgres.connection import Connection
from runner.queries import query

SEARCH_PATH = '"$user", public'
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds, between asking for a lock and asking again
_WAITED = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
)

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience:
    """How long our transactions may wait, run and stand still, in seconds."""

    lock: float
    statement: float
    idle: float
    budget: float  # after this long we roll back and begin anew
    at_once: int  # so many tries are sent before the first answer is read

    @classmethod
    def reading(cls, limit: float) -> Patience:
        """For what reads the catalog alone."""
        return cls(limit, max(30.0, limit), max(10.0, limit), limit, at_once=1)

    @classmethod
    def ordinary(cls, limit: float) -> Patience:
        """For what blocks nobody but those who would change the tables themselves."""
        return cls(limit, limit, max(10.0, limit), limit / 2, at_once=40)

    @classmethod
    def exclusive(cls, limit: float) -> Patience:
        """For what blocks everybody: to wait, to work and the last tries fit into the limit.

        A try is two statements at most, so 0.3 + 0.2 + 4 * 2 * 0.05 of it. Should this program
        stand still meanwhile, PostgreSQL ends its session.
        """
        return cls(limit * 0.3, limit * 0.05, limit * 0.7, limit * 0.2, at_once=4)


@contextmanager
def rolled_back(connection: Connection, patience: Patience) -> Iterator[None]:
    """Open a transaction of which nothing stays, not even its settings.

    Raises LockTimeout, naming the holders, for a lock that nobody inside has dealt with.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(_settings(patience).encode())
            yield
    except _WAITED as error:
        raise LockTimeout(
            f"Something stood in the way: {error.diag.message_primary}",
            hint=f"Locks are held by {holders(connection) or 'somebody who has gone since'}.\n"
            "Run verify again when they are done. Nothing was changed.",
        ) from None
    except psycopg.Error as error:
        if not connection.closed:
            raise
        raise DatabaseUnreachable(
            f"The connection was lost: {str(error).strip().partition(chr(10))[0]}",
            hint=f"If this machine stood still for {_ms(patience.idle)} ms: PostgreSQL was asked "
            "to end the session then, so that nobody waits for it. Nothing was changed; run "
            "verify again.",
        ) from None


def _settings(patience: Patience) -> str:
    return (
        "set transaction isolation level read committed;"
        f" set local lock_timeout = {_ms(patience.lock)};"
        f" set local statement_timeout = {_ms(max(patience.lock, patience.statement))};"
        f" set local idle_in_transaction_session_timeout = {_ms(patience.idle)};"
        " set local application_name = 'runner verify';"
        " set local row_security = on;"
        f" set local search_path = {SEARCH_PATH}"
    )


def read(connection: Connection, lock_timeout: float, ask: Callable[[], Answer]) -> Answer:
    """Ask the catalog, again and again while a lock stands in the way. Raises LockTimeout."""
    pauses = list(_PAUSES)
    while True:
        try:
            with rolled_back(connection, Patience.reading(lock_timeout)):
                return ask()
        except LockTimeout:
            if not pauses:
                raise
        time.sleep(pauses.pop(0))


def in_world(
    connection: Connection, patience: Patience, work: Callable[[], Answer], aside: str = ""
) -> Answer:
    """Work in a transaction with the two organizations in it, and with policies set aside.

    Asks for the locks again and again. Raises LockTimeout, naming the holders, and ProofError
    where the rows cannot be made.
    """
    pauses = list(_PAUSES)
    while True:
        begun = False
        try:
            with rolled_back(connection, patience):
                _make(connection, aside)
                limit = f"set local statement_timeout = {_ms(patience.statement)}"
                connection.execute(limit.encode())
                begun = True
                return work()
        except LockTimeout:
            if begun or not pauses:
                raise
        time.sleep(pauses.pop(0))


def _make(connection: Connection, aside: str) -> None:
    try:
        fixture.make(connection)
        if aside:
            connection.execute(aside.encode())
    except _WAITED:
        raise
    except psycopg.Error as error:
        if connection.closed:
            raise
        raise ProofError(
            f"The rows of the proof could not be made: {error.diag.message_primary or error}",
            hint="runner/isolation/queries/fixture.sql makes them: is the schema the one of sql/, "
            "and may this role write to it? Nothing was changed.",
        ) from None


def in_turns(
    connection: Connection,
    todo: deque[Try],
    work: Callable[[Iterator[Try]], None],
    patience: Patience,
    aside: str = "",
) -> None:
    """Work through the tries in transactions that end when their budget is spent."""
    while todo:
        in_world(
            connection,
            patience,
            lambda: work(_until(time.monotonic() + patience.budget, todo)),
            aside,
        )


def holders(connection: Connection, table: str | None = None) -> str:
    """Say who holds locks on a table, or on any of ours: pid, user, program, query."""
    names = [table] if table else tables()
    rows = connection.execute(query("isolation/lock_holders"), {"tables": names}).fetchall()
    return "; ".join(holder for _, holder in rows)


def _until(end: float, todo: deque[Try]) -> Iterator[Try]:
    while todo:
        yield todo.popleft()
        if time.monotonic() > end:
            return


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
