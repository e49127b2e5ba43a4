"""Find combinations of values for columns that a reference or a check constraint connects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod

import psycopg
from psycopg import sql

from runner.postgres.connection import Connection
from runner.preflight.sample_rows.fitting import Fit, accepted_values, all_hold, typed
from runner.preflight.sample_rows.scope import Row, Scope, Value
from runner.preflight.sample_rows.shapes import Check, Reference, Table

_MAX_REFERRED = 24  # newest rows of a table to refer to
_MAX_JOINED = 2_000  # combinations of them for several references
_MAX_TESTED = 50_000  # combinations with values of other columns
_MAX_FITTING = 2_000  # of these, combinations that the checks accept
_FEW, _FEW_OF_OWNER = 2, 12  # rows to refer to that should each occur
_MAX_UNTESTED = 100  # combinations if there is no check to test

Choice = tuple[Value, ...]
Pair = tuple[str, Value]  # a column and its value


@dataclass(eq=False)
class Slot:
    """Columns that are filled together, and their possible values, the simplest first."""

    columns: tuple[str, ...]
    choices: list[Choice]
    wanted: list[Pair]  # each should be in some row
    missing: str = ""  # why there is no choice

    def of(self, row: Row) -> Choice:
        """Return the values of these columns in a row."""
        return tuple(row[name] for name in self.columns)

    def with_value(self, name: str, value: Value) -> Choice | None:
        """Return the simplest choice with this value in a column."""
        place = self.columns.index(name)
        return next((choice for choice in self.choices if choice[place] == value), None)


@dataclass(frozen=True)
class _Axis:
    """Columns of a slot whose choices do not depend on its other columns."""

    columns: tuple[str, ...]
    choices: list[Choice]


def slots(connection: Connection, table: Table, scope: Scope | None = None) -> list[Slot]:
    """Return the slots of a table, by its checks and the existing rows that it can refer to.

    `scope`: the owner of the rows, who limits values and references.

    Needs the function of holds.sql in this session.
    """
    fits = accepted_values(connection, table, scope)
    links = [set(c.columns) for c in table.checks] + [set(r.columns) for r in table.references]
    builder = _Builder(connection, table, fits, scope)
    return [builder.slot(group) for group in _groups(fits, links)]


def _groups(names: Iterable[str], links: Iterable[set[str]]) -> list[set[str]]:
    """Return the names in groups; linked names share one, unless a name of the link is unknown."""
    groups = [{name} for name in names]
    for link in links:
        joined = [group for group in groups if group & link]
        whole = {name for group in joined for name in group}
        if joined and whole >= link:
            groups = [whole, *(group for group in groups if group not in joined)]
    return groups


class _Builder:
    """Build the slots of one table."""

    def __init__(
        self, connection: Connection, table: Table, fits: Mapping[str, Fit], scope: Scope | None
    ) -> None:
        self._scope = scope
        self._connection = connection
        self._table = table
        self._columns = {column.name: column for column in table.columns}
        self._fits = fits

    def slot(self, group: set[str]) -> Slot:
        """Return the slot of a group: first the columns of references, then the rest."""
        references = [r for r in self._table.references if group >= set(r.columns)]
        referring = tuple(dict.fromkeys(name for r in references for name in r.columns))
        others = [name for name in self._fits if name in group and name not in referring]
        axes = [_Axis((name,), [(value,) for value in self._fits[name].values]) for name in others]
        wanted: list[Pair] = [(name, value) for name in others for value in self._fits[name].wanted]
        columns = (*referring, *others)
        if referring:
            rows, missing = self._referred(references, referring)
            if missing:
                return Slot(columns, [], [], missing)
            axes.insert(0, _Axis(referring, [tuple(map(row.get, referring)) for row in rows]))
            few = _FEW_OF_OWNER if self._scope else _FEW
            wanted += [
                (name, v) for name in referring for v in _few((row[name] for row in rows), few)
            ]
        choices = self._choices(axes, self._open_checks(group, referring))
        return Slot(
            columns, choices, wanted, "" if choices else f"no valid value for {', '.join(others)}"
        )

    def _open_checks(self, group: set[str], referring: Sequence[str]) -> list[Check]:
        """Return the checks on the group that were not tested for each column alone."""
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
        """Return values that satisfy all references at once; or else what is missing."""
        rows: list[Row] = [{}]
        limit = min(_MAX_REFERRED, round(_MAX_JOINED ** (1 / len(references))))
        for reference in references:
            options = [*self._nulls(reference), *self._newest(reference, limit)]
            if self._scope:
                options = [*self._of_owner(reference, self._scope), *self._nulls(reference)]
            rows = [{**row, **o} for row in rows for o in options if _agree(row, o)][:_MAX_JOINED]
            if not rows:
                return [], f"no row in {reference.schema}.{reference.table} to refer to"
        for name in referring:  # next to a null, other columns of the reference are free
            rows = [
                {**row, name: value}
                for row in rows
                for value in ([row[name]] if name in row else self._fits[name].values[:3])
            ]
        return rows, ""

    def _nulls(self, reference: Reference) -> list[Row]:
        """Return values that refer to nothing: null in all columns, or in one of them."""
        free = [name for name in reference.columns if None in self._fits[name].values]
        each: list[Row] = [{name: None} for name in free]
        return [dict.fromkeys(free), *each] if len(each) > 1 else each

    def _of_owner(self, reference: Reference, scope: Scope) -> list[Row]:
        """Return the owner's rows that fit the fixed values, oldest first."""
        fixed = {name: v for name, v in scope.fixed.items() if name in reference.columns}
        rows = [
            dict(zip(reference.columns, map(row.__getitem__, reference.referred), strict=True))
            for row in scope.refers_to(reference.schema, reference.table)
        ]
        agreeing = [row for row in rows if all(row[name] == v for name, v in fixed.items())]
        return [dict(row) for row in agreeing[:_MAX_REFERRED] if None not in row.values()]

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

    # --- combinations ------------------------------------------------------------------------

    def _choices(self, axes: Sequence[_Axis], checks: Sequence[Check]) -> list[Choice]:
        """Return combinations that the checks accept; if none is found, some untested ones."""
        while prod(len(axis.choices) for axis in axes) > _MAX_TESTED:
            max((axis.choices for axis in axes), key=len).pop()
        found = self._fitting(axes, checks) if checks else []
        return found or [
            _flat(parts) for parts in islice(product(*(a.choices for a in axes)), _MAX_UNTESTED)
        ]

    def _fitting(self, axes: Sequence[_Axis], checks: Sequence[Check]) -> list[Choice]:
        """Return combinations that the checks accept; none if a check raises an error.

        For each combination of all axes but the first, only a few values of the first are kept:
        so all values of the others occur, without all rows that could be referred to.
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
            checks=all_hold(checks),
            few=_MAX_REFERRED,
            order=_list([*others, first]),
            limit=_MAX_FITTING,
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
        """Return the choices of an axis as a table expression, each with its index."""
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


def _few(found: Iterable[Value], count: int) -> list[Value]:
    """Return null, if it is included, and the first other values."""
    known = list(dict.fromkeys(found))
    return [None] * (None in known) + [value for value in known if value is not None][:count]


def _flat(parts: Iterable[Choice]) -> Choice:
    return tuple(value for part in parts for value in part)


def _list(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
