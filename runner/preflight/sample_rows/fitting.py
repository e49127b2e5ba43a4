"""Which values a column accepts by itself: PostgreSQL is asked, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from psycopg import sql

from runner.postgres.connection import Connection
from runner.preflight.sample_rows import values
from runner.preflight.sample_rows.shapes import Check, Column, Table

_FRESH = 24  # values for what has to be unique


class Default(Enum):
    """The default of a column, whatever it is: the column is not named."""

    DEFAULT = "default"


DEFAULT = Default.DEFAULT
Value = str | Default | None


@dataclass(frozen=True)
class Fit:
    """What a column accepts, the plainest first: its default, null, the rest."""

    values: list[Value]
    wanted: list[Value]  # those that some row should have; the others are to spare


def alone(connection: Connection, table: Table) -> dict[str, Fit]:
    """Return what each column accepts by its type and by the checks on it alone.

    Needs holds.sql in this session. Left out are key columns whose default gives another value
    each time: no other value is needed, and one from us might be the default's next.
    """
    with connection.transaction(force_rollback=True):  # a default may write
        return _Fitting(connection, table).fits()


class _Fitting:
    """Asks about the columns of one table."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._keyed = {name for key in table.keys for name in key.columns}
        self._excluding = {name for key in table.keys if key.excludes for name in key.columns}
        moving = self._moving()
        self._columns = {c.name: c for c in table.columns if c.name not in moving}
        self._said = {
            name: " ".join(
                [c.expression for c in table.checks if name in c.columns] + own.conditions
            )
            for name, own in self._columns.items()
        }

    def fits(self) -> dict[str, Fit]:
        """Return what each column accepts: something unusual only where nothing usual fits."""
        n = 1 + self._count()
        usual = {name: self._listed(values.usual, name, n) for name in self._columns}
        found = self._accepted({name: [*self._plain(name), *usual[name]] for name in usual})
        odd = [name for name in found if set(found[name]) <= {None}]
        if odd:
            more = self._accepted(
                {name: self._there(name) + self._listed(values.unusual, name, n) for name in odd}
            )
            # Where nothing fits at all, the row itself is to say why.
            found |= {name: found[name] + more[name] or usual[name][:1] for name in odd}
        fresh = self._accepted(
            {
                name: self._more(values.unusual if name in odd else values.usual, name, n, found)
                for name in found
                if name in self._keyed
            }
        )
        for name in self._excluding:  # a range from the beginning to the end leaves no room
            if fresh.get(name):
                found[name] = [v for v in found[name] if v in (DEFAULT, None)] + fresh[name][:2]
        return {
            name: Fit(list(dict.fromkeys(wanted + fresh.get(name, []))), wanted)
            for name, wanted in found.items()
        }

    def _listed(self, lister: values.Lister, name: str, n: int) -> list[Value]:
        return [*lister(self._columns[name], self._said[name], n)]

    def _plain(self, name: str) -> list[Value]:
        column = self._columns[name]
        return [DEFAULT] * (column.default is not None) + [None] * (not column.not_null)

    def _more(
        self, lister: values.Lister, name: str, n: int, found: Mapping[str, Sequence[Value]]
    ) -> list[Value]:
        """Return more of the first kind among the values found that goes on from n to n."""
        lists = [self._listed(lister, name, n + step) for step in range(_FRESH)]
        kinds = (list(kind) for kind in zip(*lists, strict=True) if kind[0] in found[name])
        return next((kind for kind in kinds if len(set(kind)) > 1), [])

    def _accepted(self, tried: Mapping[str, Sequence[Value]]) -> dict[str, list[Value]]:
        """Return of each column's values those that its type and the checks on it alone accept."""
        checks = {name: [c for c in self._table.checks if c.columns == [name]] for name in tried}
        pairs = [(name, value) for name in tried for value in dict.fromkeys(tried[name])]
        # num_nulls() is there for the value to be looked at, also where there is no check.
        query = sql.SQL("select num_nulls({0}) >= 0 and {1} from (select {2} as {0}) as made")
        answers = self._ask(
            query.format(
                sql.Identifier(name), every(checks[name]), typed(self._columns[name], value)
            )
            for name, value in pairs
        )
        fit = [pair for pair, holds in zip(pairs, answers, strict=True) if holds]
        return {name: [value for owner, value in fit if owner == name] for name in tried}

    def _moving(self) -> set[str]:
        """Return the key columns whose default is another value each time."""
        columns = [c for c in self._table.columns if c.default and c.name in self._keyed]
        query = sql.SQL("select ({0})::text is distinct from ({0})::text")
        answers = self._ask(query.format(_given(c.default or "")) for c in columns)
        return {c.name for c, moves in zip(columns, answers, strict=True) if moves}

    def _ask(self, conditions: Iterable[sql.Composed]) -> list[bool]:
        """Ask conditions of which each may fail by itself, all at once."""
        texts = [condition.as_string(self._connection) for condition in conditions]
        if not texts:
            return []
        query = (
            "select pg_temp.holds(condition)"
            " from unnest(%s::text[]) with ordinality as asked (condition, place) order by place"
        )
        return [bool(holds) for (holds,) in self._connection.execute(query, [texts])]

    def _count(self) -> int:
        query = sql.SQL("select count(*) from {}").format(self._table.identifier)
        [(count,)] = self._connection.execute(query).fetchall()
        return int(count)

    def _there(self, name: str) -> list[Value]:
        """Return a few values that stand in the column already."""
        query = sql.SQL("select distinct {0}::text from {1} where {0} is not null limit 3").format(
            sql.Identifier(name), self._table.identifier
        )
        return [value for (value,) in self._connection.execute(query)]


def every(checks: Iterable[Check]) -> sql.Composable:
    """Return the condition that no check is false."""
    each = [sql.SQL("({}) is not false").format(_given(check.expression)) for check in checks]
    return sql.SQL(" and ").join(each) if each else sql.SQL("true")


def typed(column: Column, value: Value) -> sql.Composable:
    """Return a value as the column would hold it."""
    what = _given(column.default or "null") if value is DEFAULT else sql.Literal(value)
    return sql.SQL("({})::{}").format(what, _given(column.type))


def _given(expression: str) -> sql.SQL:
    """Return what PostgreSQL wrote itself: an expression, or the name of a type."""
    return sql.SQL(expression)
