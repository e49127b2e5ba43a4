"""What may stand in a row together: columns are tied by a reference, or a check on several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod

import psycopg
from psycopg import sql

from runner.postgres.connection import Connection
from runner.preflight.sample_rows.fitting import Fit, Value, alone, every, typed
from runner.preflight.sample_rows.shapes import Check, Reference, Table

_REFERRED = 24  # rows to refer to, the newest
_JOINED = 2_000  # combinations of them
_ASKED = 50_000  # combinations with the other columns' values
_KEPT = 2_000  # those that fit
_UNASKED = 100  # those kept where no check is asked

Choice = tuple[Value, ...]
Row = dict[str, Value]
Pair = tuple[str, Value]  # a column and its value


@dataclass(eq=False)
class Slot:
    """Columns that are filled together, and with what, the plainest first."""

    columns: tuple[str, ...]
    choices: list[Choice]
    wanted: list[Pair]  # what some row should have
    lacks: str = ""  # why there is no choice

    def of(self, row: Row) -> Choice:
        """Return what a row has here."""
        return tuple(row[name] for name in self.columns)

    def with_value(self, name: str, value: Value) -> Choice | None:
        """Return the plainest choice that has a value in a column."""
        place = self.columns.index(name)
        return next((choice for choice in self.choices if choice[place] == value), None)


@dataclass(frozen=True)
class _Axis:
    """Columns of a slot whose choices depend on no other column's."""

    columns: tuple[str, ...]
    choices: list[Choice]


def slots(connection: Connection, table: Table) -> list[Slot]:
    """Return what may stand in a row of the table, by its checks and the rows it refers to.

    Needs holds.sql in this session.
    """
    fits = alone(connection, table)
    ties = [set(c.columns) for c in table.checks] + [set(r.columns) for r in table.references]
    maker = _Maker(connection, table, fits)
    return [maker.slot(group) for group in _tied(fits, ties)]


def _tied(names: Iterable[str], ties: Iterable[set[str]]) -> list[set[str]]:
    """Return the names in groups; a tie of names that are all there is within one."""
    groups = [{name} for name in names]
    for tie in ties:
        joined = [group for group in groups if group & tie]
        whole = {name for group in joined for name in group}
        if joined and whole >= tie:
            groups = [whole, *(group for group in groups if group not in joined)]
    return groups


