"""What the database remembers: connect, lock, apply and record in one transaction, roll back.

The records are yoyo's own tables, so yoyo reads them and this reads yoyo's. Four things differ
from yoyo's stock backend, each for a loss that users of it met:

- effect and record are one transaction, so a crash leaves both or neither;
- the lock belongs to the connection, so it cannot outlive a crash;
- a record holds the file's SHA-256, so an edit after the fact is seen;
- the session is put back after each file, so no file can disturb the next one, or the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from runner.errors import RunnerError
from runner.events import Done, Report, silent
from runner.files.loader import Migration
from runner.migrate import advisory_lock, recorder
from runner.migrate.plan import Record
from runner.migrate.run_log import RunLog
from runner.migrate.run_state import RunState
from runner.postgres.connection import Connection
from runner.postgres.target import Target

if TYPE_CHECKING:  # what a run needs is loaded for one, not to find that there is nothing to do
    from runner.execution.lock_waits import LockWaits
    from runner.migrate.executor import Run


class Migrator:
    """The records of one database, over one connection in autocommit mode."""

    def __init__(
        self,
        connection: Connection,
        *,
        target: Target | None = None,
        report: Report = silent,
        log: RunLog | None = None,
        lock_wait: float = 60.0,
        fingerprints: bool = True,
        lock_timeout: float = 2.0,
        busy_wait: float = 60.0,
        backend: int = 0,
    ) -> None:
        self.connection = connection
        self.target = target
        self.report = report
        self._patience = (lock_timeout, busy_wait, backend)
        self._run_state = RunState(report, log)
        self._lock_wait = lock_wait
        self._fingerprints = fingerprints  # kept of the catalog; a scratch database needs none
        self._locked = False

    @property
    def server_version(self) -> str:
        """The server's version as it names itself, for instance 18.4."""
        return (self.connection.info.parameter_status("server_version") or "?").split()[0]

    def records(self) -> dict[str, Record]:
        """Return what is applied, by id. Reads only; raises SqlError."""
        return recorder.read(self.connection)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of this database's ledger; inside itself it does nothing more.

        Raises LockTimeout, naming the holder.
        """
        if self._locked:
            yield
            return
        with advisory_lock.hold(self.connection, wait=self._lock_wait, report=self.report):
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def apply(self, migrations: Sequence[Migration]) -> None:
        """Apply files in the given order, each with its record; to be called under the lock.

        Raises FileError or SqlError for the first that fails; those before it stay applied.
        """
        if migrations:
            self._run.apply(migrations)

    def roll_back(self, migrations: Sequence[Migration]) -> None:
        """Run the way back of each, in the given order, and forget the record."""
        if migrations:
            self._run.roll_back(migrations)

    def mark(self, migration: Migration) -> None:
        """Record a migration as applied without running it."""
        self._run.record(migration, "mark")

    def unmark(self, migration: Migration) -> None:
        """Forget a record without rolling back."""
        self._run.record(migration, "unmark")

    def accept(self, migration: Migration) -> None:
        """Record what an applied file says now as what was applied."""
        self._run.accept(migration)

    def seeded(self, loaded: Sequence[Done]) -> None:
        """Note that seeds were poured in."""
        for done in loaded:
            self._run_state.note(done)
        self._run_state.deliver()

    def failed(self, attempt: Done, error: RunnerError) -> None:
        """Keep in the run log what failed, and why."""
        self._run_state.failed(attempt, error)

    @cached_property
    def lock_waits(self) -> LockWaits:
        """How files take their turns at tables that others use too."""
        from runner.execution.lock_waits import LockWaits  # noqa: PLC0415

        return LockWaits(self.connection, self.report, *self._patience)

    @cached_property
    def _run(self) -> Run:
        from runner.migrate.executor import Run  # noqa: PLC0415

        return Run(
            self.connection,
            self._run_state,
            self.lock_waits,
            self.report,
            fingerprints=self._fingerprints,
        )
