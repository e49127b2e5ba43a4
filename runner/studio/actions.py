"""What is done only when somebody asks: the proof of isolation, the rehearsal, the comparison.

These are the commands `verify` and `plan`: they work on the database itself and leave nothing
behind. One at a time, on a connection of their own; the last result of each stays to be seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from runner import signals
from runner.errors import Interrupted, RunnerError
from runner.files import loader
from runner.isolation import drift
from runner.isolation import proof as isolation
from runner.isolation.drift import Audit
from runner.isolation.matrix.permissions import COMMANDS
from runner.isolation.report import summary
from runner.isolation.verdict import Verdict
from runner.migrate.migrator import Migrator
from runner.migrate.plan import compare
from runner.migrate.session import migrator_for
from runner.preflight import rehearsal
from runner.preflight.rehearsal_report import Rehearsal
from runner.settings import Settings

_LOCK_TIMEOUT, _HOLD = 1.0, 5.0  # seconds, as `plan` has them
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Result(Generic[_Found]):
    """What came of it, and when; or why nothing did."""

    at: datetime
    seconds: float
    found: _Found | None = None
    error: RunnerError | None = None


@dataclass
class Demands:
    """The last result of each, None for what nobody has asked for yet."""

    settings: Settings
    proof: Result[Verdict] | None = None
    rehearsal: Result[list[Rehearsal]] | None = None
    drift: Result[Audit] | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def prove(self) -> None:
        """Prove the isolation of the tenants, as `verify` does."""
        self.proof = self._done(lambda migrator: isolation.prove(migrator.connection))

    def rehearse(self) -> None:
        """Rehearse what is pending, as `plan` does."""
        self.rehearsal = self._done(self._rehearsed)

    def compare(self) -> None:
        """Hold the catalog against the files, as `verify --only drift` does."""
        files = self.settings.sql_dir
        self.drift = self._done(lambda migrator: drift.audit(migrator, loader.read(files)))

    def _rehearsed(self, migrator: Migrator) -> list[Rehearsal]:
        pending = compare(loader.read(self.settings.sql_dir), migrator.records()).pending()
        if not pending:
            return []
        with migrator.lock():
            return rehearsal.on_target(
                migrator.connection, pending, lock_timeout=_LOCK_TIMEOUT, hold=_HOLD
            )

    def _done(self, work: Callable[[Migrator], _Found]) -> Result[_Found]:
        at, started = datetime.now(UTC), time.monotonic()
        found: _Found | None = None
        error: RunnerError | None = None
        with self._turn:
            try:
                with migrator_for(self.settings, create=False, log=False) as migrator:
                    found = work(migrator)
            except RunnerError as refused:
                error = refused
            except signals.Interrupt as came:  # the studio is being closed
                error = Interrupted(came.number)
        return Result(at, time.monotonic() - started, found, error)


def proof(demands: Demands) -> dict[str, Any]:
    """Return what the page of the proof shows."""
    result = demands.proof
    cells = result.found.cells if result and result.found else ()
    tables = dict.fromkeys(cell.table for cell in cells)
    return {
        "result": result,
        "grids": summary.grids(cells),
        "legend": summary.LEGEND,
        "commands": COMMANDS,
        "cells": {table: [cell for cell in cells if cell.table == table] for table in tables},
    }
