"""The records of a table, as whoever looks sees them: one page of them, or one in full."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from runner.postgres.connection import Connection
from runner.studio.data import paging
from runner.studio.data.paging import Filter, Wanted, named
from runner.studio.data.tables import Column, Reference, Shape, Table

PAGE = 50
COUNTED = 10_000  # rows; beyond, it is only said that there are more
_IN_A_LIST, _IN_FULL = 1_000, 200_000  # characters of a value


@dataclass(frozen=True)
class Target:
    """The record that a reference leads to."""

    table: str
    key: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cell:
    """One value as text; None is SQL's null."""

    column: Column
    value: str | None
    cut: bool = False  # there is more of it
    leads_to: Target | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The entries of a list."""
        return tuple("null" if entry is None else str(entry) for entry in json.loads(self.json))

    @property
    def json(self) -> str:
        """The value of a JSON column or a list; what was cut is no JSON any more."""
        return self.value or "[]"

    @property
    def pretty(self) -> str:
        """JSON laid out in lines; what does not parse stays as it is."""
        try:
            return json.dumps(json.loads(self.value or ""), indent=2, ensure_ascii=False)
        except ValueError:
            return self.value or ""

    @property
    def gist(self) -> str:
        """JSON in a few words."""
        try:
            value = json.loads(self.value or "")
        except ValueError:
            return "JSON"
        if isinstance(value, dict):
            return f"{{{', '.join(value)}}}" if value else "{}"
        if isinstance(value, list):
            return f"[{len(value)}]"
        return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Record:
    """One row."""

    cells: tuple[Cell, ...]
    key: tuple[tuple[str, str], ...]  # column and value; empty where nothing names one row
    place: tuple[str, ...] = ()  # in the order of its page


@dataclass(frozen=True)
class Page:
    """Some rows of a table, and where there are more."""

    records: tuple[Record, ...]
    order: paging.Order
    after: tuple[str, ...] = ()  # begins the next page; empty when this is the last one
    before: tuple[str, ...] = ()
    count: int = 0
    counted: bool = True  # to the end
    refused: str = ""  # a filter that PostgreSQL cannot read, in its words


@dataclass(frozen=True)
class Link:
    """How many rows of another table refer to a record."""

    reference: Reference
    filters: tuple[Filter, ...]
    count: int | None  # None where they may not be read


def page(connection: Connection, shape: Shape, wanted: Wanted) -> Page:
    """Return a page of records.

    Raises psycopg.Error; InsufficientPrivilege where whoever looks may read none of them.
    """
    order = paging.order(shape, wanted)
    try:
        with connection.transaction():
            text, values = paging.select(shape, _columns(shape, _IN_A_LIST), wanted, PAGE + 1)
            rows = connection.execute(text, values).fetchall()
            text, values = paging.count(shape.table, wanted.filters, COUNTED + 1)
            ((count,),) = connection.execute(text, values).fetchall()
    except (psycopg.DataError, psycopg.errors.UndefinedFunction) as error:
        return Page((), order, refused=error.diag.message_primary or "it makes no sense")
    more, backwards = len(rows) > PAGE, bool(wanted.before)
    records = [_record(shape, row, len(order), _IN_A_LIST) for row in rows[:PAGE]]
    if backwards:
        records.reverse()
    has_next, has_last = (True, more) if backwards else (more, bool(wanted.after))
    return Page(
        tuple(records),
        order,
        after=records[-1].place if records and has_next else (),
        before=records[0].place if records and has_last else (),
        count=min(count, COUNTED),
        counted=count <= COUNTED,
    )


def record(connection: Connection, shape: Shape, key: Sequence[tuple[str, str]]) -> Record | None:
    """Return the one record that has these values; None where whoever looks sees no such one."""
    filters = [Filter(column, "is", value) for column, value in key]
    if not filters or any(shape.column(one.column) is None for one in filters):
        return None
    conditions, values = paging.where(filters)
    text = sql.SQL("select {} from {} as r where {} limit 2").format(
        _columns(shape, _IN_FULL),
        named("public", shape.table.name),
        sql.SQL(" and ").join(conditions),
    )
    try:
        with connection.transaction():
            rows = connection.execute(text, values).fetchall()
    except (psycopg.DataError, psycopg.errors.UndefinedFunction):
        return None
    return _record(shape, rows[0], 0, _IN_FULL) if len(rows) == 1 else None


def referring(
    connection: Connection, shape: Shape, found: Record, tables: Sequence[Table]
) -> list[Link]:
    """Return what refers to a record, as far as whoever looks sees it."""
    values = {cell.column.name: cell.value for cell in found.cells}
    links = []
    for reference in shape.incoming:
        other = next((table for table in tables if table.name == reference.table), None)
        wanted = [values.get(name) for name in reference.to_columns]
        if other is None or None in wanted:
            continue
        filters = tuple(
            Filter(column, "is", value or "")
            for column, value in zip(reference.columns, wanted, strict=True)
        )
        links.append(Link(reference, filters, count(connection, other, filters)))
    return links


def count(connection: Connection, table: Table, filters: Sequence[Filter] = ()) -> int | None:
    """Return how many rows whoever looks sees, up to a limit; None where they may see none."""
    text, values = paging.count(table, filters, COUNTED + 1)
    try:
        with connection.transaction():
            ((number,),) = connection.execute(text, values).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return int(number)


def _columns(shape: Shape, most: int) -> sql.Composable:
    """Return what is read of each row: every value as text, so that any type can be shown."""
    parts: list[sql.Composable] = []
    for number, column in enumerate(shape.readable):
        form = "to_jsonb({})::text" if column.kind == "list" else "({})::text"
        text = sql.SQL(form).format(named("r", column.name))
        parts.append(
            sql.SQL("left({}, {}) as {}").format(text, sql.Literal(most + 1), named(f"c{number}"))
        )
    # The key in full: a cut one would name no row.
    parts += [
        sql.SQL("{}::text as {}").format(named("r", name), named(f"k{number}"))
        for number, name in enumerate(shape.key)
    ]
    return sql.SQL(", ").join(parts or [sql.SQL("null as c0")])


def _record(shape: Shape, row: Sequence[str | None], ordered: int, most: int) -> Record:
    columns, width = shape.readable, len(shape.readable)
    cells = [
        Cell(column, value[:most] if value else value, cut=bool(value and len(value) > most))
        for column, value in zip(columns, row, strict=False)
    ]
    keyed = row[width : width + len(shape.key)]
    place = row[width + len(shape.key) :][:ordered]
    return Record(
        tuple(replace(cell, leads_to=_leads_to(shape, cell, cells)) for cell in cells),
        tuple((name, value or "") for name, value in zip(shape.key, keyed, strict=True)),
        tuple(value or "" for value in place),
    )


def _leads_to(shape: Shape, cell: Cell, cells: Sequence[Cell]) -> Target | None:
    """Return where a value leads: the last column of a composite reference carries the link."""
    values = {other.column.name: other.value for other in cells}
    for reference in shape.outgoing:
        wanted = [values.get(name) for name in reference.columns]
        if reference.columns[-1] == cell.column.name and None not in wanted:
            pairs = zip(reference.to_columns, wanted, strict=True)
            return Target(reference.to_table, tuple((name, value or "") for name, value in pairs))
    return None
