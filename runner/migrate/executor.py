"""One run: files applied or rolled back one after the other, each with its record.

Only the last commit of a run waits for the disk: a crash may lose the tail of the run, which is
then pending again, and nothing else. Success is reported after that wait.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from runner import signals
from runner.errors import RunnerError, SqlError
from runner.events import Done, Note, Report, Working
from runner.execution import concurrent_indexes, non_transactional, transactional
from runner.execution.lock_waits import LockWaits
from runner.execution.sql_errors import advised
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate import recorder
from runner.migrate.run_state import RunState
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import fingerprint

_NO_LEDGER = "To make the ledger takes CREATE on the database, once. Nothing was done."
_BEGUN = -1  # in place of a statement's number: a way back of which no statement is done
_REPORT_EVERY = 1.0  # seconds: in a long run some commits wait for the disk so that it can report


class Run:
    """What changes the records of one database, under its lock. Kept by the ledger."""

    def __init__(
        self,
        connection: Connection,
        run_state: RunState,
        lock_waits: LockWaits,
        report: Report,
        *,
        fingerprints: bool,
    ) -> None:
        self.connection = connection
        self.lock_waits = lock_waits
        self.report = report
        self._run_state = run_state
        self._fingerprints = fingerprints
        self._ready = False
        self._unfinished: set[str] = set()  # when the run began

    def apply(self, migrations: Sequence[Migration]) -> None:
        """Apply files in the given order, each with its record; to be called under the lock.

        Raises FileError or SqlError for the first that fails; those before it stay applied.
        """
        for migration in migrations:  # first look at all, then touch the first
            _look_at(migration)
        self._make_ready()
        changed = fingerprint.changed_since(self.connection) if self._fingerprints else None
        if changed:  # after this run nothing would show it any more
            self.report(Note(f"{changed}. See: python -m runner verify --only drift"))
        self._all([(m, m) for m in migrations], "apply")

    def roll_back(self, migrations: Sequence[Migration]) -> None:
        """Run the way back of each, in the given order, and strike its record."""
        ways_back = [(migration, migration.rollback) for migration in migrations]
        for _, script in ways_back:
            _look_at(script)
        self._make_ready()
        self._all(ways_back, "rollback")

    def record(self, migration: Migration, operation: str) -> None:
        """Write or strike a record, and run nothing: mark or unmark."""
        self._make_ready()
        self._must(f"begin; {self._entry(migration, operation, 0.0, last=True)}; commit")
        self._run_state.note(Done(operation, migration.id, migration.sha256, 0.0))
        self._run_state.deliver()

    def accept(self, migration: Migration) -> None:
        """Record what an applied file says now as what was applied."""
        self._make_ready()
        facts = recorder.facts(migration, "edit")
        entry = recorder.filled(self.connection, facts, "accept_edit", "log")
        self._must(f"begin; {entry}; {query('schema/carry_fingerprint')}; commit")
        self._run_state.note(Done("edit", migration.id, migration.sha256, 0.0))
        self._run_state.deliver()

    def _all(self, work: Sequence[tuple[Migration, SqlFile]], operation: str) -> None:
        self._run_state.begin(operation)
        with signals.graceful(self._run_state.what_stays):
            self._unfinished = recorder.unfinished(self.connection)
            if operation == "apply":
                self._forget_ways_back(work)
            for number, (migration, script) in enumerate(work, start=1):
                self.report(Working(f"{operation} {migration.id} ({number} of {len(work)})"))
                started = time.monotonic()
                try:
                    run = self._in_transaction if script.header.transactional else self._outside
                    run(migration, script, operation, last=number == len(work))
                except BaseException as error:
                    signals.ignore_further()
                    self._abandon()
                    ms = round((time.monotonic() - started) * 1000, 1)
                    if isinstance(error, RunnerError | signals.Interrupt):
                        attempt = Done(operation, migration.id, script.sha256, ms)
                        self._run_state.failed(attempt, signals.as_error(error))
                    raise

    def _in_transaction(
        self, migration: Migration, script: SqlFile, operation: str, *, last: bool
    ) -> None:
        state = self._run_state.state(migration.id)
        self._run_state.under_way = f"Nothing of {migration.id} was kept."
        lock_wait = self.lock_waits.of(script.header)
        entry = ""

        def make_entry() -> None:
            nonlocal entry
            entry = self._entry(
                migration, operation, None, last=last, unfinished=bool(self._unfinished)
            )

        def attempt() -> float:
            started = time.monotonic()
            transactional.run_whole(
                self.connection,
                script,
                state=state,
                lock_wait=lock_wait,
                begin=(f"/* {operation} {migration.id} */ begin", *lock_wait.in_transaction()),
                while_waiting=make_entry,
            )
            return started

        started = lock_wait.retry(attempt, on_failure=partial(self._abandon, over=False))
        ms = round((time.monotonic() - started) * 1000, 1)
        durable = last or started - self._run_state.last_durable > _REPORT_EVERY
        self._must(
            f"{transactional.RESET_SESSION}; {transactional.wait_for_disk(durable)}; "
            f"{entry}; commit",
            script,
            state,
        )
        self._run_state.note(Done(operation, migration.id, script.sha256, ms))
        if durable:
            self._run_state.deliver()

    def _outside(
        self, migration: Migration, script: SqlFile, operation: str, *, last: bool
    ) -> None:
        started = time.monotonic()
        progress = f"{operation} {migration.id}"

        def record(number: int, digest: str) -> str:
            facts = {"id": progress, "number": number, "sha256": digest}
            return recorder.filled(self.connection, facts, "add_progress")

        rows = self.connection.execute(query("migrate/progress"), {"id": progress}).fetchall()
        if operation == "rollback" and not rows:
            # From here on it is not applied any more, although its record stays until the end.
            self.connection.execute(record(_BEGUN, "").encode())
        done = [digest for number, digest in rows if number != _BEGUN]
        self._run_state.under_way = (
            f"{migration.id} is no transaction. {non_transactional.so_far(len(done))}"
        )
        steps = non_transactional.run(
            self.connection,
            script,
            self.lock_waits.of(script.header),
            done=done,
            record=record,
            state=self._run_state.state(),
        )
        for count in steps:
            self._run_state.under_way = (
                f"{migration.id} is no transaction. {non_transactional.so_far(count)}"
            )
        ms = round((time.monotonic() - started) * 1000, 1)
        self._must(
            f"begin; {transactional.RESET_SESSION}; {transactional.wait_for_disk(True)}; "
            + self._entry(migration, operation, ms, last=last)
            + "; commit",
            script,
            f"{self._run_state.state()} Its statements are done, the record is not.".strip(),
        )
        self._run_state.note(Done(operation, migration.id, script.sha256, ms))
        self._run_state.deliver()

    def _entry(
        self,
        migration: Migration,
        operation: str,
        ms: float | None,
        *,
        last: bool,
        unfinished: bool = True,
    ) -> str:
        """Return the statements that record an operation; the run's last keeps a fingerprint."""
        entry = recorder.entry(self.connection, migration, operation, ms, unfinished=unfinished)
        if not (last and self._fingerprints):
            return entry
        return f"{entry}; {fingerprint.entry(self.connection)}"

    def _make_ready(self) -> None:
        """Make yoyo's tables, or add our columns to those that stock yoyo made."""
        if not self._ready and not recorder.are_complete(self.connection):
            self._must("begin; " + query("migrate/create_tables") + "; commit", state=_NO_LEDGER)
        self._ready = True

    def _forget_ways_back(self, work: Sequence[tuple[Migration, SqlFile]]) -> None:
        """Make plain pending ones of those whose way back was begun: they begin anew."""
        names = [f"rollback {migration.id}" for migration, _ in work]
        begun = [name for name in names if name in self._unfinished]
        if begun:
            self.connection.execute(query("migrate/forget_rollbacks"), {"begun": begun})

    def _must(
        self, text: str, script: SqlFile | None = None, state: str = "Nothing of it was kept."
    ) -> None:
        """Send statements of ours. A failing commit is the file's doing: a deferred constraint."""
        _, error = transactional.send(self.connection, text)
        if error:
            self._abandon()
            raise SqlError(
                f"{error.diag.message_primary}"
                + (f" (at the commit of {script})" if script else " (in the ledger)"),
                hint=advised(error.sqlstate or "", state),
                sqlstate=error.sqlstate or "",
                detail=error.diag.message_detail or "",
                server_hint=error.diag.message_hint or "",
            )

    def _abandon(self, *, over: bool = True) -> None:
        """Leave an open transaction, and make sure of what was committed before it.

        `over`: the run is; else it goes on, after a while.
        """
        if self.connection.closed:
            return
        transactional.send(self.connection, "rollback")
        transactional.send(self.connection, transactional.RESET_SESSION)
        if self._run_state.unreported or (over and self._run_state.finished):
            # Any later commit that waits for the disk covers all before it.
            keep = fingerprint.entry(self.connection)
            self._must(f"begin; {transactional.wait_for_disk(True)}; {keep}; commit")
            self._run_state.deliver()


def _look_at(script: SqlFile) -> None:
    """Raise FileError for what cannot be run, before anything is."""
    _ = script.statements
    if not script.header.transactional:
        concurrent_indexes.refuse_nameless(script)
