"""Which rows a page holds: an order that an index gives, filters, and where the last page ended.

Every page costs the same, the first as the thousandth: it begins where the index says, never at an
offset. A cursor is the last row's values of the order's columns. "After it", in an order of mixed
directions, is a union of ranges, each of which one index scan reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from psycopg import sql

from runner.studio.data.tables import Column, Shape, Table

Order = tuple[tuple[str, bool], ...]  # columns, and whether each descends

OPERATORS = {
    "is": ("=", "is"),
    "from": (">=", "from"),
    "to": ("<=", "up to"),
    "null": ("is null", "is null"),
    "set": ("is not null", "is not null"),
}
WITHOUT_VALUE = ("null", "set")


@dataclass(frozen=True)
class Filter:
    """One condition on one column; the value is text, read as the column's type by PostgreSQL."""

    column: str
    operator: str
    value: str = ""

    @property
    def words(self) -> str:
        """The condition as a person would say it."""
        said = OPERATORS[self.operator][1]
        return f"{self.column} {said}" + (
            "" if self.operator in WITHOUT_VALUE else f" {self.value}"
        )


@dataclass(frozen=True)
class Wanted:
    """The page that is asked for."""

    sort: str = ""  # a column; "" for the table's own order
    reverse: bool = False
    filters: tuple[Filter, ...] = ()
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def sortable(shape: Shape) -> dict[str, Order]:
    """Return the order that sorting by a column means, for the columns an index sorts by.

    That is its first column, or the one after org_id: within an organization the rows then stand
    by it. The key is added where the index does not tell rows apart.
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
        if index.columns[0] == "org_id" and len(index.columns) > 1:
            orders.setdefault(index.columns[1], order)
    return orders


def order(shape: Shape, wanted: Wanted) -> Order:
    """Return the order of a page: what is asked for, else the newest first, else the key."""
    possible = sortable(shape)
    times = [name for name in possible if (c := shape.column(name)) and c.kind == "time"]
    chosen = possible.get(wanted.sort)
    if chosen is None:
        own = [*times, *possible]
        return possible[own[0]] if own else tuple((name, False) for name in shape.key)
    return _reversed(chosen) if wanted.reverse else chosen


def filterable(shape: Shape) -> list[Column]:
    """Return the columns that a filter may name, those an index finds first."""
    indexed = {name for index in shape.indexes for name in index.columns}
    columns = [c for c in shape.readable if c.comparable and c.kind not in ("json", "list")]
    return sorted(columns, key=lambda column: column.name not in indexed)


def select(
    shape: Shape, columns: sql.Composable, wanted: Wanted, limit: int
) -> tuple[sql.Composed, list[str]]:
    """Return the statement of a page, and its values.

    Its rows hold `columns`, then the order's values as text. Those before a cursor come backwards.
    """
    ordered = order(shape, wanted)
    cursor = wanted.after
    if wanted.before:
        ordered, cursor = _reversed(ordered), wanted.before
    if len(cursor) != len(ordered):
        cursor = ()
    conditions, values = where(wanted.filters)
    branches: list[sql.Composable] = []
    all_values: list[str] = []
    for more, its_values in _ranges(ordered, cursor) if cursor else [([], [])]:
        branches.append(
            sql.SQL("(select {columns} from {table} as r{where}{order} limit {limit})").format(
                columns=sql.SQL(", ").join([columns, *_texts(ordered), *_raw(ordered)]),
                table=named("public", shape.table.name),
                where=_where([*conditions, *more]),
                order=_by(ordered, "r"),
                limit=sql.Literal(limit),
            )
        )
        all_values += [*values, *its_values]
    if len(branches) == 1:
        return sql.Composed(branches), all_values
    outer = tuple((f"o{n}", down) for n, (_, down) in enumerate(ordered))
    whole = sql.SQL("select * from ({ranges}) as page{order} limit {limit}").format(
        ranges=sql.SQL(" union all ").join(branches),
        order=_by(outer, "page"),
        limit=sql.Literal(limit),
    )
    return whole, all_values


def count(table: Table, filters: Sequence[Filter], at_most: int) -> tuple[sql.Composed, list[str]]:
    """Return the statement that counts the rows, and stops at a limit."""
    conditions, values = where(filters)
    text = sql.SQL(
        "select count(*) from (select from {table} as r{where} limit {limit}) as counted"
    ).format(
        table=named("public", table.name),
        where=_where(conditions),
        limit=sql.Literal(at_most),
    )
    return text, values


def where(filters: Sequence[Filter]) -> tuple[list[sql.Composable], list[str]]:
    """Return the conditions of some filters, and their values."""
    conditions: list[sql.Composable] = []
    values: list[str] = []
    for one in filters:
        name = named("r", one.column)
        sign = sql.SQL(OPERATORS[one.operator][0])
        if one.operator in WITHOUT_VALUE:
            conditions.append(sql.SQL("{} {}").format(name, sign))
        else:
            conditions.append(sql.SQL("{} {} %s").format(name, sign))
            values.append(one.value)
    return conditions, values


def named(*parts: str) -> sql.Identifier:
    """Return a name in a statement with values, where psycopg takes a lone % for one of them."""
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))


def _ranges(
    ordered: Order, cursor: Sequence[str]
) -> Iterator[tuple[list[sql.Composable], list[str]]]:
    """Yield the ranges that follow a cursor: equal up to a run of one direction, then beyond it."""
    runs: list[list[int]] = [
        [place for place, _ in run]
        for _, run in groupby(enumerate(ordered), key=lambda item: item[1][1])
    ]
    for length in range(len(runs), 0, -1):
        same = [place for run in runs[: length - 1] for place in run]
        beyond = runs[length - 1]
        sign = sql.SQL("<" if ordered[beyond[0]][1] else ">")
        conditions: list[sql.Composable] = [
            sql.SQL("{} = %s").format(named("r", ordered[place][0])) for place in same
        ]
        conditions.append(
            sql.SQL("({}) {} ({})").format(
                sql.SQL(", ").join(named("r", ordered[place][0]) for place in beyond),
                sign,
                sql.SQL(", ").join(sql.SQL("%s") for _ in beyond),
            )
        )
        yield conditions, [cursor[place] for place in (*same, *beyond)]


def _where(conditions: Sequence[sql.Composable]) -> sql.Composable:
    if not conditions:
        return sql.SQL("")
    return sql.SQL(" where ") + sql.SQL(" and ").join(conditions)


def _by(ordered: Order, table: str) -> sql.Composable:
    if not ordered:
        return sql.SQL("")
    return sql.SQL(" order by ") + sql.SQL(", ").join(
        sql.SQL("{} {}").format(named(table, name), sql.SQL("desc" if down else "asc"))
        for name, down in ordered
    )


def _texts(ordered: Order) -> Iterator[sql.Composable]:
    for number, (name, _) in enumerate(ordered):
        yield sql.SQL("{}::text as {}").format(named("r", name), named(f"t{number}"))


def _raw(ordered: Order) -> Iterator[sql.Composable]:
    for number, (name, _) in enumerate(ordered):
        yield sql.SQL("{} as {}").format(named("r", name), named(f"o{number}"))


def _reversed(ordered: Order) -> Order:
    return tuple((name, not down) for name, down in ordered)
