"""One file on one connection: whole inside a transaction, or statement by statement outside.

A file that runs in a transaction is sent as it is, and PostgreSQL's own parser reads it; nothing
is cut up before. Whatever goes wrong is told with file, line and column.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
from psycopg import errors, generators, pq
from psycopg.abc import PQGen

from runner import statements
from runner.busy import Turn
from runner.database import Connection
from runner.diagnosis import advised, sql_error
from runner.errors import FileError, SqlError, Unreachable
from runner.queries import query
from runner.script import Script
from runner.statements import Statement

# What a file may leave behind in the session. DISCARD ALL would also drop our advisory lock, and
# cannot run in a transaction.
PUT_SESSION_BACK = (
    "close all; reset session authorization; reset role; reset all; "
    "deallocate all; unlisten *; discard temp; discard sequences"
)

_COPYING = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)
_CONCURRENTLY = re.compile(
    r"create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?"
    r"(?P<index>[\w$]+|(?:\"[^\"]*\")+)\s+on\s+(?:only\s+)?(?P<table>[\w$.\"]+)",
    re.IGNORECASE,
)


def send(
    connection: Connection, text: str, turn: Turn | None = None
) -> tuple[int, psycopg.Error | None]:
    """Send a text of any number of statements as one simple query.

    `turn`: to be told who is in the way when it takes long. Returns how many statements succeeded
    and the error that ended it, if any. Raises Unreachable when the connection is lost.
    """
    try:
        with connection.lock:
            connection.pgconn.send_query(text.encode())
            answer = _answers(connection.pgconn)
            results = connection.wait(turn.watched(answer) if turn else answer)
    except psycopg.OperationalError as gone:
        raise lost(gone) from None
    for done, result in enumerate(results):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = errors.error_from_result(result, "utf-8")
            if connection.pgconn.status != pq.ConnStatus.OK:
                raise lost(error)
            return done, error
        if result.status in _COPYING:
            connection.close()
            raise FileError(
                "COPY TO STDOUT needs psql to read it"
                if result.status == pq.ExecStatus.COPY_OUT
                else "COPY FROM STDIN needs psql to feed it",
                hint="Write insert statements. An open transaction was rolled back.",
            )
    return len(results), None


def _answers(connection: pq.abc.PGconn) -> PQGen[list[pq.abc.PGresult]]:
    """Return a result for each statement; of those that succeeded only one takes memory."""
    yield from generators.send(connection)
    results: list[pq.abc.PGresult] = []
    success: pq.abc.PGresult | None = None
    while result := (yield from _answer(connection, results)):
        if result.status not in (*_COPYING, pq.ExecStatus.FATAL_ERROR):
            result = success = success or result
        results.append(result)
        if result.status in _COPYING:
            break
    return results


def _answer(
    connection: pq.abc.PGconn, before: list[pq.abc.PGresult]
) -> PQGen[pq.abc.PGresult | None]:
    """Return the next result; after the one with which a server says farewell comes none."""
    try:
        result: pq.abc.PGresult | None = yield from generators.fetch(connection)
    except psycopg.OperationalError:
        if not before or before[-1].status != pq.ExecStatus.FATAL_ERROR:
            raise
        return None
    return result


def wait_for_disk(durable: bool) -> str:
    """Return the statement that decides whether the commit after it waits for the disk."""
    if not durable:
        return "set local synchronous_commit = off"
    # A server set to `off` as a whole must still not let us report what it could lose.
    return (
        "do $$ begin if current_setting('synchronous_commit') = 'off' then "
        "set local synchronous_commit = on; end if; end $$"
    )


def run_whole(
    connection: Connection, script: Script, *, state: str, turn: Turn | None = None
) -> None:
    """Run a file inside the open transaction.

    Raises FileError for what only psql can run, SqlError with the place for what PostgreSQL
    refuses; `state` tells what the database holds then.
    """
    parsed = script.statements
    done, error = send(connection, script.text, turn)
    if error:
        failed = parsed[done] if done < len(parsed) else None
        raise sql_error(error, script, failed, state=state)
    check_encoding(connection, script, state)
    if connection.info.transaction_status != pq.TransactionStatus.INTRANS:
        raise FileError(
            f"{script} ended the transaction that holds effect and record together",
            hint="Look for a commit or rollback in it. " + state,
        )


def run_statements(
    connection: Connection,
    script: Script,
    turn: Turn,
    *,
    done: list[str],
    after_each: Callable[[int, str], None],
    state: str,
) -> None:
    """Run a file outside any transaction, each statement by itself, and again where it met a lock.

    `done` are the SHA-256s of the statements that an earlier run finished; they are skipped.
    Raises as run_whole, and FileError when a finished statement was edited since.
    """
    settings: list[str] = []  # the session is put back after each statement, so they are set anew
    for number, statement in enumerate(script.statements):
        if statement.words[:1] == ["set"]:
            settings.append(statement.text)
        digest = hashlib.sha256(statement.text.encode()).hexdigest()
        if number < len(done):
            if done[number] != digest:
                raise FileError(
                    f"{script} was interrupted after statement {len(done)}, and its statement "
                    f"{number + 1} was edited since",
                    place=statements.place(script.text, statement.start, str(script)),
                    hint="Put that statement back as it ran; write what is new after the last one.",
                )
            continue
        where = f"{state} {_so_far(number)}"
        turn.insist(
            partial(_run_one, connection, script, turn, statement, settings=settings, state=where),
            give_way=partial(send, connection, PUT_SESSION_BACK),
        )
        after_each(number, digest)


def _run_one(
    connection: Connection,
    script: Script,
    turn: Turn,
    statement: Statement,
    *,
    settings: list[str],
    state: str,
) -> None:
    index = _CONCURRENTLY.match(statement.text)
    if index:
        _drop_unfinished(connection, index, turn)
    for setting in (turn.of_statement(statement.text), *settings):
        send(connection, setting)
    _, error = send(connection, statement.text, turn)
    if error:
        raise sql_error(error, script, statement, state=state, sent_from=statement.start)
    check_encoding(connection, script, state)
    if index and (name := _unfinished(connection, index)):
        raise SqlError(
            f"{script}: the index {name} was made but is not valid",
            place=statements.place(script.text, statement.start, str(script)),
            hint=f"{state} It is dropped and built again by the next run.",
        )


@contextmanager
def in_words() -> Iterator[None]:
    """Raise errors of ours for those that psycopg raises by itself."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise lost(error) from None
    except psycopg.Error as error:
        raise SqlError(
            str(error).strip(),
            hint="An open transaction was rolled back.",
            sqlstate=error.sqlstate or "",
        ) from None


