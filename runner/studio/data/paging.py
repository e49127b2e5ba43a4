"""Keyset pagination: an order that an index provides, filters, and a cursor instead of an offset.

Every page costs the same, because the index finds its first row. A cursor holds one row's values
of the ordering columns. If these have mixed directions, the rows after a cursor are a union of
ranges, each read by one index scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from psycopg import sql

from runner.studio.data.tables import Column, Shape, Table, identifier

Order = tuple[tuple[str, bool], ...]  # column, and whether it is descending

OPERATORS = {  # by name in a URL: the SQL operator, and its label
    "is": ("=", "is"),
    "from": (">=", "from"),
    "to": ("<=", "up to"),
    "null": ("is null", "is null"),
    "set": ("is not null", "is not null"),
}
WITHOUT_VALUE = ("null", "set")


@dataclass(frozen=True)
class Filter:
    """One condition on one column. PostgreSQL converts the text to the column's type."""

    column: str
    operator: str
    value: str = ""

    @property
    def label(self) -> str:
        """The condition in plain English."""
        return f"{self.column} {OPERATORS[self.operator][1]}" + (
            "" if self.operator in WITHOUT_VALUE else f" {self.value}"
        )


@dataclass(frozen=True)
class PageRequest:
    """Which page of a table to read. `after` and `before` are cursors; at most one is set."""

    sort: str = ""  # a column; "" for the table's default order
    reverse: bool = False
    filters: tuple[Filter, ...] = ()
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def sortable(shape: Shape) -> dict[str, Order]:
    """Return the columns that an index can sort by, each with the order to use.

    These are an index's first column, and the one after a leading column of the tenant: rows are
    then sorted within each tenant. Key columns are appended so that the order is total.
    """
    if not shape.key:
        return {}
    readable = {column.name for column in shape.readable}
    orders: dict[str, Order] = {}
    for index in shape.indexes:
        if not (index.orders and readable.issuperset(index.columns)):
            continue
        order = tuple(zip(index.columns, index.descending, strict=True))
        order += tuple((name, order[-1][1]) for name in shape.key if name not in index.columns)
        orders.setdefault(index.columns[0], order)
        if index.columns[0] == shape.table.tenant_column and len(index.columns) > 1:
            orders.setdefault(index.columns[1], order)
    return orders


def order(shape: Shape, request: PageRequest) -> Order:
    """Return the order of a page: as requested, or by time if an index can, or by the key."""
    possible = sortable(shape)
    times = [name for name in possible if (c := shape.column(name)) and c.kind == "time"]
    chosen = possible.get(request.sort)
    if chosen is None:
        defaults = [*times, *possible]
        return possible[defaults[0]] if defaults else tuple((name, False) for name in shape.key)
    return _reversed(chosen) if request.reverse else chosen


def filterable(shape: Shape) -> list[Column]:
    """Return the columns that can be filtered on, indexed ones first."""
    indexed = {name for index in shape.indexes for name in index.columns}
    columns = [c for c in shape.readable if c.comparable and c.kind not in ("json", "list")]
    return sorted(columns, key=lambda column: column.name not in indexed)


def select(
    shape: Shape, columns: sql.Composable, request: PageRequest, limit: int
) -> tuple[sql.Composed, list[str]]:
    """Return the statement that reads a page, and its parameters.

    Its rows hold `columns`, then the ordering columns as text. Rows before a cursor come in
    reverse order. A cursor of the wrong length is ignored.
    """
    ordered = order(shape, request)
    cursor = request.after
    if request.before:
        ordered, cursor = _reversed(ordered), request.before
    if len(cursor) != len(ordered):
        cursor = ()
    conditions, values = where(request.filters)
    branches: list[sql.Composable] = []
    all_values: list[str] = []
    for range_conditions, range_values in _ranges(ordered, cursor) if cursor else [([], [])]:
        branches.append(
            sql.SQL("(select {columns} from {table} as r{where}{order} limit {limit})").format(
                columns=sql.SQL(", ").join([columns, *_texts(ordered), *_raw(ordered)]),
                table=shape.table.identifier,
                where=_where([*conditions, *range_conditions]),
                order=_order_by(ordered, "r"),
                limit=sql.Literal(limit),
            )
        )
        all_values += [*values, *range_values]
    if len(branches) == 1:
        return sql.Composed(branches), all_values
    outer = tuple((f"o{n}", descending) for n, (_, descending) in enumerate(ordered))
    union = sql.SQL("select * from ({ranges}) as page{order} limit {limit}").format(
        ranges=sql.SQL(" union all ").join(branches),
        order=_order_by(outer, "page"),
        limit=sql.Literal(limit),
    )
    return union, all_values


