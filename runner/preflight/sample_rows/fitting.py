"""Find values that a column accepts on its own, by testing them in PostgreSQL. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from runner.postgres.connection import Connection
from runner.preflight.sample_rows import values
from runner.preflight.sample_rows.scope import DEFAULT, Scope, Value
from runner.preflight.sample_rows.shapes import Check, Column, Table

_MAX_UNIQUE = 24  # values for a column in a key
_MAX_NAMED = 6  # values that a check mentions, each for a row


@dataclass(frozen=True)
class Fit:
    """Values that a column accepts, the simplest first: its default, null, the rest."""

    values: list[Value]
    wanted: list[Value]  # each should be in some row; the others are reserves for keys


def accepted_values(
    connection: Connection, table: Table, scope: Scope | None = None
) -> dict[str, Fit]:
    """Return the values that each column accepts by its type and by the checks on it alone.

    Needs the function of holds.sql in this session. Key columns with a volatile default are left
    out: the default suffices, and other values could collide with its next ones.
    """
    with connection.transaction(force_rollback=True):  # evaluating a default may write
        fitting = _Fitting(connection, table, scope)
        return fitting.of_scope(scope) if scope else fitting.fits()


class _Fitting:
    """Test values for the columns of one table."""

    def __init__(self, connection: Connection, table: Table, scope: Scope | None) -> None:
        self._connection = connection
        self._table = table
        self._keyed = {name for key in table.keys for name in key.columns}
        self._excluding = {name for key in table.keys if key.excludes for name in key.columns}
        volatile = self._volatile_keys() - (scope.fixed.keys() if scope else set())
        self._columns = {c.name: c for c in table.columns if c.name not in volatile}
        self._conditions = {
            name: " ".join(
                [c.expression for c in table.checks if name in c.columns] + own.conditions
            )
            for name, own in self._columns.items()
        }

    def fits(self) -> dict[str, Fit]:
        """Return the values that each column accepts: unusual ones only if no usual one fits."""
        n = 1 + self._count()
        usual = {name: self._candidates(values.usual, name, n) for name in self._columns}
        found = self._accepted({name: [*self._simplest(name), *usual[name]] for name in usual})
        odd = [name for name in found if set(found[name]) <= {None}]
        if odd:
            more = self._accepted(
                {
                    name: self._existing(name) + self._candidates(values.unusual, name, n)
                    for name in odd
                }
            )
            # If nothing fits, keep one value: PostgreSQL's error for the row is the reason.
            found |= {name: found[name] + more[name] or usual[name][:1] for name in odd}
        unique = self._accepted(
            {
                name: self._series(values.unusual if name in odd else values.usual, name, n, found)
                for name in found
                if name in self._keyed
            }
        )
        for name in self._excluding:  # a long range would exclude all later rows
            if unique.get(name):
                found[name] = [v for v in found[name] if v in (DEFAULT, None)] + unique[name][:2]
        return {
            name: Fit(list(dict.fromkeys(wanted + unique.get(name, []))), wanted)
            for name, wanted in found.items()
        }

    def of_scope(self, scope: Scope) -> dict[str, Fit]:
        """Return the values for one owner's rows: recognizable ones first, null last."""
        names = [name for name in self._columns if name not in scope.fixed]
        usual = {name: self._ranked(name, scope) for name in names}
        found = self._accepted(usual)
        odd = [name for name in names if set(found[name]) <= {None}]
        more = self._accepted(
            {
                name: self._candidates(values.usual, name, scope.n % 9000)
                + self._candidates(values.unusual, name, scope.n)
                for name in odd
            }
        )
        found |= {name: more[name] + found[name] or usual[name][:1] for name in odd}
        keyed = [name for name in names if name in self._keyed and found[name][0] is not DEFAULT]
        series = self._accepted(
            {
                name: self._series(
                    values.unusual if name in odd else scope.recognizable, name, scope.n, found
                )
                for name in keyed
            }
        )
        fits = {
            name: Fit(
                list(dict.fromkeys(found[name][:1] + series.get(name, []) + found[name])),
                self._distinctive(name, found[name]),
            )
            for name in names
        }
        fixed = {name: value for name, value in scope.fixed.items() if name in self._columns}
        return fits | {name: Fit([value], [value]) for name, value in fixed.items()}

    def _ranked(self, name: str, scope: Scope) -> list[Value]:
        """Return candidates: what most rows have first, so that a policy's usual case is met."""
        column = self._columns[name]
        recognizable = self._candidates(scope.recognizable, name, scope.n)
        if column.category == "N" and name not in self._keyed:  # sums and products must fit
            recognizable = []
        usual: list[Value] = []
        if not recognizable or self._conditions[name]:
            usual = self._candidates(values.usual, name, scope.n % 9000)
        default, null = self._simplest(name)[:1], [None] * (not column.not_null)
        if column.default is None:
            default = []
        if column.category in ("e", "B") or (default and self._conditions[name]):
            return [*default, *recognizable, *usual, *null]
        if column.category == "D":
            soon: list[Value] = ["now"] * column.not_null
            return [*(default or null), *soon, *recognizable, *usual]
        return [*recognizable, *default, *usual, *null]

    def _distinctive(self, name: str, found: Sequence[Value]) -> list[Value]:
        """Return the values that should each be in some row: labels, flags, mentioned, null."""
        column = self._columns[name]
        if column.category in ("e", "B") and not column.is_array:
            return list(found)
        mentioned = values.mentioned(self._conditions[name])
        kept = [value for value in found if value in mentioned][:_MAX_NAMED]
        if column.category == "D" and not column.not_null:
            kept += [value for value in found if isinstance(value, str)][:1]
        return [*found[:1], *kept, *([None] if None in found else [])]

    def _candidates(self, lister: values.Lister, name: str, n: int) -> list[Value]:
        return [*lister(self._columns[name], self._conditions[name], n)]

    def _simplest(self, name: str) -> list[Value]:
        column = self._columns[name]
        return [DEFAULT] * (column.default is not None) + [None] * (not column.not_null)

    def _series(
        self, lister: values.Lister, name: str, n: int, found: Mapping[str, Sequence[Value]]
    ) -> list[Value]:
        """Return more values of the first kind in `found` that differs from n to n."""
        lists = [self._candidates(lister, name, n + step) for step in range(_MAX_UNIQUE)]
        kinds = (list(kind) for kind in zip(*lists, strict=True) if kind[0] in found[name])
        return next((kind for kind in kinds if len(set(kind)) > 1), [])

    def _accepted(self, tried: Mapping[str, Sequence[Value]]) -> dict[str, list[Value]]:
        """Return the values that each column's type and the checks on it alone accept."""
        checks = {name: [c for c in self._table.checks if c.columns == [name]] for name in tried}
        pairs = [(name, value) for name in tried for value in dict.fromkeys(tried[name])]
        # num_nulls() makes PostgreSQL evaluate the value even if there is no check.
        query = sql.SQL("select num_nulls({0}) >= 0 and {1} from (select {2} as {0}) as sample")
        answers = self._test(
            query.format(
                sql.Identifier(name), all_hold(checks[name]), typed(self._columns[name], value)
            )
            for name, value in pairs
        )
        fit = [pair for pair, holds in zip(pairs, answers, strict=True) if holds]
        return {name: [value for owner, value in fit if owner == name] for name in tried}

    def _volatile_keys(self) -> set[str]:
        """Return the key columns whose default is a different value each time."""
        columns = [c for c in self._table.columns if c.default and c.name in self._keyed]
        query = sql.SQL("select ({0})::text is distinct from ({0})::text")
        answers = self._test(query.format(_catalog_sql(c.default or "")) for c in columns)
        return {c.name for c, differs in zip(columns, answers, strict=True) if differs}

    def _test(self, conditions: Iterable[sql.Composed]) -> list[bool]:
        """Return for each condition whether it is true; an error counts as false."""
        texts = [condition.as_string(self._connection) for condition in conditions]
        if not texts:
            return []
        query = (
            "select pg_temp.holds(condition)"
            " from unnest(%s::text[]) with ordinality as tested (condition, place) order by place"
        )
        return [bool(holds) for (holds,) in self._connection.execute(query, [texts])]

    def _count(self) -> int:
        query = sql.SQL("select count(*) from {}").format(self._table.identifier)
        [(count,)] = self._connection.execute(query).fetchall()
        return int(count)

    def _existing(self, name: str) -> list[Value]:
        """Return a few values that the column already has."""
        query = sql.SQL("select distinct {0}::text from {1} where {0} is not null limit 3").format(
            sql.Identifier(name), self._table.identifier
        )
        return [value for (value,) in self._connection.execute(query)]


def all_hold(checks: Iterable[Check]) -> sql.Composable:
    """Return the condition that no check is false."""
    each = [sql.SQL("({}) is not false").format(_catalog_sql(c.expression)) for c in checks]
    return sql.SQL(" and ").join(each) if each else sql.SQL("true")


def typed(column: Column, value: Value) -> sql.Composable:
    """Return a value as an expression of the column's type."""
    expression = _catalog_sql(column.default or "null") if value is DEFAULT else sql.Literal(value)
    return sql.SQL("({})::{}").format(expression, _catalog_sql(column.type))


def _catalog_sql(expression: str) -> sql.SQL:
    """Return SQL that PostgreSQL deparsed from its catalog: an expression, or a type's name."""
    return sql.SQL(expression)
