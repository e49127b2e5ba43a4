"""The public API: read records, apply and roll back migrations under one lock.

The records are in yoyo's own tables, so yoyo and the runner read each other's. Four things differ
from yoyo's stock backend, each because of a loss that its users met:

- a file and its record are one transaction, so a crash leaves both or neither;
- the lock belongs to the connection, so it does not outlive a crash;
- a record contains the file's SHA-256, so a later edit is detected;
- the session is reset after each file, so no file affects the next one, or the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from runner.events import Report, silent
from runner.files.loader import Migration
from runner.migrate import advisory_lock, recorder
from runner.migrate.plan import Record
from runner.migrate.run_log import RunLog
from runner.migrate.run_state import RunState
from runner.postgres.connection import Connection
from runner.postgres.target import Target
from runner.settings import Timeouts

if TYPE_CHECKING:  # imported when a file is run, not to find that there is nothing to do
    from runner.execution.lock_waits import LockWaits
    from runner.migrate.executor import Executor


class Migrator:
    """The migrations of one database, over one connection in autocommit mode.

    Args:
        connection: in autocommit mode; it is not closed here.
        target: what the connection reaches, for messages.
        report: gets the progress events.
        log: where to write a line for each file; None for no run log.
        timeouts: how long to wait for the lock and for tables.
        fingerprints: store a catalog fingerprint after each run; off for scratch databases.
        backend_pid: the server's own PID of the session, where a pooler hides it.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        target: Target | None = None,
        report: Report = silent,
        log: RunLog | None = None,
        timeouts: Timeouts | None = None,
        fingerprints: bool = True,
        backend_pid: int = 0,
    ) -> None:
        self.connection = connection
        self.target = target
        self.report = report
        self._timeouts = timeouts or Timeouts()
        self._backend_pid = backend_pid
        self.run_state = RunState(report, log)
        self._fingerprints = fingerprints
        self._locked = False

    @property
    def server_version(self) -> str:
        """The server's version as it reports it, for example 18.4."""
        return (self.connection.info.parameter_status("server_version") or "?").split()[0]

    def records(self) -> dict[str, Record]:
        """Return the records of applied migrations by id. Reads only; raises SqlError."""
        return recorder.read(self.connection)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the advisory lock of this database; nested use does nothing more.

        Raises LockTimeout, naming the holder.
        """
        if self._locked:
            yield
            return
        wait = self._timeouts.run_lock
        with advisory_lock.hold(self.connection, wait=wait, report=self.report):
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def apply(self, migrations: Sequence[Migration]) -> None:
        """Apply files in the given order, each with its record. Call under the lock.

        Raises FileError or SqlError for the first that fails; those before it stay applied.
        """
        if migrations:
            self._executor.run(migrations, "apply")

    def roll_back(self, migrations: Sequence[Migration]) -> None:
        """Run the rollback file of each, in the given order, and delete its record."""
        if migrations:
            self._executor.run(migrations, "rollback")

    def record(self, migration: Migration, operation: str, *, last: bool = True) -> None:
        """Change the record of a migration without running anything. Call under the lock.

        `operation`: "mark" as applied, "unmark", or "edit": the present text of an applied file
        becomes the one that was applied. `last`: no other follows; it stores the fingerprint.
        """
        self._executor.record(migration, operation, last=last)

    @cached_property
    def lock_waits(self) -> LockWaits:
        """How files wait for tables that other sessions use."""
        from runner.execution.lock_waits import LockWaits  # noqa: PLC0415

        report = self.run_state.report
        return LockWaits(self.connection, report, self._timeouts, self._backend_pid)

    @cached_property
    def _executor(self) -> Executor:
        from runner.migrate.executor import Executor  # noqa: PLC0415

        return Executor(self.lock_waits, self.run_state, fingerprints=self._fingerprints)
