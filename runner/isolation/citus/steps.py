"""Run the steps of a scenario on Citus: roles that write have transactions of their own.

A role does not see what another has written in the same transaction, and Citus says so. Then the
rows of the proof are committed as they are, for the next step, and put back at the end. Only rows
are: what a step does to objects is never committed, so what depends on it cannot be tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from psycopg import pq

from runner.isolation.citus.enclosure import OTHER_ROLE, EachAlone, commit
from runner.isolation.probes import execute
from runner.isolation.probes.execute import UNSUPPORTED, Outcome
from runner.isolation.probes.reads import Probe
from runner.isolation.project import Project
from runner.isolation.sql_cases.step_runner import Ready, Steps, failed
from runner.isolation.sql_cases.substitution import Substitution

# How Citus refuses some statements, with the code of an internal error.
_INTERNAL, _REFUSED = "XX000", re.compile(r"not (yet )?supported|^To MERGE")
_SHARD = re.compile(r"_\d{6,}\b")  # the end of a shard's name
UNTRIED = "untried"  # the outcome of a step that Citus does not let this run try
_OF_ROWS = ("INSERT", "UPDATE", "DELETE", "MERGE")
_PLAIN = (*_OF_ROWS, "SELECT", "SET", "FETCH", "COPY")
_OBJECTS = "it depends on objects that another role has not committed"
_SETTING = "it depends on a setting of another node"
_OTHER = "it depends on what another role has not committed"
_Result = tuple[Outcome, bool, str]


class StepsOfRoles(Steps):
    """Runs the steps of a scenario in as many transactions as its roles need."""

    refusals = (UNSUPPORTED, "22004")  # the second: a row without a tenant belongs to no shard

    def __init__(self, probe: Probe, project: Project, names: Substitution) -> None:
        super().__init__(probe, project, names)
        assert isinstance(probe.enclosure, EachAlone)  # noqa: S101 - the only one of Citus
        self._rows = probe.enclosure.rows
        unused = (values.get("new_id", "") for values in probe.fixture.named.values())
        self._ids = [*probe.fixture.ids.values(), *filter(None, unused)]
        self._open = False  # a transaction
        self._has_written = False  # rows of the proof alone, so far, if it may be committed
        self._may_commit = True
        self._has_committed = False
        self._owner_of_objects: str | None = None  # the role that has changed objects
        self._role = ""

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Roll back the last transaction; put the rows back if another one was committed."""
        self._has_committed = False
        self._end()
        try:
            yield
        finally:
            if not self._connection.closed:
                self._end()
                if self._has_committed:
                    self._connection.execute("discard temp")
                    self._rows.restore()

    def run(self, group: Sequence[Ready]) -> Iterator[_Result]:
        """Run steps, each as its actor, and yield as `Steps.run` does."""
        for ready in group:
            yield self._step(ready)

    def _step(self, ready: Ready) -> _Result:
        last, self._role = self._role, self.role(ready.step)
        refused_at_end = any(code.startswith("23") for code in ready.step.expected)
        if self._owner_of_objects not in (None, self._role):
            return _untried(_OBJECTS)
        if self._role != last and not self._may_commit:
            if self._has_written:
                return _untried(_OTHER)
            self._end()  # what it has locked, another role would wait for
        if refused_at_end and self._has_written and self._may_commit and not self._commit():
            return _untried(_OTHER)
        result = self._tried(ready)
        if result[0].sqlstate == OTHER_ROLE and self._make_way():
            result = self._tried(ready)
        if reason := _reason(ready, result[0]):
            return _untried(reason)
        if refused_at_end and self._could_be_kept(ready, result[0]):
            refused = commit(self._connection)
            self._has_committed = self._has_committed or refused is None
            result = (refused, False, "") if refused else result
            self._end()
        return result

    def _make_way(self) -> bool:
        """End the transaction for another role, and keep what was written; whether that worked."""
        if self._has_written:
            return self._may_commit and self._commit()
        self._end()  # all of it has failed
        return True

    def _could_be_kept(self, ready: Ready, outcome: Outcome) -> bool:
        """Whether a statement worked that was to fail, and only a deferred constraint can refuse.

        It is committed to see that, so only if it names rows of the proof.
        """
        word = "rows" if outcome.rows else "nothing"
        expected = {word, "done"} & set(ready.step.expected)
        return not (outcome.sqlstate or expected) and self._names_rows(ready.sql)

    def _names_rows(self, statement: str) -> bool:
        return any(tenant in statement for tenant in self._ids)

    def _tried(self, ready: Ready) -> _Result:
        """Run one step in the open transaction, or in a new one."""
        if not self._open:
            self._connection.execute("begin")
            self._open = True
        if ready.copies:
            outcome, own, response = self.copy(ready)
            self._may_commit = self._may_commit and bool(outcome.sqlstate)
            return _plain(outcome), own, response
        enters, statements = self.entering(ready.step), self.statements(ready)
        results = execute.pipeline(
            self._connection, [*enters, "savepoint step", "", *statements, ""]
        )
        if error := execute.failed(results[: len(enters) + 1]):
            raise error
        done = results[len(enters) + 2 : -1]
        if error := execute.failed(done):
            self._connection.execute("rollback to savepoint step")
            outcome, own, response = failed(error)
            return _plain(outcome), own, _SHARD.sub("", response)
        for one, statement in zip(done, statements, strict=True):
            self._note(ready, (one[-1].command_status or b"").decode(), statement)
        last: pq.abc.PGresult = done[-1][-1]
        return self.succeeded(last.command_tuples or 0, execute.rows(last))

    def _note(self, ready: Ready, tag: str, statement: str) -> None:
        """Take note of what a statement did, by its command tag."""
        if not tag.startswith(_PLAIN):
            self._may_commit = False
            if not self._role:
                self._owner_of_objects = self._role
        elif tag.startswith(_OF_ROWS) and not tag.endswith(" 0"):
            self._has_written = True
            expected = {"rows", "done", "own"} & set(ready.step.expected)
            named = self._names_rows(statement)
            self._may_commit = self._may_commit and named and bool(expected)

    def _commit(self) -> bool:
        """Commit the rows for the next step; whether that worked."""
        refused = commit(self._connection)
        self._has_committed = self._has_committed or refused is None
        self._end()
        return refused is None

    def _end(self) -> None:
        if self._open:
            self._connection.execute("rollback")
        self._open = self._has_written = False
        self._may_commit, self._owner_of_objects = True, None


def _plain(outcome: Outcome) -> Outcome:
    """Return an error with the code that PostgreSQL has for it."""
    if outcome.sqlstate == _INTERNAL and _REFUSED.search(outcome.message):
        return replace(outcome, sqlstate=UNSUPPORTED)
    if "permission denied" in outcome.message:  # by a worker, within an error of the connection
        return replace(outcome, sqlstate="42501")
    return outcome


def _reason(ready: Ready, outcome: Outcome) -> str:
    """Return why an outcome says nothing; empty if it does."""
    if outcome.sqlstate == OTHER_ROLE:
        return _OTHER
    if outcome.sqlstate == "42704" and "configuration parameter" in outcome.message:
        return _SETTING
    may_fail = not {"rows", "done", "own", "same"}.issuperset(ready.step.expected)
    return outcome.message if outcome.sqlstate == UNSUPPORTED and not may_fail else ""


def _untried(reason: str) -> _Result:
    return Outcome(sqlstate=UNTRIED, message=f"on Citus, {reason}"), False, ""
