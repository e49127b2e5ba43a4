"""Actions started from a page: prove isolation, rehearse pending migrations, compare with files.

They do what the commands `verify` and `plan` do, on the database itself, and leave nothing behind.
One action runs at a time, on its own connection; the last result of each is kept for its page.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from runner.errors import Interrupted, RunnerError
from runner.files import loader
from runner.isolation import drift, overlay
from runner.isolation.drift import Audit
from runner.isolation.report import summary
from runner.isolation.verdict import Verdict
from runner.isolation.verify import prover
from runner.migrate.migrator import Migrator
from runner.migrate.plan import compare
from runner.migrate.session import migrator_for
from runner.postgres import signals
from runner.preflight.dry_run import dry_run
from runner.preflight.rehearsal_report import Rehearsal
from runner.settings import Settings

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Result(Generic[_Value]):
    """What an action returned and when it started, or the error that ended it."""

    at: datetime
    seconds: float
    value: _Value | None = None
    error: RunnerError | None = None


@dataclass
class Actions:
    """Runs actions and keeps the last result of each; None until it has been run."""

    settings: Settings
    proof: Result[Verdict] | None = None
    rehearsal: Result[list[Rehearsal]] | None = None
    drift: Result[Audit] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def prove(self) -> None:
        """Prove tenant isolation, like `verify`."""
        sql_dir = self.settings.sql_dir
        self.proof = self._run(lambda m: prover(sql_dir, overlay.folder(m, sql_dir))(m.connection))

    def rehearse(self) -> None:
        """Rehearse the pending migrations, like `plan`."""
        self.rehearsal = self._run(self._rehearse)

    def compare(self) -> None:
        """Compare the catalog with the migration files, like `verify --only drift`."""
        sql_dir = self.settings.sql_dir
        self.drift = self._run(lambda migrator: drift.audit(migrator, loader.read(sql_dir)))

    def _rehearse(self, migrator: Migrator) -> list[Rehearsal]:
        files = loader.read(self.settings.sql_dir)
        return dry_run(migrator, compare(files, migrator.records()).pending())

    def _run(self, action: Callable[[Migrator], _Value]) -> Result[_Value]:
        at, started = datetime.now(UTC), time.monotonic()
        value: _Value | None = None
        error: RunnerError | None = None
        with self._lock:
            try:
                with migrator_for(self.settings, create=False, log=False) as migrator:
                    value = action(migrator)
            except RunnerError as failure:
                error = failure
            except signals.Interrupt as interrupt:  # the studio is being closed
                error = Interrupted(interrupt.number)
        return Result(at, time.monotonic() - started, value, error)


def isolation_page(actions: Actions) -> dict[str, Any]:
    """Return what the template isolation.html needs, from the last proof."""
    result = actions.proof
    cells = result.value.cells if result and result.value else ()
    tables = dict.fromkeys(cell.table for cell in cells)
    commands, grids = summary.grids(cells)
    return {
        "result": result,
        "grids": grids,
        "legend": summary.LEGEND,
        "commands": commands,
        "cells": {table: [cell for cell in cells if cell.table == table] for table in tables},
    }
