"""The matrix: every right of permissions.toml, tried by everybody, on their own org and another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from runner.isolation.fixture import ACTORS, HOME
from runner.isolation.matrix.attempt import Outcome, attempts
from runner.isolation.matrix.cases import Try, tables
from runner.isolation.matrix.judge import NOT_TRIED, holds, judge
from runner.isolation.matrix.permissions import TENANTS
from runner.isolation.matrix.root_cause import Faults
from runner.isolation.verdict import Breach, Cell
from runner.postgres.connection import Connection

# Counts the rows that the policies let by, and ends the statement at so many: if it does get
# through, they are rows of the live database.
_MANY = 50
_TOO_MANY = "22012"
_AT_MOST = (
    f"{_MANY} / ({_MANY} - set_config('proof.rows', (coalesce(nullif(current_setting("
    "'proof.rows', true), ''), '0')::int + 1)::text, true)::int) > 0"
)


@dataclass
class Findings:
    """What the tries came to; collected while they run."""

    cells: list[Cell] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)
    not_tried: list[tuple[Try, Outcome]] = field(default_factory=list)


def truncators(connection: Connection) -> set[tuple[str, str]]:
    """Return who could empty what, as (role, table): trying it would lock out everybody else."""
    return set(
        connection.execute(
            "select role, name from unnest(%s::text[]) as role, unnest(%s::text[]) as name"
            " where has_table_privilege(role, format('public.%%I', name), 'truncate')",
            [sorted({a.role for a in ACTORS.values()}), tables()],
        )
    )


def run(
    connection: Connection,
    chosen: Iterable[Try],
    into: Findings,
    *,
    belt: bool = True,
    at_once: int = 40,
) -> None:
    """Try each inside the open transaction, in which the world was made.

    `belt`: whether the restrictive policies are there; without them only breaches are kept.
    `at_once`: so many are sent before the first answer is read.
    """
    faults = Faults(connection)
    could_truncate = truncators(connection)
    own_rows = _own_rows(connection)
    coming = iter(chosen)
    while batch := list(islice(coming, at_once)):
        tried = [try_ for try_ in batch if not _is_held(try_, could_truncate)]
        statements = [(try_.actor, text) for try_ in tried for text in _statements(try_)]
        answers = iter(attempts(connection, statements))
        for try_ in batch:
            breach: Breach | None
            if try_ not in tried:
                outcome = Outcome(message="not executed: the role holds TRUNCATE")
                breach = holds(try_, faults)
            else:
                outcome = next(answers)
                if try_.blind:
                    outcome = _beyond(try_, outcome, next(answers), own_rows)
                if outcome.sqlstate in NOT_TRIED:
                    into.not_tried.append((try_, outcome))
                    continue
                breach = judge(try_, outcome, faults, belt=belt)
            if breach:
                into.breaches.append(breach)
            if belt:
                into.cells.append(cell(try_, outcome, passed=breach is None))


def _is_held(try_: Try, could_truncate: set[tuple[str, str]]) -> bool:
    """Whether TRUNCATE would go through, which is known without doing it."""
    pair = (try_.actor.role, try_.right.table)
    return try_.right.command == "truncate" and pair in could_truncate


def _statements(try_: Try) -> tuple[str, ...]:
    """Return what is executed for a try: without WHERE, the own rows first, to compare with."""
    if not try_.blind:
        return (try_.sql,)
    return (f"{try_.sql} where {_mine(try_.right.table)}", f"{try_.sql} where {_AT_MOST}")


def _beyond(try_: Try, own: Outcome, all_: Outcome, own_rows: dict[str, int]) -> Outcome:
    """Return how many rows beyond their own org somebody changed who gave no WHERE."""
    if all_.sqlstate == _TOO_MANY:
        return Outcome(_MANY)
    if all_.sqlstate:
        return Outcome() if all_.sqlstate == own.sqlstate else all_
    expected = own.rows
    if try_.who in TENANTS and not own.rows:  # they may be able to change rows they cannot see
        expected = own_rows[try_.right.table]
    return Outcome(max(0, all_.rows - expected))


def _own_rows(connection: Connection) -> dict[str, int]:
    """Return how many rows the world's first organization has in each table."""
    counts = ", ".join(
        f"(select count(*) from public.{table} where {_mine(table)})"  # noqa: S608
        for table in tables()
    )
    rows = connection.execute(f"select {counts}".encode()).fetchall()
    return dict(zip(tables(), rows[0], strict=True))


def _mine(table: str) -> str:
    return f"{'id' if table == 'organizations' else 'org_id'} = '{HOME.id()}'"


def cell(try_: Try, outcome: Outcome, *, passed: bool) -> Cell:
    """Return the cell of a try for the record."""
    right = try_.right
    return Cell(
        table=right.table,
        command=right.command,
        what=try_.what,
        who=try_.who,
        where=try_.where,
        allowed=try_.allowed,
        outcome=str(outcome) if outcome.sqlstate or not outcome.message else outcome.message,
        passed=passed,
        sql=try_.sql,
    )
