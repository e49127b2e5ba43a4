"""Preconditions of verify: the schema is there, and this role may verify it. Facts about a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from runner.errors import RunnerError, UsageError
from runner.isolation.matrix.cases import tables
from runner.isolation.matrix.undeclared import API_ROLES
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot


def check(connection: Connection, schemas: Sequence[str]) -> None:
    """Raise RunnerError unless the schema is there and this role can verify it.

    Raises UsageError if one of `schemas` does not exist.
    """
    row = connection.execute(
        query("isolation/preconditions"),
        {"tables": tables(), "roles": list(API_ROLES), "schemas": list(schemas)},
    ).fetchone()
    assert row  # noqa: S101 - a select without FROM
    standby, read_only, me, absent, roles, closed_roles, closed_tables, unknown = row
    if absent or roles:
        missing = [*(f"table public.{name}" for name in absent), *(f"role {r}" for r in roles)]
        raise RunnerError(
            f"This is not the schema of sql/: {', '.join(missing)} missing",
            hint="Apply it first: python -m runner apply.",
        )
    if unknown:
        raise UsageError(
            f"There is no schema {', '.join(unknown)}",
            hint="--schema names a schema that the API exposes.",
        )
    if standby or read_only:
        raise RunnerError(
            "This server is a read-only standby"
            if standby
            else "This session is read-only (default_transaction_read_only)",
            hint="verify inserts rows, tries statements on them and rolls back: "
            + ("run it on the primary." if standby else "connect with a role that may write."),
        )
    if closed_roles:
        raise RunnerError(
            f"{me} cannot act as {', '.join(closed_roles)}",
            hint="verify switches roles as the API does (set role). As an administrator of these "
            f"roles:\n  grant {', '.join(closed_roles)} to {me};",
        )
    if closed_tables:
        raise RunnerError(
            f"{me} cannot insert into {', '.join(f'public.{name}' for name in closed_tables)}",
            hint="verify inserts rows of its own and rolls back: connect as the tables' owner.",
        )


def facts(connection: Connection, schemas: Sequence[str]) -> dict[str, str]:
    """Return the context of a verdict: time (UTC), server, database, role, schemas, fingerprint."""
    info = connection.info
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "server": info.parameter_status("server_version") or "?",
        "database": info.dbname,
        "role": info.user,
        "schemas": ", ".join(schemas),
        "fingerprint": snapshot.fingerprint(connection),
    }
