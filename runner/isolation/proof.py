"""Verify tenant isolation on the real database: try everything, roll everything back.

The rules read the catalog. Everything else runs in one transaction, on rows that are made for two
tenants, and nothing in it blocks writers for longer than the lock timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from runner.errors import ProofError, UsageError
from runner.events import Report, Working, silent
from runner.isolation import layers, preconditions, server_advisories
from runner.isolation.probes import catalog, generic
from runner.isolation.probes.generic import LOCK_TIMEOUT
from runner.isolation.probes.reads import Probe
from runner.isolation.project import Project
from runner.isolation.sql_cases import case_file, cases, rule_runner, scenario, scenario_runner
from runner.isolation.tenancy.objects import Relation, TenantMap
from runner.isolation.transactions import read
from runner.isolation.verdict import Breach, Check, Verdict
from runner.postgres.connection import Connection

RIGHTS, UNDECIDED = "rights", "undecided"  # what `only` takes, apart from names of objects


def prove(
    connection: Connection,
    project: Project,
    *,
    only: str | None = None,
    schemas: Sequence[str] = ("public",),
    lock_timeout: float = LOCK_TIMEOUT,
    without_restrictive_policies: bool = True,
    report: Report = silent,
    enough: Callable[[Breach], bool] = lambda _: False,
) -> Verdict:
    """Return the verdict on tenant isolation; all changes are rolled back.

    `project`: what the schema promises, from its folder. `only`: "rights", "undecided", or the name
    of one table, case, rule, attack or invariant. `schemas`: those that the API exposes.
    `lock_timeout`: seconds. `without_restrictive_policies`: whether to try what crosses tenants
    once more with the restrictive policies dropped, where the conventions ask for both layers.
    `enough`: whether a breach ends the run, which is asked after each part.

    Raises UsageError for an unknown name, and RunnerError if verify cannot run: LockTimeout if a
    lock cannot be acquired, ProofError if no rows can be inserted and no rule says why.
    """
    started = time.monotonic()
    scenarios = list(case_file.select(project.scenarios, only))
    for each in scenarios:
        scenario.steps(each, project)  # a malformed one is an error before anything is tried

    def look() -> tuple[TenantMap, dict[str, str], list[str]]:
        tenants = preconditions.check(connection, project.config, schemas)
        facts = preconditions.facts(connection, project.config.schemas or schemas)
        return tenants, facts, [*server_advisories.warnings(connection, project), *tenants.notes]

    tenants, facts, warnings = read(connection, lock_timeout, look)
    chosen = _relations(project, tenants, only)
    tried_cases = any(only in (None, c.table, c.name, c.what) for c in project.config.cases)
    if not (
        chosen is None
        or chosen
        or tried_cases
        or scenarios
        or any(case_file.select(project.rules, only))
    ):
        known = (r.name for r in tenants.reachable() if r.kind != "S")
        raise UsageError(
            f"There is no proof called {only!r}",
            hint="--only takes rights, undecided, drift, surface, a table "
            f"({', '.join(sorted(known))}), a case, or the name of a rule, attack or invariant: "
            "python -m runner verify -v lists them.",
        )
    report(Working("rules"))  # first, because they need no rows
    checks, breaches = read(
        connection, lock_timeout, lambda: rule_runner.run(connection, project, only)
    )
    attempted: list[Check] = []

    def done(found: Sequence[Breach]) -> bool:
        return any(enough(b) and not catalog.accepting(project.config, b) for b in found)

    def work(probe: Probe) -> None:
        so_far = probe.findings.breaches
        if chosen is None or chosen:
            some = probe if chosen is None else replace(probe, relations=_same(probe, chosen))
            generic.try_rights(some, report, whole=chosen is None, done=done)
            if chosen is None and not done(so_far):
                layers.try_drop_owned(probe, lock_timeout, report)
            both = project.config.both_layers and probe.enclosure.layers
            if without_restrictive_policies and both and not done(so_far):
                layers.try_permissive_alone(some, lock_timeout, report)
        if not done(so_far):
            cases.try_all(probe, project, only if only != RIGHTS else None)
        if scenarios and not done(so_far):
            report(Working("attacks and invariants"))
            checked, failed = scenario_runner.run(probe, project, only)
            attempted.extend(checked)
            so_far += failed

    verdict = Verdict(checks=tuple(checks), breaches=tuple(breaches), warnings=tuple(warnings))
    if (chosen is None or chosen or tried_cases or scenarios) and not done(breaches):
        try:
            probe = generic.on_rows(
                connection, project.config, work, lock_timeout=lock_timeout, report=report
            )
        except ProofError as error:
            if not (breaches or tenants.blocked):
                raise
            verdict = verdict.with_more(without_rows(error))
        else:
            found = probe.findings
            found.breaches[:0] = breaches
            complete = only is None and not project.has_overlay and not done(found.breaches)
            catalog.accept(project.config, found, complete=complete)
            verdict = Verdict(
                cells=tuple(found.cells),
                checks=(*checks, *attempted),
                breaches=tuple(found.breaches),
                warnings=(*warnings, *filter(None, [probe.enclosure.note]), *found.warnings),
            )
    if only == UNDECIDED:
        verdict = replace(
            verdict,
            cells=(),
            breaches=tuple(b for b in verdict.breaches if b.proof.startswith(UNDECIDED)),
        )
    return replace(verdict, facts=facts, seconds=time.monotonic() - started)


def _relations(project: Project, tenants: TenantMap, only: str | None) -> list[Relation] | None:
    """Return the relations that `only` names; None means all that are within reach."""
    if only in (None, RIGHTS, UNDECIDED):
        return None
    relation = tenants.named(only or "")
    return [relation] if relation else []


def _same(probe: Probe, chosen: Sequence[Relation]) -> list[Relation]:
    oids = {relation.oid for relation in chosen}
    return [r for r in probe.fixture.tenants.relations.values() if r.oid in oids]


def without_rows(error: ProofError) -> Verdict:
    """Return the breach for everything but the rules, which must not count as passed."""
    breach = Breach(
        proof="rows",
        subject="the rows of two tenants",
        summary=f"{error.message}. No right, attack or invariant was tried.",
        cause="one of the other breaches",
        fix=f"-- {error.hint}\n-- once the other breaches are fixed, verify again",
    )
    return Verdict(breaches=(breach,))
