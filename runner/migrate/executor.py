"""Execute a run: files applied or rolled back one after the other, each with its record.

Only the last commit of a run waits for the disk: a server crash may lose the end of the run, which
is then pending again, and nothing else. Success is reported after that wait.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache, partial

from runner.errors import NO_CHANGES, FileError, RunnerError
from runner.events import Done, Note, Working
from runner.execution import concurrent_indexes, non_transactional, transactional
from runner.execution.lock_waits import LockWaits
from runner.execution.notices import Messages, note_hidden_rows
from runner.execution.sql_errors import own_sql_error
from runner.files import statements
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate import recorder
from runner.migrate.run_state import RunState
from runner.postgres import signals
from runner.queries import query
from runner.schema import fingerprint

_STARTED = -1  # statement number of the note that a rollback outside a transaction has started
_IRREVERSIBLE = " What cannot be undone has `-- irreversible: REASON` on top of its migration."
_REPORT_EVERY = 1.0  # seconds: in a long run some commits wait for the disk, to report progress


def validate(script: SqlFile) -> None:
    """Raise FileError for a file that cannot be run as it is."""
    if not script.statements:
        hint = "" if isinstance(script, Migration) else _IRREVERSIBLE
        raise FileError(f"{script} contains no statements", hint=f"Write them.{hint}")
    if not script.header.transactional:
        concurrent_indexes.require_names(script)


class Executor:
    """Runs files and writes their records, under the lock of the migrator that owns it."""

    def __init__(self, lock_waits: LockWaits, run_state: RunState, *, fingerprints: bool) -> None:
        self.connection = lock_waits.connection
        self._lock_waits = lock_waits
        self._report = lock_waits.report
        self._run_state = run_state
        self._fingerprints = fingerprints
        self._schema_exists = False
        self._unfinished = True  # whether a file outside a transaction may be
        self._leaves = False  # whether a file that fails may leave something

    def run(self, migrations: Sequence[Migration], operation: str) -> None:
        """Run the files ("apply") or their rollback files ("rollback"), each with its record."""
        apply = operation == "apply"
        work = [(migration, migration if apply else migration.rollback) for migration in migrations]
        for _, script in work:  # validate every file before running any
            validate(script)
        self._ensure_schema()
        fingerprints = apply and self._fingerprints
        changed = fingerprints and fingerprint.changed_since(self.connection, self._report)
        if changed:  # this run overwrites the evidence
            self._report(Note(f"{changed}. See: python -m runner verify --only drift"))
        self._run_state.begin(operation)
        with signals.graceful(self._run_state.if_ended_now):
            unfinished = recorder.unfinished(self.connection)
            self._unfinished = bool(unfinished)
            begun = unfinished.keys() & {f"rollback {migration.id}" for migration in migrations}
            if begun and apply:  # these are applied again, so their records are deleted
                self.connection.execute(query("migrate/forget_rollbacks"), {"begun": list(begun)})
            for number, (migration, script) in enumerate(work, start=1):
                self._report(Working(f"{operation} {migration.id} ({number} of {len(work)})"))
                started = time.monotonic()
                run = self._transactional
                if not script.header.transactional:
                    run = self._non_transactional
                try:
                    run(migration, script, operation, last=number == len(work))
                    if "citus" in script.text:  # it may have created the extension
                        vars(self._lock_waits).pop("citus", None)
                except BaseException as error:
                    signals.ignore_further()
                    self._abandon()
                    if isinstance(error, RunnerError | signals.Interrupt):
                        attempt = Done(operation, migration.id, script.sha256, _ms(started))
                        self._run_state.failed(attempt, signals.as_error(error))
                    raise

    def record(self, migration: Migration, operation: str, *, last: bool) -> None:
        if operation != "unmark":
            validate(migration)
        self._ensure_schema()
        record = self._record_sql(migration, operation, 0.0, last=last)
        self._commit(record, Done(operation, migration.id, migration.sha256, 0.0))

    def _transactional(
        self, migration: Migration, script: SqlFile, operation: str, *, last: bool
    ) -> None:
        state = self._run_state.sentence(migration.id)
        self._run_state.current = f"No changes of {migration.id} were kept."
        lock_wait = self._lock_waits.for_file(script.header)
        begin = (f"/* {operation} {migration.id} */ begin", *lock_wait.transaction_settings())
        # Made while the server runs the file.
        record = cache(partial(self._record_sql, migration, operation, None, last=last))

        def attempt() -> float:
            started = time.monotonic()
            transactional.run_whole(
                self.connection,
                script,
                state=state,
                lock_wait=lock_wait,
                begin=begin,
                while_waiting=record,
            )
            return started

        started = lock_wait.retry(attempt, on_failure=partial(self._abandon, over=False))
        note_hidden_rows(self.connection, script, script.text, self._report)
        done = Done(operation, migration.id, script.sha256, _ms(started))
        durable = last or started - self._run_state.last_durable > _REPORT_EVERY
        self._commit(record(), done, script, state, begin="", durable=durable)

    def _non_transactional(
        self, migration: Migration, script: SqlFile, operation: str, *, last: bool
    ) -> None:
        started = time.monotonic()
        name = f"{operation} {migration.id}"

        def progress_sql(number: int, digest: str) -> str:
            values = {"id": name, "number": number, "sha256": digest}
            return recorder.fill(self.connection, values, "add_progress")

        def current(count: int) -> str:
            return f"{migration.id} runs outside a transaction. {non_transactional.progress(count)}"

        self._unfinished = self._leaves = True
        rows = self.connection.execute(query("migrate/progress"), {"id": name}).fetchall()
        if operation == "rollback" and not rows:
            # From here on the migration is not applied any more, although its record stays until
            # the rollback is complete.
            self.connection.execute(progress_sql(_STARTED, "").encode())
        done = [digest for number, digest in rows if number != _STARTED]
        self._run_state.current = current(len(done))
        state = self._run_state.sentence()
        statements = non_transactional.run(
            self.connection,
            script,
            self._lock_waits.for_file(script.header),
            done=done,
            record=progress_sql,
            state=state,
        )
        for count in statements:
            self._run_state.current = current(count)
        ms = _ms(started)
        self._commit(
            self._record_sql(migration, operation, ms, last=last),
            Done(operation, migration.id, script.sha256, ms),
            script,
            f"{state} Its statements are done, the record is not.".strip(),
        )

    def _commit(
        self,
        record: str,
        done: Done,
        script: SqlFile | None = None,
        state: str = NO_CHANGES,
        *,
        begin: str = "begin read write; ",  # whatever the file has set
        durable: bool = True,
    ) -> None:
        """Commit a record, in the open transaction if `begin` is empty; report what is durable."""
        before = f"{begin}{transactional.RESET_SESSION}; {transactional.wait_for_disk(durable)}"
        self._execute(f"{before}; {record}; commit", script, state)
        self._run_state.committed(done)
        if durable:
            self._run_state.durable()

    def _record_sql(
        self, migration: Migration, operation: str, ms: float | None, *, last: bool
    ) -> str:
        """Return the SQL that records an operation; the last of a run stores the fingerprint."""
        record = recorder.sql_of(
            self.connection, migration, operation, ms, unfinished=self._unfinished
        )
        if operation == "edit":
            return f"{record}; {query('schema/copy_fingerprint')}"
        return f"{record}; {fingerprint.store_sql()}" if last and self._fingerprints else record

    def _ensure_schema(self) -> None:
        """Create the migration tables, or add our columns to those of stock yoyo."""
        if not self._schema_exists and not recorder.tables_are_complete(self.connection):
            hint = "Creating the migration tables requires the CREATE privilege on the database."
            self._execute(f"begin; {query('migrate/create_tables')}; commit", hint=hint)
        self._schema_exists = True

    def _execute(
        self, text: str, script: SqlFile | None = None, state: str = NO_CHANGES, hint: str = ""
    ) -> None:
        """Send the runner's own SQL; a failing commit is the file's: a deferred constraint.

        Raises SqlError, after the transaction was rolled back.
        """
        messages = Messages(self._report, script) if script else None
        said = messages.about(()) if messages else None
        texts = [one.text for one in statements.split(text)] if self._lock_waits.citus else [text]
        sent = (transactional.send(self.connection, one, on_notice=said)[1] for one in texts)
        error = next(filter(None, sent), None)
        if messages:
            messages.rest()
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
        transactional.send(self.connection, f"rollback; {transactional.RESET_SESSION}")
        if self._run_state.unreported or (over and (self._run_state.finished or self._leaves)):
            # A later commit that waits for the disk makes all earlier ones durable.
            store = f"{transactional.wait_for_disk(True)}; {fingerprint.store_sql()}"
            _, error = transactional.send(self.connection, f"begin; {store}; commit")
            if error:  # the error that ended the run matters more than this one
                transactional.send(self.connection, "rollback")
            else:
                self._run_state.durable()


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)
