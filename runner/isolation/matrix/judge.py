"""Compare the outcome of a case with the permission table, and describe a difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from runner.isolation.actors import Actor, literal
from runner.isolation.matrix.attempt import Outcome
from runner.isolation.matrix.cases import Case
from runner.isolation.matrix.permissions import Permission
from runner.isolation.matrix.root_cause import RootCauses
from runner.isolation.verdict import Breach

INSUFFICIENT_PRIVILEGE, CHECK_VIOLATION, FOREIGN_KEY_VIOLATION = "42501", "23514", "23503"
NOT_TRIED = {
    "55P03": "waited for a lock longer than the lock timeout",
    "57014": "took longer than the statement timeout",
    "40P01": "was canceled to resolve a deadlock",
}
_VERBS = {"select": "read", "insert": "inserted", "update": "changed", "delete": "deleted"}
_ORGANIZATIONS = {True: "their own organization", False: "another organization"}


def judge(
    case: Case, outcome: Outcome, causes: RootCauses, *, restrictive_policies: bool = True
) -> Breach | None:
    """Return the breach if the outcome differs from the permission table, else None.

    `restrictive_policies`: whether they were in place.
    """
    if case.allowed:
        if not outcome.sqlstate and outcome.rows:
            return None
        return _wrongly_refused(case, outcome, causes)
    if outcome.refused:
        if outcome.sqlstate != INSUFFICIENT_PRIVILEGE and _never_allowed(case):
            return excess_privilege(case, causes)
        return None
    if outcome.sqlstate in _accepted_errors(case):
        return excess_privilege(case, causes) if _never_allowed(case) else None
    return _unauthorized(case, outcome, causes, restrictive_policies=restrictive_policies)


def could_not_be_tried(case: Case, outcome: Outcome, holders: str) -> Breach:
    """Return the breach of a case without a result, which must not count as passed."""
    blocked_by = holders and f", locked by {holders}"
    return Breach(
        proof=case.title,
        subject=f"public.{case.right.table}",
        summary=f"could not be tried: it {NOT_TRIED[outcome.sqlstate]}{blocked_by}",
        actor=_description(case),
        sql=preamble(case.actor, case.sql),
        cause=holders or outcome.message,
        fix="-- verify again when that session is done",
    )


def preamble(actor: Actor, sql: str) -> str:
    """Return a statement ready to paste, after the settings that the API makes."""
    settings = (
        f"select set_config({literal(name)}, {literal(value)}, true);\n"
        for name, value in actor.settings.items()
    )
    return (
        "begin;  -- as the owner; then the rows of isolation/fixture.sql\n"
        f"set local role {actor.role};\n"
        f"{''.join(settings)}"
        f"{sql};\n"
        "rollback;"
    )


def _never_allowed(case: Case) -> bool:
    """Whether the case's database role must not hold the privilege at all."""
    right = case.right
    same = [r for r in case.project.rights if (r.table, r.command) == (right.table, right.command)]
    return not _allowed_to_role(case, same)


def _allowed_to_role(case: Case, rights: Iterable[Permission]) -> bool:
    """Whether any actor with the case's database role has one of these rights."""
    actors = [n for n, actor in case.project.actors.items() if actor.role == case.actor.role]
    return any(n in (*right.allowed, *right.granted) for right in rights for n in actors)


def _accepted_errors(case: Case) -> Sequence[str]:
    """Return the constraint errors that count as a refusal: only who sees the row may get one."""
    if case.actor.everywhere:
        return (CHECK_VIOLATION, FOREIGN_KEY_VIOLATION)
    return (CHECK_VIOLATION,) if case.actor.member and case.own_org else ()


def _unauthorized(
    case: Case, outcome: Outcome, causes: RootCauses, *, restrictive_policies: bool
) -> Breach:
    right, actor = case.right, case.actor_name
    cause, fix = causes.of_access(
        right.table,
        right.command,
        case.actor.role,
        column="" if _allowed_to_role(case, [right]) else right.what.removeprefix("with "),
        guarded=case.project.may(actor, right.table, right.command)
        and (case.own_org or case.actor.everywhere),
    )
    if outcome.sqlstate:
        summary = f"{actor} was not denied access, but got {outcome.sqlstate}: {outcome.message}"
    else:
        summary = (
            f"{actor} {_VERBS[right.command]} {outcome} of {right.table} in "
            f"{_ORGANIZATIONS[case.own_org]} ({case.what})"
        )
    breach = _breach(case, summary, exposed=_exposed(outcome), cause=cause, fix=fix)
    if restrictive_policies:
        return breach
    return replace(
        breach,
        proof=f"{breach.proof}, without the restrictive policies",
        summary=f"{summary}, if the restrictive policies are dropped",
    )


def excess_privilege(case: Case, causes: RootCauses) -> Breach:
    """Return the breach of a role that holds a privilege without any right that needs it."""
    right, role = case.right, case.actor.role
    cause, fix = causes.of_privilege(right.table, right.command, role)
    summary = (
        f"{role} holds {right.command.upper()} on public.{right.table}, which is not in "
        f"{case.project.file.path}"
    )
    return _breach(case, summary, exposed="the privilege itself", cause=cause, fix=fix)


def _wrongly_refused(case: Case, outcome: Outcome, causes: RootCauses) -> Breach:
    right = case.right
    cause, fix = causes.of_refusal(
        right.table,
        right.command,
        case.actor.role,
        outcome.sqlstate,
        outcome.message,
        columns=() if case.actor.everywhere else right.columns,
    )
    summary = (
        f"{case.actor_name} may {right.command} {right.table} in {_ORGANIZATIONS[case.own_org]} "
        f"({right.what}), but was refused: {outcome}"
    )
    return _breach(case, summary, exposed=outcome.message, cause=cause, fix=fix)


def _breach(case: Case, summary: str, *, exposed: str, cause: str, fix: str) -> Breach:
    return Breach(
        proof=case.title,
        subject=f"public.{case.right.table}",
        summary=summary,
        actor=_description(case),
        sql=preamble(case.actor, case.sql),
        exposed=exposed,
        cause=cause,
        fix=fix,
    )


def _description(case: Case) -> str:
    return f"{case.actor_name}: {case.actor.description}"


def _exposed(outcome: Outcome) -> str:
    shown = "; ".join(", ".join(str(value) for value in row) for row in outcome.sample)
    return f"{outcome}: {shown}" if shown else str(outcome)
