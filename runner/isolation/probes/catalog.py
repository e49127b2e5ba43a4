"""Judge what the catalog says without trying it, and apply the accepted findings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from runner.isolation.fixes import declare
from runner.isolation.probes import standing
from runner.isolation.probes.findings import Findings
from runner.isolation.probes.reads import Probe
from runner.isolation.rows.fixture import Failure
from runner.isolation.tenancy.config import Accepted, Config
from runner.isolation.tenancy.objects import PERSON, SHARED, TENANT, UNDECIDED, Function
from runner.isolation.verdict import Breach
from runner.queries import query

_KINDS = {
    "r": "table", "p": "partitioned table", "v": "view", "m": "materialized view",
    "f": "foreign table", "S": "sequence",
}  # fmt: skip
_NEVER = ("truncate", "references", "trigger")


def judge(probe: Probe) -> None:
    """Record what is undecided, rows that could not be made, roles, and privileges on tables."""
    for failure in probe.fixture.failures:
        _no_rows(probe, failure)
    _unrefreshed(probe)
    _undecided(probe)
    _withheld(probe)
    _roles_inside(probe)
    _privileges(probe)
    standing.judge(probe)


def _roles_inside(probe: Probe) -> None:
    """Record each role inside a tenant that no actor has: what it may do was not tried."""
    config, people = probe.fixture.config, probe.fixture.tenants.people
    if people is None or config.people is None or not config.people.role:
        return
    covered = {actor.member for actor in config.actors.values()}
    signed = next((a.role for a in config.actors.values() if a.member), "authenticated")
    rows = probe.findings.connection.execute(
        query("isolation/tenancy/labels"), {"table": people.oid}
    )
    for column, labels in rows:
        for label in labels if column == config.people.role else ():
            if label not in covered:
                probe.findings.breach(
                    f"{UNDECIDED}.role {label}",
                    f"role {label}",
                    f"no actor has the role {label} of {people.qualified}.{column}, so what it may "
                    "do is undecided, and was not tried",
                    cause=f"[actors] in {config.path}",
                    intended=f"# {config.path}: add to [actors]\n{declare.key(label)} = "
                    f"{{ role = {declare.quoted(signed)}, member = {declare.quoted(label)} }}",
                    fix=f"-- add the actor, and its rights, to {config.path}",
                )


def _no_rows(probe: Probe, failure: Failure) -> None:
    relation = failure.relation
    if probe.snapshot.of(relation, failure.owner):
        return
    behind = {oid for view in probe.relations for oid in view.bases}
    if relation not in probe.relations and relation.oid not in behind:
        if relation.tenancy != UNDECIDED:
            probe.findings.warnings.append(
                f"no row could be made in {relation.qualified}, which is out of reach: "
                f"{failure.reason}"
            )
        return
    probe.findings.breach(
        f"rows.{relation.qualified}",
        relation.qualified,
        f"no row could be made in {relation.qualified} for tenant {failure.owner}, so nothing "
        "that happens to its rows was tried",
        cause=failure.reason,
        fix=declare.row_of(relation.qualified),
    )


def _unrefreshed(probe: Probe) -> None:
    """Record each materialized view that has no rows of the proof, and what reads it."""
    tenants = probe.fixture.tenants
    for failure in probe.fixture.unrefreshed:
        view = failure.relation
        readers = {view.oid: view}
        while more := [
            r
            for r in tenants.relations.values()
            if r.oid not in readers and readers.keys() & {*r.bases}
        ]:
            readers |= {r.oid: r for r in more}
        named = re.compile(rf"\b(?:{'|'.join(re.escape(r.name) for r in readers.values())})\b")
        near = [
            *(r.qualified for r in probe.relations if r.oid in readers),
            *(f.signature for f in tenants.functions if f.callers and named.search(f.source)),
        ]
        what = f"{view.qualified} could not be refreshed with the rows of this proof"
        if not near:
            probe.findings.warnings.append(f"{what}, and is out of reach: {failure.reason}")
            continue
        probe.findings.breach(
            f"rows.{view.qualified}",
            view.qualified,
            f"{what}, so what {', '.join(near)} gives of it was not tried",
            cause=failure.reason,
            intended=f'# {probe.fixture.config.path}\n[[accept]]\nrule = "rows"\n'
            f'object = "{view.qualified}"\nbecause = ""',
            fix=f"-- verify a copy of the database, where {view.qualified} can be refreshed",
        )


def _undecided(probe: Probe) -> None:
    config, tenants = probe.fixture.config, probe.fixture.tenants
    by_role: dict[str, list[str]] = {}
    for actor in config.actors.values():
        if not actor.user:  # signed in, and member of no tenant, has no rights
            by_role.setdefault(actor.role, []).append(actor.name)
    for relation in probe.relations:
        if relation.kind == "f":
            probe.findings.breach(
                f"untried.{relation.qualified}",
                relation.qualified,
                f"the foreign table {relation.qualified} is within reach, and was not tried",
                cause="reading it would connect to another server, which has no such rows",
                intended=f'# {config.path}\n[[accept]]\nrule = "untried"\n'
                f'object = "{relation.qualified}"\nbecause = ""',
                fix=_revoke("all", relation.qualified, relation.users),
            )
        shared = declare.shared(
            f"{relation.schema}.{relation.name}", config.shared, config.path
        )  # what a table without a tenant usually is
        if probe.rights.declared(relation):
            read = any(probe.rights.any(relation, "select", role) for role in by_role)
            if relation.is_table and relation.tenancy == UNDECIDED and read:
                probe.findings.breach(
                    f"undecided.{relation.qualified}",
                    relation.qualified,
                    f"{relation.qualified} has rights, and nothing says whose its rows are",
                    cause=f"no column {config.tenant_column}, and no reference to a tenant's table",
                    intended=shared,
                    fix=f"-- declare it in [tenant] of {config.path}, in shared or columns",
                )
            continue
        if relation.kind == "S":
            continue
        kind = _KINDS[relation.kind]
        what = {
            UNDECIDED: "nothing says whose its rows are",
            SHARED: "it is shared, but no right says who reads it",
        }.get(relation.tenancy, f"its rows are a tenant's ({relation.why}), but no right names it")
        roles = [r for r in tenants.api_roles if relation.within_reach([r])]
        rights = declare.of_relation(relation, by_role, config.path)
        probe.findings.breach(
            f"undecided.{relation.qualified}",
            relation.qualified,
            f"the {kind} {relation.qualified} is within reach of {', '.join(roles)}, and undecided",
            cause=what,
            intended="\n".join([*([shared] if relation.tenancy == UNDECIDED else []), rights]),
            fix=_revoke("all", relation.qualified, roles),
        )
    for function in tenants.functions if config.functions is not None else ():
        names = (function.name, f"{function.schema}.{function.name}", function.signature)
        if (
            function.callers
            and not function.is_trigger
            and not set(names) & set(config.functions or ())
        ):
            needed, revoke = probe.findings.without_execute(function)
            probe.findings.breach(
                f"undecided.{function.signature}",
                function.signature,
                f"{', '.join(function.callers)} may call {function.signature}, which is undecided",
                cause="[expose] functions does not name it",
                intended=declare.of_function(
                    f"{function.schema}.{function.name}", config.functions or (), config.path
                ),
                fix=revoke or f"-- declare {function.signature}: {needed}",
            )


def _withheld(probe: Probe) -> None:
    """Record what is within reach, and was not tried because that would run another role's code."""
    tenants = probe.fixture.tenants
    for one in tenants.withheld:
        if isinstance(one, Function):
            name, of = one.signature, f"routine {one.signature}"
            privilege, roles = "execute", ["public", *one.callers] if one.callers else []
        else:
            privilege, name, of = "all", one.qualified, one.qualified
            roles = [role for role in tenants.api_roles if one.within_reach([role])]
        if roles:
            owner = tenants.owners[one.oid]
            probe.findings.breach(
                f"{UNDECIDED}.{name}",
                name,
                f"{name} is within reach of {', '.join(roles)}, and was not tried: {owner} decides "
                "what it runs, and a superuser would run it with all rights",
                cause=f"the owner {owner} is not trusted; to try it, connect as the tables' owner",
                fix=_revoke(privilege, of, roles),
            )