def count(table: Table, filters: Sequence[Filter], at_most: int) -> tuple[sql.Composed, list[str]]:
    """Return the statement that counts rows up to a limit, and its parameters."""
    conditions, values = where(filters)
    text = sql.SQL(
        "select count(*) from (select null from {table} as r{where} limit {limit}) as counted"
    ).format(
        table=table.identifier,
        where=_where(conditions),
        limit=sql.Literal(at_most),
    )
    return text, values


def where(filters: Sequence[Filter]) -> tuple[list[sql.Composable], list[str]]:
    """Return filters as SQL conditions, and their parameters."""
    conditions: list[sql.Composable] = []
    values: list[str] = []
    for one in filters:
        name = identifier("r", one.column)
        operator = sql.SQL(OPERATORS[one.operator][0])
        if one.operator in WITHOUT_VALUE:
            conditions.append(sql.SQL("{} {}").format(name, operator))
        else:
            conditions.append(sql.SQL("{} {} %s").format(name, operator))
            values.append(one.value)
    return conditions, values


def _ranges(
    ordered: Order, cursor: Sequence[str]
) -> Iterator[tuple[list[sql.Composable], list[str]]]:
    """Yield the ranges after a cursor: equal up to a run of one direction, then beyond it."""
    runs: list[list[int]] = [
        [position for position, _ in run]
        for _, run in groupby(enumerate(ordered), key=lambda item: item[1][1])
    ]
    for length in range(len(runs), 0, -1):
        equal = [position for run in runs[: length - 1] for position in run]
        beyond = runs[length - 1]
        comparison = sql.SQL("<" if ordered[beyond[0]][1] else ">")
        conditions: list[sql.Composable] = [
            sql.SQL("{} = %s").format(identifier("r", ordered[position][0])) for position in equal
        ]
        conditions.append(
            sql.SQL("({}) {} ({})").format(
                sql.SQL(", ").join(identifier("r", ordered[position][0]) for position in beyond),
                comparison,
                sql.SQL(", ").join(sql.SQL("%s") for _ in beyond),
            )
        )
        yield conditions, [cursor[position] for position in (*equal, *beyond)]


def _where(conditions: Sequence[sql.Composable]) -> sql.Composable:
    if not conditions:
        return sql.SQL("")
    return sql.SQL(" where ") + sql.SQL(" and ").join(conditions)


def _order_by(ordered: Order, table: str) -> sql.Composable:
    if not ordered:
        return sql.SQL("")
    return sql.SQL(" order by ") + sql.SQL(", ").join(
        sql.SQL("{} {}").format(identifier(table, name), sql.SQL("desc" if descending else "asc"))
        for name, descending in ordered
    )


def _texts(ordered: Order) -> Iterator[sql.Composable]:
    for number, (name, _) in enumerate(ordered):
        yield sql.SQL("{}::text as {}").format(identifier("r", name), identifier(f"t{number}"))


def _raw(ordered: Order) -> Iterator[sql.Composable]:
    for number, (name, _) in enumerate(ordered):
        yield sql.SQL("{} as {}").format(identifier("r", name), identifier(f"o{number}"))


def _reversed(ordered: Order) -> Order:
    return tuple((name, not descending) for name, descending in ordered)
