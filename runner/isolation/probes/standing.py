"""What the catalog gives callers beyond their rights: roles, settings, schemas, definers."""

from __future__ import annotations

import re

from runner.isolation.probes.reads import Probe
from runner.queries import query

_TABLE = re.compile(r"\b(?:from|join|into|update)\s+(\w+)\b(?!\s*[.(])")


def judge(probe: Probe) -> None:
    """Record roles that callers can become, preset settings, CREATE, and unpinned definers."""
    _roles(probe)
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
