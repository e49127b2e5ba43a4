"""Run the scenarios: attacks that a tenant might try, and invariants that hold for every role.

The files are in attacks/ and invariants/; scenario.py documents their format. Each runs in a
savepoint of the open transaction, on the rows of the fixture, and is rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
from psycopg import pq, sql

from runner.isolation.matrix.attempt import Outcome, set_settings
from runner.isolation.matrix.root_cause import RootCauses
from runner.isolation.project import Project
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.sql_cases.scenario import OF_AWAY, OWNER, Step, steps
from runner.isolation.transactions import SEARCH_PATH
from runner.isolation.verdict import Breach, Check
from runner.postgres.connection import Connection
from runner.queries import query

KINDS = {"attacks": "attack", "invariants": "invariant"}

_ID = re.compile(r"c[a-z0-9]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SAMPLE_ROWS = 3
_NOT_TRIED = ("57014", "55P03", "40P01")  # a timeout, a lock, a deadlock


class _Table(NamedTuple):
    """A tenant table."""

    qualified: str = ""  # quoted, with schema
    key: str = ""  # the organization column
    name: str = ""  # not quoted


def run(
    connection: Connection, project: Project, only: str | None = None
) -> tuple[list[Check], list[Breach]]:
    """Run every attack and invariant, or the one that `only` names, in the open transaction.

    The transaction must contain the fixture rows. Each scenario is rolled back to its savepoint.
    """
    checks, breaches = [], []
    causes = RootCauses(connection)
    tables = _tables(connection, project)
    for scenario in case_file.select(project.scenarios, only):
        count, failed, outcome_text = 0, [], scenario.fields["safe"]
        for table in tables if "each" in scenario.fields else [_Table()]:
            previous = None
            for step, statement, outcome in _tried(connection, project, scenario, table):
                count += 1
                if outcome and step.actor is None and outcome.sqlstate == "42501":
                    outcome_text = (
                        f"not tried: the connecting role may not set it up ({outcome.message})"
                    )
                    break
                if outcome:
                    cause = _cause(scenario, step, previous, table, causes)
                    failed.append(
                        _breach(scenario, step, statement, outcome, table=table, cause=cause)
                    )
                previous = step if step.actor else previous
        checks.append(
            Check(
                KINDS[scenario.folder],
                scenario.name,
                scenario.title,
                scenario.fields["source"],
                f"{len(failed)} of {count} steps succeeded" if failed else outcome_text,
                passed=not failed,
            )
        )
        breaches += failed
    return checks, breaches


def _tables(connection: Connection, project: Project) -> list[_Table]:
    """Return every tenant table."""
    values = {
        "column": project.tenant_column,
        "tenant_table": list(project.tenant_table),
        "tenant_key": project.tenant_key,
        "roles": project.roles(),
    }
    connection.execute("savepoint names; set local search_path = pg_catalog")
    try:
        rows = connection.execute(query("isolation/tenant_tables"), values)
        return [_Table(*row) for row in rows]
    finally:
        connection.execute("rollback to savepoint names; release savepoint names")


def _tried(
    connection: Connection, project: Project, scenario: CaseFile, table: _Table
) -> Iterator[tuple[Step, str, Outcome | None]]:
    """Run the steps of a scenario; yield each step with its statement and unexpected outcome."""
    connection.execute("savepoint scenario; savepoint step")
    try:
        previous = ""
        for step in steps(scenario, project):
            statement = step.substitute(step.sql, table.qualified, table.key)
            _begin_step(connection, step)
            condition = step.substitute(step.condition, table.qualified, table.key)
            if condition and _is_true(connection, condition, project):
                previous = ""
                yield step, statement, Outcome(rows=1, message="permitted; it was not run")
                continue
            outcome, own, response = _execute(connection, statement, project)
            expected = _is_expected(step.expected, outcome, own=own, same=response == previous)
            yield step, statement, None if expected else outcome
            previous = response
    finally:
        if not connection.closed:
            connection.execute("rollback to savepoint scenario; release savepoint scenario")


def _begin_step(connection: Connection, step: Step) -> None:
    """Switch to an actor's role and settings, as the API does; None is the connecting role.

    A single message, because there are many steps and the server may be remote.
    """
    actor = step.actor
    role = sql.Identifier(actor.role) if actor else sql.SQL("none")
    made = actor.settings if actor else dict.fromkeys(step.project.settings, "")
    connection.execute(
        sql.SQL(
            "release savepoint step; set local role {}; set local search_path = {}; {};"
            " savepoint step"
        ).format(role, sql.SQL(SEARCH_PATH), set_settings(made))
    )


def _execute(connection: Connection, statement: str, project: Project) -> tuple[Outcome, bool, str]:
    """Run a step; return its outcome, whether it returned only own rows, and the response as text.

    Ids in the text are replaced, so that responses of two steps can be compared.
    """
    try:
        with connection.cursor() as cursor:
            if re.match(r"copy\b.*\bto stdout", statement, re.IGNORECASE | re.DOTALL):
                with cursor.copy(statement.encode()) as copy:
                    rows: list[tuple[object, ...]] = list(copy.rows())
                count = len(rows)
            else:
                cursor.execute(statement.encode())
                while cursor.nextset():
                    pass
                result = cursor.pgresult
                shown = result is not None and result.status == pq.ExecStatus.TUPLES_OK
                rows = cursor.fetchall() if shown else []
                count = max(cursor.rowcount, 0)
    except psycopg.Error as error:
        if connection.closed:
            raise
        connection.execute("rollback to savepoint step")
        diag = error.diag
        parts = [diag.message_primary, diag.message_detail, diag.message_hint, diag.constraint_name]
        outcome = Outcome(sqlstate=error.sqlstate or "?????", message=parts[0] or str(error))
        return outcome, False, _ID.sub("…", repr([error.sqlstate, *parts]))
    text = repr(rows)
    own = bool(rows) and not any(id_ in text for id_ in project.away_ids)
    return Outcome(count, sample=tuple(rows[:_SAMPLE_ROWS])), own, _ID.sub("…", text)


def _is_true(connection: Connection, condition: str, project: Project) -> bool:
    outcome, *_ = _execute(connection, f"select 1 where {condition}", project)
    return outcome.rows > 0


def _is_expected(expected: tuple[str, ...], outcome: Outcome, *, own: bool, same: bool) -> bool:
    actual = {"same"} if same else set()
    if outcome.sqlstate:
        actual |= {outcome.sqlstate, outcome.sqlstate[:2] + "***"}
    else:
        actual |= {"done", "rows" if outcome.rows else "nothing", *(["own"] if own else [])}
    return not actual.isdisjoint(expected)


def _breach(
    scenario: CaseFile,
    step: Step,
    statement: str,
    outcome: Outcome,
    *,
    table: _Table,
    cause: tuple[str, str],
) -> Breach:
    """Return the breach of a step; `cause` is the root cause and the fix."""
    actor = step.actor
    expectation = f"Expected: {scenario.fields['safe']}"
    if outcome.sqlstate in _NOT_TRIED:
        expectation = "It could not be tried."
        cause = (outcome.message, "-- verify again")
    exposed = f"{outcome}: {outcome.message}" if outcome.message else str(outcome)
    return Breach(
        proof=scenario.name,
        subject=table.qualified or _target(scenario, step, statement),
        summary=f"{scenario.title} {expectation}",
        actor=f"{actor.name}: {actor.description}" if actor else OWNER,
        sql=statement,
        exposed=f"{exposed}; expected {' or '.join(step.expected)}",
        cause=cause[0],
        fix=cause[1],
    )


def _target(scenario: CaseFile, step: Step, statement: str) -> str:
    """Return what a statement targets: a table, else a schema, else the actor's role."""
    table = re.search(r"\bpublic\.(?!proof_|planted|text\b)\w+", f"{statement} {scenario.body}")
    if table:
        return table[0]
    schemas = "|".join(map(re.escape, ("public", "yoyo", *step.project.internal_schemas)))
    schema = re.search(rf"\b({schemas})\.", statement)
    if schema:
        return f"schema {schema[1]}"
    return f"role {step.actor.role}" if step.actor else "the database"


