"""The matrix: execute every case, and collect cells and breaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from psycopg import sql

from runner.isolation.actors import literal
from runner.isolation.matrix.attempt import Outcome, attempts
from runner.isolation.matrix.cases import Case
from runner.isolation.matrix.judge import NOT_TRIED, excess_privilege, judge
from runner.isolation.matrix.root_cause import RootCauses
from runner.isolation.project import Project
from runner.isolation.verdict import Breach, Cell
from runner.postgres.connection import Connection

# Counts the rows that policies let through, and ends the statement (division by zero) at the limit:
# if the case is not refused, they are rows of the live database.
_ROW_LIMIT = 50
_LIMIT_REACHED = "22012"
_STOP_AT_LIMIT = (
    f"{_ROW_LIMIT} / ({_ROW_LIMIT} - set_config('proof.rows', (coalesce(nullif(current_setting("
    "'proof.rows', true), ''), '0')::int + 1)::text, true)::int) > 0"
)


@dataclass
class Findings:
    """The results of the cases, collected while they run."""

    cells: list[Cell] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)
    not_tried: list[tuple[Case, Outcome]] = field(default_factory=list)


def truncate_privileges(connection: Connection, project: Project) -> set[tuple[str, str]]:
    """Return who may truncate what, as (role, table): executing it would lock out all sessions."""
    return set(
        connection.execute(
            "select role, name from unnest(%s::text[]) as role, unnest(%s::text[]) as name"
            " where has_table_privilege(role, format('public.%%I', name), 'truncate')",
            [project.roles(), project.tables],
        )
    )


def run(
    connection: Connection,
    project: Project,
    cases: Iterable[Case],
    into: Findings,
    *,
    restrictive_policies: bool = True,
    batch_size: int = 40,
) -> None:
    """Execute each case in the open transaction, which must contain the fixture rows.

    `restrictive_policies`: whether they are in place; without them only breaches are collected.
    `batch_size`: cases sent before the first result is read.
    """
    causes = RootCauses(connection)
    truncatable = truncate_privileges(connection, project)
    own_rows = _own_rows(connection, project)
    remaining = iter(cases)
    while batch := list(islice(remaining, batch_size)):
        tried = [case for case in batch if not _would_truncate(case, truncatable)]
        statements = [(case.actor, text) for case in tried for text in _statements(case)]
        outcomes = iter(attempts(connection, statements))
        for case in batch:
            breach: Breach | None
            if case not in tried:
                outcome = Outcome(message="not executed: the role holds TRUNCATE")
                breach = excess_privilege(case, causes)
            else:
                outcome = next(outcomes)
                if case.without_where:
                    outcome = _beyond_own_org(case, outcome, next(outcomes), own_rows)
                if outcome.sqlstate in NOT_TRIED:
                    into.not_tried.append((case, outcome))
                    continue
                breach = judge(case, outcome, causes, restrictive_policies=restrictive_policies)
            if breach:
                into.breaches.append(breach)
            if restrictive_policies:
                into.cells.append(cell(case, outcome, passed=breach is None))


def _would_truncate(case: Case, truncatable: set[tuple[str, str]]) -> bool:
    """Whether TRUNCATE would succeed, which is known without executing it."""
    pair = (case.actor.role, case.right.table)
    return case.right.command == "truncate" and pair in truncatable


def _statements(case: Case) -> tuple[str, ...]:
    """Return the statements of a case; without WHERE, first the own rows alone, for comparison."""
    if not case.without_where:
        return (case.sql,)
    own = f"{case.sql} where {_own_org_condition(case.project, case.right.table)}"
    return (own, f"{case.sql} where {_STOP_AT_LIMIT}")


def _beyond_own_org(case: Case, own: Outcome, all_: Outcome, own_rows: dict[str, int]) -> Outcome:
    """Return how many rows outside their own organization a statement without WHERE changed."""
    if all_.sqlstate == _LIMIT_REACHED:
        return Outcome(_ROW_LIMIT)
    if all_.sqlstate:
        return Outcome() if all_.sqlstate == own.sqlstate else all_
    expected = own.rows
    if case.actor.member and not own.rows:  # they may change rows that they cannot see
        expected = own_rows[case.right.table]
    return Outcome(max(0, all_.rows - expected))


def _own_rows(connection: Connection, project: Project) -> dict[str, int]:
    """Return how many rows the fixture's first tenant has in each table."""
    counts = [
        sql.SQL("(select count(*) from {} where {})").format(
            sql.Identifier("public", table), sql.SQL(_own_org_condition(project, table))
        )
        for table in project.tables
    ]
    rows = connection.execute(sql.SQL("select {}").format(sql.SQL(", ").join(counts))).fetchall()
    return dict(zip(project.tables, rows[0], strict=True))


def _own_org_condition(project: Project, table: str) -> str:
    return f'"{project.key_of(table)}" = {literal(project.home.key)}'


def cell(case: Case, outcome: Outcome, *, passed: bool) -> Cell:
    """Return the cell that records a case and its outcome."""
    right = case.right
    return Cell(
        table=right.table,
        command=right.command,
        what=case.what,
        actor=case.actor_name,
        where=case.where,
        allowed=case.allowed,
        outcome=str(outcome) if outcome.sqlstate or not outcome.message else outcome.message,
        passed=passed,
        sql=case.sql,
    )
