"""Execute one statement as one actor, as PostgREST would, and roll it back."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import psycopg
from psycopg import errors, generators, pq, sql

from runner.isolation.actors import Actor
from runner.postgres.connection import Connection

_SAMPLE_ROWS = 3  # rows kept to show what was exposed


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attempt: rows seen or changed, or the SQLSTATE of the error."""

    rows: int = 0
    sqlstate: str = ""
    message: str = ""
    sample: tuple[tuple[Any, ...], ...] = ()  # the first rows returned

    @property
    def refused(self) -> bool:
        """Whether nothing was seen or changed: no privilege, or no visible row."""
        return self.sqlstate == "42501" or (not self.sqlstate and self.rows == 0)

    def __str__(self) -> str:
        if self.sqlstate:
            return self.sqlstate
        return f"{self.rows} row{'' if self.rows == 1 else 's'}"


def attempt(connection: Connection, actor: Actor, statement: str) -> Outcome:
    """Run a statement (or several; the last one counts) as an actor in the open transaction.

    All its changes and settings are rolled back. Raises psycopg.Error only if the connection is
    lost; any other error is in the outcome.
    """
    enter = sql.SQL("savepoint attempt; set local role {}; {}").format(
        sql.Identifier(actor.role), set_settings(actor.settings)
    )
    connection.execute(enter)
    try:
        cursor = connection.execute(statement.encode())
        while cursor.nextset():
            pass
        shown = cursor.description is not None and (
            cursor.pgresult is not None and cursor.pgresult.status == pq.ExecStatus.TUPLES_OK
        )
        sample = tuple(cursor.fetchmany(_SAMPLE_ROWS)) if shown else ()
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
    """Run single statements, each as its actor, as `attempt` does, in one pipeline.

    One network round trip for all of them instead of four for each. Raises OperationalError when
    the connection is lost.
    """
    pgconn = connection.pgconn
    commands = [
        partial(pgconn.send_query_params, text.encode(), None) if text else pgconn.pipeline_sync
        for actor, statement in tried
        for text in (*_entering(connection, actor), statement, "", *_LEAVING, "")
    ]
    try:
        with connection.lock:
            pgconn.enter_pipeline_mode()
            results = connection.wait(generators.pipeline_communicate(pgconn, deque(commands)))
            while len(results) < len(commands):
                results.append(connection.wait(generators.fetch_many(pgconn)))
            pgconn.exit_pipeline_mode()
    except BaseException:
        connection.close()  # outstanding results would be mistaken for those of later statements
        raise
    size = len(commands) // max(1, len(tried))
    return [_outcome(results[n : n + size]) for n in range(0, len(commands), size)]


_LEAVING = ("rollback to savepoint attempt", "release savepoint attempt")


def _entering(connection: Connection, actor: Actor) -> tuple[str, str, str]:
    role = sql.SQL("set local role {}").format(sql.Identifier(actor.role))
    settings = set_settings(actor.settings).as_string(connection)
    return "savepoint attempt", role.as_string(connection), settings


def set_settings(settings: Mapping[str, str]) -> sql.Composed:
    """Return the one statement that makes these settings, until the transaction ends."""
    calls = (
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in settings.items()
    )
    return sql.SQL("select {}").format(sql.SQL(", ").join(calls))


def _outcome(results: Sequence[Sequence[pq.abc.PGresult]]) -> Outcome:
    """Return the outcome of one attempt; the fourth result is the statement's."""
    for result in chain.from_iterable(results):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = errors.error_from_result(result, "utf-8")
            text = error.diag.message_primary or str(error)
            return Outcome(sqlstate=error.sqlstate or "?????", message=text)
    result = results[3][-1]
    sample = (
        tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
        for row in range(min(result.ntuples, _SAMPLE_ROWS))
    )
    return Outcome(result.command_tuples or 0, sample=tuple(sample))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
