"""Which tables are filled, in which order, and what their keys mean for the rows."""

from __future__ import annotations

from dataclasses import replace

from runner.isolation.rows.fixture import Fixture
from runner.isolation.tenancy.objects import PERSON, SHARED, TENANT, Relation
from runner.postgres.connection import Connection
from runner.preflight.sample_rows import shapes
from runner.preflight.sample_rows.shapes import Table


def tables_to_fill(connection: Connection, fixture: Fixture) -> list[tuple[Relation, Table]]:
    """Return the tables to fill: those of tenants and persons, and what callers reach."""
    by_name = {(r.schema, r.name): r for r in fixture.tenants.relations.values()}
    needed = []
    wanted = [
        (by_name[(table.schema, table.name)], table)
        for table in shapes.read(connection, numbered=True)
        if (table.schema, table.name) in by_name
    ]
    api = fixture.tenants.api_roles
    referenced = {ref.oid for relation, _ in wanted for ref in relation.references}
    behind = {oid for r in by_name.values() if r.within_reach(api) for oid in r.bases}
    for relation, table in wanted:
        if relation.oid not in fixture.later and (
            relation.tenancy in (TENANT, PERSON, SHARED)
            or relation.within_reach(api)
            or relation.oid in referenced | behind
        ):
            implied = [
                shapes.Reference(ref.columns, parent.schema, parent.name, ref.referred)
                for ref in relation.references
                if ref.implied and (parent := fixture.tenants.relations.get(ref.oid))
            ]
            references = [
                reference
                for reference in (*table.references, *implied)
                if not (parent := by_name.get((reference.schema, reference.table)))
                or parent.oid not in fixture.later
            ]
            needed.append(replace(table, references=references))
    order = shapes.in_order(needed)
    found = [(by_name[(table.schema, table.name)], table) for table in order]
    fixture.shapes = {relation.oid: table for relation, table in found}
    first = _needed_first(fixture, found)
    return sorted(found, key=lambda pair: pair[0].oid not in first)


def _needed_first(fixture: Fixture, found: list[tuple[Relation, Table]]) -> set[int]:
    """Return the tables of tenants and people, and those that they refer to."""
    tenants = fixture.tenants
    roots = (tenants.tenant, tenants.people)
    first = {root.oid for root in roots if root} | set(tenants.person_columns)
    for relation, _ in reversed(found):
        if relation.oid in first:
            first |= {ref.oid for ref in relation.references if not ref.implied}
    return first


def counted(relation: Relation, table: Table) -> list[str]:
    """Return the columns that are counted within a tenant: part of its composite keys."""
    referring = {name for reference in table.references for name in reference.columns}
    return [
        column.name
        for column in table.columns
        if column.name not in {*referring, relation.tenant_column}
        and any(
            relation.tenant_column in key.columns and column.name in key.columns
            for key in relation.keys
        )
        and not any([column.name] == key.columns for key in relation.keys)
    ]


def takes_parent(relation: Relation) -> bool:
    """Whether a row of another table can have one row at most in this one."""
    referring = {name for reference in relation.references for name in reference.columns}
    return any(set(key.columns) <= referring for key in relation.keys if key.columns)
