"""Who can reach what, proved on the real database: everything is tried, and nothing stays.

Each part runs in transactions of its own that are rolled back; none holds a lock for long, and
none that writers meet for longer than the lock timeout.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from runner.errors import LockTimeout, ProofError, UsageError
from runner.events import Report, Working, silent
from runner.isolation import preconditions, server_advisories
from runner.isolation.matrix import grid, undeclared
from runner.isolation.matrix.cases import Try, tables, tries
from runner.isolation.matrix.grid import Findings
from runner.isolation.matrix.judge import could_not_be_tried
from runner.isolation.sql_cases import case_file, rule_runner, scenario, scenario_runner
from runner.isolation.transactions import Patience, holders, in_turns, in_world, read
from runner.isolation.verdict import Breach, Check, Verdict
from runner.postgres.connection import Connection
from runner.queries import query

LOCK_TIMEOUT = 1.0  # seconds: no writer waits for us any longer
_AGAIN = 2  # how often a cell is tried again that met a lock


def prove(
    connection: Connection,
    *,
    only: str | None = None,
    schemas: Sequence[str] = ("public",),
    lock_timeout: float = LOCK_TIMEOUT,
    without_belt: bool = True,
    report: Report = silent,
) -> Verdict:
    """Prove the isolation of the tenants, or find how they are not isolated.

    `only`: one table, right, rule, attack or invariant by name; `schemas`: those that the API
    exposes; `without_belt`: also with the restrictive policies set aside. Raises RunnerError where
    nothing can be proved (LockTimeout where a lock stands in the way, ProofError where no rows can
    be made to try things on and no rule says why), UsageError for an unknown name.
    """
    started = time.monotonic()
    patience = Patience.ordinary(lock_timeout)
    chosen = tries(only)
    attacking = any(case_file.meant(scenario.attacks(), only))
    if not (
        chosen
        or attacking
        or only == "undecided"
        or any(case_file.meant(rule_runner.rules(), only))
    ):
        raise UsageError(
            f"There is no proof called {only!r}",
            hint="--only takes matrix, undecided, a table, a right (users.update.own name), or the "
            "name of a rule, an attack or an invariant: python -m runner verify -v lists them.",
        )
    read(connection, lock_timeout, lambda: preconditions.check(connection, schemas))
    facts = read(connection, lock_timeout, lambda: preconditions.facts(connection, schemas))
    warnings = read(connection, lock_timeout, lambda: server_advisories.warnings(connection))
    report(Working("rules"))  # first, for they need no rows
    checks, broken = read(connection, lock_timeout, lambda: rule_runner.run(connection, only))
    found = Findings()
    attempted: list[Check] = []
    failed: list[Breach] = []
    try:
        _try_all(connection, chosen, found, patience, report)
        if without_belt:
            warnings += _without_belt(connection, chosen, found, lock_timeout, report)
        if only in (None, "matrix", "undecided"):
            found.breaches += in_world(
                connection, patience, lambda: undeclared.undecided(connection, schemas)
            )
        if attacking:
            report(Working("attacks and invariants"))
            attempted, failed = in_world(
                connection, patience, lambda: scenario_runner.run(connection, only)
            )
    except ProofError as error:
        if not broken:
            raise
        failed = [_without_rows(error)]
    return Verdict(
        cells=tuple(found.cells),
        checks=(*checks, *attempted),
        breaches=(*found.breaches, *broken, *failed),
        warnings=tuple(warnings),
        facts=facts,
        seconds=time.monotonic() - started,
    )


def _without_rows(error: ProofError) -> Breach:
    """Say that nothing but the rules was asked: no answer is no proof."""
    return Breach(
        proof="world",
        subject="runner/isolation/queries/fixture.sql",
        what=f"{error.message}. No cell, attack or invariant was tried.",
        fault="one of the other breaches",
        fix="python -m runner verify  -- again, once the other breaches are fixed",
    )


def _try_all(
    connection: Connection,
    chosen: Sequence[Try],
    found: Findings,
    patience: Patience,
    report: Report,
) -> None:
    """Try every cell; one that was not answered counts as a breach, for no answer is no proof."""

    def work(lock_wait: Iterator[Try]) -> None:
        grid.run(connection, _told(lock_wait, len(chosen), report), found, at_once=patience.at_once)

    _again_and_again(connection, chosen, found, work, patience)
    for try_, outcome in found.not_tried:
        why = holders(connection, try_.right.table)
        found.breaches.append(could_not_be_tried(try_, outcome, why))
        found.cells.append(grid.cell(try_, outcome, passed=False))
    found.not_tried = []


def _again_and_again(
    connection: Connection,
    chosen: Sequence[Try],
    found: Findings,
    work: Callable[[Iterator[Try]], None],
    patience: Patience,
    *,
    aside: str = "",
) -> None:
    """Work through the tries, and once more through those that met a lock; the rest is left."""
    todo = deque(chosen)
    for _ in range(1 + _AGAIN):
        found.not_tried = []
        in_turns(connection, todo, work, patience, aside)
        todo = deque(try_ for try_, _ in found.not_tried)


def _without_belt(
    connection: Connection,
    chosen: Sequence[Try],
    found: Findings,
    lock_timeout: float,
    report: Report,
) -> list[str]:
    """Try what crosses organizations once more without the restrictive policies, table by table.

    Dropping a policy locks everybody out of the table until it is rolled back, so all is measured
    to end within the lock timeout. Returns what could not be tried.
    """
    warnings = []
    patience = Patience.exclusive(lock_timeout)

    def work(lock_wait: Iterator[Try]) -> None:
        grid.run(connection, lock_wait, found, belt=False, at_once=patience.at_once)

    belts = connection.execute(
        query("isolation/restrictive_policies"), {"tables": tables()}
    ).fetchall()
    for table, aside, ours in belts:
        crossing = [t for t in chosen if t.crosses and t.right.table == table]
        why = ""
        if crossing and not ours:
            why = "only the table's owner may do that."
        elif crossing:
            report(Working(f"public.{table} without its restrictive policies"))
            try:
                _again_and_again(connection, crossing, found, work, patience, aside=aside)
            except LockTimeout as locked:
                why = locked.hint.partition("\n")[0]
            if found.not_tried:
                why = f"{len(found.not_tried)} cells took too long."
                found.not_tried = []
        if why:
            warnings.append(
                f"public.{table}: it was not tried whether its permissive policies hold alone, for "
                f"the restrictive ones could not be set aside: {why}"
            )
    return warnings


def _told(lock_wait: Iterator[Try], count: int, report: Report) -> Iterator[Try]:
    last = ""
    for try_ in lock_wait:
        if try_.right.table != last:
            last = try_.right.table
            report(Working(f"{count} cells: public.{last}"))
        yield try_
