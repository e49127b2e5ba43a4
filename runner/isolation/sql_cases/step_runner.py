"""Run the steps of a scenario as their actors: many in one round trip, and each COPY alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg

from runner.files import statements
from runner.isolation.probes import execute
from runner.isolation.probes.execute import Outcome
from runner.isolation.probes.reads import Probe
from runner.isolation.project import Project
from runner.isolation.rows.fixture import OWNER
from runner.isolation.rows.identity import B
from runner.isolation.sql_cases.case_file import CaseFile
from runner.isolation.sql_cases.scenario import Step, steps
from runner.isolation.sql_cases.substitution import Substitution
from runner.isolation.transactions import SEARCH_PATH
from runner.preflight import broken

_ID = re.compile(r"c[a-z0-9]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WITH_CLIENT = re.compile(r"copy\b.*\b(?:(?P<out>to stdout)|from stdin)", re.IGNORECASE | re.DOTALL)
_SAMPLE_ROWS = 3


@dataclass(frozen=True)
class Ready:
    """A step with the values inserted."""

    step: Step
    sql: str
    condition: str

    @property
    def copies(self) -> bool:
        """Whether it is a COPY."""
        return self.sql[:4].lower() == "copy"

    @property
    def statements(self) -> list[str]:
        """The statements, one a message."""
        return [statement.text for statement in statements.split(self.sql)]


class Steps:
    """Runs steps in the open transaction, which has a savepoint `step`."""

    refusals: tuple[str, ...] = ()  # further errors by which the server refuses a statement

    def __init__(self, probe: Probe, project: Project, names: Substitution) -> None:
        self._connection, self._snapshot = probe.findings.connection, probe.snapshot
        self._project, self._names = project, names
        self._requests = probe.fixture.requests
        self._entering: dict[str, list[str]] = {}

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undo the steps of a scenario at its end."""
        connection = self._connection
        connection.execute("savepoint scenario; savepoint step")
        try:
            yield
        finally:
            if not connection.closed:
                connection.execute("rollback to savepoint scenario; release savepoint scenario")

    def groups(self, scenario: CaseFile, table: str, key: str) -> Iterator[list[Ready]]:
        """Yield the steps, ready to run; apart those with a condition, and COPY."""
        group: list[Ready] = []
        for step in steps(scenario, self._project):
            insert = partial(self._names.step, step, table=table, key=key)
            ready = Ready(step, insert(step.sql), insert(step.condition))
            alone = bool(ready.condition) or ready.copies
            if group and (alone or group[-1].copies):
                yield group
                group = []
            group.append(ready)
        yield group

    def run(self, group: Sequence[Ready]) -> Iterator[tuple[Outcome, bool, str]]:
        """Run steps, each as its actor; an error undoes its own step only.

        Yield for each: the outcome, whether all rows are own ones, and the response as text, with
        ids replaced, so that responses of two steps can be compared.
        """
        if group[0].copies:
            yield self.copy(group[0])
            return
        script: list[str] = []
        places: list[tuple[int, int, int]] = []
        for ready in group:
            enters, made = self.entering(ready.step), self.statements(ready)
            places.append((len(script), len(enters) + 1, len(made)))
            script += [*enters, "savepoint step", "", *made, ""]
            # After an error there is no second savepoint, so the first one is rolled back to.
            script += ["savepoint step", "", "rollback to savepoint step", ""]
        results = execute.pipeline(self._connection, script)
        for start, count, more in places:
            entered = results[start : start + count]
            done = results[start + count + 1 : start + count + 1 + more]
            if problem := execute.failed(entered):
                raise problem
            if error := execute.failed(done):
                yield failed(error)
            else:
                result = done[-1][-1]
                yield self.succeeded(result.command_tuples or 0, execute.rows(result))

    def copy(self, ready: Ready) -> tuple[Outcome, bool, str]:
        """Run a COPY, which no pipeline may contain."""
        connection = self._connection
        connection.execute("; ".join((*self.entering(ready.step), "savepoint step")).encode())
        try:
            with connection.cursor() as cursor:
                client = _WITH_CLIENT.match(ready.sql)
                if not client:
                    cursor.execute(ready.sql.encode())
                    return self.succeeded(max(cursor.rowcount, 0), ())
                with cursor.copy(ready.sql.encode()) as copy:  # in: no rows are sent
                    rows = list(copy.rows()) if client["out"] else []
                return self.succeeded(len(rows), rows)
        except psycopg.Error as error:
            if connection.closed:
                raise
            connection.execute("rollback to savepoint step")
            return failed(error)

    def role(self, step: Step) -> str:
        """Return the role of a step; empty for the connecting one."""
        actor = self._names.actor(step)
        return actor.role if actor else OWNER

    def entering(self, step: Step) -> list[str]:
        """Return the statements that switch to an actor's role and settings, as the API does."""
        if entering := self._entering.get(step.actor_name):
            return entering
        actor, role = self._names.actor(step), self.role(step)
        made = actor.settings if actor else dict.fromkeys(self._project.config.settings, "")
        text = execute.set_settings({**made, "search_path": SEARCH_PATH, "role": role or "none"})
        statements = [text.as_string(self._connection), self._requests.get(role, "")]
        return self._entering.setdefault(step.actor_name, list(filter(None, statements)))

    def statements(self, ready: Ready) -> list[str]:
        """Return the statements of a step: after new claims, the call that follows them."""
        made: list[str] = []
        request = self._requests.get(self.role(ready.step), "")
        for statement in ready.statements:
            made.append(statement)
            names = "|".join(map(re.escape, self._project.config.settings))
            if request and re.search(rf"set_config\(\s*'(?:{names})'", statement):
                made.append(request)
        return made

    def succeeded(
        self, count: int, rows: Sequence[Sequence[str | None]]
    ) -> tuple[Outcome, bool, str]:
        """Return what a step yields that worked."""
        values = [value for row in rows for value in row if value is not None]
        own = bool(rows) and self._snapshot.owner_of(values) != B
        shown = tuple(tuple(map(str, row)) for row in rows[:_SAMPLE_ROWS])
        return Outcome(count, data=shown), own, _ID.sub("…", repr(rows))

    def is_true(self, ready: Ready) -> bool:
        condition = ready.condition
        asked = Ready(ready.step, f"select 1 where {condition}", "")
        ((outcome, *_),) = self.run([asked])
        return outcome.rows > 0


def failed(error: psycopg.Error) -> tuple[Outcome, bool, str]:
    """Return what a step yields that ended in an error."""
    diag = error.diag
    parts = [
        *(diag.message_primary, diag.message_detail),
        *(diag.message_hint, diag.constraint_name),
    ]
    outcome = Outcome(
        sqlstate=error.sqlstate or "?????",
        message=broken.message(error),
        unprivileged=execute.lacks_privilege(error),
    )
    return outcome, False, _ID.sub("…", repr([error.sqlstate, *parts]))
