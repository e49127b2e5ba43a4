"""Verify tenant isolation on the real database: try everything, roll everything back.

Each part runs in its own transactions, which are rolled back. No lock is held for long, and none
that blocks writers for longer than the lock timeout.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from runner.errors import LockTimeout, ProofError, UsageError
from runner.events import Report, Working, silent
from runner.isolation import preconditions, server_advisories
from runner.isolation.matrix import grid, undeclared
from runner.isolation.matrix.cases import Case, cases
from runner.isolation.matrix.grid import Findings
from runner.isolation.matrix.judge import could_not_be_tried
from runner.isolation.project import Project
from runner.isolation.sql_cases import case_file, rule_runner, scenario, scenario_runner
from runner.isolation.transactions import (
    TransactionLimits,
    in_batches,
    in_fixture,
    lock_holders,
    read,
)
from runner.isolation.verdict import Breach, Check, Verdict
from runner.postgres.connection import Connection
from runner.queries import query

LOCK_TIMEOUT = 1.0  # seconds: the longest that verify may block a writer
_RETRIES = 2  # for a cell that was blocked by a lock


def prove(
    connection: Connection,
    project: Project,
    *,
    only: str | None = None,
    schemas: Sequence[str] = ("public",),
    lock_timeout: float = LOCK_TIMEOUT,
    without_restrictive_policies: bool = True,
    report: Report = silent,
) -> Verdict:
    """Return the verdict on tenant isolation; all changes are rolled back.

    `project`: what the schema promises, from its folder. `only`: the name of one table, right,
    rule, attack or invariant. `schemas`: those that the API exposes. `lock_timeout`: seconds.
    `without_restrictive_policies`: whether to try the cases that cross organizations once more with
    the restrictive policies dropped.

    Raises UsageError for an unknown name, and RunnerError if verify cannot run: LockTimeout if a
    lock cannot be acquired, ProofError if the fixture rows cannot be inserted and no rule says why.
    """
    started = time.monotonic()
    limits = TransactionLimits.shared(lock_timeout)
    chosen = cases(project, only)
    scenarios = list(case_file.select(project.scenarios, only))
    for each in scenarios:
        scenario.steps(each, project)  # a malformed one is an error before anything is tried
    if not (
        chosen or scenarios or only == "undeclared" or any(case_file.select(project.rules, only))
    ):
        raise UsageError(
            f"There is no proof called {only!r}",
            hint="--only takes matrix, undeclared, drift, surface, a table, a right "
            "(users.update.own name), or the name of a rule, attack or invariant: "
            "python -m runner verify -v lists them.",
        )
    read(connection, lock_timeout, lambda: preconditions.check(connection, project, schemas))
    facts = read(connection, lock_timeout, lambda: preconditions.facts(connection, schemas))
    warnings = read(
        connection, lock_timeout, lambda: server_advisories.warnings(connection, project)
    )
    report(Working("rules"))  # first, because they need no rows
    checks, rule_breaches = read(
        connection, lock_timeout, lambda: rule_runner.run(connection, project, only)
    )
    found = Findings()
    attempted: list[Check] = []
    failed: list[Breach] = []
    try:
        _try_all(connection, project, chosen, found, limits=limits, report=report)
        if without_restrictive_policies:
            warnings += _try_without_restrictive_policies(
                connection, project, chosen, found, lock_timeout=lock_timeout, report=report
            )
        if only in (None, "matrix", "undeclared"):
            found.breaches += in_fixture(
                connection,
                project,
                limits,
                lambda: undeclared.undeclared(connection, project, schemas),
            )
        if scenarios:
            report(Working("attacks and invariants"))
            attempted, failed = in_fixture(
                connection,
                project,
                limits,
                lambda: scenario_runner.run(connection, project, only),
            )
    except ProofError as error:
        if not rule_breaches:
            raise
        failed = [_without_fixture(project, error)]
    return Verdict(
        cells=tuple(found.cells),
        checks=(*checks, *attempted),
        breaches=(*found.breaches, *rule_breaches, *failed),
        warnings=tuple(warnings),
        facts=facts,
        seconds=time.monotonic() - started,
    )


def _without_fixture(project: Project, error: ProofError) -> Breach:
    """Return the breach for everything but the rules, which must not count as passed."""
    return Breach(
        proof="fixture",
        subject=project.fixture_path,
        summary=f"{error.message}. No cell, attack or invariant was tried.",
        cause="one of the other breaches",
        fix="-- once the other breaches are fixed, verify again",
    )


def _try_all(
    connection: Connection,
    project: Project,
    chosen: Sequence[Case],
    found: Findings,
    *,
    limits: TransactionLimits,
    report: Report,
) -> None:
    """Try every case; one without a result counts as a breach."""

    def work(batch: Iterator[Case]) -> None:
        grid.run(
            connection,
            project,
            _reporting(batch, len(chosen), report),
            found,
            batch_size=limits.batch_size,
        )

    _try_with_retries(connection, project, chosen, found, work=work, limits=limits)
    for case, outcome in found.not_tried:
        holders = lock_holders(connection, case.right.table)
        found.breaches.append(could_not_be_tried(case, outcome, holders))
        found.cells.append(grid.cell(case, outcome, passed=False))
    found.not_tried = []


def _try_with_retries(
    connection: Connection,
    project: Project,
    chosen: Sequence[Case],
    found: Findings,
    *,
    work: Callable[[Iterator[Case]], None],
    limits: TransactionLimits,
    drop_policies: str = "",
) -> None:
    """Work through the cases, retrying those blocked by a lock; the rest stays in `not_tried`."""
    todo = deque(chosen)
    for _ in range(1 + _RETRIES):
        found.not_tried = []
        in_batches(connection, project, todo, work, limits, drop_policies=drop_policies)
        todo = deque(case for case, _ in found.not_tried)


def _try_without_restrictive_policies(
    connection: Connection,
    project: Project,
    chosen: Sequence[Case],
    found: Findings,
    *,
    lock_timeout: float,
    report: Report,
) -> list[str]:
    """Try what crosses organizations once more without the restrictive policies, table by table.

    Dropping a policy locks the table exclusively until the rollback, so each transaction must end
    within the lock timeout. Returns warnings for what could not be tried.
    """
    warnings = []
    limits = TransactionLimits.exclusive(lock_timeout)

    def work(batch: Iterator[Case]) -> None:
        grid.run(
            connection,
            project,
            batch,
            found,
            restrictive_policies=False,
            batch_size=limits.batch_size,
        )

    policies = connection.execute(
        query("isolation/restrictive_policies"), {"tables": project.tables}
    ).fetchall()
    for table, drop_policies, is_owner in policies:
        crossing = [c for c in chosen if c.crosses_organizations and c.right.table == table]
        reason = ""
        if crossing and not is_owner:
            reason = "only the table's owner may do that."
        elif crossing:
            report(Working(f"public.{table} without its restrictive policies"))
            try:
                _try_with_retries(
                    connection,
                    project,
                    crossing,
                    found,
                    work=work,
                    limits=limits,
                    drop_policies=drop_policies,
                )
            except LockTimeout as locked:
                reason = locked.hint.partition("\n")[0]
            if found.not_tried:
                reason = f"{len(found.not_tried)} cells took too long."
                found.not_tried = []
        if reason:
            warnings.append(
                f"public.{table}: its permissive policies were not tried on their own, because "
                f"the restrictive ones could not be dropped: {reason}"
            )
    return warnings


def _reporting(batch: Iterator[Case], count: int, report: Report) -> Iterator[Case]:
    """Yield the cases, reporting each new table."""
    last = ""
    for case in batch:
        if case.right.table != last:
            last = case.right.table
            report(Working(f"{count} cells: public.{last}"))
        yield case