class _Maker:
    """Makes the slots of one table."""

    def __init__(self, connection: Connection, table: Table, fits: Mapping[str, Fit]) -> None:
        self._connection = connection
        self._table = table
        self._columns = {column.name: column for column in table.columns}
        self._fits = fits

    def slot(self, group: set[str]) -> Slot:
        """Return one slot: first the columns that refer to other rows, then the rest."""
        references = [r for r in self._table.references if group >= set(r.columns)]
        referring = tuple(dict.fromkeys(name for r in references for name in r.columns))
        others = [name for name in self._fits if name in group and name not in referring]
        axes = [_Axis((name,), [(value,) for value in self._fits[name].values]) for name in others]
        wanted: list[Pair] = [(name, value) for name in others for value in self._fits[name].wanted]
        columns = (*referring, *others)
        if referring:
            rows, lacks = self._referred(references, referring)
            if lacks:
                return Slot(columns, [], [], lacks)
            axes.insert(0, _Axis(referring, [tuple(map(row.get, referring)) for row in rows]))
            wanted += [(name, v) for name in referring for v in _few(row[name] for row in rows)]
        choices = self._choices(axes, self._open_checks(group, referring))
        return Slot(
            columns, choices, wanted, "" if choices else f"no value for {', '.join(others)}"
        )

    def _open_checks(self, group: set[str], referring: Sequence[str]) -> list[Check]:
        """Return the checks on the group that are not asked of each column alone."""
        return [
            check
            for check in self._table.checks
            if check.columns
            and group >= set(check.columns)
            and (len(check.columns) > 1 or check.columns[0] in referring)
        ]

    # --- rows to refer to --------------------------------------------------------------------

    def _referred(
        self, references: Sequence[Reference], referring: Sequence[str]
    ) -> tuple[list[Row], str]:
        """Return what the columns may refer to, by all references at once; or what is lacking."""
        rows: list[Row] = [{}]
        limit = min(_REFERRED, round(_JOINED ** (1 / len(references))))
        for reference in references:
            options = [*self._nulls(reference), *self._newest(reference, limit)]
            rows = [{**row, **o} for row in rows for o in options if _agree(row, o)][:_JOINED]
            if not rows:
                return [], f"no row of {reference.schema}.{reference.table} to refer to"
        for name in referring:  # a null leaves the columns beside it open
            rows = [
                {**row, name: value}
                for row in rows
                for value in ([row[name]] if name in row else self._fits[name].values[:3])
            ]
        return rows, ""

    def _nulls(self, reference: Reference) -> list[Row]:
        """Return the ways to refer to nothing."""
        free = [name for name in reference.columns if None in self._fits[name].values]
        each: list[Row] = [{name: None} for name in free]
        return [dict.fromkeys(free), *each] if len(each) > 1 else each

    def _newest(self, reference: Reference, limit: int) -> list[Row]:
        names = [sql.Identifier(name) for name in reference.referred]
        query = sql.SQL("select {} from {} where {} order by ctid desc limit {}").format(
            _list(sql.SQL("{}::text").format(name) for name in names),
            sql.Identifier(reference.schema, reference.table),
            sql.SQL(" and ").join(sql.SQL("{} is not null").format(name) for name in names),
            limit,
        )
        found = self._connection.execute(query)
        return [dict(zip(reference.columns, values, strict=True)) for values in found]

    # --- what goes together ------------------------------------------------------------------

    def _choices(self, axes: Sequence[_Axis], checks: Sequence[Check]) -> list[Choice]:
        """Return combinations: those that fit, or, when none is found, some for the row to try."""
        while prod(len(axis.choices) for axis in axes) > _ASKED:
            max((axis.choices for axis in axes), key=len).pop()
        found = self._fitting(axes, checks) if checks else []
        return found or [
            _flat(parts) for parts in islice(product(*(a.choices for a in axes)), _UNASKED)
        ]

    def _fitting(self, axes: Sequence[_Axis], checks: Sequence[Check]) -> list[Choice]:
        """Return the combinations that the checks accept, of each kind a few; none if one fails.

        A kind is what all but the first axis say: so each value of these is there, and not all
        rows that could be referred to.
        """
        first, *others = places = [sql.Identifier(f"place {n}") for n in range(len(axes))]
        by_kind = sql.SQL("partition by {}").format(_list(others)) if others else sql.SQL("")
        query = sql.SQL(
            "select {places} from ("
            " select *, row_number() over ({by_kind} order by {first}) as nth"
            " from {axes} where {checks}"
            ") as fit where nth <= {few} order by {order} limit {limit}"
        ).format(
            places=_list(places),
            by_kind=by_kind,
            first=first,
            axes=_list(map(self._lines, places, axes)),
            checks=every(checks),
            few=_REFERRED,
            order=_list([*others, first]),
            limit=_KEPT,
        )
        try:
            with self._connection.transaction(force_rollback=True):
                found = self._connection.execute(query).fetchall()
        except psycopg.Error:
            if self._connection.closed:
                raise
            return []
        return [_flat(a.choices[n] for a, n in zip(axes, row, strict=True)) for row in found]

    def _lines(self, place: sql.Identifier, axis: _Axis) -> sql.Composable:
        """Return the choices of an axis as a table expression, each with its place."""
        columns = [self._columns[name] for name in axis.columns]
        lines = (
            _list([sql.Literal(n), *map(typed, columns, choice)])
            for n, choice in enumerate(axis.choices)
        )
        return sql.SQL("(values {}) as {} ({})").format(
            _list(sql.SQL("({})").format(line) for line in lines),
            place,
            _list([place, *map(sql.Identifier, axis.columns)]),
        )


def _agree(row: Row, other: Row) -> bool:
    return all(row[name] == value for name, value in other.items() if name in row)


def _few(found: Iterable[Value]) -> list[Value]:
    """Return null, if it is among them, and the first two others."""
    known = list(dict.fromkeys(found))
    return [None] * (None in known) + [value for value in known if value is not None][:2]


def _flat(parts: Iterable[Choice]) -> Choice:
    return tuple(value for part in parts for value in part)


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
