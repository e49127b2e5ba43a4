"""A scratch database to which files are applied one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from runner.events import Report, silent
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection, connect
from runner.preflight.catalog_changes import Catalog, CatalogChanges
from runner.preflight.scratch import ScratchServer, apply


class Chain:
    """A database with the files before a number; another one after a failure."""

    def __init__(
        self, scratch: ScratchServer, files: Sequence[Migration], report: Report = silent
    ) -> None:
        self._scratch = scratch
        self._files = files
        self._report = report
        self._opened = ExitStack()
        self._migrator: Migrator | None = None
        self._reader: Connection | None = None
        self._changes: CatalogChanges | None = None
        self._applied = 0  # files

    def __enter__(self) -> Chain:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    @property
    def is_new(self) -> bool:
        """Whether the next database will be a new one."""
        return self._migrator is None

    def before(self, number: int) -> Migrator:
        """Return the migrator of a database with the files before this number, counted from 0."""
        if self._migrator is None or number < self._applied:
            self.spoiled()
            self._migrator = self._opened.enter_context(self._scratch.database(report=self._report))
            target = self._scratch.target(self._migrator.connection.info.dbname)
            self._reader = self._opened.enter_context(connect(target))
            self._changes = CatalogChanges(self._reader)
            self._applied = 0
        if self._applied < number:
            apply(self._migrator, self._files[self._applied : number])
            self._applied = number
        return self._migrator

    @property
    def migrator(self) -> Migrator:
        """The migrator of the database."""
        assert self._migrator  # noqa: S101 - after `before`
        return self._migrator

    @property
    def reader(self) -> Connection:
        """A second session in the database, which no run resets: it keeps the plans of queries."""
        assert self._reader  # noqa: S101 - after `before`
        return self._reader

    @property
    def changes(self) -> CatalogChanges:
        """What changes in the catalog, as `reader` sees it."""
        assert self._changes  # noqa: S101 - after `before`
        return self._changes

    def catalog(self) -> Catalog:
        """Return the catalog of the database, as committed."""
        self.changes.since()
        return self.changes.catalog

    def spoiled(self) -> None:
        """Use this database no more: after a failure it cannot be trusted."""
        self._opened.close()
        self._migrator = None
