"""Execute a run: files applied or rolled back one after the other, each with its record.

Only the last commit of a run waits for the disk: a server crash may lose the end of the run, which
is then pending again, and nothing else. Success is reported after that wait.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from runner import signals
from runner.errors import NO_CHANGES, RunnerError
from runner.events import Done, Note, Working
from runner.execution import concurrent_indexes, non_transactional, transactional
from runner.execution.lock_waits import LockWaits
from runner.execution.sql_errors import own_sql_error
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate import recorder
from runner.migrate.run_state import RunState
from runner.queries import query
from runner.schema import fingerprint

_STARTED = -1  # statement number of the note that a rollback outside a transaction has started
_REPORT_EVERY = 1.0  # seconds: in a long run some commits wait for the disk, to report progress


class Executor:
    """Runs files and writes their records, under the lock of the migrator that owns it."""

    def __init__(
        self,
        lock_waits: LockWaits,
        run_state: RunState,
        *,
        fingerprints: bool,
    ) -> None:
        self.connection = lock_waits.connection
        self._lock_waits = lock_waits
        self._report = lock_waits.report
        self._run_state = run_state
        self._fingerprints = fingerprints
        self._schema_exists = False
        self._unfinished: set[str] = set()  # when the run began

    def apply(self, migrations: Sequence[Migration]) -> None:
        """Apply files in the given order, each with its record.

        Raises FileError or SqlError for the first that fails; those before it stay applied.
        """
        for migration in migrations:  # validate every file before running any
            _validate(migration)
        self._ensure_schema()
        changed = fingerprint.changed_since(self.connection) if self._fingerprints else None
        if changed:  # this run overwrites the evidence
            self._report(Note(f"{changed}. See: python -m runner verify --only drift"))
        self._run_all([(m, m) for m in migrations], "apply")

    def roll_back(self, migrations: Sequence[Migration]) -> None:
        """Run the rollback file of each, in the given order, and delete its record."""
        rollbacks = [(migration, migration.rollback) for migration in migrations]
        for _, script in rollbacks:
            _validate(script)
        self._ensure_schema()
        self._run_all(rollbacks, "rollback")

    def record(self, migration: Migration, operation: str) -> None:
        """Write or delete a record without running anything: "mark" or "unmark"."""
        self._ensure_schema()
        self._execute(f"begin; {self._record_sql(migration, operation, 0.0, last=True)}; commit")
        self._run_state.committed(Done(operation, migration.id, migration.sha256, 0.0))
        self._run_state.durable()

    def accept(self, migration: Migration) -> None:
        """Record the present text of an applied file as the one that was applied."""
        self._ensure_schema()
        facts = recorder.facts(migration, "edit")
        record = recorder.fill(self.connection, facts, "accept_edit", "log")
        self._execute(f"begin; {record}; {query('schema/copy_fingerprint')}; commit")
        self._run_state.committed(Done("edit", migration.id, migration.sha256, 0.0))
        self._run_state.durable()

    def _run_all(self, work: Sequence[tuple[Migration, SqlFile]], operation: str) -> None:
        self._run_state.begin(operation)
        with signals.graceful(self._run_state.if_ended_now):
            self._unfinished = recorder.unfinished(self.connection)
            if operation == "apply":
                self._forget_rollbacks(work)
            for number, (migration, script) in enumerate(work, start=1):
                self._report(Working(f"{operation} {migration.id} ({number} of {len(work)})"))
                started = time.monotonic()
                run = self._transactional
                if not script.header.transactional:
                    run = self._non_transactional
                try:
                    run(migration, script, operation, last=number == len(work))
                except BaseException as error:
                    signals.ignore_further()
                    self._abandon()
                    ms = round((time.monotonic() - started) * 1000, 1)
                    if isinstance(error, RunnerError | signals.Interrupt):
                        attempt = Done(operation, migration.id, script.sha256, ms)
                        self._run_state.failed(attempt, signals.as_error(error))
                    raise

    def _transactional(
        self, migration: Migration, script: SqlFile, operation: str, *, last: bool
    ) -> None:
        state = self._run_state.sentence(migration.id)
        self._run_state.current = f"No changes of {migration.id} were kept."
        lock_wait = self._lock_waits.for_file(script.header)
        record = ""

        def prepare_record() -> None:
            nonlocal record
            unfinished = bool(self._unfinished)
            record = self._record_sql(migration, operation, None, last=last, unfinished=unfinished)

        def attempt() -> float:
            started = time.monotonic()
            transactional.run_whole(
                self.connection,
                script,
                state=state,
                lock_wait=lock_wait,
                begin=(
                    f"/* {operation} {migration.id} */ begin",
                    *lock_wait.transaction_settings(),
                ),
                while_waiting=prepare_record,
            )
            return started

        started = lock_wait.retry(attempt, on_failure=partial(self._abandon, over=False))
        ms = round((time.monotonic() - started) * 1000, 1)
        durable = last or started - self._run_state.last_durable > _REPORT_EVERY
        self._execute(
            f"{transactional.RESET_SESSION}; {transactional.wait_for_disk(durable)}; "
            f"{record}; commit",
            script,
            state,
        )
        self._run_state.committed(Done(operation, migration.id, script.sha256, ms))
        if durable:
            self._run_state.durable()

    def _non_transactional(
        self, migration: Migration, script: SqlFile, operation: str, *, last: bool
    ) -> None:
        started = time.monotonic()
        name = f"{operation} {migration.id}"

        def progress_sql(number: int, digest: str) -> str:
            facts = {"id": name, "number": number, "sha256": digest}
            return recorder.fill(self.connection, facts, "add_progress")

        def current(count: int) -> str:
            return f"{migration.id} runs outside a transaction. {non_transactional.progress(count)}"

        rows = self.connection.execute(query("migrate/progress"), {"id": name}).fetchall()
        if operation == "rollback" and not rows:
            # From here on the migration is not applied any more, although its record stays until
            # the rollback is complete.
            self.connection.execute(progress_sql(_STARTED, "").encode())
        done = [digest for number, digest in rows if number != _STARTED]
        self._run_state.current = current(len(done))
        statements = non_transactional.run(
            self.connection,
            script,
            self._lock_waits.for_file(script.header),
            done=done,
            record=progress_sql,
            state=self._run_state.sentence(),
        )
        for count in statements:
            self._run_state.current = current(count)
        ms = round((time.monotonic() - started) * 1000, 1)
        self._execute(
            f"begin; {transactional.RESET_SESSION}; {transactional.wait_for_disk(True)}; "
            + self._record_sql(migration, operation, ms, last=last)
            + "; commit",
            script,
            f"{self._run_state.sentence()} Its statements are done, the record is not.".strip(),
        )
        self._run_state.committed(Done(operation, migration.id, script.sha256, ms))
        self._run_state.durable()

    def _record_sql(
        self,
        migration: Migration,
        operation: str,
        ms: float | None,
        *,
        last: bool,
        unfinished: bool = True,
    ) -> str:
        """Return the SQL that records an operation; the last of a run stores the fingerprint."""
        record = recorder.sql_of(self.connection, migration, operation, ms, unfinished=unfinished)
        if not (last and self._fingerprints):
            return record
        return f"{record}; {fingerprint.store_sql(self.connection)}"

    def _ensure_schema(self) -> None:
        """Create the migration tables, or add our columns to those of stock yoyo."""
        if not self._schema_exists and not recorder.tables_are_complete(self.connection):
            self._execute(
                f"begin; {query('migrate/create_tables')}; commit",
                state=NO_CHANGES,
                hint="Creating the migration tables requires the CREATE privilege on the database.",
            )
        self._schema_exists = True

    def _forget_rollbacks(self, work: Sequence[tuple[Migration, SqlFile]]) -> None:
        """Delete the records of migrations whose rollback had started: they are applied again."""
        names = [f"rollback {migration.id}" for migration, _ in work]
        begun = [name for name in names if name in self._unfinished]
        if begun:
            self.connection.execute(query("migrate/forget_rollbacks"), {"begun": begun})

    def _execute(
        self, text: str, script: SqlFile | None = None, state: str = NO_CHANGES, hint: str = ""
    ) -> None:
        """Send the runner's own SQL; a failing commit is the file's: a deferred constraint.

        Raises SqlError, after the transaction was rolled back.
        """
        _, error = transactional.send(self.connection, text)
        if error:
            self._abandon()
            where = f"at the commit of {script}" if script else "in the migration tables"
            raise own_sql_error(error, where, state=state, hint=hint)

    def _abandon(self, *, over: bool = True) -> None:
        """Roll back an open transaction, and make earlier commits durable.

        `over`: the run ends here; otherwise it continues after a pause.
        """
        if self.connection.closed:
            return
        transactional.send(self.connection, "rollback")
        transactional.send(self.connection, transactional.RESET_SESSION)
        if self._run_state.unreported or (over and self._run_state.finished):
            # A later commit that waits for the disk makes all earlier ones durable.
            store = fingerprint.store_sql(self.connection)
            self._execute(f"begin; {transactional.wait_for_disk(True)}; {store}; commit")
            self._run_state.durable()


def _validate(script: SqlFile) -> None:
    """Raise FileError for a file that cannot be run."""
    _ = script.statements
    if not script.header.transactional:
        concurrent_indexes.require_names(script)
