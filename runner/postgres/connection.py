"""Connect, retry transient failures, and classify connection errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from math import ceil
from typing import Any, NamedTuple

import psycopg
from psycopg import pq

from runner.errors import NO_CHANGES, DatabaseUnreachable, SqlError
from runner.events import Report, Working, silent
from runner.postgres import signals
from runner.postgres.retry import Backoff
from runner.postgres.target import Target
from runner.postgres.waiting import cancel_on_signal, polling

Connection = psycopg.Connection[tuple[Any, ...]]

# Without it the server finishes the statement of a client that was killed, and keeps the lock of
# its run meanwhile. Not every platform of a server supports it.
ENABLE_CLIENT_CONNECTION_CHECK = (
    "do 'begin set client_connection_check_interval = ''1s''; exception when others then null; end'"
)
_ACTIVE = pq.TransactionStatus.ACTIVE
# psycopg's generators that begin or end a transaction: it counts them, so each has to run.
_ENDS = ("_enter_gen", "_exit_gen", "_commit_gen", "_rollback_gen")
DISK_FULL = "The server's disk is full: free some space, then run the same command again."


class _Reason(NamedTuple):
    pattern: str  # a regular expression that libpq's message then matches
    advice: str
    transient: bool = False  # worth another attempt


_NONE_GIVEN = "The server wants a password: add it to the URL or PGPASSWORD."
_NOT_ALLOWED = "The server's pg_hba.conf, or the provider's allow-list, does not admit this client."
_FULL = "The server has no free connection: close some."
_STARTING = "The server is starting or stopping."
# The first match counts. libpq may report several addresses, each with its own failure; one that
# will not pass by waiting is worth more than one that may.
_REASONS = (
    _Reason("password authentication failed", "Check user and password."),
    _Reason("no password supplied", _NONE_GIVEN),
    _Reason("SSL encryption", _NOT_ALLOWED),
    _Reason("no encryption", "pg_hba.conf has no entry without TLS: try sslmode=require."),
    _Reason("pg_hba.conf", _NOT_ALLOWED),
    _Reason("SSL was required", "The server offers no TLS: are host and port right?"),
    _Reason("SSL|certificate", "Check sslmode, sslrootcert and the certificates they name."),
    _Reason(r'role ".*" does not exist', "Check the user in the URL."),
    _Reason("Tenant or user not found", "On Supabase's pooler the user is postgres.PROJECT."),
    _Reason("does not exist|no such database", "Check the name, or create the database first."),
    _Reason("not currently accepting", "The database allows no connections: allow_connections."),
    _Reason("could not translate host name|failed to resolve", "Check the host in the URL.", True),
    _Reason("Connection refused", "Is the server running, and is the port right?", True),
    _Reason("No such file", "Is the server running? Its socket does not exist.", True),
    _Reason("timeout", "The host does not answer: check address, firewall, allow-list.", True),
    _Reason("unreachable|No route", "The host is unreachable: check address and network.", True),
    _Reason("too many|connection slots|no more connections|max clients", _FULL, True),
    _Reason("starting up|shutting down|recovery mode|not (yet )?accepting", _STARTING, True),
    _Reason("closed the connection|terminating", "Is it PostgreSQL that listens there?", True),
    _Reason("", ""),
)


class Interruptible(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose statement a signal cancels, and whose result is still received."""

    def wait(self, gen: Any, *args: Any, **more: Any) -> Any:
        with signals.deferred() as outermost:
            if gen.__name__ not in _ENDS and self.pgconn.transaction_status != _ACTIVE:
                signals.check()
            cancel = cancel_on_signal(lambda: self.cancel_safe(timeout=5))
            try:
                result = super().wait(polling(gen, cancel), *args, **more)
            except psycopg.errors.QueryCanceled:
                signals.check()
                raise
            if outermost:
                signals.check()
        return result


def connect(
    target: Target, *, dbname: str | None = None, wait: float = 0.0, report: Report = silent
) -> Connection:
    """Open the one connection of a run, in autocommit mode.

    Args:
        target: the database.
        dbname: another database of the same server.
        wait: seconds to retry failures that may pass: a server that starts, is full, is unknown.
        report: gets a Working event before each retry.

    Raises DatabaseUnreachable, naming the database, the reason and what to do.
    """
    backoff = Backoff(0.1, 2.0, limit=wait)
    while True:
        try:
            return _attempt(target, dbname, backoff.remaining)
        except psycopg.Error as error:  # ProgrammingError: a value that libpq rejects
            if not _reason(error).transient or backoff.exhausted:
                raise _unreachable(target, error, wait) from None
            report(Working(f"waiting for {target.url()}: {_description(error)}"))
        backoff.sleep()


