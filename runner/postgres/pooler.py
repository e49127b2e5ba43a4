"""A pooler in between: one that keeps our session will do, one that changes it is refused.

A transaction-mode pooler (PgBouncer's usual mode, Supabase's port 6543) gives each transaction
whatever session is free. The lock of a run belongs to a session, so through such a pooler it would
be left behind on one of them, and keep every later run out.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import psycopg
from psycopg import errors, generators, pq
from psycopg.abc import PQGen
from psycopg.pq.abc import PGresult

from runner.errors import DatabaseUnreachable, UsageError
from runner.postgres.connection import Connection, open_second
from runner.postgres.target import Target

_ROUNDS = 3
_PATIENCE = 3.0  # seconds, then a pooler that gives no answer has no session free
_SUPABASE = (".pooler.supabase.com", ".supabase.co")
_SUPABASE_PORT = "6543"
_NEON = "-pooler."  # in the name of a host


def refuse_by_name(target: Target) -> None:
    """Raise UsageError for an address that is known for a transaction-mode pooler."""
    parameters = target.parameters
    if parameters.get("port") == _SUPABASE_PORT and parameters.get("host", "").endswith(_SUPABASE):
        raise _refused(target)


def session(connection: Connection, target: Target) -> int:
    """Return the server's own number of the one session behind this connection.

    Raises UsageError where there is no such one. Nothing is locked or set to find that out, for it
    would be left behind: a second connection shows whether it is given our session too.
    """
    backend: int
    ((backend,),) = connection.execute("select pg_backend_pid()")
    if backend == connection.info.backend_pid:
        return backend  # a pooler hands out numbers of its own
    try:
        with closing(open_second(connection)) as second:
            if _is_kept(connection, second, backend):
                return backend
    except (psycopg.Error, TimeoutError) as error:
        raise DatabaseUnreachable(
            f"{target.url()} is a pooler, and does not show which kind: {error}",
            hint=_advice(target),
        ) from None
    raise _refused(target)


def _is_kept(connection: Connection, second: Connection, backend: int) -> bool:
    """Return whether the session is ours as long as we are connected."""
    for _ in range(_ROUNDS):  # while others come and go, chance may speak for a pooler
        # Some poolers give the session used last, so the second gets ours; others take turns, so
        # we get another one when we ask twice; whatever the rule, not all of these can fail us.
        if {_ask(connection), _ask(connection)} != {backend}:
            return False
        try:
            theirs = _ask(second, "begin; ")
        except TimeoutError:  # every session is kept for somebody: ours for us?
            return _ask(connection) == backend
        if theirs == backend or _ask(connection) != backend:
            return False
        second.execute("rollback")
    return True


def _ask(connection: Connection, before: str = "") -> int:
    """Return the number of the session that answers. Raises TimeoutError when none does."""
    connection.pgconn.send_query(f"{before}select pg_backend_pid()".encode())
    *_, result = connection.wait(_in_time(generators.execute(connection.pgconn)))
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise errors.error_from_result(result)
    return int(result.get_value(0, 0) or 0)


def _in_time(answer: PQGen[list[PGresult]]) -> PQGen[list[PGresult]]:
    until = time.monotonic() + _PATIENCE
    try:
        state = next(answer)
        while True:
            ready = yield state
            if not ready and time.monotonic() > until:
                raise TimeoutError("it has no session free")
            state = answer.send(ready)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def _refused(target: Target) -> UsageError:
    return UsageError(
        f"{target.url()} is a pooler in transaction mode: no lock can be held through it",
        hint=_advice(target),
    )


def _advice(target: Target) -> str:
    url = _direct(target)
    return (
        f"Put the server's own address{f', {url},' if url else ''} or that of a pooler in session "
        "mode into DIRECT_URL; what migrates takes it instead of DATABASE_URL.\n"
        f"The address came from {target.source}. Nothing was done."
    )


def _direct(target: Target) -> str:
    """Return the address that providers whose names we know have beside the pooler's."""
    host = target.parameters.get("host", "")
    if host.endswith(_SUPABASE):
        other = {"port": "5432"}
    elif _NEON in host:
        other = {"host": host.replace(_NEON, ".")}
    else:
        return ""
    return replace(target, parameters={**target.parameters, **other}).url()
