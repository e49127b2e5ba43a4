"""The content of each page as data, read as one person. The same for the server and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.studio.data import paging, people, permissions, records, tables
from runner.studio.data.paging import PageRequest
from runner.studio.data.permissions import Grant, Policy, Right, Trigger
from runner.studio.data.records import Page, Record, ReferringRows
from runner.studio.data.tables import Column, Shape, Table
from runner.studio.data.viewer import CannotViewAs, Person, Pool, session_as

MAX_COMPARED = 24  # people side by side


@dataclass(frozen=True)
class Summary:
    """A table in the overview: how much of it a person sees, and what they may do with it."""

    table: Table
    count: int | None  # None: permission denied
    rights: tuple[Right, ...]


@dataclass(frozen=True)
class TableView:
    """A page of a table's records."""

    shape: Shape
    page: Page | None  # None: permission denied
    request: PageRequest  # without filters on unknown columns
    rights: tuple[Right, ...]
    triggers: tuple[Trigger, ...]
    sortable: dict[str, paging.Order]
    filterable: tuple[Column, ...]


@dataclass(frozen=True)
class RecordView:
    """One record."""

    shape: Shape
    record: Record | None  # None: this person sees no such record
    rights: tuple[Right, ...]
    referring: tuple[ReferringRows, ...]


@dataclass(frozen=True)
class SchemaView:
    """The definition of one table."""

    shape: Shape
    policies: tuple[Policy, ...]
    triggers: tuple[Trigger, ...]
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class IdentityView:
    """How many records of each table one person sees; None where permission is denied."""

    person: Person
    counts: tuple[int | None, ...]
    unavailable: str = ""  # why the database cannot be viewed as this person


@dataclass(frozen=True)
class Comparison:
    """What several people see, side by side."""

    tables: tuple[Table, ...]
    views: tuple[IdentityView, ...]


def names(connections: Pool) -> tuple[Table, ...]:
    """Return all tables, read as the connecting role: their names are not confidential."""
    with session_as(connections, people.OWNER) as connection:
        return tuple(tables.tables(connection))


def overview(connections: Pool, person: Person) -> tuple[Summary, ...]:
    """Return each table with how much of it a person sees."""
    found = []
    with session_as(connections, person) as connection:
        for table in tables.tables(connection):
            shape = tables.shape(connection, table)
            policies = permissions.policies(connection, table)
            rights = permissions.rights(connection, shape, policies)
            found.append(Summary(table, records.count(connection, table), tuple(rights)))
    return tuple(found)


def table(connections: Pool, person: Person, name: str, request: PageRequest) -> TableView | None:
    """Return a page of a table's records; None if there is no such table."""
    with session_as(connections, person) as connection:
        found = _find(tables.tables(connection), name)
        if found is None:
            return None
        shape = tables.shape(connection, found)
        rights = permissions.rights(connection, shape, permissions.policies(connection, found))
        known = {column.name for column in paging.filterable(shape)}
        filters = tuple(one for one in request.filters if one.column in known)
        request = replace(request, filters=filters)
        return TableView(
            shape,
            records.page(connection, shape, request) if shape.readable else None,
            request,
            tuple(rights),
            tuple(permissions.triggers(connection, found)),
            paging.sortable(shape),
            tuple(paging.filterable(shape)),
        )


def record(
    connections: Pool, person: Person, name: str, key: Sequence[tuple[str, str]]
) -> RecordView | None:
    """Return one record; None if there is no such table."""
    with session_as(connections, person) as connection:
        all_tables = tables.tables(connection)
        found = _find(all_tables, name)
        if found is None:
            return None
        shape = tables.shape(connection, found)
        one = records.record(connection, shape, key) if shape.readable else None
        if one is None:
            return RecordView(shape, None, (), ())
        policies = permissions.policies(connection, found)
        rights = permissions.rights(connection, shape, policies)
        if one.key:
            rights = permissions.on_record(connection, shape, policies, rights, one.key)
        referring = records.referring(connection, shape, one, all_tables)
        return RecordView(shape, one, tuple(rights), tuple(referring))


def schema(connections: Pool, person: Person, name: str) -> SchemaView | None:
    """Return the definition of a table; None if there is no such table."""
    with session_as(connections, person) as connection:
        found = _find(tables.tables(connection), name)
        if found is None:
            return None
        return SchemaView(
            tables.shape(connection, found),
            tuple(permissions.policies(connection, found)),
            tuple(permissions.triggers(connection, found)),
            tuple(permissions.grants(connection, found)),
        )


def comparison(connections: Pool, identities: Sequence[Person]) -> Comparison:
    """Return how much each of the first MAX_COMPARED people sees of each table."""
    found = []
    for person in identities[:MAX_COMPARED]:
        try:
            with session_as(connections, person) as connection:
                counts = tuple(records.count(connection, t) for t in tables.tables(connection))
            found.append(IdentityView(person, counts))
        except CannotViewAs as error:
            found.append(IdentityView(person, (), error.message))
    return Comparison(names(connections), tuple(found))


def _find(all_tables: Sequence[Table], name: str) -> Table | None:
    return next((table for table in all_tables if table.name == name), None)