def open_second(connection: Connection) -> Connection:
    """Open a second connection to the same server and database. No retry; raises psycopg.Error."""
    info = connection.info
    parameters: dict[str, Any] = {**info.get_parameters(), "password": info.password}
    parameters |= {"host": info.host, "port": info.port, "connect_timeout": 2}
    if info.hostaddr:
        parameters["hostaddr"] = info.hostaddr
    return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)


def has_citus(connection: Connection) -> bool:
    found = "select from pg_catalog.pg_extension where extname = 'citus'"
    return connection.execute(found).fetchone() is not None


def refuse_read_only(connection: Connection, target: Target) -> None:
    """Raise DatabaseUnreachable for a standby, or a session in which nothing can be written."""
    status = connection.info.parameter_status
    if status("in_hot_standby") == "on":
        what = "is a standby, which only follows another server"
        advice = "Name the primary, or several hosts with target_session_attrs=read-write."
    elif status("default_transaction_read_only") == "on":
        what = "is read-only for this role: default_transaction_read_only is on"
        advice = "Set it off for the role, the database or the server, or use another role."
    else:
        return
    raise DatabaseUnreachable(
        f"{target.url()} {what}", hint=f"{advice}\n{source_of(target)}", state=NO_CHANGES
    )


_HINTS = {
    "55P03": "Another session holds a lock on a table that this command needs. Try again later.",
    "57014": "It was canceled, or reached the statement_timeout of the role or the database.",
}


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Raise psycopg's errors as DatabaseUnreachable, if the connection was lost, or SqlError."""
    try:
        yield
    except psycopg.Error as error:
        if _is_lost(error):
            raise connection_lost(error) from None
        raise SqlError(
            str(error).strip(),
            hint=_HINTS.get(error.sqlstate or "", ""),
            state="An open transaction was rolled back.",
            sqlstate=error.sqlstate or "",
        ) from None


def _is_lost(error: psycopg.Error) -> bool:
    """Return whether the connection is lost: OperationalError also has timeouts, for example."""
    state = error.sqlstate or "08000"
    return isinstance(error, psycopg.OperationalError) and state.startswith(("08", "57P"))


def connection_lost(error: psycopg.Error) -> DatabaseUnreachable:
    full = f"{DISK_FULL}\n" if "No space left on device" in str(error) else ""
    return DatabaseUnreachable(
        f"The connection was lost: {str(error).strip().splitlines()[0]}",
        hint=f"{full}Run the same command again: it continues where this one stopped.",
        state="PostgreSQL rolls back an open transaction by itself.",
    )


def source_of(target: Target) -> str:
    return f"The address came from {target.source}."


def _attempt(target: Target, dbname: str | None, remaining: float) -> Connection:
    parameters: dict[str, Any] = {
        "application_name": "runner",
        "connect_timeout": str(max(2, min(10, ceil(remaining))) if remaining > 0 else 10),
        **target.parameters,
        "client_encoding": "utf8",  # whatever the database's own: files are UTF-8
        "dbname": dbname or target.name,
    }
    # prepare_threshold: a prepared statement would not survive the session reset between files.
    return Interruptible.connect(**parameters, autocommit=True, prepare_threshold=None)


def _reason(error: psycopg.Error) -> _Reason:
    return next(reason for reason in _REASONS if re.search(reason.pattern, str(error)))


def _description(error: psycopg.Error) -> str:
    """Return the reason alone: libpq writes a line for each address it tried, then advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    failed = [line.rpartition("failed: ")[2] for line in lines if "failed: " in line]
    return failed[-1] if failed else (lines or ["no reason was given"])[0]


def _unreachable(target: Target, error: psycopg.Error, wait: float) -> DatabaseUnreachable:
    reason, waiting = _reason(error), ""
    if reason.transient:
        waiting = f"Waited {wait:g} s for it." if wait else "To wait for it: --wait SECONDS."
    return DatabaseUnreachable(
        f"Cannot connect to {target.url()}: {_description(error)}",
        hint=f"{reason.advice} {waiting}".strip() + f"\n{source_of(target)}",
        state=NO_CHANGES,
    )
