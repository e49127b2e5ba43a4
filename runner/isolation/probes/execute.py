"""Execute statements as callers, in one pipeline; each is undone, and its effects are noticed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import psycopg
from psycopg import errors, generators, pq, sql
from psycopg.abc import PQGen

from runner.isolation.rows.identity import Identity
from runner.isolation.rows.snapshot import STATE, state
from runner.isolation.transactions import Awaited
from runner.postgres.connection import Connection
from runner.preflight import broken
from runner.queries import query

_BATCH = 40  # attempts sent before the first result is read
_END = ("rollback to savepoint attempt", "release savepoint attempt", "")
_FRESH = "select pg_catalog.pg_stat_clear_snapshot()"  # else sessions are as first seen
UNSUPPORTED = "0A000"  # the server cannot do it, and has changed nothing
NOT_TRIED = {
    "55P03": "waited for a lock longer than the lock timeout",
    "57014": "took longer than the statement timeout",
    "40P01": "was canceled to resolve a deadlock",
}


@dataclass(frozen=True)
class Attempt:
    """One statement of one caller."""

    identity: Identity
    sql: str
    watch: bool = False  # note where the rows are afterwards
    after: str = ""  # a query as the caller afterwards, for one text
    before: str = ""  # a statement of the owner
    refused: bool = False  # no right allows it: it names rows of the proof and has to fail


@dataclass(frozen=True)
class Outcome:
    """What a statement returned, and what it changed."""

    rows: int = 0
    sqlstate: str = ""
    message: str = ""
    constraint: str = ""
    columns: tuple[str, ...] = ()
    data: tuple[tuple[str | None, ...], ...] = ()
    places: frozenset[str] | None = None  # where the rows are afterwards
    after: str | None = None
    unprivileged: bool = False  # refused by a check of privileges, before row security

    def __str__(self) -> str:
        if self.sqlstate:
            return self.sqlstate + (", unsupported" if self.sqlstate == UNSUPPORTED else "")
        return f"{self.rows} row{'' if self.rows == 1 else 's'}"


def run(
    connection: Connection, tried: Sequence[Attempt], *, gives_way: bool = True
) -> Iterator[Outcome]:
    """Execute each attempt in a savepoint of the open transaction and undo it.

    Raises OperationalError when the connection is lost and, if it `gives_way`, Awaited when another
    session waits for a lock that this transaction holds.
    """
    remaining = iter(tried)
    while batch := list(islice(remaining, _BATCH)):
        yield from _run(connection, batch, gives_way=gives_way)


def _run(connection: Connection, tried: Sequence[Attempt], *, gives_way: bool) -> Iterator[Outcome]:
    entered = {id(a.identity): a.identity for a in tried}
    enters = {key: entering(connection, identity) for key, identity in entered.items()}
    scripts = [
        script(["rollback to savepoint attempt"], enters[id(attempt.identity)], attempt)
        for attempt in tried
    ]
    messages = ["savepoint attempt", *(text for script in scripts for text in script), *_END]
    waiting = [_FRESH, query("isolation/waiting_session"), ""] if gives_way else []
    results = pipeline(connection, [*messages, *waiting])
    if waiting and (session := single(results[-2])):
        raise Awaited(session)
    start = 1
    for attempt, messages in zip(tried, scripts, strict=True):
        place = 1 + bool(attempt.before) + len(enters[id(attempt.identity)])
        yield outcome(attempt, place, results[start : start + len(messages)])
        start += len(messages)


def give_way(connection: Connection) -> None:
    """Raise Awaited if another session waits for a lock that this transaction holds."""
    connection.execute(_FRESH)
    for (session,) in connection.execute(query("isolation/waiting_session")):
        raise Awaited(session)


def pipeline(connection: Connection, script: Sequence[str]) -> list[list[pq.abc.PGresult]]:
    """Send messages at once and return their results; an empty one ends what an error skips.

    Raises OperationalError when the connection is lost.
    """
    pgconn = connection.pgconn
    commands = [
        partial(pgconn.send_query_params, text.encode(), None) if text else pgconn.pipeline_sync
        for text in script
    ]
    try:
        with connection.lock:
            pgconn.enter_pipeline_mode()
            results = connection.wait(_communicate(pgconn, commands))
            pgconn.exit_pipeline_mode()
    except BaseException:
        connection.close()  # outstanding results would be mistaken for those of later statements
        raise
    return results


def _communicate(
    pgconn: pq.abc.PGconn, commands: Sequence[Callable[[], None]]
) -> PQGen[list[list[pq.abc.PGresult]]]:
    results: list[list[pq.abc.PGresult]] = yield from generators.pipeline_communicate(
        pgconn, deque(commands)
    )
    while len(results) < len(commands):
        results.append((yield from generators.fetch_many(pgconn)))
    return results


def entering(connection: Connection, identity: Identity) -> list[str]:
    """Return the statements that make the session the caller's, until they are undone."""
    made = set_settings({**identity.settings, "role": identity.role}).as_string(connection)
    return [made, identity.request] if identity.request else [made]


