"""Connection poolers: one that keeps the session is accepted, one that changes it is refused.

A transaction-mode pooler (PgBouncer's usual mode, Supabase's port 6543) runs each transaction in
any free session. The advisory lock of a run belongs to a session: through such a pooler it would
stay behind in one of them and block every later run.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import psycopg
from psycopg import errors, generators, pq

from runner.errors import NO_CHANGES, DatabaseUnreachable, UsageError
from runner.postgres.connection import Connection, open_second, source_of
from runner.postgres.target import Target
from runner.postgres.waiting import polling

_ROUNDS = 3
_TIMEOUT = 3.0  # seconds; a pooler that has not answered by then has no session free
_SUPABASE = (".pooler.supabase.com", ".supabase.co")
_SUPABASE_PORT = "6543"
_NEON = "-pooler."  # part of the host name


def refuse_by_name(target: Target) -> None:
    """Raise UsageError for an address that is known to be a transaction-mode pooler."""
    parameters = target.parameters
    if parameters.get("port") == _SUPABASE_PORT and parameters.get("host", "").endswith(_SUPABASE):
        raise _refused(target)


def backend_pid(connection: Connection, target: Target) -> int:
    """Return the backend PID as the server sees it; a pooler reports numbers of its own.

    Nothing is locked or set to find out, because that would stay behind: a second connection
    shows whether it is given the same session.

    Raises UsageError if the session changes between transactions, DatabaseUnreachable if the
    pooler does not answer the test.
    """
    pid: int
    ((pid,),) = connection.execute("select pg_backend_pid()")
    if pid == connection.info.backend_pid:
        return pid
    try:
        with closing(open_second(connection)) as second:
            if _is_kept(connection, second, pid):
                return pid
    except (psycopg.Error, TimeoutError) as error:
        raise DatabaseUnreachable(
            f"{target.url()} is a pooler, and its mode cannot be determined: {error}",
            hint=_advice(target),
            state=NO_CHANGES,
        ) from None
    raise _refused(target)


def _is_kept(connection: Connection, second: Connection, pid: int) -> bool:
    """Return whether the session stays the same while the connection is open."""
    for _ in range(_ROUNDS):  # under traffic one round may succeed by chance
        # Some poolers hand out the session used last, so the second connection gets ours; others
        # rotate, so we get another one when we ask twice. One of the two shows.
        if {_ask(connection), _ask(connection)} != {pid}:
            return False
        try:
            theirs = _ask(second, "begin; ")
        except TimeoutError:  # every session is reserved: is ours reserved for us?
            return _ask(connection) == pid
        if theirs == pid or _ask(connection) != pid:
            return False
        second.execute("rollback")
    return True


def _ask(connection: Connection, before: str = "") -> int:
    """Return the PID of the session that answers. Raises TimeoutError when none does."""
    connection.pgconn.send_query(f"{before}select pg_backend_pid()".encode())
    end = time.monotonic() + _TIMEOUT

    def poll() -> None:
        if time.monotonic() > end:
            raise TimeoutError("it has no session free")

    *_, result = connection.wait(polling(generators.execute(connection.pgconn), poll))
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise errors.error_from_result(result)
    return int(result.get_value(0, 0) or 0)


def _refused(target: Target) -> UsageError:
    return UsageError(
        f"{target.url()} is a pooler in transaction mode, through which no lock can be held",
        hint=_advice(target),
    )


def _advice(target: Target) -> str:
    """Name the direct address beside the pooler's, for providers whose naming is known."""
    host = target.parameters.get("host", "")
    known = {}
    if host.endswith(_SUPABASE):
        known = {"port": "5432"}
    elif _NEON in host:
        known = {"host": host.replace(_NEON, ".")}
    url = replace(target, parameters={**target.parameters, **known}).url()
    return (
        f"Put the server's own address{f', {url},' if known else ''} or that of a session-mode "
        "pooler into DIRECT_URL, which migrations use instead of DATABASE_URL.\n"
        f"{source_of(target)}"
    )
