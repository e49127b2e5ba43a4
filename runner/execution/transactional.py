"""Run one SQL file whole, in a transaction; report errors with their place in the file.

The file is sent as it is and parsed by PostgreSQL alone. Where the database has the extension
Citus, it is sent statement by statement in that transaction: Citus refuses several commands in one
message on a distributed table (42601), and passes some on to workers with the whole message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg
from psycopg import errors, generators, pq
from psycopg.abc import PQGen
from psycopg.errors import Diagnostic

from runner.errors import FileError
from runner.events import silent
from runner.execution.lock_waits import LockWait
from runner.execution.notices import Messages, OnNotice
from runner.execution.sql_errors import sql_error
from runner.files.sql_file import SqlFile
from runner.postgres import signals
from runner.postgres.connection import ENABLE_CLIENT_CONNECTION_CHECK, Connection, connection_lost

# Undoes what a file may leave in the session. DISCARD ALL would also release the advisory lock,
# and is not allowed in a transaction.
RESET_SESSION = (
    "close all; reset session authorization; reset role; reset all; "
    f"deallocate all; unlisten *; discard temp; discard sequences; {ENABLE_CLIENT_CONNECTION_CHECK}"
)

_COPYING = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)
_CANCELED = b"57014"


def send(
    connection: Connection,
    text: str,
    lock_wait: LockWait | None = None,
    while_waiting: Callable[[], object] | None = None,
    on_notice: OnNotice | None = None,
) -> tuple[int, psycopg.Error | None]:
    """Send a text of any number of statements as one simple query.

    Args:
        lock_wait: reports who blocks a statement that takes long.
        while_waiting: called once, while the server is working.
        on_notice: gets the server's messages, see `notices.Messages`.

    Returns how many statements succeeded, and the error that ended it, if any.

    Raises:
        DatabaseUnreachable: the connection was lost.
        Interrupt: a signal arrived.
        FileError: a COPY that only psql can serve; the connection is then closed.
    """
    results: list[pq.abc.PGresult] = []

    def noticed(diag: Diagnostic) -> None:
        if on_notice:
            on_notice(diag, len(results), connection.pgconn)

    connection.add_notice_handler(noticed)
    try:
        with connection.lock, signals.deferred():
            signals.check()
            connection.pgconn.send_query(text.encode())
            results_of = _results(connection.pgconn, results, while_waiting)
            connection.wait(lock_wait.watch(results_of) if lock_wait else results_of)
            if results and results[-1].error_field(pq.DiagnosticField.SQLSTATE) == _CANCELED:
                signals.check()
    except psycopg.OperationalError as error:
        raise connection_lost(error) from None
    finally:
        connection.remove_notice_handler(noticed)
    for done, result in enumerate(results):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            failed = errors.error_from_result(result, "utf-8")
            if connection.pgconn.status != pq.ConnStatus.OK:
                raise connection_lost(failed)
            return done, failed
        if result.status in _COPYING:
            connection.close()
            raise FileError(
                "COPY TO STDOUT needs psql to read it"
                if result.status == pq.ExecStatus.COPY_OUT
                else "COPY FROM STDIN needs psql to supply it",
                hint="Use insert statements.",
                state="An open transaction was rolled back.",
            )
    return len(results), None


def _results(
    connection: pq.abc.PGconn,
    results: list[pq.abc.PGresult],
    while_waiting: Callable[[], object] | None,
) -> PQGen[None]:
    """Add a result for each statement; those that succeeded share one, to save memory."""
    yield from generators.send(connection)
    if while_waiting:
        while_waiting()
    success: pq.abc.PGresult | None = None
    while not results or results[-1].status not in _COPYING:
        try:
            result = yield from generators.fetch(connection)
        except psycopg.OperationalError:
            if not results or results[-1].status != pq.ExecStatus.FATAL_ERROR:
                raise
            break  # the server has closed the connection after an error
        if not result:
            break
        if result.status == pq.ExecStatus.SINGLE_TUPLE:
            continue
        if result.status not in (*_COPYING, pq.ExecStatus.FATAL_ERROR):
            result = success = success or result
        results.append(result)


def wait_for_disk(durable: bool) -> str:
    """Return the statement that makes the next commit wait for the disk, or not."""
    if not durable:
        return "set local synchronous_commit = off"
    # On a server set to `off` as a whole, success must still not be reported before it is durable.
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

    Args:
        state: the state sentence of an error: what the database contains after it.
        begin: statements sent before the file, in the same message.
        lock_wait, while_waiting: as for `send`.

    Raises:
        FileError: for what only psql can run.
        SqlError: with the place, for what PostgreSQL rejects.
    """
    parsed = script.statements
    before = "".join(f"{statement}; " for statement in begin)
    texts = [(before + script.text, -len(before), -len(begin))]
    if lock_wait and lock_wait.citus:
        texts = [(one, -len(one), -1) for one in begin]
        texts += [(one.text, one.start, number) for number, one in enumerate(parsed)]
    with Messages(lock_wait.report if lock_wait else silent, script) as messages:
        for text, sent_from, number in texts:
            said = messages.about(parsed, -number, sent_from) if lock_wait else None
            done, error = send(connection, text, lock_wait, while_waiting, said)
            if error:
                done += number
                failed = parsed[done] if 0 <= done < len(parsed) else None
                raise sql_error(error, script, failed, state=state, sent_from=sent_from)
    check_encoding(connection, script, state)
    if connection.info.transaction_status != pq.TransactionStatus.INTRANS:
        raise FileError(
            f"{script} ended the transaction of the file and its record",
            hint="Look for a commit or rollback in it.",
            state=state,
        )


def check_encoding(connection: Connection, script: SqlFile, state: str) -> None:
    """Raise FileError when the session's client_encoding is no longer UTF-8."""
    encoding = connection.info.parameter_status("client_encoding") or ""
    if encoding.upper() != "UTF8":  # a pooler repeats the spelling it was given
        raise FileError(
            f"{script} changes client_encoding to {encoding}, but files are UTF-8",
            hint="Remove that statement.",
            state=state,
        )