def _cause(
    scenario: CaseFile, step: Step, previous: Step | None, table: _Table, causes: RootCauses
) -> tuple[str, str]:
    """Return the root cause and the fix for a step that should not have succeeded.

    If the step only checks, as the owner, what another one changed, `previous` is explained.
    """
    if step.actor is None and "nothing" in step.expected and previous:
        step = previous
    named = re.search(r"\bpublic\.(?!proof_|planted)(\w+)", f"{step.sql} {scenario.body}")
    name = table.name or (named[1] if named else "")
    if not name:
        return "a privilege or function that the statement uses", ""
    if step.actor is None:
        return (
            f"no trigger or constraint of public.{name} refused it",
            f"-- compare triggers and constraints of public.{name}",
        )
    command = _command(step.sql)
    if step.condition or "_privilege(" in step.sql:
        return causes.of_privilege(name, command, step.actor.role)
    own = command != "select" and ":'away." not in step.sql
    guarded = own and step.project.may(step.actor_name.removesuffix(OF_AWAY), name, command)
    return causes.of_access(name, command, step.actor.role, guarded=guarded)


def _command(statement: str) -> str:
    """Return the command whose privileges and policies apply to a statement."""
    if "when not matched" in statement or "from stdin" in statement:
        return "insert"
    found = re.search(r"\b(insert|update|delete|truncate|merge|lock)\b", statement)
    return {"merge": "update", "lock": "update"}.get(found[1], found[1]) if found else "select"
