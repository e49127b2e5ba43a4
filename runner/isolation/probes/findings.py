"""Collect the cells and breaches of the probes, and name what has to be fixed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from psycopg import sql

from runner.isolation.fixes import declare
from runner.isolation.matrix.root_cause import Fact, RootCauses
from runner.isolation.probes.execute import NOT_TRIED, Outcome
from runner.isolation.probes.identities import Caller
from runner.isolation.tenancy.objects import SHARED, UNDECIDED, Function, Relation, TenantMap
from runner.isolation.verdict import Breach, Cell
from runner.postgres.connection import Connection
from runner.queries import query

UNTRIED = "could not be tried"  # how the problem of a cell begins that was not
LACKS_OWN = "no own row meets the right's condition"  # how it ends
OF_OTHER = " of the other tenant"
LACKS_OTHER = "it has no row of the other tenant"


@dataclass
class Findings:
    """The results so far."""

    connection: Connection
    tenants: TenantMap
    cells: list[Cell] = field(default_factory=list)
    breaches: list[Breach] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    partial: set[tuple[str, str, str]] = field(default_factory=set)  # table, command and actor
    # of rights that worked on some own rows only

    guarded: frozenset[str] = frozenset()  # cases, in which only a trigger can refuse the values

    def __post_init__(self) -> None:
        self._causes = RootCauses(self.connection)
        self._failed: set[tuple[str, ...]] = set()  # cells, with the caller's role

    def cell(
        self,
        relation: Relation | Function,
        command: str,
        caller: Caller,
        outcome: Outcome,
        *,
        what: str,
        where: str,
        statement: str,
        allowed: bool,
        problem: str = "",
        exposed: str = "",
        shown: str = "",
    ) -> None:
        """Record one cell; `problem`: what is wrong, in one sentence. Not tried is a failure.

        `shown`: the outcome, if the number of rows says something else.
        """
        if not problem and outcome.sqlstate in NOT_TRIED:
            problem = f"could not be tried: it {NOT_TRIED[outcome.sqlstate]}"
        name = relation.signature if isinstance(relation, Function) else relation.qualified
        untried = problem.startswith(UNTRIED)
        cell = Cell(
            name, command, what, caller.name, where, allowed,
            shown or str(outcome), None if untried else not problem, statement,
        )  # fmt: skip
        self.cells.append(cell)
        if problem:
            place = (name, command, what, where, caller.role)
            if caller.suspect and place in self._failed:  # also without the forged setting
                caller = replace(caller, suspect="")
            if not caller.suspect:
                self._failed.add(place)
            needed = {"merge": "update", "upsert": "update"}.get(command, command)
            subject, cause, fix = self.cause(relation, needed, caller)
            undecided = isinstance(relation, Relation) and relation.tenancy == UNDECIDED
            if problem.endswith((LACKS_OWN, LACKS_OTHER)) and not undecided:
                cause, fix = "", declare.row_of(name)
            untried = untried and undecided  # catalog.py says why
            if isinstance(relation, Relation) and not (caller.suspect or fix or untried):
                of_privilege = replace(cell, command=needed)
                found, fix = self._of_table(relation, of_privilege, caller, outcome)
                cause = found or cause
            self.breaches.append(
                Breach(
                    proof=cell.title,
                    subject=subject,
                    summary=f"{caller.name} {problem}",
                    actor=caller.identity.title,
                    sql=self.script(caller, statement),
                    exposed=exposed or _rows(outcome, cell),
                    cause=cause,
                    fix=fix,
                )
            )

    def _of_table(
        self, table: Relation, cell: Cell, caller: Caller, outcome: Outcome
    ) -> tuple[str, str]:
        """Return what refused an access to a table, or what a guard allowed, and the fix."""
        if not table.is_table:
            return "", ""
        name, role = table.qualified, caller.role
        column = cell.what.removeprefix("row with ").removesuffix(", without WHERE")
        column = column if cell.where == "own" and table.column(column) else ""
        if cell.allowed:
            columns = [column] if column and not caller.everywhere else []
            return self._causes.of_refusal(
                name, cell.command, role, outcome.sqlstate, outcome.message, columns=columns
            )
        guarded = cell.what in self.guarded and (cell.where == "own" or caller.everywhere)
        cause, fix = self._causes.of_access(
            name,
            cell.command,
            role,
            column=column,
            guarded=guarded,
        )
        return cause if guarded else "", fix

    def breach(
        self,
        proof: str,
        subject: str,
        summary: str,
        *,
        cause: str = "",
        intended: str = "",
        fix: str = "",
    ) -> None:
        """Record a finding that is no cell."""
        self.breaches.append(
            Breach(proof, subject, summary, cause=cause, intended=intended, fix=fix)
        )

    def script(self, caller: Caller, statement: str) -> str:
        """Return a statement ready to paste, after the settings of the caller."""
        lines = [f"set local role {caller.role};"]
        for name, value in caller.identity.settings.items():
            lines.append(
                sql.SQL("select set_config({}, {}, true);")
                .format(name, value)
                .as_string(self.connection)
            )
        lines += filter(None, [caller.identity.request and f"{caller.identity.request};"])
        return "\n".join(("begin;", *lines, f"{statement};", "rollback;"))

    # --- causes ------------------------------------------------------------------------------

    def cause(
        self, relation: Relation | Function, command: str, caller: Caller
    ) -> tuple[str, str, str]:
        """Return the object to fix, what allowed it, and how to fix it."""
        if isinstance(relation, Function):
            how = "runs with the rights of its owner" if relation.definer else "runs as its caller"
            needed, fix = self.without_execute(relation)
            return (
                relation.signature,
                f"{relation.signature} {how} ({relation.owner}); "
                f"execute is granted to {', '.join(relation.callers)}{needed and '; '}{needed}",
                fix or f"-- compare function {relation.signature}",
            )
        if caller.suspect:
            return caller.suspect, f"{caller.suspect} reads what the client sets", ""
        facts = self._facts(relation, command, caller.role)
        if relation.kind == "v":
            facts = [f for f in facts if (f.kind, f.name) != ("switch", "table")]
        bases = [self.tenants.relations[o] for o in relation.bases if o in self.tenants.relations]
        for fact in facts:
            if fact.kind == "switch" and fact.name == "role":
                return f"role {caller.role}", fact.text, f"alter role {caller.role} nobypassrls;"
        if relation.kind == "m":
            return (
                relation.qualified,
                "a materialized view has no row-level security",
                f"revoke all on {relation.qualified} from {caller.role};",
            )
        if relation.kind == "v" and not relation.invoker:
            return (
                relation.qualified,
                f"it reads with the rights of its owner, {relation.owner} (no security_invoker)",
                f"alter view {relation.qualified} set (security_invoker = true);",
            )
        subject = relation.qualified
        for base in bases:
            facts += self._facts(base, command, caller.role)
            if len(bases) == 1:
                subject = base.qualified
        facts.sort(key=lambda fact: fact.kind == "trigger")  # what decides first
        texts = list(dict.fromkeys(fact.text for fact in facts))
        if any(fact.kind == "trigger" for fact in facts):
            texts += self._trigger_functions(subject, command)
        fix = ""
        if any(fact.kind == "owner" for fact in facts) and relation.owner != caller.role:
            fix = f"revoke {relation.owner} from {caller.role};"
        elif relation.tenancy not in (SHARED, UNDECIDED) and any(
            f.name == "table" for f in facts if f.kind == "switch"
        ):
            fix = f"alter table {subject} enable row level security;"
        return subject, "; ".join([*texts, *self._behind(facts)]), fix

    def without_execute(self, function: Function) -> tuple[str, str]:
        """Return what its callers need a function for, and the revoke if that is nothing."""
        rows = self.connection.execute(
            query("isolation/probes/needs_function"),
            {"oid": function.oid, "roles": function.callers},
        )
        if needed := ", ".join(name for (name,) in rows):
            return f"they need it for {needed}", ""
        roles = ", ".join(("public", *function.callers))
        return "", f"revoke execute on routine {function.signature} from {roles};"

    def _facts(self, relation: Relation, command: str, role: str) -> list[Fact]:
        return list(self._causes.facts(relation.qualified, command, role))

    def _trigger_functions(self, table: str, command: str) -> list[str]:
        """Return the functions that the triggers of a table call."""
        rows = self.connection.execute(
            query("isolation/probes/trigger_functions"), {"table": table, "command": command}
        )
        return [text for (text,) in rows]

    def _behind(self, facts: Iterable[Fact]) -> list[str]:
        """Return the functions that the helpers of policies call."""
        names = [
            fact.name.partition("(")[0].rpartition(".")[2]
            for fact in facts
            if fact.kind == "helper"
        ]
        found: dict[str, str] = {}
        waiting = list(dict.fromkeys(names))
        seen = set(waiting)
        while waiting:
            caller = waiting.pop()
            for helper in self.tenants.functions:
                if helper.name != caller:
                    continue
                for called in self.tenants.functions:
                    if called.name not in seen and re.search(
                        rf"\b{re.escape(called.name)}\s*\(", helper.source
                    ):
                        seen.add(called.name)
                        waiting.append(called.name)
                        found[called.signature] = f"{called.signature} is called by {caller}()"
        return list(found.values())


def _rows(outcome: Outcome, cell: Cell) -> str:
    """Return what an outcome exposed: an error, or how many rows of which table."""
    if outcome.sqlstate or cell.table.endswith(")"):  # of a function
        return outcome.message or str(outcome)
    count, _, theirs = cell.outcome.partition(" of the other's")
    rows = f"{count} rows" if theirs and count != "1" else "1 row" if theirs else str(outcome)
    refers = cell.what.startswith("row that refers to ")
    return f"{rows} of {cell.table}{OF_OTHER if cell.where == 'other' and not refers else ''}"
