"""Read the relations, functions and roles of a database, with their tenancy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from runner.isolation import untrusted
from runner.isolation.tenancy.config import Config
from runner.isolation.tenancy.decide import decide
from runner.isolation.tenancy.objects import (
    PERSON,
    TENANT,
    Argument,
    Column,
    Function,
    Key,
    Reference,
    Relation,
    Role,
    TenantMap,
)
from runner.isolation.untrusted import Untrusted
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema.snapshot import scoped


def read(connection: Connection, config: Config) -> TenantMap:
    """Return the map of a database: the catalog, with the tenancy that the file declares.

    Without what this session must not use, because it would run the code of another role.
    """
    api_roles = sorted({actor.role for actor in config.actors.values()})
    parameters = {"roles": api_roles}
    relations = {
        row[0]: _relation(row)
        for row in connection.execute(query("isolation/tenancy/relations"), parameters)
    }
    functions = [
        _function(row)
        for row in connection.execute(query("isolation/tenancy/functions"), parameters)
    ]
    found = connection.execute(scoped(query("isolation/tenancy/platform")))
    result = TenantMap(relations, functions, [], api_roles, None, None)
    result.platform = frozenset((schema, owner) for schema, owner in found)
    _leave_out(result, config)
    _withhold(result, config, untrusted.read(connection, config))
    result.tenant = result.named(config.tenant_table) if config.tenant_table else None
    result.people = result.named(config.people.table) if config.people else None
    decide(result, config)
    named = connection.execute(query("isolation/tenancy/operators"), {"tables": list(relations)})
    result.operators = {(oid, column): operator for oid, column, operator in named}
    owned = [r.oid for r in relations.values() if r.tenancy in (TENANT, PERSON)]
    roles = connection.execute(query("isolation/tenancy/roles"), {**parameters, "tables": owned})
    result.roles = [Role(*row) for row in roles]
    return result


def _leave_out(map_: TenantMap, config: Config) -> None:
    """Take out of reach what the file does not expose, and what a platform has made.

    A schema of the platform's of which the file names a relation is within reach.
    """
    named = {r.schema for name in config.rights if (r := map_.named(name))}

    def is_platforms(one: Relation | Function) -> bool:
        return config.schemas is None and one.schema not in named and map_.is_platforms(one)

    def is_out(one: Relation | Function) -> bool:
        return is_platforms(one) or one.schema not in (config.schemas or [one.schema])

    map_.untried = [r.qualified for r in map_.reachable() if is_platforms(r)]
    if functions := sum(bool(f.callers) and is_platforms(f) for f in map_.functions):
        map_.untried.append(f"{functions} function{'' if functions == 1 else 's'}")
    for relation in map_.relations.values():
        relation.users = [] if is_out(relation) else relation.users
    map_.functions = [replace(f, callers=[]) if is_out(f) else f for f in map_.functions]


def _withhold(map_: TenantMap, config: Config, found: Sequence[Untrusted]) -> None:
    """Remove relations and functions from the map; say whether the rest can still be tried."""
    wanted = (config.tenant_table, config.people.table if config.people else None, *config.rights)
    needed = {r.oid for name in wanted if name and (r := map_.named(name))}
    for one in found:
        if one.is_relation and (relation := map_.relations.pop(one.oid, None)):
            map_.withheld.append(relation)
            map_.owners[one.oid] = one.owner
        map_.owners |= {} if one.is_relation else {one.oid: one.owner}
    used = {r.oid for each in map_.relations.values() for r in each.references}
    for one in found:
        if one.shadows or (one.is_relation and one.oid in needed | used):
            why = "could be used instead of another function" if one.shadows else "is needed"
            map_.blocked = f"{one.name} {why}, and would run code of {one.owner} as a superuser"
    hidden = {one.oid for one in found if not one.is_relation}
    map_.withheld += [f for f in map_.functions if f.oid in hidden]
    map_.functions = [f for f in map_.functions if f.oid not in hidden]


def _relation(row: Sequence[Any]) -> Relation:
    values = (
        *row[:10],
        [Column(**column) for column in row[10]],
        *row[11:14],
        [Reference(**reference) for reference in row[14]],
        [Key(**key) for key in row[15]],
    )
    return Relation(*values)


def _function(row: Sequence[Any]) -> Function:
    values = (*row[:13], [Argument(**argument) for argument in row[13]], *row[14:])
    return Function(*values)
