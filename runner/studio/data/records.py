"""Records as the current role sees them: one page of a table, or one record in full."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from runner.postgres.connection import Connection
from runner.studio.data import paging
from runner.studio.data.paging import Filter, PageRequest
from runner.studio.data.tables import Column, Reference, Shape, Table, identifier
from runner.studio.data.viewer import TIMEOUT, reason

PAGE_SIZE = 50
COUNT_LIMIT = 10_000  # rows; beyond it a page says "more than"
_MAX_IN_LIST, _MAX_IN_FULL = 1_000, 200_000  # characters of a value
_MAX_OF_ROW = 10 * _MAX_IN_FULL  # and of all values of a record; of a row in a list a hundredth


@dataclass(frozen=True)
class RecordLink:
    """The record that a foreign key refers to."""

    table: str
    key: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cell:
    """One value as text; None is SQL's null."""

    column: Column
    value: str | None
    truncated: bool = False
    refers_to: RecordLink | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The elements of an array."""
        return tuple("null" if entry is None else str(entry) for entry in json.loads(self.json))

    @property
    def json(self) -> str:
        """The value of a JSON or array column; not valid JSON if truncated."""
        return self.value or "[]"

    @property
    def pretty(self) -> str:
        """Indented JSON; a value that does not parse is returned as is."""
        try:
            return json.dumps(json.loads(self.value or ""), indent=2, ensure_ascii=False)
        except ValueError:
            return self.value or ""

    @property
    def summary(self) -> str:
        """JSON in a few words: its keys, or its length."""
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
    key: tuple[tuple[str, str], ...]  # column and value; empty if the table has no key
    position: tuple[str, ...] = ()  # values of the page's order: a cursor


@dataclass(frozen=True)
class Page:
    """Some rows of a table, and the cursors of the pages around them."""

    records: tuple[Record, ...]
    order: paging.Order
    after: tuple[str, ...] = ()  # cursor of the next page; empty on the last one
    before: tuple[str, ...] = ()  # cursor of the previous page; empty on the first one
    count: int = 0  # at most COUNT_LIMIT
    counted: bool = True  # False if there are more than COUNT_LIMIT
    filter_error: str = ""  # PostgreSQL's message about a filter value it cannot read
    error: str = ""  # why no record can be read


@dataclass(frozen=True)
class Count:
    """How many rows of a table a person sees."""

    number: int | None  # at most COUNT_LIMIT + 1; None: permission denied, an error, or not counted
    error: str = ""  # why it cannot be counted
    late: bool = False  # not counted, because that would take longer than a page may


DENIED, LATE = Count(None), Count(None, late=True)


@dataclass(frozen=True)
class Patience:
    """How long a page may count, in seconds: all tables together, and each."""

    total: float
    each: float

    @property
    def deadline(self) -> float:
        """When to stop, if counting starts now; of time.monotonic()."""
        return time.monotonic() + self.total


BRIEF, FULL = Patience(0.5, 0.1), Patience(6.0, 1.0)  # at first; when it is asked for


@dataclass(frozen=True)
class ReferringRows:
    """How many rows of another table refer to a record."""

    reference: Reference
    filters: tuple[Filter, ...]
    count: Count


def page(connection: Connection, shape: Shape, request: PageRequest) -> Page:
    """Return a page of records; if they cannot be read, a page without any that says why.

    Raises psycopg.Error if the connection is lost.
    """
    order = paging.order(shape, request)
    if shape.table.withheld:
        return Page((), order, error=shape.table.withheld)
    try:
        with connection.transaction():
            columns = _columns(shape, longest := _longest(shape, _MAX_IN_LIST, _MAX_OF_ROW // 100))
            text, values = paging.select(shape, columns, request, PAGE_SIZE + 1)
            rows = connection.execute(text, values).fetchall()
            text, values = paging.count(shape.table, request.filters, COUNT_LIMIT + 1)
            ((count,),) = connection.execute(text, values).fetchall()
    except psycopg.Error as error:
        if connection.closed:
            raise
        given = request.filters or request.after or request.before
        wrong = isinstance(error, psycopg.DataError | psycopg.errors.UndefinedFunction)
        why = reason(error, TIMEOUT)
        of_filter = bool(given) and wrong
        return Page((), order, filter_error=why) if of_filter else Page((), order, error=why)
    more, backwards = len(rows) > PAGE_SIZE, bool(request.before)
    records = [_record(shape, row, len(order), longest) for row in rows[:PAGE_SIZE]]
    if backwards:
        records.reverse()
    has_next, has_previous = (True, more) if backwards else (more, bool(request.after))
    return Page(
        tuple(records),
        order,
        after=records[-1].position if records and has_next else (),
        before=records[0].position if records and has_previous else (),
        count=min(count, COUNT_LIMIT),
        counted=count <= COUNT_LIMIT,
    )


def record(connection: Connection, shape: Shape, key: Sequence[tuple[str, str]]) -> Record | None:
    """Return the record with these values; None unless the current role sees exactly one."""
    filters = [Filter(column, "is", value) for column, value in key]
    if (
        shape.table.withheld
        or not filters
        or any(shape.column(one.column) is None for one in filters)
    ):
        return None
    conditions, values = paging.where(filters)
    longest = _longest(shape, _MAX_IN_FULL, _MAX_OF_ROW)
    text = sql.SQL("select {} from {} as r where {} limit 2").format(
        _columns(shape, longest),
        shape.table.identifier,
        sql.SQL(" and ").join(conditions),
    )
    try:
        with connection.transaction():
            rows = connection.execute(text, values).fetchall()
    except (psycopg.DataError, psycopg.errors.UndefinedFunction):
        return None
    return _record(shape, rows[0], 0, longest) if len(rows) == 1 else None


def referring(
    connection: Connection, shape: Shape, found: Record, tables: Sequence[Table]
) -> list[ReferringRows]:
    """Return which tables refer to a record, and how many of their rows the current role sees."""
    values = {cell.column.name: cell.value for cell in found.cells}
    found_rows = []
    for reference in shape.incoming:
        other = next((table for table in tables if table.name == reference.table), None)
        referred = [values.get(name) for name in reference.to_columns]
        if other is None or None in referred:
            continue
        filters = tuple(
            Filter(column, "is", value or "")
            for column, value in zip(reference.columns, referred, strict=True)
        )
        found_rows.append((reference, other, filters))
    numbers = counts(connection, [(other, f) for _, other, f in found_rows], FULL.deadline, FULL)
    return [
        ReferringRows(reference, filters, number)
        for (reference, _, filters), number in zip(found_rows, numbers, strict=True)
    ]


def counts(
    connection: Connection,
    some: Iterable[tuple[Table, Sequence[Filter]]],
    deadline: float,
    patience: Patience,
) -> list[Count]:
    """Count the rows of each table that the current role sees, up to COUNT_LIMIT + 1.

    Each in the same savepoint, so that an error is the error of one table. What is not counted at
    `deadline`, of time.monotonic(), is LATE. Raises psycopg.Error if the connection is lost.
    """
    found = []
    ms = round(patience.each * 1000)
    limits = f"set local statement_timeout = {ms}; set local lock_timeout = {ms // 2}"
    connection.execute(f"savepoint before; {limits}; savepoint counted".encode())
    for table, filters in some:
        if not table.readable:
            found.append(DENIED)
        elif table.withheld:
            found.append(Count(None, table.withheld))
        elif time.monotonic() > deadline:
            found.append(LATE)
        else:
            found.append(_count(connection, table, filters, patience))
    connection.execute("rollback to savepoint before")
    return found


def _count(
    connection: Connection, table: Table, filters: Sequence[Filter], patience: Patience
) -> Count:
    text, values = paging.count(table, filters, COUNT_LIMIT + 1)
    try:
        connection.execute("rollback to savepoint counted")
        ((number,),) = connection.execute(text, values).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return DENIED
    except psycopg.errors.QueryCanceled as error:
        return LATE if patience == BRIEF else Count(None, reason(error, f"{patience.each:g}s"))
    except psycopg.Error as error:
        if connection.closed:
            raise
        return Count(None, reason(error, ""))
    return Count(int(number))


def _longest(shape: Shape, most: int, of_row: int) -> int:
    """Return how many characters of a value are read: fewer where a row has many columns."""
    return min(most, of_row // max(1, len(shape.readable)))


def _columns(shape: Shape, longest: int) -> sql.Composable:
    """Return the select list: every value as text, so that any type can be shown."""
    parts: list[sql.Composable] = []
    for number, column in enumerate(shape.readable):
        form = "to_jsonb({})::text" if column.kind == "list" else "({})::text"
        text = sql.SQL(form).format(identifier("r", column.name))
        name, limit = identifier(f"c{number}"), sql.Literal(longest + 1)
        parts.append(sql.SQL("left({}, {}) as {}").format(text, limit, name))
    # The key in full: a truncated one would identify no row.
    parts += [
        sql.SQL("{}::text as {}").format(identifier("r", name), identifier(f"k{number}"))
        for number, name in enumerate(shape.key)
    ]
    return sql.SQL(", ").join(parts or [sql.SQL("null as c0")])


def _record(shape: Shape, row: Sequence[str | None], ordered: int, longest: int) -> Record:
    columns, width = shape.readable, len(shape.readable)
    cells = [
        Cell(
            column,
            value[:longest] if value else value,
            truncated=bool(value and len(value) > longest),
        )
        for column, value in zip(columns, row, strict=False)
    ]
    keyed = row[width : width + len(shape.key)]
    position = row[width + len(shape.key) :][:ordered]
    return Record(
        tuple(replace(cell, refers_to=_refers_to(shape, cell, cells)) for cell in cells),
        tuple((name, value or "") for name, value in zip(shape.key, keyed, strict=True)),
        tuple(value or "" for value in position),
    )


def _refers_to(shape: Shape, cell: Cell, cells: Sequence[Cell]) -> RecordLink | None:
    """Return the record a value refers to; only the last column of a composite key links to it."""
    values = {other.column.name: other.value for other in cells}
    for reference in shape.outgoing:
        referred = [values.get(name) for name in reference.columns]
        if reference.columns[-1] == cell.column.name and None not in referred:
            pairs = zip(reference.to_columns, referred, strict=True)
            key = tuple((name, value or "") for name, value in pairs)
            return RecordLink(reference.to_table, key)
    return None
