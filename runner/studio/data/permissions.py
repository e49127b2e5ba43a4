"""Who may: what a person may do with a table and with a record of it, and because of what.

Asked of the database in that person's own session: which columns are granted, which policies bind
them, and what the helpers in those policies answer when this person asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from runner.postgres.connection import Connection
from runner.queries import query
from runner.studio.data import policy_conditions
from runner.studio.data.paging import named
from runner.studio.data.tables import Shape, Table
from runner.studio.data.viewer import quoted

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
    applies: bool  # to whoever looks

    def condition(self, command: str) -> str:
        """Return what it asks of a row for a command; "" where it says nothing of that."""
        return (self.check or self.using) if command == "insert" else self.using

    def create(self, table: str) -> str:
        """Return the statement that makes it."""
        lines = [f"create policy {quoted(self.name)} on public.{quoted(table)}"]
        lines.append(
            f"as {'permissive' if self.permissive else 'restrictive'} for {self.command} "
            f"to {', '.join(map(quoted, self.roles))}"
        )
        lines += [f"using ({self.using})"] if self.using else []
        lines += [f"with check ({self.check})"] if self.check else []
        return "\n".join(lines) + ";"


@dataclass(frozen=True)
class Trigger:
    """A trigger: what judges or records a change besides the policies."""

    name: str
    definition: str
    comment: str
    enabled: bool


@dataclass(frozen=True)
class Grant:
    """What one role is granted on a table."""

    role: str
    privilege: str
    columns: tuple[str, ...]  # empty for the whole of it


@dataclass(frozen=True)
class Right:
    """What a person may do with one command."""

    command: str
    may: bool
    why: str  # in a sentence
    columns: tuple[str, ...] = ()  # those it is granted for; empty for all of them
    conditions: tuple[str, ...] = ()  # what a row must fulfil, the helpers' answers in it


def policies(connection: Connection, table: Table) -> list[Policy]:
    """Return the policies of a table."""
    rows = connection.execute(query("studio/data/policies"), {"table": table.oid}).fetchall()
    return [
        Policy(name, permissive, command, tuple(roles), *rest)
        for name, permissive, command, roles, *rest in rows
    ]


def grants(connection: Connection, table: Table) -> list[Grant]:
    """Return what is granted on a table to others than its owner."""
    rows = connection.execute(query("studio/data/grants"), {"table": table.oid}).fetchall()
    return [Grant(role, privilege, tuple(columns)) for role, privilege, columns in rows]


def triggers(connection: Connection, table: Table) -> list[Trigger]:
    """Return the triggers of a table."""
    rows = connection.execute(query("studio/data/triggers"), {"table": table.oid}).fetchall()
    return [Trigger(*row) for row in rows]


def rights(connection: Connection, shape: Shape, given: Sequence[Policy]) -> list[Right]:
    """Return what whoever looks may do with a table, one for each command."""
    return [_right(connection, shape, given, command) for command in COMMANDS]


def on_record(
    connection: Connection,
    shape: Shape,
    given: Sequence[Policy],
    of_table: Sequence[Right],
    key: Sequence[tuple[str, str]],
) -> list[Right]:
    """Return what whoever looks may do with one record they see: update and delete it."""
    found = []
    for right in of_table:
        if right.command not in ("update", "delete"):
            continue
        if right.may and shape.table.active:
            right = _on(connection, shape, given, right, key)  # noqa: PLW2901
        found.append(right)
    return found


def _right(connection: Connection, shape: Shape, given: Sequence[Policy], command: str) -> Right:
    columns, everything = _granted(connection, shape, command)
    if not columns:
        return Right(command, may=False, why=f"{command.upper()} is not granted.")
    named = () if everything else columns
    if not shape.table.active:
        why = (
            "As far as the view's own conditions go."
            if "view" in shape.table.kind
            else "Every row: no policy binds this role here."
        )
        return Right(command, may=True, why=why, columns=named)
    asked = [p for p in given if p.applies and p.command in (command, "all")]
    permissive = [policy for policy in asked if policy.permissive]
    if not permissive:
        return Right(
            command, may=False, why="It is granted, but no policy allows it.", columns=named
        )
    answers = _Answers(connection)
    open_ones = {p: answers.within(p.condition(command) or "true") for p in asked}
    allowing = [policy for policy in permissive if open_ones[policy] is not None]
    shut = [p for p in asked if not p.permissive and open_ones[p] is None]
    if not allowing or shut:
        why = _said(shut if allowing else permissive)
        return Right(command, may=False, why=why, columns=named)
    asks = dict.fromkeys(
        text for p, text in open_ones.items() if text and (p in allowing or not p.permissive)
    )
    return Right(
        command,
        may=True,
        why=_said(allowing),
        columns=named,
        conditions=tuple(
            one
            for one in asks
            if one != "true" and not any(one in other for other in asks if other != one)
        ),
    )


def _granted(connection: Connection, shape: Shape, command: str) -> tuple[tuple[str, ...], bool]:
    """Return the columns a command is granted for, and whether that is all of the table."""
    if command == "delete":
        row = connection.execute(
            "select pg_catalog.has_table_privilege(%s::oid, 'delete')", [shape.table.oid]
        ).fetchone()
        every = tuple(c.name for c in shape.columns) or ("",)
        return (every, True) if row and row[0] else ((), False)
    columns = tuple(c.name for c in shape.columns if getattr(c, f"may_{command}"))
    return columns, len(columns) == len(shape.columns)


def _on(
    connection: Connection,
    shape: Shape,
    given: Sequence[Policy],
    right: Right,
    key: Sequence[tuple[str, str]],
) -> Right:
    asked = [p for p in given if p.applies and p.command in (right.command, "all")]
    permissive = " or ".join(f"({p.using or 'true'})" for p in asked if p.permissive)
    both = [f"({permissive})", *(f"({p.using or 'true'})" for p in asked if not p.permissive)]
    # The expressions are the catalog's own, which PostgreSQL runs for this person anyway.
    condition = sql.SQL(" and ".join(both).replace("%", "%%"))
    text = sql.SQL("select ({}) is true from {} where {}").format(
        condition,
        named("public", shape.table.name),
        sql.SQL(" and ").join(sql.SQL("{} = %s").format(named(name)) for name, _ in key),
    )
    try:
        with connection.transaction():
            row = connection.execute(text, [value for _, value in key]).fetchone()
    except psycopg.Error:
        return right
    if row and row[0]:
        return Right(right.command, may=True, why=right.why, columns=right.columns)
    return Right(
        right.command,
        may=False,
        why=_said([p for p in asked if p.permissive]),
        columns=right.columns,
    )


def _said(given: Iterable[Policy]) -> str:
    """Say in words what policies ask: their comments, else their names."""
    return " ".join(dict.fromkeys(p.comment or f"Policy {p.name}." for p in given))


class _Answers:
    """What the helpers in a policy answer to whoever looks; each is asked once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, str | None] = {}

    def within(self, condition: str) -> str | None:
        """Return a condition with the answers in it; None where it is true of no row."""
        for helper in policy_conditions.helpers(condition):
            if helper not in self._known:
                self._ask(helper)
        return policy_conditions.answered(condition, self._known)

    def _ask(self, helper: str) -> None:
        text = sql.SQL("select {}::text").format(sql.SQL(helper))  # the catalog's own text
        with suppress(psycopg.Error), self._connection.transaction():
            row = self._connection.execute(text.as_bytes(None)).fetchone()
            self._known[helper] = row[0] if row else None
