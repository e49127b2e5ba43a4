"""An applied file that was edited since: what changed in it, and when that does no harm."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runner.errors import PlanError
from runner.events import Report, Working, silent
from runner.execution import transactional
from runner.files.loader import Migration
from runner.migrate import recorder
from runner.migrate.migrator import Migrator
from runner.migrate.plan import Plan, State
from runner.preflight.scratch import scratch_server
from runner.schema import snapshot
from runner.schema.diff import Difference, difference

_LOCK_TIMEOUT = "2s"  # nobody waits for a rehearsal any longer
_SHOWN = 40  # lines of a difference that an error holds


def lines(migrator: Migrator, migration: Migration) -> list[str]:
    """Return how a file differs from what was applied, as a unified diff."""
    applied = recorder.content(migrator.connection, migration.id)
    if applied is None:
        return ["(what was applied was not kept, so it cannot be compared)"]
    compared = difflib.unified_diff(
        applied.splitlines(),
        migration.text.splitlines(),
        "as applied",
        str(migration),
        "",
        "",
        1,
        "",
    )
    return list(compared)


def refuse(migrator: Migrator, plan: Plan) -> None:
    """Raise PlanError, with the lines that differ, where an applied file was edited."""
    edited = [entry.migration for entry in plan.of(State.EDITED) if entry.migration]
    if not edited:
        return
    found = [line for migration in edited for line in lines(migrator, migration)]
    if len(found) > _SHOWN:
        found = [*found[:_SHOWN], f"… and {len(found) - _SHOWN} more lines"]
    ids = [migration.id for migration in edited]
    raise PlanError(
        f"{', '.join(ids)} {'was' if len(ids) == 1 else 'were'} edited after being applied: the "
        "database holds what the file said before",
        hint="\n".join(found)
        + "\n\nPut the file back as it was and write the change as a new migration. Where both "
        f"make the same: python -m runner apply --accept-edit {ids[0]}\nNothing was run.",
    )


def accept(
    migrator: Migrator, files: Sequence[Migration], edited: Migration, *, report: Report = silent
) -> None:
    """Record an edited file as the one that was applied; to be called under the lock.

    Only where it changes nothing: run over this database, and run in the place of what was
    applied. Raises PlanError, naming what differs, otherwise.
    """
    applied = recorder.content(migrator.connection, edited.id)
    if applied is None:
        raise PlanError(
            f"What was applied as {edited.id} was not kept, so nothing proves that the edit makes "
            "the same",
            hint="Put the file back as it was. Nothing was recorded.",
        )
    report(Working(f"rehearsing {edited.id}"))
    _refuse(edited, _over(migrator, edited), "run over this database")
    version = migrator.connection.info.server_version // 10000
    before = [file for file in files if file.number < edited.number]
    with tempfile.TemporaryDirectory() as folder, scratch_server(version, report) as scratch:
        old = Migration(Path(folder) / edited.path.name, edited.id, edited.number)
        old.path.write_text(applied, encoding="utf-8")
        found = difference(
            scratch.snapshot_of([*before, old]), scratch.snapshot_of([*before, edited])
        )
    _refuse(edited, found, "run in place of what was applied")
    migrator.accept(edited)


def _over(migrator: Migrator, edited: Migration) -> list[Difference]:
    """Return what the file would change here. One outside a transaction cannot be tried."""
    if not edited.header.transactional:
        return []
    connection = migrator.connection
    with connection.transaction(force_rollback=True):
        connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
        before = snapshot.take(connection)
        transactional.run_whole(connection, edited, state="Nothing was recorded.")
        connection.execute(transactional.RESET_SESSION.encode())
        return difference(before, snapshot.take(connection))


def _refuse(edited: Migration, found: Sequence[Difference], how: str) -> None:
    if found:
        raise PlanError(
            f"The edit of {edited.id} makes something else",
            hint=f"Of the file as it is now, {how}:\n"
            + "\n".join(f"  {d.as_effect()}" for d in found)
            + "\nWrite the change as a new migration. Nothing was recorded.",
        )
