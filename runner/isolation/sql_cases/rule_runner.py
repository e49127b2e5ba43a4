"""Run the rules: catalog queries that find violations, one file of rules/ each.

A rule returns (object, problem, fix) for each object that violates it, and no rows otherwise. Its
query uses the common table expressions of rules/definitions.sql, which is prepended. Rules read
only the catalog and change nothing.
"""

from __future__ import annotations

import json
from functools import lru_cache

import psycopg

from runner.isolation.project import Project
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.tenancy.variables import substitute
from runner.isolation.verdict import Breach, Check
from runner.postgres.connection import Connection
from runner.preflight.order import decided_by_owner

_RETRYABLE = ("57014", "55P03", "40P01")  # a timeout, a lock, a deadlock


def run(
    connection: Connection, project: Project, only: str | None = None
) -> tuple[list[Check], list[Breach]]:
    """Run every rule, or the one that `only` names, in the open transaction.

    Those with `level: warning` produce warnings, not breaches.
    """
    checks, breaches = [], []
    for rule in case_file.select(project.rules, only):
        try:
            found = violations(connection, project, rule)
        except psycopg.Error as error:
            if connection.closed or error.sqlstate in _RETRYABLE:
                raise
            checks.append(_check(rule, "the rule could not be run", passed=False))
            breaches.append(_failed(rule, error))
            continue
        is_breach = not _is_warning(rule)
        outcome = f"{len(found)} object{'' if len(found) == 1 else 's'}" if found else "clean"
        if found and not is_breach:
            outcome = f"{len(found)} warning{'' if len(found) == 1 else 's'}"
        checks.append(_check(rule, outcome, passed=not (found and is_breach)))
        if is_breach:
            breaches += [_breach(rule, *row) for row in found]
    return checks, breaches


def warnings(connection: Connection, project: Project) -> list[str]:
    """Return what the rules with `level: warning` find, as sentences."""
    return [
        f"{object_}: {problem}. {fix}"
        for rule in project.rules
        if _is_warning(rule)
        for object_, problem, fix in violations(connection, project, rule)
    ]


def violations(
    connection: Connection, project: Project, rule: CaseFile
) -> list[tuple[str, str, str]]:
    """Return what violates a rule: object, problem, fix."""
    connection.execute("savepoint rule; set local search_path = pg_catalog, pg_temp")
    try:
        return connection.execute(query(project, rule).encode()).fetchall()
    finally:
        connection.execute("rollback to savepoint rule; release savepoint rule")


def query(project: Project, rule: CaseFile) -> str:
    """Return a rule's complete query, to be run under search_path = pg_catalog."""
    return substitute(f"{project.definitions}\n{rule.body}", values(project))


@lru_cache(maxsize=1)
def values(project: Project) -> dict[str, str]:
    config = project.config
    return {
        "file": config.path,
        "tenant_table": config.tenant_table or "",
        "tenant_column": config.tenant_column,
        "shared": json.dumps(config.shared),
        "internal_schemas": json.dumps(config.internal_schemas),
        "settings": json.dumps(list(config.settings)),
        "actor_roles": json.dumps(
            {
                "member": project.roles(names) if (names := _signed_in(project)) else [],
                "anonymous": project.roles(project.anonymous) if project.anonymous else [],
                "platform": project.roles(project.platform) if project.platform else [],
            }
        ),
        "declared": json.dumps(declared_privileges(project)),
    }


def _signed_in(project: Project) -> tuple[str, ...]:
    return (*project.members, *project.strangers)


def declared_privileges(project: Project) -> list[dict[str, str | None]]:
    """Return the rights as privileges: by column, except for who crosses tenants."""
    found: dict[tuple[str, str, str, str | None], None] = {}
    for relation, commands in project.config.rights.items():
        for command, rights in commands.items():
            for right in rights:
                for actor in (project.actors[name] for name in right.actors):
                    for column in (None,) if actor.everywhere else right.columns or (None,):
                        found[actor.role, relation, command.upper(), column] = None
    keys = ("role", "relation", "privilege", "column_name")
    return [dict(zip(keys, values, strict=True)) for values in found]


def _is_warning(rule: CaseFile) -> bool:
    return rule.fields.get("level") == "warning"


def _check(rule: CaseFile, outcome: str, *, passed: bool) -> Check:
    return Check("rule", rule.name, rule.title, rule.fields["source"], outcome, passed)


def _failed(rule: CaseFile, error: psycopg.Error) -> Breach:
    """Return the breach of a rule that failed with an error, which must not count as passed."""
    message = error.diag.message_primary or str(error)
    return Breach(
        proof=rule.name,
        subject=f"rule {rule.name}",
        summary=f"{rule.title} The rule could not be run.",
        exposed=rule.fields["why"],
        cause=f"the query of the rule failed: {error.sqlstate}: {message}",
        fix="-- once the other breaches are fixed, verify again",
    )


def _breach(rule: CaseFile, object_: str, problem: str, fix: str) -> Breach:
    return Breach(
        proof=rule.name,
        subject=object_,
        summary=f"{object_}: {problem}",
        exposed=rule.fields["why"],
        cause=object_,
        fix=decided_by_owner(fix),
    )
