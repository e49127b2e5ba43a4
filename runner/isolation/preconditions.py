"""Preconditions of verify: the schema is there, and this role may verify it. Facts about a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from runner.errors import RunnerError, UsageError
from runner.isolation.tenancy import people, relations
from runner.isolation.tenancy.config import Config
from runner.isolation.tenancy.objects import TenantMap
from runner.isolation.toml_file import Keys
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot

_APPLY = "Is everything applied? python -m runner apply"
_RESTORED = f"{_APPLY}\nAfter a restore: python -m runner apply --restored"


def check(connection: Connection, config: Config, schemas: Sequence[str]) -> TenantMap:
    """Return the map of the database; raise RunnerError unless this role can verify it.

    Raises UsageError, naming the line, for a table, column or role of isolation.toml that the
    database does not have, and if one of `schemas` does not exist.
    """
    roles = sorted({actor.role for actor in config.actors.values()})
    row = connection.execute(
        query("isolation/preconditions"), {"roles": roles, "schemas": list(schemas)}
    ).fetchone()
    assert row  # noqa: S101 - a select without FROM
    standby, read_only, me, absent, closed, unknown = row
    tenants = relations.read(connection, config)
    if not tenants.blocked:
        _names(config, tenants)
        people.check(connection, config)
    for role in absent:
        name = next(n for n, actor in config.actors.items() if actor.role == role)
        raise config.error(("actors", name), f"there is no role {role}", hint=_RESTORED)
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
    if closed:
        raise RunnerError(
            f"{me} cannot act as {', '.join(closed)}",
            hint="verify switches roles as the API does (set role). As an administrator of these "
            f"roles:\n  grant {', '.join(closed)} to {me};",
        )
    return tenants


def _names(config: Config, tenants: TenantMap) -> None:
    """Raise the error for a table or column of the file that the database does not have."""
    wanted = [*config.rights, *(case.table for case in config.cases)]
    if config.tenant_table:
        wanted.append(config.tenant_table)
    if wanted and not any(tenants.named(name) for name in wanted):
        raise RunnerError(
            f"This is not the schema of {Path(config.path).parent}/: there is no table {wanted[0]}",
            hint="Apply it first: python -m runner apply.",
        )
    for name, relation, section in (
        (config.tenant_table, tenants.tenant, "tenant"),
        (config.people.table if config.people else None, tenants.people, "people"),
    ):
        if name and relation is None:
            raise _no_table(config, tenants, (section, "table"), name)
    for case in config.cases:
        if tenants.named(case.table) is None:
            raise _no_table(config, tenants, ("cases", case.table, case.what), case.table)
    _columns(config, tenants)


def _no_table(config: Config, tenants: TenantMap, at: Keys, name: str) -> UsageError:
    """Return the error for a name that means no table, or several."""
    if several := tenants.several(name):
        problem = f"there are several tables {name}: {', '.join(several)}"
        return config.error(at, problem, hint="Name it with its schema.")
    known = {
        f"{r.schema}.{r.name}" if "." in name else r.name
        for r in (*tenants.reachable(), *tenants.owned())
        if r.kind != "S"
    }
    return config.error(at, f"there is no table {name}", name, known, _APPLY)


def _columns(config: Config, tenants: TenantMap) -> None:
    column = config.tenant_column
    if not any(r.column(column) for r in tenants.relations.values()):
        known = {c.name for r in tenants.relations.values() for c in r.columns}
        raise config.error(
            ("tenant", "column"), f"no table has a column {column}", column, known, _APPLY
        )
    for name, commands in config.rights.items():
        relation = tenants.named(name)
        if relation is None:
            raise _no_table(config, tenants, ("rights", name), name)
        columns = {c.name for c in relation.columns}
        named = {c for rights in commands.values() for r in rights for c in r.columns or ()}
        for wrong in sorted(named - columns):
            problem = f"there is no column {wrong} in {relation.qualified}"
            raise config.error(("rights", name), problem, wrong, columns, _APPLY)
    people = tenants.people
    if people and config.people:
        for key in ("user", "tenant", "role"):
            wrong = getattr(config.people, key)
            columns = {c.name for c in people.columns}
            if wrong and wrong not in columns:
                problem = f"there is no column {wrong} in {people.qualified}"
                raise config.error(("people", key), problem, wrong, columns, _APPLY)


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
