"""Run the scenarios: attacks that a tenant might try, and invariants that hold for every role.

The files are in attacks/ and invariants/; scenario.py documents their format. Each runs in a
savepoint of the open transaction, on the rows of the fixture, and is rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runner.isolation.citus.enclosure import EachAlone
from runner.isolation.citus.steps import UNTRIED, StepsOfRoles
from runner.isolation.matrix.root_cause import RootCauses
from runner.isolation.probes import execute
from runner.isolation.probes.execute import NOT_TRIED, Outcome
from runner.isolation.probes.reads import Probe
from runner.isolation.project import Project
from runner.isolation.rows.identity import B
from runner.isolation.sql_cases import case_file
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.sql_cases.scenario import OF_AWAY, OWNER, Step
from runner.isolation.sql_cases.step_runner import Steps
from runner.isolation.sql_cases.substitution import Substitution
from runner.isolation.tenancy.objects import TENANT, Function, Relation
from runner.isolation.verdict import Breach, Check

_NOT_RUN = "the role may run the statement, which was not run"
_UNTRIED = "not tried: "
_OF_ROWS = {"nothing", "own", "rows"}  # what row security decides
_READS_TABLE = re.compile(r"(?<![':\w]):table\b")  # not only its name, in a literal
KINDS = {"attacks": "attack", "invariants": "invariant"}


class _Table(NamedTuple):
    """A tenant table."""

    qualified: str = ""  # quoted, with schema
    key: str = ""  # the tenant column
    empty: bool = False  # no row of the other tenant could be made


def run(
    probe: Probe, project: Project, only: str | None = None
) -> tuple[list[Check], list[Breach]]:
    """Run every attack and invariant, or the one that `only` names, in the open transaction.

    Each scenario is rolled back to its savepoint.
    """
    return _Runner(probe, project).run(only)


def _tables(probe: Probe) -> list[_Table]:
    """Return every tenant table within reach; a partition if it has a grant of its own."""
    tenants, snapshot = probe.fixture.tenants, probe.snapshot
    empty = {oid for oid in snapshot.rows if not snapshot.of(tenants.relations[oid], B)}
    return [
        _Table(r.qualified, _quoted(r.tenant_column), r.oid in empty)
        for r in tenants.relations.values()
        if r.is_table
        and r.tenancy == TENANT
        and r.tenant_column
        and r.within_reach(tenants.api_roles)
    ]


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


class _Runner:
    """Runs the scenarios on the rows of both tenants."""

    def __init__(self, probe: Probe, project: Project) -> None:
        self._connection, self._project, self._probe = probe.findings.connection, project, probe
        self._names = Substitution(probe.fixture, project)
        self._causes = RootCauses(self._connection)
        steps = StepsOfRoles if isinstance(probe.enclosure, EachAlone) else Steps
        self._steps = steps(probe, project, self._names)

    def run(self, only: str | None) -> tuple[list[Check], list[Breach]]:
        """Run the scenarios that `only` names."""
        checks, breaches = [], []
        tables = [table for table in _tables(self._probe) if not self._open(table)]
        for scenario in case_file.select(self._project.scenarios, only):
            execute.give_way(self._connection)
            of = tables if "each" in scenario.fields else [_Table()]
            check, failed = self._run(scenario, of)
            checks.append(check)
            breaches += failed
        if on_citus := [c.name for c in checks if c.outcome.startswith(f"{_UNTRIED}on Citus")]:
            self._probe.findings.warnings.append(
                f"Not tried, because Citus does not let one run try it: {', '.join(on_citus)}. Run "
                "verify on one server with the same files, too."
            )
        return checks, breaches

    def _run(self, scenario: CaseFile, tables: Sequence[_Table]) -> tuple[Check, list[Breach]]:
        """Run one scenario on each table."""
        count, failed, denied = 0, [], 0
        untried: dict[str, None] = {}  # reasons
        for table in tables:
            previous = None
            for step, statement, outcome, expected in self._tried(scenario, table):
                count += 1
                if reason := _why_untried(step, previous, outcome, table, expected=expected):
                    untried[reason] = None
                    if not expected or step.actor_name == OWNER:
                        break
                elif not expected:
                    cause = self._cause(scenario, step, previous, table)
                    failed.append(
                        self._breach(scenario, step, statement, outcome, table=table, cause=cause)
                    )
                denied += outcome.unprivileged and not _OF_ROWS.isdisjoint(step.expected)
                previous = step if step.actor_name != OWNER else previous
        if not count:
            untried["no table is within reach whose rows are a secret"] = None
        if failed and (limit := self._limit(scenario)):
            untried, failed = {limit: None}, []
        result = scenario.fields["safe"]
        if denied:
            result += (
                f" {denied} of {count} steps were refused for lack of a privilege: these did not"
                " try row-level security."
            )
        if untried:
            result = f"{_UNTRIED}{'; '.join(untried)}"
        check = Check(
            KINDS[scenario.folder],
            scenario.name,
            scenario.title,
            scenario.fields["source"],
            f"{len(failed)} of {count} steps succeeded" if failed else result,
            passed=False if failed else None if untried else True,
        )
        return check, failed

    def _limit(self, scenario: CaseFile) -> str:
        """Return why a scenario shows nothing: a platform's function decides; empty if none does.

        It is no breach, because no file can change that function, and no proof.
        """
        name, _, why = scenario.fields.get("platform", "").partition(": ")
        tenants = self._probe.fixture.tenants
        known = [*tenants.functions, *(f for f in tenants.withheld if isinstance(f, Function))]
        if not any(f.signature == name and tenants.is_platforms(f) for f in known):
            return ""
        limit = f"{name} belongs to the platform: {why}"
        self._probe.findings.warnings.append(f"{scenario.name} was not tried: {limit}")
        return limit

    def _open(self, table: _Table) -> bool:
        """Whether actors without a tenant may read a table: then its rows are no secret."""
        project = self._project
        outside = (*project.strangers, *project.anonymous)
        return any(self._may(name, table.qualified, "select") for name in outside)

    def _tried(
        self, scenario: CaseFile, table: _Table
    ) -> Iterator[tuple[Step, str, Outcome, bool]]:
        """Run the steps; yield each with its statement, its outcome and whether that is expected.

        Those that no condition depends on are sent at once.
        """
        with self._steps.undone():
            previous = ""
            for group in self._steps.groups(scenario, table.qualified, table.key):
                condition = group[0].condition
                if condition and self._steps.is_true(group[0]):
                    previous = ""
                    permitted = Outcome(rows=1, message=_NOT_RUN)
                    yield group[0].step, group[0].sql, permitted, False
                    continue
                for ready, (outcome, own, response) in zip(
                    group, self._steps.run(group), strict=True
                ):
                    same, previous = response == previous, response
                    expected = outcome.sqlstate in self._steps.refusals or _is_expected(
                        ready.step.expected, outcome, own=own, same=same
                    )
                    yield ready.step, ready.sql, outcome, expected

    def _breach(
        self,
        scenario: CaseFile,
        step: Step,
        statement: str,
        outcome: Outcome,
        *,
        table: _Table,
        cause: tuple[str, str],
    ) -> Breach:
        """Return the breach of a step; `cause` is the root cause and the fix."""
        actor = self._names.actor(step)
        expectation = f"Expected: {scenario.fields['safe']}"
        if outcome.sqlstate in NOT_TRIED:
            expectation = "It could not be tried."
            cause = (outcome.message, "python -m runner verify  -- again")
        exposed = f"{outcome}: {outcome.message}" if outcome.message else str(outcome)
        if outcome.message == _NOT_RUN:
            whose = f"the rows of every tenant in {table.qualified}: " if table.qualified else ""
            exposed = f"{whose}{_NOT_RUN}"
        elif table.qualified and not outcome.sqlstate:
            exposed = f"{outcome} from {table.qualified}"
        return Breach(
            proof=scenario.name,
            subject=table.qualified or self._target(scenario, step, statement),
            summary=f"{scenario.title} {expectation}",
            actor=actor.title if actor else OWNER,
            sql=statement,
            exposed=f"{exposed}; expected {' or '.join(step.expected)}",
            cause=cause[0],
            fix=cause[1],
        )

    def _target(self, scenario: CaseFile, step: Step, statement: str) -> str:
        """Return what a statement targets: a table, else a schema, else the actor's role."""
        if table := self._named(f"{statement} {scenario.body}"):
            return table.qualified
        schemas = "|".join(
            map(re.escape, ("public", "yoyo", *self._project.config.internal_schemas))
        )
        schema = re.search(rf"\b({schemas})\.", statement)
        if schema:
            return f"schema {schema[1]}"
        actor = self._names.actor(step)
        return f"role {actor.role}" if actor else "the database"

    def _named(self, text: str) -> Relation | None:
        """Return the first relation that a text names with its schema."""
        by_name = {r.qualified: r for r in self._probe.fixture.tenants.relations.values()}
        found = re.findall(r"\b\w+\.\w+\b", text)
        return next((by_name[name] for name in found if name in by_name), None)

    def _cause(
        self, scenario: CaseFile, step: Step, previous: Step | None, table: _Table
    ) -> tuple[str, str]:
        """Return the root cause and the fix for a step that should not have succeeded.

        If the step only checks, as the owner, what another one changed, `previous` is explained.
        """
        if step.actor_name == OWNER and "nothing" in step.expected and previous:
            step = previous
        named = None if table.qualified else self._named(f"{step.sql} {scenario.body}")
        name = table.qualified or (named.qualified if named else "")
        if not name:
            return (
                "a privilege or function that the statement uses",
                "-- compare the privileges that the statement uses",
            )
        actor = self._names.actor(step)
        if actor is None:
            return (
                f"no trigger or constraint of {name} refused it",
                f"-- compare triggers and constraints of {name}",
            )
        command = _command(step.sql)
        if "row_security_active(" in step.condition:
            return self._causes.of_access(name, command, actor.role)
        if step.condition or "_privilege(" in step.sql:
            return self._causes.of_privilege(name, command, actor.role)
        own = command != "select" and ":'away." not in step.sql
        guarded = own and self._may(step.actor_name.removesuffix(OF_AWAY), name, command)
        return self._causes.of_access(name, command, actor.role, guarded=guarded)

    def _may(self, actor: str, table: str, command: str) -> bool:
        """Whether an actor has any right of this command in their own tenant."""
        named = self._probe.fixture.tenants.named
        return any(
            actor in right.actors
            for name, commands in self._project.config.rights.items()
            if (relation := named(name)) and relation.qualified == table
            for right in commands.get(command, ())
        )


