"""Getting through to a database: waited for where that helps, each refusal told apart."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import psycopg
from psycopg import pq

from runner import signals
from runner.errors import DatabaseUnreachable, SqlError
from runner.events import Report, Working, silent
from runner.postgres.target import Target

Connection = psycopg.Connection[tuple[Any, ...]]

# The server ends, within a second, the statement of a client that was killed: or the lock and half
# a migration would stay until that statement is done. Not every platform of a server can.
ENABLE_CLIENT_CONNECTION_CHECK = (
    "do 'begin set client_connection_check_interval = ''1s''; exception when others then null; end'"
)

DISK_FULL = "The server's disk is full: make room, then run the same command again."
_PAUSES = (0.1, 2.0)  # seconds between two knocks: the first and the longest


@dataclass(frozen=True)
class _Reason:
    sign: str  # what libpq's message holds then, as a regular expression
    advice: str
    passes: bool = False  # may be different in a moment


_UNKNOWN = _Reason("", "")
_SHUT_OUT = "The server's pg_hba.conf, or the provider's list of addresses, does not let you in."
_FULL = "The server has no connection free: close some."
_STARTING = "The server is starting or stopping."
# The first that fits counts: several addresses may each have failed in its own way, and what will
# not pass is worth more than what may.
_REASONS = (
    _Reason("password authentication failed", "Check user and password."),
    _Reason("no password supplied", "The server asks for a password: into the URL or PGPASSWORD."),
    _Reason("SSL encryption", _SHUT_OUT),
    _Reason(
        "no encryption", "No line of pg_hba.conf lets you in without TLS: try sslmode=require."
    ),
    _Reason("pg_hba.conf", _SHUT_OUT),
    _Reason("SSL was required", "The server offers no TLS: are host and port the right ones?"),
    _Reason("SSL|certificate", "Check sslmode, sslrootcert and the certificates they name."),
    _Reason(r'role ".*" does not exist', "Check the user in the URL."),
    _Reason("Tenant or user not found", "On Supabase's pooler the user is postgres.PROJECT."),
    _Reason("does not exist|no such database", "Check the name, or create it first."),
    _Reason("not currently accepting", "The database is closed to everybody: allow_connections."),
    _Reason("could not translate host name|failed to resolve", "Check the host in the URL.", True),
    _Reason("Connection refused", "Is the server running, and is the port right?", True),
    _Reason("No such file", "Is the server running? Its socket is not there.", True),
    _Reason("timeout", "The host does not answer: check address, firewall, allow-list.", True),
    _Reason("unreachable|No route", "The host cannot be reached: check address and network.", True),
    _Reason("too many|connection slots|no more connections|max clients", _FULL, True),
    _Reason("starting up|shutting down|recovery mode|not (yet )?accepting", _STARTING, True),
    _Reason("closed the connection|terminating", "Does a PostgreSQL listen on that port?", True),
)


class Interruptible(psycopg.Connection[tuple[Any, ...]]):
    """Waits so that a signal cancels what the server does, and still hears its answer."""

    def wait(self, gen: Any, *args: Any, **more: Any) -> Any:
        with signals.deferred() as outermost:
            if self.pgconn.transaction_status != pq.TransactionStatus.ACTIVE:
                signals.check()
            try:
                answer = super().wait(signals.cancelling(gen, self._cancel), *args, **more)
            except psycopg.errors.QueryCanceled:
                signals.check()
                raise
            if outermost:
                signals.check()
        return answer

    def _cancel(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.cancel_safe(timeout=5)


def connect(
    target: Target, *, dbname: str | None = None, wait: float = 0.0, report: Report = silent
) -> Connection:
    """Open the one connection of a run, in autocommit mode.

    What may pass by itself is waited for, `wait` seconds at most: a server that starts, is full,
    or is not known yet. Raises Unreachable, saying which database, why, and what to do.
    """
    started = time.monotonic()
    pause, longest = _PAUSES
    while True:
        waited = time.monotonic() - started
        try:
            return _knock(target, dbname, wait - waited)
        except psycopg.Error as error:  # ProgrammingError: a value that makes no sense
            reason = _reason(error)
            waited = time.monotonic() - started
            if not reason.passes or waited >= wait:
                raise _unreachable(target, error, reason, wait) from None
            report(Working(f"waiting for {target.url()}: {_words(error)}"))
        time.sleep(min(pause, wait - waited))
        pause = min(1.5 * pause, longest)


def open_second(connection: Connection) -> Connection:
    """Open a second connection to where the first one is. No patience; raises psycopg.Error."""
    info = connection.info
    parameters: dict[str, Any] = {
        **info.get_parameters(),
        "password": info.password,
        "host": info.host,
        "port": info.port,
        "connect_timeout": 2,
    }
    if info.hostaddr:
        parameters["hostaddr"] = info.hostaddr
    return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)


def refuse_read_only(connection: Connection, target: Target) -> None:
    """Raise Unreachable for a standby, or for a session in which nothing can be written."""
    told = connection.info.parameter_status
    if told("in_hot_standby") == "on":
        what = "is a standby, which only follows another server"
        advice = "Name the primary, or several hosts with target_session_attrs=read-write."
    elif told("default_transaction_read_only") == "on":
        what = "is read-only for this role: default_transaction_read_only is on"
        advice = "Set it off for the role, the database or the server, or use another role."
    else:
        return
    raise DatabaseUnreachable(f"{target.url()} {what}", hint=f"{advice}\n{_where_from(target)}")


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Raise errors of ours for those that psycopg raises by itself."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise connection_lost(error) from None
    except psycopg.Error as error:
        raise SqlError(
            str(error).strip(),
            hint="An open transaction was rolled back.",
            sqlstate=error.sqlstate or "",
        ) from None


def connection_lost(error: psycopg.Error) -> DatabaseUnreachable:
    """Return what to say when the server went away in the middle."""
    return DatabaseUnreachable(
        f"The connection was lost: {str(error).strip().splitlines()[0]}",
        hint=(f"{DISK_FULL}\n" if "No space left on device" in str(error) else "")
        + "An open transaction is rolled back by PostgreSQL itself. Run the same command again: "
        "it goes on where this one stopped.",
    )


def _knock(target: Target, dbname: str | None, left: float) -> Connection:
    parameters: dict[str, Any] = {
        "application_name": "runner",
        "connect_timeout": str(max(2, min(10, ceil(left))) if left > 0 else 10),
        **target.parameters,
        "client_encoding": "utf8",  # whatever the database's own: files are UTF-8
    }
    if dbname:
        parameters["dbname"] = dbname
    # prepare_threshold: a prepared statement would not outlive the reset between two files.
    return Interruptible.connect(**parameters, autocommit=True, prepare_threshold=None)


def _reason(error: psycopg.Error) -> _Reason:
    return next((reason for reason in _REASONS if re.search(reason.sign, str(error))), _UNKNOWN)


def _words(error: psycopg.Error) -> str:
    """Return the reason alone: libpq writes a line for each address it tried, then advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    failed = [line.rpartition("failed: ")[2] for line in lines if "failed: " in line]
    return failed[-1] if failed else (lines or ["no reason was given"])[0]


def _unreachable(
    target: Target, error: psycopg.Error, reason: _Reason, wait: float
) -> DatabaseUnreachable:
    patience = ""
    if reason.passes:
        patience = f"Waited {wait:g} s for it." if wait else "To wait for it: --wait SECONDS."
    return DatabaseUnreachable(
        f"Cannot connect to {target.url()}: {_words(error)}",
        hint=f"{reason.advice} {patience}".strip() + f"\n{_where_from(target)}",
    )


def _where_from(target: Target) -> str:
    return f"The address came from {target.source}. Nothing was done."
