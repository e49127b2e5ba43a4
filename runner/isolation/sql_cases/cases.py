"""Try the cases of isolation.toml: each statement as every actor, in both tenants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from runner.errors import UsageError
from runner.isolation.probes.execute import Attempt, Outcome
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.reads import Probe
from runner.isolation.project import Project
from runner.isolation.rows.identity import A, B
from runner.isolation.sql_cases.substitution import Substitution
from runner.isolation.tenancy.config import Case
from runner.isolation.tenancy.objects import Relation
from runner.isolation.tenancy.variables import substitute
from runner.isolation.toml_file import nearest

_CHECK, _REFERENCES = "23514", ("23503", "23001")  # the last: ON DELETE RESTRICT, from 18 on
_VERBS = {"select": "reads", "insert": "inserts", "update": "changes", "delete": "deletes"}


@dataclass(frozen=True)
class _Try:
    case: Case
    relation: Relation
    caller: Caller
    where: str  # "own", "other"
    attempt: Attempt

    @property
    def allowed(self) -> bool:
        """Whether the file allows it: members in the own tenant, who is everywhere in both."""
        own = self.where == "own" or self.caller.everywhere
        return own and self.caller.name in self.case.allowed


def try_all(probe: Probe, project: Project, only: str | None = None) -> None:
    """Try each case as each actor, and record the cells."""
    names = Substitution(probe.fixture, project)
    tried = [
        each
        for case in project.config.cases
        if only in (None, case.table, case.name, case.what)
        for each in _tries(probe, names, case)
    ]
    probe.findings.guarded = frozenset(case.what for case in project.config.cases)
    outcomes = probe.run([each.attempt for each in tried])
    for each, outcome in zip(tried, outcomes, strict=True):
        probe.findings.cell(
            each.relation, each.case.command, each.caller, outcome, what=each.case.what,
            where=each.where, statement=each.attempt.sql, allowed=each.allowed,
            problem=_problem(each, outcome),
        )  # fmt: skip


def _tries(probe: Probe, names: Substitution, case: Case) -> Iterator[_Try]:
    relation = relation_of(probe, case)
    for caller in probe.callers:
        if caller.regular:
            for where, tenant in (("own", A), ("other", B)):
                values = dict(names.values(tenant, caller.name))
                if caller.identity.person:  # who runs it, in either tenant
                    mine = names.values(A, caller.name)
                    values |= {"me": mine["me"], "user": mine["user"]}
                attempt = Attempt(caller.identity, substitute(case.sql, values))
                tried = _Try(case, relation, caller, where, attempt)
                yield replace(tried, attempt=replace(attempt, refused=not tried.allowed))


def relation_of(probe: Probe, case: Case) -> Relation:
    """Return the relation that a case is about. Raises UsageError if there is none."""
    relation = probe.fixture.tenants.named(case.table)
    if relation is None:
        known = [r.name for r in probe.fixture.tenants.relations.values()]
        raise UsageError(
            f"{probe.fixture.config.path}:{case.line}: there is no relation {case.table}",
            hint=nearest(case.table, known),
        )
    return relation


def _problem(each: _Try, outcome: Outcome) -> str:
    """Return what is wrong with an outcome, or nothing."""
    name, what = each.relation.qualified, each.case.what
    if each.allowed:
        if outcome.rows and not outcome.sqlstate:
            return ""
        reason = f"{outcome}: {outcome.message}" if outcome.message else str(outcome)
        return f"may {each.case.command} {name} ({what}), but got {reason}"
    refused = outcome.sqlstate == "42501" or (not outcome.sqlstate and not outcome.rows)
    if refused or outcome.sqlstate in _accepted(each):
        return ""
    whose = {"own": "their own tenant", "other": "another tenant"}[each.where]
    if outcome.sqlstate:
        return f"is not refused ({what}) in {whose}, but got {outcome.sqlstate}: {outcome.message}"
    verb = _VERBS.get(each.case.command, "writes")
    return f"{verb} rows of {name} in {whose}, which no right allows ({what}): {outcome}"


def _accepted(each: _Try) -> tuple[str, ...]:
    """Return the errors of constraints that count as a refusal, by those who see the row."""
    if each.caller.everywhere:
        return (_CHECK, *_REFERENCES)
    member = each.caller.identity.person is not None and bool(each.caller.identity.person.roles)
    return (_CHECK,) if member and each.where == "own" else ()
