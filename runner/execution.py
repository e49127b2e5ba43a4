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

from runner import statements
from runner.busy import Turn
from runner.database import Connection
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

_CONCURRENTLY = re.compile(
    r"create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?"
    r"(?P<index>[\w$]+|(?:\"[^\"]*\")+)\s+on\s+(?:only\s+)?(?P<table>[\w$.\"]+)",
    re.IGNORECASE,
)
_ADVICE = {
    "25001": "PostgreSQL runs this only outside a transaction: put `-- transactional: false` into "
    "the header of a file of its own.",
    "55P04": "PostgreSQL lets a new enum value be used only after it is committed: put the "
    "statements that use it into the next migration.",
    "42501": "The role you connect as may not do this.",
    "53100": "The server's disk is full: make room, then run the same command again.",
    "57014": "Somebody cancelled it, or it met a statement_timeout: a file gets one of its own by "
    "`-- statement_timeout: 10min` in its header; `off` is none.",
}


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
            answer = generators.execute(connection.pgconn)
            results = connection.wait(turn.watched(answer) if turn else answer)
    except psycopg.OperationalError as gone:
        raise lost(gone) from None
    for done, result in enumerate(results):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = errors.error_from_result(result, "utf-8")
            if connection.pgconn.status != pq.ConnStatus.OK:
                raise lost(error)
            return done, error
        if result.status in (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_BOTH):
            connection.close()
            raise FileError(
                "COPY FROM STDIN needs psql to feed it", hint="Write insert statements."
            )
    return len(results), None


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
        raise sql_error(error, script, script.text, failed.start if failed else 0, state=state)
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
        raise sql_error(error, script, statement.text, 0, state=state, base=statement.start)
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


def advised(sqlstate: str, state: str) -> str:
    """Return what to do about an error, where we know it, and what state things are in."""
    return f"{_ADVICE.get(sqlstate, '')}\n{state}".strip()


def lost(error: psycopg.Error) -> Unreachable:
    """Return what to say when the server went away in the middle."""
    advice = f"{_ADVICE['53100']}\n" if "No space left on device" in str(error) else ""
    return Unreachable(
        f"The connection was lost: {str(error).strip().splitlines()[0]}",
        hint=f"{advice}An open transaction is rolled back by PostgreSQL itself. Run the same "
        "command again: it goes on where this one stopped.",
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


def sql_error(
    error: psycopg.Error, script: Script, text: str, start: int, *, state: str, base: int = 0
) -> SqlError:
    """Tell where a statement failed: where PostgreSQL points, or else where it begins."""
    diag = error.diag
    position = int(diag.statement_position) - 1 if diag.statement_position else start
    sqlstate = diag.sqlstate or ""
    return SqlError(
        diag.message_primary or str(error).strip(),
        hint=advised(sqlstate, state),
        place=statements.place(script.text, base + min(position, len(text)), str(script)),
        sqlstate=sqlstate,
        detail=diag.message_detail or "",
        server_hint=diag.message_hint or "",
        context=diag.context or "",
    )
