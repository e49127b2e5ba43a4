"""Preconditions of verify: the schema is there, and this role may verify it. Facts about a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from runner.errors import RunnerError, UsageError
from runner.isolation.project import Project
from runner.isolation.toml_file import nearest
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot

_APPLY = "Is everything applied? python -m runner apply"


def check(connection: Connection, project: Project, schemas: Sequence[str]) -> None:
    """Raise RunnerError unless the schema is there and this role can verify it.

    Raises UsageError, naming the line, for a table, column or role of isolation.toml that the
    database does not have, and if one of `schemas` does not exist.
    """
    row = connection.execute(
        query("isolation/preconditions"),
        {
            "names": json.dumps(_names(project)),
            "tables": project.tables,
            "roles": project.roles(),
            "schemas": list(schemas),
        },
    ).fetchone()
    assert row  # noqa: S101 - a select without FROM
    standby, read_only, me, missing, present, roles, closed_roles, closed_tables, unknown = row
    if missing and not present:
        raise RunnerError(
            f"This is not the schema of {project.file.path.parent}/: there is no table "
            f"{missing['table']}",
            hint="Apply it first: python -m runner apply.",
        )
    if missing:
        raise _unknown_name(project, **missing)
    for role in roles:
        name = next(n for n, actor in project.actors.items() if actor.role == role)
        raise project.file.error(("actors", name, "role"), f"there is no role {role}", hint=_APPLY)
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


def _names(project: Project) -> list[dict[str, str | int | None]]:
    """Return each table and column that isolation.toml names, with its line."""
    keys = ("line", "schema", "table_name", "column_name")
    line = project.file.line
    found: list[tuple[int, str, str, str | None]] = [
        (line(("tenant", "table")), *project.tenant_table, None),
        (line(("tenant", "key")), *project.tenant_table, project.tenant_key),
    ]
    for right in project.rights:
        found.append((right.line, "public", right.table, None))
        found += [(right.line, "public", right.table, column) for column in right.columns]
    found += [
        (line(("tenant", "column")), "public", table, project.key_of(table))
        for table in project.tables
    ]
    return [dict(zip(keys, each, strict=True)) for each in found]


def _unknown_name(
    project: Project, *, line: int, table: str, column: str | None, word: str, known: Sequence[str]
) -> UsageError:
    """Return the error for a table or column that the database does not have."""
    what = f"column {column} in {table}" if column else f"table {table}"
    hint = "\n".join(filter(None, (nearest(word, known), _APPLY)))
    return project.file.error_at(line, f"there is no {what}", hint=hint)


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
