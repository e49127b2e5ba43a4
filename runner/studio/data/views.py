"""What each page shows, as data: asked for as one person, the same for a server and for a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.studio.data import paging, people, permissions, records, tables
from runner.studio.data.paging import Wanted
from runner.studio.data.permissions import Grant, Policy, Right, Trigger
from runner.studio.data.records import Link, Page, Record
from runner.studio.data.tables import Column, Shape, Table
from runner.studio.data.viewer import CannotLook, Person, Pool, through

WORLDS = 24  # people side by side


@dataclass(frozen=True)
class Summary:
    """A table in the overview: what of it somebody sees, and may do."""

    table: Table
    count: int | None  # None: refused
    permissions: tuple[Right, ...]


@dataclass(frozen=True)
class TableView:
    """The records of a table."""

    shape: Shape
    page: Page | None  # None: refused
    wanted: Wanted
    permissions: tuple[Right, ...]
    triggers: tuple[Trigger, ...]
    sortable: dict[str, paging.Order]
    filterable: tuple[Column, ...]


@dataclass(frozen=True)
class RecordView:
    """One record."""

    shape: Shape
    record: Record | None  # None: whoever looks sees no such one
    permissions: tuple[Right, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class SchemaView:
    """One table of the schema."""

    shape: Shape
    policies: tuple[Policy, ...]
    triggers: tuple[Trigger, ...]
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class World:
    """How many records of each table one person sees; None where they are refused."""

    person: Person
    counts: tuple[int | None, ...]
    barred: str = ""  # why nobody can look as them here


@dataclass(frozen=True)
class Worlds:
    """What several people see, side by side."""

    tables: tuple[Table, ...]
    worlds: tuple[World, ...]


def names(connections: Pool) -> tuple[Table, ...]:
    """Return the tables there are: everybody may know that."""
    with through(connections, people.OWNER) as connection:
        return tuple(tables.tables(connection))


def overview(connections: Pool, person: Person) -> tuple[Summary, ...]:
    """Return each table with what somebody sees of it."""
    found = []
    with through(connections, person) as connection:
        for table in tables.tables(connection):
            shape = tables.shape(connection, table)
            given = permissions.policies(connection, table)
            may = permissions.rights(connection, shape, given)
            found.append(Summary(table, records.count(connection, table), tuple(may)))
    return tuple(found)


def table(connections: Pool, person: Person, name: str, wanted: Wanted) -> TableView | None:
    """Return a page of a table's records; None where there is no such table."""
    with through(connections, person) as connection:
        found = _find(tables.tables(connection), name)
        if found is None:
            return None
        shape = tables.shape(connection, found)
        may = permissions.rights(connection, shape, permissions.policies(connection, found))
        known = {column.name for column in paging.filterable(shape)}
        filters = tuple(one for one in wanted.filters if one.column in known)
        wanted = replace(wanted, filters=filters)
        return TableView(
            shape,
            records.page(connection, shape, wanted) if shape.readable else None,
            wanted,
            tuple(may),
            tuple(permissions.triggers(connection, found)),
            paging.sortable(shape),
            tuple(paging.filterable(shape)),
        )


def record(
    connections: Pool, person: Person, name: str, key: Sequence[tuple[str, str]]
) -> RecordView | None:
    """Return one record; None where there is no such table."""
    with through(connections, person) as connection:
        all_ = tables.tables(connection)
        found = _find(all_, name)
        if found is None:
            return None
        shape = tables.shape(connection, found)
        one = records.record(connection, shape, key) if shape.readable else None
        if one is None:
            return RecordView(shape, None, (), ())
        given = permissions.policies(connection, found)
        may = permissions.rights(connection, shape, given)
        if one.key:
            may = permissions.on_record(connection, shape, given, may, one.key)
        links = records.referring(connection, shape, one, all_)
        return RecordView(shape, one, tuple(may), tuple(links))


def schema(connections: Pool, person: Person, name: str) -> SchemaView | None:
    """Return what a table is made of; None where there is no such table."""
    with through(connections, person) as connection:
        found = _find(tables.tables(connection), name)
        if found is None:
            return None
        return SchemaView(
            tables.shape(connection, found),
            tuple(permissions.policies(connection, found)),
            tuple(permissions.triggers(connection, found)),
            tuple(permissions.grants(connection, found)),
        )


def worlds(connections: Pool, everybody: Sequence[Person]) -> Worlds:
    """Return how much each person sees of each table."""
    found = []
    for person in everybody[:WORLDS]:
        try:
            with through(connections, person) as connection:
                counts = tuple(records.count(connection, t) for t in tables.tables(connection))
            found.append(World(person, counts))
        except CannotLook as error:
            found.append(World(person, (), error.message))
    return Worlds(names(connections), tuple(found))


def _find(among: Sequence[Table], name: str) -> Table | None:
    return next((table for table in among if table.name == name), None)