def set_settings(settings: Mapping[str, str]) -> sql.Composed:
    """Return the one statement that makes these settings, until the transaction ends."""
    calls = (
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in settings.items()
    )
    return sql.SQL("select {}").format(sql.SQL(", ").join(calls))


def script(start: Sequence[str], enters: Sequence[str], attempt: Attempt) -> list[str]:
    """Return the messages of an attempt; an empty one ends what an error skips."""
    messages = [*start, *filter(None, [attempt.before]), *enters, attempt.sql]
    if attempt.after:
        messages += ["", attempt.after, ""]
    if attempt.watch:
        messages += ["select set_config('role', 'none', true)", f"execute {STATE}"]
    return [*messages, ""]


def outcome(attempt: Attempt, place: int, results: Sequence[Sequence[pq.abc.PGresult]]) -> Outcome:
    """Return the outcome of an attempt from the results of its script; `place`: its statement."""
    for one in results[: place + 1]:
        for result in one:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                error = errors.error_from_result(result, "utf-8")
                return Outcome(
                    sqlstate=error.sqlstate or "?????",
                    message=broken.message(error),
                    constraint=error.diag.constraint_name or "",
                    unprivileged=lacks_privilege(error),
                )
    result = results[place][-1]
    after = single(results[place + 2]) if attempt.after else None
    places = None
    if attempt.watch and (text := single(results[-2])) is not None:
        places = state(text)
    return Outcome(
        result.command_tuples or 0,
        columns=tuple((result.fname(n) or b"").decode() for n in range(result.nfields)),
        data=rows(result),
        after=after,
        places=places,
    )


def lacks_privilege(error: psycopg.Error) -> bool:
    """Whether PostgreSQL refused an object for lack of a privilege on it, in any language."""
    return error.sqlstate == "42501" and error.diag.source_function == "aclcheck_error"


def single(results: Sequence[pq.abc.PGresult]) -> str | None:
    """Return the first value of a message's rows; None without any, and after an error."""
    result = results[-1] if results else None
    if result is None or result.status != pq.ExecStatus.TUPLES_OK or not result.ntuples:
        return None
    return _text(result.get_value(0, 0)) or ""


def failed(results: Sequence[Sequence[pq.abc.PGresult]]) -> psycopg.Error | None:
    """Return the first error of some messages."""
    found = (r for one in results for r in one if r.status == pq.ExecStatus.FATAL_ERROR)
    return next((errors.error_from_result(result, "utf-8") for result in found), None)


def rows(result: pq.abc.PGresult) -> tuple[tuple[str | None, ...], ...]:
    """Return the rows of a result as text."""
    return tuple(
        tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
        for row in range(result.ntuples)
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


__all__ = ["NOT_TRIED", "Attempt", "Outcome", "entering", "psycopg", "run"]
