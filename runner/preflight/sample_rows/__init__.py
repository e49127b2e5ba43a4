"""Insert rows into every table of a scratch database, with values that often break migrations.

The rows satisfy the schema: the catalog says what a row needs, PostgreSQL says which values fit. A
row that is rejected nevertheless, by a trigger for example, is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import cycle, islice, product
from typing import Any

import psycopg
from psycopg import sql

from runner.postgres.connection import Connection
from runner.preflight import broken
from runner.preflight.sample_rows import shapes
from runner.preflight.sample_rows.choices import Choice, Pair, Slot, slots
from runner.preflight.sample_rows.scope import DEFAULT, Row, Scope
from runner.preflight.sample_rows.shapes import Key, Table
from runner.queries import query

# The catalog of a new database has no statistics, by which to find a good plan takes long.
_BEGIN = (
    "set constraints all immediate; set local enable_seqscan = off;"
    " set local enable_hashjoin = off; set local enable_mergejoin = off"
)
_MAX_INSERTS = 60  # per table, in addition to the wanted rows
_RETRIES = 8  # of one value, and of one row whose keys are taken
_MAX_COMBINATIONS = 5_000  # examined to find a free key
_KEY_VIOLATIONS = ("23505", "23P01")  # unique, exclusion
_LOCKED = ("55P03", "57014", "40P01")  # says nothing about the row


@dataclass(frozen=True)
class FillResult:
    """The rows inserted into one table."""

    table: str
    rows: int
    reason: str  # why there are none; "" if there are some


def fill(
    connection: Connection, *, wanted: int = 4, except_: Collection[str] = ()
) -> list[FillResult]:
    """Insert at least `wanted` rows into each table, or as many as its constraints allow.

    `except_`: tables that need no more rows, as `schema.name`; they have no result.
    Runs in one transaction, with immediate constraints. A table that stays empty raises nothing:
    its result has the reason.
    """
    with connection.transaction():
        connection.execute(f"{_BEGIN}; {query('preflight/sample_rows/holds')}".encode())
        order = shapes.in_order(shapes.read(connection, except_=except_))
        results = [_fill_table(connection, table, wanted) for table in order]
        for number, table in enumerate(order):  # references to tables that were filled later
            unmet = table.referring(order[number:])
            if unmet:
                results[number] = _sum(results[number], _fill_table(connection, table, 0, unmet))
        connection.execute("drop function pg_temp.holds(text)")
    return results


def fill_scope(
    connection: Connection, table: Table, scope: Scope, *, only: Collection[str] | None = None
) -> tuple[list[dict[str, str | None]], str]:
    """Insert rows of one owner into one table; return them, and why there are none.

    A row has the text of every column, as PostgreSQL prints it. `only`: insert just the rows that
    vary these columns. Needs the function of holds.sql in this session and immediate constraints.
    """
    try:
        with connection.transaction():
            filler = _Filler(connection, table, scope)
            result = filler.fill(1, only)
    except psycopg.Error as error:
        if connection.closed or error.sqlstate in _LOCKED:
            raise
        return [], broken.message(error)
    return filler.made, result.reason


def _fill_table(
    connection: Connection, table: Table, wanted: int, only: Collection[str] | None = None
) -> FillResult:
    """Fill one table; with `only`, insert just the rows that vary these columns."""
    try:
        with connection.transaction():
            return _Filler(connection, table).fill(wanted, only)
    except psycopg.Error as error:  # of a query about values; a rejected row raises none
        if connection.closed:
            raise
        return FillResult(str(table), 0, broken.message(error))


def _sum(first: FillResult, second: FillResult) -> FillResult:
    rows = first.rows + second.rows
    return replace(first, rows=rows, reason="" if rows else second.reason)


class _Filler:
    """Insert rows into one table."""

    def __init__(self, connection: Connection, table: Table, scope: Scope | None = None) -> None:
        self._connection = connection
        self._table = table
        self._scope = scope
        self.made: list[dict[str, str | None]] = []  # the text of the inserted rows
        self._slots = slots(connection, table, scope)
        self._taken: set[tuple[str, Choice]] = set()  # values of keys, by the key's name
        self._inserts = 0
        self._limit = _MAX_INSERTS
        self._rows: list[Row] = []
        self._reason = ""  # of the last rejection

    def fill(self, wanted: int, only: Collection[str] | None = None) -> FillResult:
        """Insert a row for each wanted value, of `only` these columns, then similar rows."""
        self._reason = "; ".join(filter(None, (slot.missing for slot in self._slots)))
        base = None if self._reason else self._first_accepted()
        if base is not None and self._scope:
            if self._scope.vary:
                self._vary(base, only)
        elif base is not None:
            self._vary(base, only)
            self._limit += wanted
            self._repeat_values()
            for row in islice(cycle(tuple(self._rows)), 2 * wanted):
                if len(self._rows) < wanted:
                    self._insert(row)
        return FillResult(str(self._table), len(self._rows), "" if self._rows else self._reason)

    # --- which rows --------------------------------------------------------------------------

    def _first_accepted(self) -> Row | None:
        """Insert and return a row with defaults and required values, or one similar to it."""
        plain = _row((slot, slot.choices[0]) for slot in self._slots)
        richer = (
            _row((slot, slot.choices[min(number, len(slot.choices) - 1)]) for slot in self._slots)
            for number in range(1, _RETRIES)
        )
        changed = (
            plain | _row([(slot, choice)])
            for slot in self._slots
            for choice in slot.choices[1:_RETRIES]
        )
        for row in (plain, *richer, *changed):
            if self._insert(row):
                return self._rows[-1]
        return None

    def _vary(self, base: Row, only: Collection[str] | None) -> None:
        """Insert rows until each wanted value is in one, with many new values per row."""
        left = {
            pair: _RETRIES
            for slot in self._slots
            for pair in slot.wanted
            if only is None or pair[0] in only
        }
        while left and self._inserts < self._limit:
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
            rejected = self._try(base, aims)
            for pair in aims:
                left[pair] -= 1
                if pair not in rejected:  # a taken key may have forced another value
                    del left[pair]

    def _try(self, base: Row, aims: dict[Pair, tuple[Slot, Choice]]) -> set[Pair]:
        """Insert a row with all of these; if rejected, bisect, drop and return the rejected."""
        if not aims or self._insert(base | _row(aims.values())):
            return set()
        if len(aims) == 1:
            for slot, choice in aims.values():
                slot.choices.remove(choice)
            return set(aims)
        pairs, half = list(aims), len(aims) // 2
        return self._try(base, {pair: aims[pair] for pair in pairs[:half]}) | self._try(
            base, {pair: aims[pair] for pair in pairs[half:]}
        )

    def _repeat_values(self) -> None:
        """Repeat a value in each column that is not unique on its own, by repeating a row."""
        unique = {tuple(key.columns) for key in self._table.keys}
        for slot in self._slots:
            for name in slot.columns:
                having = [row for row in self._rows if isinstance(row[name], str)]
                if (name,) not in unique and len({row[name] for row in having}) == len(having) > 0:
                    self._insert(having[0])

    # --- one row -----------------------------------------------------------------------------

    def _insert(self, row: Row) -> bool:
        """Insert a row, with other values where its keys are taken; return whether it worked."""
        for _ in range(_RETRIES):
            free = self._with_free_keys(row)
            if free is None or self._inserts == self._limit:
                return False
            self._inserts += 1
            sqlstate, constraint = self._execute_insert(free)
            if not sqlstate:
                self._rows.append(free)
                complete = (key for key in self._table.keys if not key.is_partial)
                self._mark_taken(complete, free, nulls=False)
                return True
            if sqlstate not in _KEY_VIOLATIONS:
                return False
            known = len(self._taken)
            violated = (key for key in self._table.keys if key.name == constraint)
            self._mark_taken(violated, free, nulls=True)
            if len(self._taken) == known:  # a key of columns that the database fills
                return False
        return False

    def _execute_insert(self, row: Row) -> tuple[str, str]:
        """Insert this row; return the SQLSTATE and constraint of its rejection, or "" twice."""
        given = {name: value for name, value in row.items() if value is not DEFAULT}
        values = sql.SQL(
            "({}) overriding system value values ({})" if given else "default values"
        ).format(
            sql.SQL(", ").join(map(sql.Identifier, given)),
            sql.SQL(", ").join(map(sql.Literal, given.values())),
        )
        returning = sql.SQL("returning *" if self._scope else "")
        query = sql.SQL("savepoint sample; insert into {} {} {}; release savepoint sample")
        try:
            cursor = self._connection.execute(
                query.format(self._table.identifier, values, returning)
            )
        except psycopg.Error as error:
            if self._connection.closed or (self._scope and error.sqlstate in _LOCKED):
                raise
            self._connection.execute("rollback to savepoint sample; release savepoint sample")
            self._reason = broken.message(error)
            return error.sqlstate or "?????", error.diag.constraint_name or ""
        cursor.nextset()
        if cursor.rowcount == 0:
            self._reason = "a trigger or rule discards every row without an error"
            return "?????", ""
        if self._scope:
            self.made.append(_text(cursor))
        return "", ""

    def _with_free_keys(self, row: Row) -> Row | None:
        """Return the row with other values for taken keys; None if no combination is free."""
        row = dict(row)
        for key in self._table.keys:
            if not self._is_taken(key, row):
                continue
            involved = [slot for slot in self._slots if {*slot.columns} & {*key.columns}]
            involved.sort(key=lambda slot: len(slot.choices))
            combinations = product(*([slot.of(row), *slot.choices] for slot in involved))
            for choices in islice(combinations, _MAX_COMBINATIONS):
                other = row | _row(zip(involved, choices, strict=True))
                if not self._is_taken(key, other):
                    row = other
                    break
            else:
                return None
        return row

    def _is_taken(self, key: Key, row: Row) -> bool:
        return (key.name, _key_values(key, row)) in self._taken

    def _mark_taken(self, keys: Iterable[Key], row: Row, *, nulls: bool) -> None:
        """Remember the values of keys; those with a null only if `nulls`, after a violation."""
        for key in keys:
            values = _key_values(key, row)
            if set(key.columns) <= row.keys() and (nulls or None not in values):
                self._taken.add((key.name, values))


def _text(cursor: psycopg.Cursor[tuple[Any, ...]]) -> dict[str, str | None]:
    """Return the row of a result as PostgreSQL printed it."""
    result = cursor.pgresult
    assert result and cursor.description  # noqa: S101 - it has RETURNING
    values = (result.get_value(0, place) for place in range(len(cursor.description)))
    return {
        column.name: None if value is None else value.decode()
        for column, value in zip(cursor.description, values, strict=True)
    }


def _row(parts: Iterable[tuple[Slot, Choice]]) -> Row:
    return {
        name: value
        for slot, choice in parts
        for name, value in zip(slot.columns, choice, strict=True)
    }


def _key_values(key: Key, row: Row) -> Choice:
    return tuple(row.get(name) for name in key.columns)
