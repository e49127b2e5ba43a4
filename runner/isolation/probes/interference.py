"""Answers that depend on another tenant's rows: counts and sums without names, leaky views.

A caller's answer must be the same whether the other tenant has rows or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from runner.isolation.probes.arguments import Arguments
from runner.isolation.probes.execute import Attempt, Outcome
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.reads import Probe
from runner.isolation.rows.identity import A, B
from runner.isolation.tenancy.objects import PERSON, TENANT, Function, Relation
from runner.isolation.tenancy.variables import literal, quoted
from runner.postgres.connection import Connection

# An index would leave out the other tenant's rows before the condition sees them.
_SCAN = (
    "select set_config('enable_indexscan', 'off', true),"
    " set_config('enable_bitmapscan', 'off', true)"
)
_MOST = 500  # rows of an answer
_ORIGIN = "set local session_replication_role = origin"  # what is asked runs its triggers again
_NOT_TRIED = (
    "Not tried, because it needs a superuser: whether answers depend on another tenant's rows, and "
    "deletes that only a trigger prevents. Run verify as a superuser, too, on a copy for instance."
)


@dataclass(frozen=True)
class _Question:
    caller: Caller
    object: Relation | Function
    text: str
    leaky: bool = False  # an error may tell a value


def try_all(probe: Probe) -> None:
    """Ask views and functions with and without the other tenant's rows; record what differs."""
    questions = [
        question
        for caller in probe.callers
        if caller.regular and not caller.everywhere and caller.own == A
        for question in _questions(probe, caller)
    ]
    connection = probe.findings.connection
    without = _without_other(probe)
    if connection.info.parameter_status("is_superuser") != "on":
        questions = [question for question in questions if question.leaky]
        probe.findings.warnings.append(_NOT_TRIED)
    elif problem := _problem(connection, probe.enclosure.everywhere, without):
        questions = [question for question in questions if question.leaky]
        probe.findings.breach(
            "untried.answers",
            "the rows of another tenant",
            "whether answers depend on another tenant's rows could not be tried",
            cause=f"these rows cannot be deleted for a moment: {problem}",
            fix="-- once the other breaches are fixed, verify again",
        )
    attempts = [
        Attempt(question.caller.identity, question.text, before=before)
        for question in questions
        for before in ([_SCAN] if question.leaky else ["", "", without])
    ]
    outcomes = iter(list(probe.run(attempts)))
    for question in questions:
        if question.leaky:
            _judge_leak(probe, question, next(outcomes))
        else:
            _judge(probe, question, [next(outcomes) for _ in range(3)])


def _problem(connection: Connection, everywhere: str, without: str) -> str:
    """Return why the other tenant's rows cannot be deleted; empty if they can."""
    try:
        with connection.transaction(force_rollback=True):
            for statement in filter(None, (everywhere, without)):
                connection.execute(statement.encode())
    except psycopg.Error as error:
        if connection.closed:
            raise
        return error.diag.message_primary or str(error)
    return ""


def _questions(probe: Probe, caller: Caller) -> Iterator[_Question]:
    arguments = Arguments(probe.fixture, probe.snapshot)
    for function in probe.fixture.tenants.functions:
        if caller.role in function.callers and function.kind == "f" and not function.is_trigger:
            for values in arguments.plain(function):
                given = ", ".join(value.sql for value in values)
                name = f'"{function.schema}"."{function.name}"({given})'
                yield _Question(caller, function, f"select * from {name} limit {_MOST}")  # noqa: S608
    for view in probe.relations:
        columns = view.usable(caller.role, "select")
        if view.kind != "v" or view.tenancy not in (TENANT, PERSON) or not columns:
            continue
        listed = ", ".join(map(quoted, columns))
        if view.tenant_column not in columns:
            yield _Question(
                caller,
                view,
                f"select {listed} from {view.qualified} limit {_MOST}",  # noqa: S608
            )
        if not view.invoker:
            for column in (c.name for c in view.columns if c.category == "S" and c.name in columns):
                own = ", ".join(map(literal, _own_values(probe, view, column))) or "null"
                where = f"{quoted(column)}::text in ({own})"
                text = (
                    f"select count(*) from {view.qualified} where "  # noqa: S608
                    f"(case when {where} then '0' else {quoted(column)}::text end)::int is not null"
                )
                yield _Question(caller, view, text, leaky=True)


def _own_values(probe: Probe, view: Relation, column: str) -> list[str]:
    """Return the own tenant's values of a view's column: few, so that comparing them is cheap."""
    tables = [r for o in view.bases if (r := probe.fixture.tenants.relations.get(o))]
    named = [table for table in tables if table.column(column)]
    found = {
        value
        for table in named or tables
        for row in probe.snapshot.of(table, A)
        for name, value in row.values.items()
        if value and (name == column or not named)
    }
    return sorted(found)


def _without_other(probe: Probe) -> str:
    """Return a statement that deletes the other tenant's rows, without triggers."""
    relations = probe.fixture.tenants.relations

    def depth(table: Relation) -> int:
        return 1 + depth(relations[table.path.oid]) if table.path else 0

    deletes = "".join(
        f"delete from {table.qualified} as t where {condition};"  # noqa: S608
        for table in sorted(probe.snapshot.tables, key=depth, reverse=True)
        if table.tenancy in (TENANT, PERSON)
        and table.kind != "f"
        and (condition := probe.fixture.condition(table, B)) != "false"
    )
    replica = "set local session_replication_role = replica"
    return f"do $without$ begin {replica}; {deletes} {_ORIGIN}; end $without$"


def _judge(probe: Probe, question: _Question, outcomes: list[Outcome]) -> None:
    first, second, without = ((o.sqlstate, o.data) for o in outcomes)
    if first != second or first == without or without[0] == "57014":
        return
    name = (
        question.object.signature
        if isinstance(question.object, Function)
        else question.object.qualified
    )
    probe.findings.cell(
        question.object, "select", question.caller, outcomes[0], what="answer", where="other",
        statement=question.text, allowed=False,
        problem=f"gets an answer from {name} that depends on another tenant's rows",
        exposed=f"{_shown(outcomes[0])}; without the other tenant's rows: {_shown(outcomes[2])}",
    )  # fmt: skip


def _judge_leak(probe: Probe, question: _Question, outcome: Outcome) -> None:
    found = probe.snapshot.named(outcome.message, B)
    if found and isinstance(question.object, Relation):
        probe.findings.cell(
            question.object, "select", question.caller, outcome, what="error", where="other",
            statement=question.text, allowed=False,
            problem=f"learns {found} of another tenant from an error in {question.object.qualified}"
            ", which is no security barrier",
        )  # fmt: skip


def _shown(outcome: Outcome) -> str:
    """Describe an answer without texts of the live database, which may be personal."""
    if outcome.sqlstate:
        return outcome.sqlstate
    return "; ".join(", ".join(map(_plain, row)) for row in outcome.data[:3])[:200] or "no rows"


def _plain(value: str | None) -> str:
    return str(value) if value in (None, "t", "f") or value.lstrip("-").isdigit() else "…"