def lost(error: psycopg.Error) -> Unreachable:
    """Return what to say when the server went away in the middle."""
    return Unreachable(
        f"The connection was lost: {str(error).strip().splitlines()[0]}",
        hint=advised(
            "53100" if "No space left on device" in str(error) else "",
            "An open transaction is rolled back by PostgreSQL itself. Run the same command again: "
            "it goes on where this one stopped.",
        ),
    )


def check_encoding(connection: Connection, script: Script, state: str) -> None:
    """Raise FileError when the server would take what follows for another encoding."""
    encoding = connection.info.parameter_status("client_encoding")
    if encoding != "UTF8":
        raise FileError(
            f"{script} changes client_encoding to {encoding}, but files are UTF-8",
            hint=f"Remove that statement. {state}",
        )


def _so_far(number: int) -> str:
    if not number:
        return "None of its statements is done."
    return (
        f"Its statements 1–{number} are done and stay."
        if number > 1
        else ("Its first statement is done and stays.")
    )


def _drop_unfinished(connection: Connection, index: re.Match[str], turn: Turn) -> None:
    if name := _unfinished(connection, index):
        _, error = send(connection, f"drop index concurrently if exists {name}", turn)
        if error:
            raise SqlError(
                f"The unfinished index {name} of an earlier run cannot be dropped: {error}",
                hint="Drop it by hand, then run the same command again.",
            )


def _unfinished(connection: Connection, index: re.Match[str]) -> str | None:
    row = connection.execute(query("unfinished_index"), index.groupdict()).fetchone()
    return str(row[0]) if row else None