def _revoke(privilege: str, name: str, roles: Sequence[str]) -> str:
    return f"revoke {privilege} on {name} from {', '.join(roles)};"


def _privileges(probe: Probe) -> None:
    """Record privileges that act on all tenants' rows at once, or on the table itself."""
    trusted = {a.role for a in probe.fixture.config.actors.values() if a.everywhere}
    for relation in probe.relations:
        for role, held in relation.privileges.items():
            if role not in relation.users or role in trusted:
                continue
            if relation.kind == "S" and "update" in held:
                probe.findings.breach(
                    f"{relation.qualified}.setval as {role}",
                    relation.qualified,
                    f"{role} may set the sequence {relation.qualified} back, for every tenant",
                    cause=f"grant update on sequence {relation.qualified} to {role}",
                    fix=_revoke("update", f"sequence {relation.qualified}", [role]),
                )
            if relation.tenancy not in (TENANT, PERSON, SHARED):
                continue
            for privilege in [p for p in _NEVER if p in held]:
                probe.findings.breach(
                    f"{relation.qualified}.{privilege} as {role}",
                    relation.qualified,
                    f"{role} holds {privilege.upper()} on {relation.qualified}, which row-level "
                    "security does not limit",
                    cause=f"grant {privilege} on {relation.qualified} to {role}",
                    fix=_revoke(privilege, relation.qualified, [role]),
                )
        if relation.kind == "m" and relation.tenancy in (TENANT, PERSON):
            for role in probe.fixture.tenants.api_roles:
                if role not in trusted and relation.usable(role, "select"):
                    probe.findings.breach(
                        f"{relation.qualified}.select as {role}",
                        relation.qualified,
                        f"{role} reads every tenant's rows in {relation.qualified}",
                        cause=f"a materialized view has no row-level security; it {relation.why}",
                        fix=_revoke("select", relation.qualified, [role]),
                    )


def accepting(config: Config, breach: Breach) -> list[Accepted]:
    """Return the entries of the file that accept a finding."""
    return [a for a in config.accept if a.object == breach.subject and a.rule in breach.proof]


def accept(config: Config, found: Findings, *, complete: bool) -> None:
    """Leave out the accepted findings; if the run is complete, one that was not found is one."""
    used = set()
    accepted_proofs = set()
    left: list[Breach] = []
    for breach in found.breaches:
        if reasons := accepting(config, breach):
            used.update(reasons)
            accepted_proofs.add(breach.proof)
        else:
            left.append(breach)
    found.breaches[:] = left
    found.cells[:] = [
        replace(cell, passed=True) if cell.title in accepted_proofs else cell
        for cell in found.cells
    ]
    for accepted in (each for each in config.accept if each in used):
        found.warnings.append(f"accepted: {accepted.object}, {accepted.rule}: {accepted.because}")
    for accepted in config.accept if complete else ():
        if accepted not in used:
            found.breach(
                f"accept {accepted.rule}",
                accepted.object,
                f"the accepted finding {accepted.rule!r} about {accepted.object} does not occur",
                cause=f"[[accept]] in {config.path}",
                fix=f"-- remove it from {config.path}",
            )
