"""What an outcome means: held against the promise, and put into words where it breaks it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from runner.isolation.fixture import Actor
from runner.isolation.matrix.attempt import Outcome
from runner.isolation.matrix.cases import Try
from runner.isolation.matrix.permissions import SERVICE, TENANTS, Permission, may, permissions
from runner.isolation.matrix.root_cause import Faults
from runner.isolation.verdict import Breach

REFUSED, INVARIANT, REFERRED_TO = "42501", "23514", "23503"
NOT_TRIED = {
    "55P03": "waited for a lock longer than the lock timeout",
    "57014": "took longer than the statement timeout",
    "40P01": "was chosen to end a deadlock",
}
_DEEDS = {"select": "read", "insert": "inserted", "update": "changed", "delete": "deleted"}
_PLACES = {True: "their own organization", False: "another organization"}


def judge(try_: Try, outcome: Outcome, faults: Faults, *, belt: bool = True) -> Breach | None:
    """Hold an outcome against the promise; return what is wrong, if anything is."""
    if try_.allowed:
        if not outcome.sqlstate and outcome.rows:
            return None
        return _refused(try_, outcome, faults)
    if outcome.refused:
        if outcome.sqlstate != REFUSED and _nobody_like(try_):
            return holds(try_, faults)
        return None
    if outcome.sqlstate in _invariants(try_):
        return holds(try_, faults) if _nobody_like(try_) else None
    return _got_through(try_, outcome, faults, belt=belt)


def could_not_be_tried(try_: Try, outcome: Outcome, why: str) -> Breach:
    """Return the breach of a cell that was never answered: no answer is not a pass."""
    return Breach(
        proof=try_.title,
        subject=f"public.{try_.right.table}",
        what=f"could not be tried: it {NOT_TRIED[outcome.sqlstate]}{why and f', locked by {why}'}",
        who=_whom(try_),
        sql=preamble(try_.actor, try_.sql),
        fault=why or outcome.message,
        fix="run verify again when that session is done",
    )


def preamble(actor: Actor, sql: str) -> str:
    """Return a statement as one can paste it, with what PostgREST sets before it."""
    claims = actor.claims.replace("'", "''")
    return (
        "begin;  -- as the owner; then the rows of runner/isolation/queries/fixture.sql\n"
        f"set local role {actor.role};\n"
        f"select set_config('request.jwt.claims', '{claims}', true);\n"
        f"{sql};\n"
        "rollback;"
    )


def _nobody_like(try_: Try) -> bool:
    """Whether nobody with this database role may do this: then it must hold no privilege at all.

    service_role deletes organizations, if only empty ones.
    """
    right = try_.right
    if (try_.who, right.table, right.command) == (SERVICE, "organizations", "delete"):
        return False
    same = [r for r in permissions() if (r.table, r.command) == (right.table, right.command)]
    return not _somebody_like(try_, same)


def _somebody_like(try_: Try, rights: Iterable[Permission]) -> bool:
    """Whether anybody with this database role has one of these rights."""
    roles = {"authenticated": TENANTS, SERVICE: (SERVICE,)}.get(try_.actor.role, ())
    return any(role in right.allowed for right in rights for role in roles)


def _invariants(try_: Try) -> Sequence[str]:
    """What else than a refusal may stop somebody: only who can see the row may hear of it."""
    if try_.who == SERVICE:
        return (INVARIANT, REFERRED_TO)
    return (INVARIANT,) if try_.who in TENANTS and try_.own_org else ()


def _got_through(try_: Try, outcome: Outcome, faults: Faults, *, belt: bool) -> Breach:
    right, role = try_.right, try_.actor.role
    fault, fix = faults.let_through(
        right.table,
        right.command,
        role,
        column="" if _somebody_like(try_, [right]) else right.what.removeprefix("with "),
        guarded=may(try_.who, right.table, right.command) and (try_.own_org or try_.who == SERVICE),
    )
    if outcome.sqlstate:
        what = f"{try_.who} was not refused, but stopped by {outcome.sqlstate}: {outcome.message}"
    else:
        what = f"{try_.who} {_DEEDS[right.command]} {outcome} of {right.table} in "
        what += f"{_PLACES[try_.own_org]} ({try_.what})"
    breach = _breach(try_, what, reached=_reached(outcome), fault=fault, fix=fix)
    if belt:
        return breach
    return replace(
        breach,
        proof=f"{breach.proof}, without the restrictive policies",
        what=f"{what}, as soon as the restrictive policies are set aside",
    )


def holds(try_: Try, faults: Faults) -> Breach:
    right, role = try_.right, try_.actor.role
    fault, fix = faults.held(right.table, right.command, role)
    what = f"{role} holds {right.command.upper()} on public.{right.table}, which nobody gave it"
    return _breach(try_, what, reached="the privilege itself", fault=fault, fix=fix)


def _refused(try_: Try, outcome: Outcome, faults: Faults) -> Breach:
    right = try_.right
    fault, fix = faults.stood_in_the_way(
        right.table, right.command, try_.actor.role, outcome.sqlstate, outcome.message
    )
    what = f"{try_.who} may {right.command} {right.table} in {_PLACES[try_.own_org]}"
    what += f" ({right.what}), and was refused: {outcome}"
    return _breach(try_, what, reached=outcome.message, fault=fault, fix=fix)


def _breach(try_: Try, what: str, *, reached: str, fault: str, fix: str) -> Breach:
    return Breach(
        proof=try_.title,
        subject=f"public.{try_.right.table}",
        what=what,
        who=_whom(try_),
        sql=preamble(try_.actor, try_.sql),
        reached=reached,
        fault=fault,
        fix=fix,
    )


def _whom(try_: Try) -> str:
    return f"{try_.who}: role {try_.actor.role}, claims {try_.actor.claims}"


def _reached(outcome: Outcome) -> str:
    shown = "; ".join(", ".join(str(value) for value in row) for row in outcome.sample)
    return f"{outcome}: {shown}" if shown else str(outcome)
