"""What a person may do with a table or a record, and which grant or policy decides it.

Everything is read in that person's own session: the granted columns, the policies that apply to
them, and what the helper functions in those policies return for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from runner.postgres.connection import Connection
from runner.queries import query
from runner.studio.data import policy_conditions, tables
from runner.studio.data.tables import Shape, Table, identifier

COMMANDS = ("select", "insert", "update", "delete")


@dataclass(frozen=True)
class Policy:
    """A row-level security policy."""

    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    using: str
    check: str
    comment: str
    applies: bool  # to the current role
    definition: str  # the statement that creates it

    def condition(self, command: str) -> str:
        """Return the condition it puts on rows for a command; "" if it has none."""
        return (self.check or self.using) if command == "insert" else self.using


@dataclass(frozen=True)
class Trigger:
    """A trigger: checks or records a change in addition to the policies."""

    name: str
    definition: str
    comment: str
    enabled: bool


@dataclass(frozen=True)
class Grant:
    """What one role is granted on a table."""

    role: str
    privilege: str
    columns: tuple[str, ...]  # empty for the whole table


@dataclass(frozen=True)
class Right:
    """Whether a person may run one command on a table, and why."""

    command: str
    may: bool
    reason: str  # a sentence
    columns: tuple[str, ...] = ()  # those it is granted for; empty for all of them
    conditions: tuple[str, ...] = ()  # on the row, with the helpers' results filled in


def policies(connection: Connection, table: Table) -> list[Policy]:
    """Return the policies of a table."""
    rows = connection.execute(query("studio/data/policies"), {"table": table.oid}).fetchall()
    return [
        Policy(name, permissive, command, tuple(roles), *rest)
        for name, permissive, command, roles, *rest in rows
    ]


def grants(connection: Connection, table: Table) -> list[Grant]:
    """Return what is granted on a table to roles other than its owner."""
    rows = connection.execute(query("studio/data/grants"), {"table": table.oid}).fetchall()
    return [Grant(role, privilege, tuple(columns)) for role, privilege, columns in rows]


def triggers(connection: Connection, table: Table) -> list[Trigger]:
    """Return the triggers of a table."""
    rows = connection.execute(query("studio/data/triggers"), {"table": table.oid}).fetchall()
    return [Trigger(*row) for row in rows]


def rights(
    connection: Connection,
    shape: Shape,
    all_policies: Sequence[Policy],
    helpers: _Helpers | None = None,
) -> list[Right]:
    """Return what the current role may do with a table: one right for each of COMMANDS.

    None of a table that is not read: functions in its policies would be called.
    """
    if shape.table.withheld:
        return []
    helpers = helpers or _Helpers(connection)
    return [_right(connection, shape, all_policies, command, helpers) for command in COMMANDS]


def of_tables(connection: Connection, some: Iterable[Table]) -> list[tuple[Right, ...]]:
    """Return the rights of several tables; none of one that cannot be examined, as it is locked."""
    helpers, found = _Helpers(connection), []
    for table in some:
        one: list[Right] = []
        with suppress(psycopg.Error), connection.transaction():
            shape = Shape(table, tables.columns(connection, table), (), ())
            one = rights(connection, shape, policies(connection, table), helpers)
        found.append(tuple(one))
    return found


def on_record(
    connection: Connection,
    shape: Shape,
    all_policies: Sequence[Policy],
    table_rights: Sequence[Right],
    key: Sequence[tuple[str, str]],
) -> list[Right]:
    """Return whether the current role may update and delete one record that it sees."""
    found = []
    for right in table_rights:
        if right.command not in ("update", "delete"):
            continue
        if right.may and shape.table.active:
            right = _on_record(connection, shape, all_policies, right, key)  # noqa: PLW2901
        found.append(right)
    return found


def _right(
    connection: Connection,
    shape: Shape,
    all_policies: Sequence[Policy],
    command: str,
    helpers: _Helpers,
) -> Right:
    if not shape.table.usable:
        return Right(command, may=False, reason=f"USAGE on {shape.table.schema} is not granted.")
    granted, complete = _granted_columns(connection, shape, command)
    if not granted:
        return Right(command, may=False, reason=f"{command.upper()} is not granted.")
    columns = () if complete else granted
    if not shape.table.active:
        reason = (
            "Every row that the view itself returns."
            if "view" in shape.table.kind
            else "Every row: no policy applies to this role here."
        )
        return Right(command, may=True, reason=reason, columns=columns)
    applicable = _applicable(all_policies, command)
    permissive = [policy for policy in applicable if policy.permissive]
    if not permissive:
        return Right(
            command, may=False, reason="It is granted, but no policy allows it.", columns=columns
        )
    conditions = {p: helpers.simplify(p.condition(command) or "true") for p in applicable}
    allowing = [policy for policy in permissive if conditions[policy] is not None]
    forbidding = [p for p in applicable if not p.permissive and conditions[p] is None]
    if not allowing or forbidding:
        reason = _describe(forbidding if allowing else permissive)
        return Right(command, may=False, reason=reason, columns=columns)
    required = dict.fromkeys(
        text for p, text in conditions.items() if text and (p in allowing or not p.permissive)
    )
    return Right(
        command,
        may=True,
        reason=_describe(allowing),
        columns=columns,
        conditions=tuple(
            one
            for one in required
            if one != "true" and not any(one in other for other in required if other != one)
        ),
    )


def _applicable(all_policies: Sequence[Policy], command: str) -> list[Policy]:
    return [p for p in all_policies if p.applies and p.command in (command, "all")]


def _granted_columns(
    connection: Connection, shape: Shape, command: str
) -> tuple[tuple[str, ...], bool]:
    """Return the columns a command is granted for, and whether these are all of the table."""
    if command == "delete":
        row = connection.execute(
            "select pg_catalog.has_table_privilege(%s::oid, 'delete')", [shape.table.oid]
        ).fetchone()
        every = tuple(c.name for c in shape.columns) or ("",)
        return (every, True) if row and row[0] else ((), False)
    columns = tuple(c.name for c in shape.columns if getattr(c, f"may_{command}"))
    return columns, len(columns) == len(shape.columns)


def _on_record(
    connection: Connection,
    shape: Shape,
    all_policies: Sequence[Policy],
    right: Right,
    key: Sequence[tuple[str, str]],
) -> Right:
    applicable = _applicable(all_policies, right.command)
    permissive = " or ".join(f"({p.using or 'true'})" for p in applicable if p.permissive)
    restrictive = [f"({p.using or 'true'})" for p in applicable if not p.permissive]
    # The expressions come from the catalog; PostgreSQL evaluates them for this person anyway.
    condition = sql.SQL(" and ".join([f"({permissive})", *restrictive]).replace("%", "%%"))
    text = sql.SQL("select ({}) is true from {} where {}").format(
        condition,
        shape.table.identifier,
        sql.SQL(" and ").join(sql.SQL("{} = %s").format(identifier(name)) for name, _ in key),
    )
    try:
        with connection.transaction():
            row = connection.execute(text, [value for _, value in key]).fetchone()
    except psycopg.Error:
        return right
    if row and row[0]:
        return Right(right.command, may=True, reason=right.reason, columns=right.columns)
    return Right(
        right.command,
        may=False,
        reason=_describe([p for p in applicable if p.permissive]),
        columns=right.columns,
    )


def _describe(some: Iterable[Policy]) -> str:
    """Return what policies require as sentences: their comments, or else their names."""
    return " ".join(dict.fromkeys(p.comment or f"Policy {p.name}." for p in some))


class _Helpers:
    """Results of the helper functions in policies for the current role; each is called once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._results: dict[str, str | None] = {}

    def simplify(self, condition: str) -> str | None:
        """Return a condition with the results filled in; None if no row can fulfill it."""
        for helper in policy_conditions.helpers(condition):
            if helper not in self._results:
                self._call(helper)
        return policy_conditions.simplify(condition, self._results)

    def _call(self, helper: str) -> None:
        text = sql.SQL("select {}::text").format(sql.SQL(helper))  # the catalog's own text
        with suppress(psycopg.Error), self._connection.transaction():
            row = self._connection.execute(text.as_bytes(None)).fetchone()
            self._results[helper] = row[0] if row else None
