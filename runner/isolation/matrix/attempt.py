"""One statement as one person, as PostgREST would send it, and nothing of it stays."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import psycopg
from psycopg import errors, generators, pq, sql

from runner.isolation.fixture import Actor
from runner.postgres.connection import Connection

_KEPT = 3  # rows kept to show what was reached


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: rows seen or changed, or the SQLSTATE that refused it."""

    rows: int = 0
    sqlstate: str = ""
    message: str = ""
    sample: tuple[tuple[Any, ...], ...] = ()

    @property
    def refused(self) -> bool:
        """Whether nothing was seen or changed: no right, or no row within sight."""
        return self.sqlstate == "42501" or (not self.sqlstate and self.rows == 0)

    def __str__(self) -> str:
        if self.sqlstate:
            return self.sqlstate
        return f"{self.rows} row{'' if self.rows == 1 else 's'}"


def attempt(connection: Connection, actor: Actor, statement: str) -> Outcome:
    """Run a statement (or several, the last one counts) as somebody, inside the open transaction.

    Everything is taken back afterwards, what it set and what it changed.
    """
    enter = sql.SQL(
        "savepoint attempt; set local role {}; select set_config('request.jwt.claims', {}, true)"
    ).format(sql.Identifier(actor.role), sql.Literal(actor.claims))
    connection.execute(enter)
    try:
        cursor = connection.execute(statement.encode())
        while cursor.nextset():
            pass
        shown = cursor.description is not None and (
            cursor.pgresult is not None and cursor.pgresult.status == pq.ExecStatus.TUPLES_OK
        )
        sample = tuple(cursor.fetchmany(_KEPT)) if shown else ()
        return Outcome(max(cursor.rowcount, 0), sample=sample)
    except psycopg.Error as error:
        if connection.closed:
            raise
        text = error.diag.message_primary or str(error)
        return Outcome(sqlstate=error.sqlstate or "?????", message=text)
    finally:
        if not connection.closed:
            connection.execute("rollback to savepoint attempt; release savepoint attempt")


def attempts(connection: Connection, tried: Sequence[tuple[Actor, str]]) -> list[Outcome]:
    """Run single statements, each as somebody, as `attempt` does; answers are read at the end.

    They are all on their way before the first one is answered: a far server is asked once, not
    four times for each. Raises OperationalError when the connection is lost.
    """
    wire = connection.pgconn
    work = [
        partial(wire.send_query_params, text.encode(), None) if text else wire.pipeline_sync
        for actor, statement in tried
        for text in (*_entering(connection, actor), statement, "", *_LEAVING, "")
    ]
    try:
        with connection.lock:
            wire.enter_pipeline_mode()
            answers = connection.wait(generators.pipeline_communicate(wire, deque(work)))
            while len(answers) < len(work):
                answers.append(connection.wait(generators.fetch_many(wire)))
            wire.exit_pipeline_mode()
    except BaseException:
        connection.close()  # what is still on its way cannot be told from what is asked next
        raise
    each = len(work) // max(1, len(tried))
    return [_outcome(answers[n : n + each]) for n in range(0, len(work), each)]


_LEAVING = ("rollback to savepoint attempt", "release savepoint attempt")


def _entering(connection: Connection, actor: Actor) -> tuple[str, str, str]:
    role = sql.SQL("set local role {}").format(sql.Identifier(actor.role))
    claims = sql.SQL("select set_config('request.jwt.claims', {}, true)").format(actor.claims)
    return "savepoint attempt", role.as_string(connection), claims.as_string(connection)


def _outcome(answers: Sequence[Sequence[pq.abc.PGresult]]) -> Outcome:
    """Read the answers to one attempt; the fourth is the statement's."""
    for result in chain.from_iterable(answers):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = errors.error_from_result(result, "utf-8")
            text = error.diag.message_primary or str(error)
            return Outcome(sqlstate=error.sqlstate or "?????", message=text)
    result = answers[3][-1]
    sample = (
        tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
        for row in range(min(result.ntuples, _KEPT))
    )
    return Outcome(result.command_tuples or 0, sample=tuple(sample))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
