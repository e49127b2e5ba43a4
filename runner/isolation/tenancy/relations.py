"""Read the relations, functions and roles of a database, with their tenancy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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
from runner.postgres.connection import Connection
from runner.queries import query


def read(connection: Connection, config: Config) -> TenantMap:
    """Return the map of a database: the catalog, with the tenancy that the file declares."""
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
    if config.schemas is not None:
        for relation in relations.values():
            if relation.schema not in config.schemas:
                relation.users = []
        functions = [f if f.schema in config.schemas else replace(f, callers=[]) for f in functions]
    result = TenantMap(relations, functions, [], api_roles, None, None)
    result.tenant = result.named(config.tenant_table) if config.tenant_table else None
    result.people = result.named(config.people.table) if config.people else None
    decide(result, config)
    owned = [r.oid for r in relations.values() if r.tenancy in (TENANT, PERSON)]
    roles = connection.execute(query("isolation/tenancy/roles"), {**parameters, "tables": owned})
    result.roles = [Role(*row) for row in roles]
    return result


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
