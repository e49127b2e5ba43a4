"""Rows for every table of a scratch database, varied in the ways that trip migrations.

They satisfy the schema as it is: the catalog says what a row needs, PostgreSQL says which values
fit, and what it then refuses all the same, as a trigger may, is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import cycle, islice, product

import psycopg
from psycopg import sql

from runner.postgres.connection import Connection
from runner.preflight.sample_rows import shapes
from runner.preflight.sample_rows.choices import Choice, Pair, Row, Slot, slots
from runner.preflight.sample_rows.fitting import DEFAULT
from runner.preflight.sample_rows.shapes import Key, Table
from runner.queries import query

_ATTEMPTS = 60  # inserts a table, beside the wanted ones
_AGAIN = 8  # tries of one value, and of one row that meets others
_MOVES = 5_000  # combinations looked at for one that is free
_TAKEN = ("23505", "23P01")  # unique, exclusion


@dataclass(frozen=True)
class Made:
    """What became of one table."""

    table: str
    rows: int  # those it has now thanks to us
    why_not: str  # why there are none


def fill(connection: Connection, *, wanted: int = 4) -> list[Made]:
    """Give every table at least so many rows more, or as many as its constraints allow.

    All of them in one transaction, in which constraints are immediate. Raises nothing for a table
    that stays empty: it is told.
    """
    with connection.transaction():
        connection.execute("set constraints all immediate")
        connection.execute(query("preflight/sample_rows/holds"))
        order = shapes.in_order(shapes.read(connection))
        made = [_made(connection, table, wanted) for table in order]
        for place, table in enumerate(order):  # now there is something to refer to
            unmet = table.referring(order[place:])
            if unmet:
                made[place] = _sum(made[place], _made(connection, table, 0, unmet))
        connection.execute("drop function pg_temp.holds(text)")
    return made


def _made(
    connection: Connection, table: Table, wanted: int, only: Collection[str] | None = None
) -> Made:
    """Fill one table; `only`: as far as these columns demand."""
    try:
        with connection.transaction():
            return _Filler(connection, table).fill(wanted, only)
    except psycopg.Error as error:  # of what was asked, not of a row
        if connection.closed:
            raise
        return Made(str(table), 0, error.diag.message_primary or str(error))


def _sum(first: Made, second: Made) -> Made:
    rows = first.rows + second.rows
    return replace(first, rows=rows, why_not="" if rows else second.why_not)


class _Filler:
    """Makes rows for one table."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._slots = slots(connection, table)
        self._taken: set[tuple[str, Choice]] = set()  # by a key
        self._attempts = 0
        self._limit = _ATTEMPTS
        self._rows: list[Row] = []
        self._refusal = ""

    def fill(self, wanted: int, only: Collection[str] | None = None) -> Made:
        """Make a row for each value there should be, then some alike; `only`: for these columns."""
        self._refusal = "; ".join(filter(None, (slot.lacks for slot in self._slots)))
        base = None if self._refusal else self._plainest()
        if base is not None:
            self._vary(base, only)
            self._limit += wanted
            self._repeat()
            for row in islice(cycle(tuple(self._rows)), 2 * wanted):
                if len(self._rows) < wanted:
                    self._put(row)
        return Made(str(self._table), len(self._rows), "" if self._rows else self._refusal)

    # --- which rows --------------------------------------------------------------------------

    def _plainest(self) -> Row | None:
        """Return the first row that is accepted: of defaults and what is required, or near it."""
        plain = _row((slot, slot.choices[0]) for slot in self._slots)
        richer = (
            _row((slot, slot.choices[min(place, len(slot.choices) - 1)]) for slot in self._slots)
            for place in range(1, _AGAIN)
        )
        changed = (
            plain | _row([(slot, choice)])
            for slot in self._slots
            for choice in slot.choices[1:_AGAIN]
        )
        for row in (plain, *richer, *changed):
            if self._put(row):
                return self._rows[-1]
        return None

    def _vary(self, base: Row, only: Collection[str] | None) -> None:
        """Have each wanted value in some row, and in one row as many as it takes."""
        left = {
            pair: _AGAIN
            for slot in self._slots
            for pair in slot.wanted
            if only is None or pair[0] in only
        }
        while left and self._attempts < self._limit:
            for pair in {pair for row in self._rows for pair in row.items()} & left.keys():
                del left[pair]
            aims: dict[Pair, tuple[Slot, Choice]] = {}
            for slot in self._slots:
                for pair in [pair for pair in left if pair[0] in slot.columns]:
                    choice = slot.with_value(*pair) if left[pair] else None
                    if choice:
                        aims[pair] = (slot, choice)
                        break
                    del left[pair]
            refused = self._try(base, aims)
            for pair in aims:
                left[pair] -= 1
                if pair not in refused:  # another value may have come instead, as a key demands
                    del left[pair]

    def _try(self, base: Row, aims: dict[Pair, tuple[Slot, Choice]]) -> set[Pair]:
        """Put a row with all of these, or find by halves which are refused, and drop those."""
        if not aims or self._put(base | _row(aims.values())):
            return set()
        if len(aims) == 1:
            for slot, choice in aims.values():
                slot.choices.remove(choice)
            return set(aims)
        pairs, half = list(aims), len(aims) // 2
        return self._try(base, {pair: aims[pair] for pair in pairs[:half]}) | self._try(
            base, {pair: aims[pair] for pair in pairs[half:]}
        )

    def _repeat(self) -> None:
        """Have a value twice in each column not unique by itself, in rows that are alike."""
        unique = {tuple(key.columns) for key in self._table.keys}
        for slot in self._slots:
            for name in slot.columns:
                having = [row for row in self._rows if isinstance(row[name], str)]
                if (name,) not in unique and len({row[name] for row in having}) == len(having) > 0:
                    self._put(having[0])

    # --- one row -----------------------------------------------------------------------------

    def _put(self, row: Row) -> bool:
        """Insert a row, with other values where its own are taken."""
        for _ in range(_AGAIN):
            free = self._free(row)
            if free is None or self._attempts == self._limit:
                return False
            self._attempts += 1
            sqlstate, constraint = self._insert(free)
            if not sqlstate:
                self._rows.append(free)
                self._take((k for k in self._table.keys if not k.is_partial), free, nulls=False)
                return True
            if sqlstate not in _TAKEN:
                return False
            known = len(self._taken)
            self._take(
                (key for key in self._table.keys if key.name == constraint), free, nulls=True
            )
            if len(self._taken) == known:  # a key of columns that are not ours to change
                return False
        return False

    def _insert(self, row: Row) -> tuple[str, str]:
        """Insert just this row; return what refused it, an SQLSTATE and a constraint."""
        given = {name: value for name, value in row.items() if value is not DEFAULT}
        values = sql.SQL("({}) values ({})" if given else "default values").format(
            sql.SQL(", ").join(map(sql.Identifier, given)),
            sql.SQL(", ").join(map(sql.Literal, given.values())),
        )
        query = sql.SQL("savepoint made; insert into {} {}; release savepoint made")
        try:
            cursor = self._connection.execute(query.format(self._table.identifier, values))
        except psycopg.Error as error:
            if self._connection.closed:
                raise
            self._connection.execute("rollback to savepoint made; release savepoint made")
            self._refusal = error.diag.message_primary or str(error)
            return error.sqlstate or "?????", error.diag.constraint_name or ""
        cursor.nextset()
        if cursor.rowcount == 0:
            self._refusal = "a trigger or rule lets no row in, and says nothing"
            return "?????", ""
        return "", ""

    def _free(self, row: Row) -> Row | None:
        """Return the row, changed where a key of it is taken; None if no change helps."""
        row = dict(row)
        for key in self._table.keys:
            if not self._is_taken(key, row):
                continue
            moved = [slot for slot in self._slots if {*slot.columns} & {*key.columns}]
            moved.sort(key=lambda slot: len(slot.choices))
            ways = product(*([slot.of(row), *slot.choices] for slot in moved))
            for way in islice(ways, _MOVES):
                other = row | _row(zip(moved, way, strict=True))
                if not self._is_taken(key, other):
                    row = other
                    break
            else:
                return None
        return row

    def _is_taken(self, key: Key, row: Row) -> bool:
        return (key.name, _key(key, row)) in self._taken

    def _take(self, keys: Iterable[Key], row: Row, *, nulls: bool) -> None:
        """Remember the keys of a row; of those with a null only when they have met another."""
        for key in keys:
            values = _key(key, row)
            if set(key.columns) <= row.keys() and (nulls or None not in values):
                self._taken.add((key.name, values))


def _row(parts: Iterable[tuple[Slot, Choice]]) -> Row:
    return {
        name: value
        for slot, choice in parts
        for name, value in zip(slot.columns, choice, strict=True)
    }


def _key(key: Key, row: Row) -> Choice:
    return tuple(row.get(name) for name in key.columns)