def _why_untried(
    step: Step, previous: Step | None, outcome: Outcome, table: _Table, *, expected: bool
) -> str:
    """Return why a step shows nothing; empty if it does. `previous`: of another actor."""
    if not expected and outcome.sqlstate == UNTRIED:
        return outcome.message
    sets_up = step.actor_name == OWNER and not expected
    if sets_up and outcome.sqlstate == "42501":
        return f"the connecting role may not set it up ({outcome.message})"
    needs_row = (sets_up and previous is None) or (table.empty and _READS_TABLE.search(step.sql))
    if needs_row and not (outcome.sqlstate or outcome.rows):
        return f"{table.qualified or 'the fixture'} has no row to try it with"
    return ""


def _is_expected(expected: tuple[str, ...], outcome: Outcome, *, own: bool, same: bool) -> bool:
    actual = {"same"} if same else set()
    if outcome.sqlstate:
        actual |= {outcome.sqlstate, outcome.sqlstate[:2] + "***"}
    else:
        actual |= {"done", "rows" if outcome.rows else "nothing", *(["own"] if own else [])}
    return not actual.isdisjoint(expected)


def _command(statement: str) -> str:
    """Return the command whose privileges and policies apply to a statement."""
    if "when not matched" in statement or "from stdin" in statement:
        return "insert"
    found = re.search(r"\b(insert|update|delete|truncate|merge|lock)\b", statement)
    return {"merge": "update", "lock": "update"}.get(found[1], found[1]) if found else "select"
