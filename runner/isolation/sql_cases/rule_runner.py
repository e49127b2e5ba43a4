"""What has to be true of the catalog, asked of the catalog: one rule, one file of rules/.

A rule is a query that finds objects which break it: (object, problem, fix). No rows is clean. It
is written in the words of rules/words.sql, which stand before it. Nothing is changed, nothing but
the catalog is read.
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
from runner.isolation.sql_cases.case_file import Sheet
from runner.isolation.verdict import Breach, Check
from runner.postgres.connection import Connection

TENANT = "authenticated"
_WAITED = ("57014", "55P03", "40P01")  # a timeout, a lock: to be asked again
# Granted, and of no use by itself: an organization always has history, which keeps it.
_OF_NO_USE = (SERVICE, "organizations", "DELETE", None)


@cache
def rules() -> tuple[Sheet, ...]:
    """Every rule, in order. One of level warning is told, and is no breach."""
    return case_file.read("rules", ("source", "why"), ("level",))


def run(connection: Connection, only: str | None = None) -> tuple[list[Check], list[Breach]]:
    """Ask every rule, or the one named, inside the open transaction."""
    checks, breaches = [], []
    for rule in case_file.meant(rules(), only):
        try:
            found = ask(connection, rule)
        except psycopg.Error as error:
            if connection.closed or error.sqlstate in _WAITED:
                raise
            checks.append(_check(rule, "it could not be asked", passed=False))
            breaches.append(_unasked(rule, error))
            continue
        is_breach = not _is_warning(rule)
        words = f"{len(found)} object{'' if len(found) == 1 else 's'}" if found else "clean"
        if found and not is_breach:
            words = f"{len(found)} warning{'' if len(found) == 1 else 's'}"
        checks.append(_check(rule, words, passed=not (found and is_breach)))
        if is_breach:
            breaches += [_breach(rule, *row) for row in found]
    return checks, breaches


def warnings(connection: Connection) -> list[str]:
    """What the rules of level warning find, in sentences."""
    return [
        f"{thing}: {problem}. {fix}"
        for rule in rules()
        if _is_warning(rule)
        for thing, problem, fix in ask(connection, rule)
    ]


def ask(connection: Connection, rule: Sheet) -> list[tuple[str, str, str]]:
    """Return what breaks one rule: object, problem, fix."""
    connection.execute("savepoint rule; set local search_path = pg_catalog, pg_temp")
    try:
        return connection.execute(query(rule).encode()).fetchall()
    finally:
        connection.execute("rollback to savepoint rule; release savepoint rule")


@cache
def query(rule: Sheet) -> str:
    """Return the whole query of a rule, as it can be run by hand under search_path = pg_catalog."""
    words = (files("runner.isolation.sql_cases") / "rules" / "words.sql").read_text(
        encoding="utf-8"
    )
    return fixture.filled(f"{words}\n{rule.body}", {"promised": json.dumps(promised())})


def promised() -> list[dict[str, str | None]]:
    """Return the permission table as privileges: what its statements need, and nothing else."""
    found: dict[tuple[str, str, str, str | None], None] = {_OF_NO_USE: None}
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
    words = ("role", "relation", "privilege", "column_name")
    return [dict(zip(words, key, strict=True)) for key in found]


def _is_warning(rule: Sheet) -> bool:
    return rule.fields.get("level") == "warning"


def _check(rule: Sheet, outcome: str, *, passed: bool) -> Check:
    return Check("rule", rule.name, rule.title, rule.fields["source"], outcome, passed)


def _unasked(rule: Sheet, error: psycopg.Error) -> Breach:
    """Say that a rule broke off: no answer is no proof."""
    said = error.diag.message_primary or str(error)
    return Breach(
        proof=rule.name,
        subject=f"rule {rule.name}",
        what=f"{rule.title} It could not be asked.",
        reached=rule.fields["why"],
        fault=f"the catalog holds what the rule does not understand: {error.sqlstate}: {said}",
        fix="python -m runner verify  -- again, once the other breaches are fixed",
    )


def _breach(rule: Sheet, thing: str, problem: str, fix: str) -> Breach:
    return Breach(
        proof=rule.name,
        subject=thing,
        what=f"{thing}: {problem}",
        reached=rule.fields["why"],
        fault=thing,
        fix=fix,
    )
