"""Tables with their columns, keys, indexes and references, read from the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from psycopg import sql

from runner.isolation import untrusted
from runner.postgres.connection import Connection
from runner.queries import query
from runner.studio.data.project import Project

_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}


@dataclass(frozen=True)
class Table:
    """A table or view of an exposed schema, and how the current role may use it."""

    oid: int
    name: str  # with the schema where another has one of the same name
    schema: str
    relation: str
    kind: str
    comment: str
    row_security: bool  # enabled
    forced: bool  # row security applies to the owner too
    active: bool  # row security applies to the current role
    usable: bool  # USAGE on the schema
    granted: bool  # SELECT on any column
    estimate: int | None  # rows, by PostgreSQL's statistics; None if never analyzed
    owner: str
    tenant_column: str = ""  # says whose a row is; the table may have no such column
    withheld: str = ""  # why it is not read, although the role may

    @property
    def readable(self) -> bool:
        """Whether the current role may read any column."""
        return self.usable and self.granted

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted name, for a statement with parameters."""
        return identifier(self.schema, self.relation)


@dataclass(frozen=True)
class Column:
    """One column, and what the current role may do with it."""

    name: str
    type: str
    kind: str  # json, list, number, time, boolean, enum, id or text: how it is shown
    required: bool
    default: str
    generated: bool
    comment: str
    may_select: bool
    may_insert: bool
    may_update: bool
    comparable: bool  # has a B-tree operator class
    labels: tuple[str, ...]  # of an enum


@dataclass(frozen=True)
class Index:
    """An index, and what it can be used for here."""

    name: str
    definition: str
    primary: bool
    unique: bool
    valid: bool
    bytes: int
    scans: int
    columns: tuple[str, ...]  # "" for an expression
    descending: tuple[bool, ...]
    orders: bool  # rows can be read in its order, even where policies apply
    identifies: bool  # its columns identify one row


@dataclass(frozen=True)
class Reference:
    """A foreign key."""

    name: str
    outgoing: bool
    table: str
    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]
    definition: str


@dataclass(frozen=True)
class Shape:
    """A table with everything needed to show its records."""

    table: Table
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    references: tuple[Reference, ...]

    @cached_property
    def readable(self) -> tuple[Column, ...]:
        """The columns that the current role may read."""
        usable = self.table.usable
        return tuple(column for column in self.columns if usable and column.may_select)

    @cached_property
    def hidden(self) -> tuple[Column, ...]:
        """The columns that the current role may not read."""
        return tuple(column for column in self.columns if column not in self.readable)

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row; empty if none do or they may not be read."""
        names = {column.name for column in self.readable}
        for index in self.indexes:  # the primary one comes first
            if index.identifies and names.issuperset(index.columns):
                return index.columns
        return ()

    @cached_property
    def outgoing(self) -> tuple[Reference, ...]:
        """The table's own foreign keys, those with the fewest columns first."""
        return tuple(reference for reference in self.references if reference.outgoing)

    @cached_property
    def incoming(self) -> tuple[Reference, ...]:
        """The foreign keys that reference the table."""
        return tuple(r for r in self.references if r.to_table == self.table.name)

    def column(self, name: str) -> Column | None:
        """Return a readable column by name."""
        return next((column for column in self.readable if column.name == name), None)


def tables(connection: Connection, project: Project) -> list[Table]:
    """Return the tables and views of the exposed schemas, by name."""
    if project.config:
        roles = [actor.role for actor in project.actors]
    else:
        roles = [role for role, _ in connection.execute(query("isolation/draft/roles"))]
    given = {"roles": roles, "schemas": project.schemas}
    withheld = {
        one.oid: f"it is not read as a superuser, because {one.owner} decides what that would run"
        for one in untrusted.read(connection, project.config)
        if one.is_relation
    }
    return [
        Table(oid, name, schema, relation, _KINDS[kind], *rest)
        for oid, name, schema, relation, kind, *rest in (
            (*row, project.tenant_column(f"{row[2]}.{row[3]}", row[3]), withheld.get(row[0], ""))
            for row in connection.execute(query("studio/data/tables"), given)
        )
    ]


def shape(connection: Connection, table: Table, among: Iterable[Table]) -> Shape:
    """Return a table with its columns, its indexes, and its references from and to `among`."""
    names = {other.oid: other.name for other in among}
    parameters = {"table": table.oid}
    indexes = connection.execute(query("studio/data/indexes"), parameters)
    references = connection.execute(query("studio/data/references"), parameters)
    return Shape(
        table,
        columns(connection, table),
        tuple(Index(*_frozen(row)) for row in indexes),
        tuple(
            Reference(name, outgoing, names[table_], columns_, names[to], *rest)
            for name, outgoing, table_, columns_, to, *rest in map(_frozen, references)
            if table_ in names and to in names
        ),
    )


def columns(connection: Connection, table: Table) -> tuple[Column, ...]:
    """Return the columns of a table."""
    rows = connection.execute(query("studio/data/columns"), {"table": table.oid})
    return tuple(Column(*_frozen(row)) for row in rows)


def used_by_current(
    connection: Connection, some: Sequence[Table], *, withhold: bool
) -> list[Table]:
    """Return tables that another role has listed, as the current role may use them.

    `withhold`: what the other did not read is not read now either.
    """
    given = {"tables": [table.oid for table in some]}
    rows = connection.execute(query("studio/data/usable"), given)
    usable = {oid: row for oid, *row in rows}
    return [
        replace(
            table,
            active=active,
            usable=usable_,
            granted=granted,
            withheld=table.withheld if withhold else "",
        )
        for table in some
        for active, usable_, granted in [usable.get(table.oid, (False, False, False))]
    ]


def sizes(connection: Connection, some: Iterable[Table]) -> dict[int, int]:
    """Return the bytes of each table with its indexes, by oid; not of one that is locked."""
    given = {"tables": [table.oid for table in some]}
    return dict(connection.execute(query("studio/data/sizes"), given).fetchall())


def identifier(*parts: str) -> sql.Identifier:
    """Return a quoted name for a statement with parameters, where psycopg needs % doubled."""
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))


def _frozen(row: Iterable[Any]) -> Iterator[Any]:
    return (tuple(value) if isinstance(value, list) else value for value in row)
