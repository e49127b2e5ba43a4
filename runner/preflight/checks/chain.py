"""A scratch database to which files are applied one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.preflight.scratch import ScratchServer, apply


class Chain:
    """A database with the files before a number; another one after a failure."""

    def __init__(self, scratch: ScratchServer, files: Sequence[Migration]) -> None:
        self._scratch = scratch
        self._files = files
        self._opened = ExitStack()
        self._migrator: Migrator | None = None
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
            self._migrator = self._opened.enter_context(self._scratch.database())
            self._applied = 0
        if self._applied < number:
            apply(self._migrator, self._files[self._applied : number])
            self._applied = number
        return self._migrator

    def spoiled(self) -> None:
        """Use this database no more: after a failure it cannot be trusted."""
        self._opened.close()
        self._migrator = None
