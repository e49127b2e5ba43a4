"""Run the rules: catalog queries that find violations, one file of rules/ each.

A rule returns (object, problem, fix) for each object that violates it, and no rows otherwise. Its
query uses the common table expressions of rules/definitions.sql, which is prepended. Rules read
only the catalog and change nothing.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

import psycopg

from runner.isolation import fixture
from runner.isolation.matrix.permissions import SERVICE, permissions
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.verdict import Breach, Check
from runner.postgres.connection import Connection

TENANT = "authenticated"
_RETRYABLE = ("57014", "55P03", "40P01")  # a timeout, a lock, a deadlock
# Granted, but without effect: an organization always has audit rows, whose reference prevents it.
_WITHOUT_EFFECT = (SERVICE, "organizations", "DELETE", None)


@cache
def rules() -> tuple[CaseFile, ...]:
    """Return every rule, in order. Rules with `level: warning` produce warnings, not breaches."""
    return case_file.read("rules", ("source", "why"), ("level",))


def run(connection: Connection, only: str | None = None) -> tuple[list[Check], list[Breach]]:
    """Run every rule, or the one that `only` names, in the open transaction."""
    checks, breaches = [], []
    for rule in case_file.select(rules(), only):
        try:
            found = violations(connection, rule)
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


def warnings(connection: Connection) -> list[str]:
    """Return what the rules with `level: warning` find, as sentences."""
    return [
        f"{object_}: {problem}. {fix}"
        for rule in rules()
        if _is_warning(rule)
        for object_, problem, fix in violations(connection, rule)
    ]


def violations(connection: Connection, rule: CaseFile) -> list[tuple[str, str, str]]:
    """Return what violates a rule: object, problem, fix."""
    connection.execute("savepoint rule; set local search_path = pg_catalog, pg_temp")
    try:
        return connection.execute(query(rule).encode()).fetchall()
    finally:
        connection.execute("rollback to savepoint rule; release savepoint rule")


@cache
def query(rule: CaseFile) -> str:
    """Return a rule's complete query, to be run under search_path = pg_catalog."""
    path = files("runner.isolation.sql_cases") / "rules" / "definitions.sql"
    definitions = path.read_text(encoding="utf-8")
    declared = json.dumps(declared_privileges())
    return fixture.substitute(f"{definitions}\n{rule.body}", {"declared": declared})


def declared_privileges() -> list[dict[str, str | None]]:
    """Return the permission table as privileges: those that its statements need, and no others."""
    found: dict[tuple[str, str, str, str | None], None] = {_WITHOUT_EFFECT: None}
    for right in permissions():
        privilege = right.command.upper()
        if SERVICE in right.allowed:
            found[SERVICE, right.table, privilege, None] = None
        if not right.tenants:
            continue
        columns = {
            "insert": r"insert into [\w.]+ \(([\w, ]+)\)",
            "update": r"\bset (\w+) =",
        }.get(right.command)
        if columns is None:
            found[TENANT, right.table, privilege, None] = None
            continue
        for column in ", ".join(re.findall(columns, right.sql)).split(", "):
            found[TENANT, right.table, privilege, column] = None
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
        fix="python -m runner verify  -- again, once the other breaches are fixed",
    )


def _breach(rule: CaseFile, object_: str, problem: str, fix: str) -> Breach:
    return Breach(
        proof=rule.name,
        subject=object_,
        summary=f"{object_}: {problem}",
        exposed=rule.fields["why"],
        cause=object_,
        fix=fix,
    )
