"""One file on one connection, whole, in a transaction; what goes wrong is told with its place.

The file is sent as it is, and PostgreSQL's own parser reads it; nothing is cut up before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg
from psycopg import errors, generators, pq
from psycopg.abc import PQGen

from runner import signals
from runner.errors import FileError
from runner.execution.lock_waits import LockWait
from runner.execution.sql_errors import sql_error
from runner.files.sql_file import SqlFile
from runner.postgres.connection import ENABLE_CLIENT_CONNECTION_CHECK, Connection, connection_lost

# What a file may leave behind in the session. DISCARD ALL would also drop our advisory lock, and
# cannot run in a transaction.
RESET_SESSION = (
    "close all; reset session authorization; reset role; reset all; "
    f"deallocate all; unlisten *; discard temp; discard sequences; {ENABLE_CLIENT_CONNECTION_CHECK}"
)

_COPYING = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)
_CANCELLED = b"57014"


def send(
    connection: Connection,
    text: str,
    lock_wait: LockWait | None = None,
    while_waiting: Callable[[], object] | None = None,
) -> tuple[int, psycopg.Error | None]:
    """Send a text of any number of statements as one simple query.

    `turn`: to be told who is in the way when it takes long; `meanwhile`: what to do while the
    server is at it. Returns how many statements succeeded
    and the error that ended it, if any. Raises Unreachable when the connection is lost, Interrupt
    when a signal stopped it.
    """
    try:
        with connection.lock, signals.deferred():
            signals.check()
            connection.pgconn.send_query(text.encode())
            answer = _answers(connection.pgconn, while_waiting)
            results = connection.wait(lock_wait.watched(answer) if lock_wait else answer)
            if results and results[-1].error_field(pq.DiagnosticField.SQLSTATE) == _CANCELLED:
                signals.check()
    except psycopg.OperationalError as gone:
        raise connection_lost(gone) from None
    for done, result in enumerate(results):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = errors.error_from_result(result, "utf-8")
            if connection.pgconn.status != pq.ConnStatus.OK:
                raise connection_lost(error)
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


def _answers(
    connection: pq.abc.PGconn, while_waiting: Callable[[], object] | None
) -> PQGen[list[pq.abc.PGresult]]:
    """Return a result for each statement; of those that succeeded only one takes memory."""
    yield from generators.send(connection)
    if while_waiting:
        while_waiting()
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
    connection: Connection,
    script: SqlFile,
    *,
    state: str,
    lock_wait: LockWait | None = None,
    begin: Sequence[str] = (),
    while_waiting: Callable[[], object] | None = None,
) -> None:
    """Run a file inside the open transaction, or in the one that `begin` opens.

    Raises FileError for what only psql can run, SqlError with the place for what PostgreSQL
    refuses; `state` tells what the database holds then. `meanwhile` is as for `send`.
    """
    parsed = script.statements
    before = "".join(f"{statement}; " for statement in begin)
    done, error = send(connection, before + script.text, lock_wait, while_waiting)
    if error:
        done -= len(begin)
        failed = parsed[done] if 0 <= done < len(parsed) else None
        raise sql_error(error, script, failed, state=state, sent_from=-len(before))
    check_encoding(connection, script, state)
    if connection.info.transaction_status != pq.TransactionStatus.INTRANS:
        raise FileError(
            f"{script} ended the transaction that holds effect and record together",
            hint="Look for a commit or rollback in it. " + state,
        )


def check_encoding(connection: Connection, script: SqlFile, state: str) -> None:
    """Raise FileError when the server would take what follows for another encoding."""
    encoding = connection.info.parameter_status("client_encoding") or ""
    if encoding.upper() != "UTF8":  # a pooler repeats it as we wrote it
        raise FileError(
            f"{script} changes client_encoding to {encoding}, but files are UTF-8",
            hint=f"Remove that statement. {state}",
        )
