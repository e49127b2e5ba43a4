"""The dry run behind `plan` and the studio: where to run pending files, and with which limits."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from runner.events import Report, silent
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.preflight import rehearsal
from runner.preflight.clone import clone
from runner.preflight.rehearsal_report import Rehearsal
from runner.preflight.scratch import scratch_server
from runner.schema import snapshot

_LOCK_TIMEOUT = 1.0  # seconds: a dry run must not block other sessions for longer


def dry_run(
    migrator: Migrator,
    pending: Sequence[Migration],
    *,
    on_copy: bool = False,
    hold: float = 5.0,
    report: Report = silent,
) -> list[Rehearsal]:
    """Run pending files and roll them back.

    Args:
        on_copy: on a copy of the target's catalog on a scratch server, not on the target itself.
        hold: seconds after which a statement on the target is canceled.

    Raises what `rehearsal`, `clone` and `scratch_server` raise, LockTimeout on the target.
    """
    if not pending:
        return []
    try:
        return _dry_run(migrator, pending, on_copy=on_copy, hold=hold, report=report)
    except psycopg.errors.LockNotAvailable:
        raise snapshot.locked(migrator.connection, "The size of the tables") from None


def _dry_run(
    migrator: Migrator, pending: Sequence[Migration], *, on_copy: bool, hold: float, report: Report
) -> list[Rehearsal]:
    connection = migrator.connection
    if not on_copy or not migrator.target:
        with migrator.lock():
            return rehearsal.on_target(
                connection, pending, lock_timeout=_LOCK_TIMEOUT, hold=hold, report=report
            )
    sizes = {table.name: table for table in rehearsal.tables(connection).values()}
    version = connection.info.server_version // 10000
    with (
        scratch_server(version, report) as scratch,
        clone(scratch, connection, migrator.target, report=report) as copy,
    ):
        return rehearsal.on_copy(copy, pending, sizes, report=report)
