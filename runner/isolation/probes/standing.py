"""What the catalog gives callers beyond their rights, and what it gives roles that no actor has."""

from __future__ import annotations

import re
from pathlib import Path

from runner.isolation.fixes import declare
from runner.isolation.probes import settings as settings_read
from runner.isolation.probes.reads import Probe
from runner.isolation.tenancy.objects import PERSON, SHARED, TENANT, Relation
from runner.queries import query
from runner.schema.snapshot import scoped

_QUESTION = re.compile(r"\s*#\s*decide:\s*(.*)")
_TABLE = re.compile(r"\b(?:from|join|into|update)\s+(\w+)\b(?!\s*[.(])")


def judge(probe: Probe) -> None:
    """Record other roles with access, preset settings, CREATE, and unpinned definers."""
    _roles(probe)
    _other_roles(probe)
    _undeclared(probe)
    _questions(probe)
    _settings(probe)
    _definers(probe)


def _trusted(probe: Probe) -> set[str]:
    return {a.role for a in probe.fixture.config.actors.values() if a.everywhere}


def _roles(probe: Probe) -> None:
    """Record roles that bypass policies, and others that a caller can become."""
    for role in probe.fixture.tenants.roles:
        if role.declared and role.bypasses and role.name not in _trusted(probe):
            reason, fix = "bypasses every policy", f"alter role {role.name} nobypassrls;"
        elif not role.declared and role.reaches and role.members:
            reason = f"has privileges on tables of tenants; {role.members} can become it"
            fix = f"revoke {role.name} from {role.members};"
        elif not role.declared and role.reaches:
            reason = "is the login of actors, and has privileges on tables of tenants itself"
            fix = f"-- revoke the privileges of {role.name}, or declare it in [actors]"
        else:
            continue
        probe.findings.breach(
            f"role {role.name}",
            f"role {role.name}",
            f"the role {role.name} {reason}",
            cause=reason,
            fix=fix,
        )


def _other_roles(probe: Probe) -> None:
    """Record each role that no actor has, and that has privileges or policies on tenants' tables.

    Views count in the schemas of these tables. A role that a caller can become was recorded.
    """
    config, tenants = probe.fixture.config, probe.fixture.tenants
    owned = [r for r in tenants.relations.values() if r.is_table and r.tenancy in (TENANT, PERSON)]
    schemas = {relation.schema for relation in owned}
    near = [
        r
        for r in (*tenants.relations.values(), *tenants.withheld)
        if isinstance(r, Relation)
        and r.kind != "S"
        and r.schema in schemas
        and r.tenancy != SHARED
        and not tenants.is_platforms(r)
    ]
    recorded = {role.name for role in tenants.roles if role.reaches}
    rows = probe.findings.connection.execute(
        scoped(query("isolation/probes/other_roles")).encode(),
        {"tables": [r.oid for r in {*owned, *near}], "roles": [*tenants.api_roles, *recorded]},
    )
    for role, what, fixes in rows.fetchall():
        name = declare.key(role)
        revokes = "\n".join(fix for fix in fixes if fix.startswith("revoke ") and " on " in fix)
        rights = declare.of_revokes(revokes, {role: [role]}, Path(config.path))
        probe.findings.breach(
            f"undecided.role {role}",
            f"role {role}",
            f"no actor has the database role {role}, so what it may do is undecided, and was not "
            f"tried: {', '.join(what)}",
            cause=f"{'; '.join(what)}: for {role}, which [actors] in {config.path} does not name",
            intended=f"# {config.path}: add to [actors]; if it may cross tenants, "
            f"{name} = {{ role = {declare.quoted(role)}, everywhere = true }}\n"
            f"{name} = {declare.quoted(role)}\n{rights}".rstrip(),
            fix="\n".join(fixes),
        )


def _undeclared(probe: Probe) -> None:
    """Record each setting that decides something and of which the file does not say who sets it."""
    config, fixture = probe.fixture.config, probe.fixture
    for setting in settings_read.read(probe.findings.connection, fixture):
        if not settings_read.undeclared(fixture, setting):
            continue
        read = ", ".join(dict.fromkeys(setting.places))
        probe.findings.breach(
            f"undecided.setting {setting.name}",
            f"setting {setting.name}",
            f"the setting {setting.name} is read by {read}, and nothing says who sets it",
            cause=f"[identity] of {config.path} does not name {setting.name}",
            intended=declare.forged(setting.name, config.forged, config.path),
            fix=f"-- declare {setting.name} in {config.path}, or do not read it",
        )
    for function, name in settings_read.unnamed(fixture):
        probe.findings.breach(
            f"undecided.setting of {function.signature}",
            function.signature,
            f"{function.signature} reads a setting whose name is not a constant: {name or '…'}. "
            "What it reads was not forged",
            cause=f"current_setting({name or '…'}) in {function.signature}",
            intended=f'# {config.path}\n[[accept]]\nrule = "undecided"\n'
            f'object = {declare.quoted(function.signature)}\nbecause = ""',
            fix=f"-- write the name of the setting in {function.signature}",
        )


def _questions(probe: Probe) -> None:
    """Record each question of `--init` that is still in the file."""
    file = probe.fixture.config.file
    for number, line in enumerate(file.text.splitlines() if file else (), 1):
        if match := _QUESTION.match(line):
            place = f"{file.path if file else ''}:{number}"
            probe.findings.breach(
                "undecided.question",
                place,
                f"{place} has an open question: {match[1]}",
                cause=f"decide: {match[1]}",
                fix=f"-- decide, write it into {place}, and remove this line",
            )


def _settings(probe: Probe) -> None:
    """Record identity settings that are preset, and schemas in which a caller may create."""
    roles = [r for r in probe.fixture.tenants.api_roles if r not in _trusted(probe)]
    rows = probe.findings.connection.execute(
        query("isolation/probes/standing"),
        {"roles": roles, "settings": list(probe.fixture.config.settings)},
    )
    for subject, problem, fix in rows:
        probe.findings.breach(subject, subject, problem, cause=problem, fix=fix)


def _definers(probe: Probe) -> None:
    """Record functions that run as their owner and find tables by the caller's search path."""
    relations = {relation.name for relation in probe.fixture.tenants.relations.values()}
    for function in probe.fixture.tenants.functions:
        callers = [role for role in function.callers if role not in _trusted(probe)]
        unqualified = relations & set(_TABLE.findall(function.source.lower()))
        exposed = (callers or function.decides) and unqualified
        if function.definer and not function.pinned and exposed:
            probe.findings.breach(
                f"{function.signature} without search_path",
                function.signature,
                f"{function.signature} runs as {function.owner} with the caller's search_path: a "
                f"temporary table of the caller can stand for {', '.join(sorted(unqualified))}",
                cause="security definer without set search_path",
                fix=f"alter function {function.signature} set search_path = pg_catalog, pg_temp;"
                "  -- and qualify the names in its body",
            )
