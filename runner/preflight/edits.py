"""Compare, refuse or accept applied files that were edited since."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runner.errors import NO_CHANGES, FileError, PlanError, UsageError
from runner.events import Report, Working, silent
from runner.execution import transactional
from runner.files.loader import Migration
from runner.migrate import recorder
from runner.migrate.migrator import Migrator
from runner.migrate.plan import Plan, State, compare
from runner.preflight import lookup, renumbered
from runner.preflight.diff import NOT_SHOWN, Difference, difference, lines_of
from runner.preflight.scratch import scratch_server
from runner.schema import snapshot

_LOCK_TIMEOUT = "2s"  # other sessions queue behind the dry run
_SHOWN = 40  # lines of a diff that an error shows


def lines(migrator: Migrator, migration: Migration) -> list[str]:
    """Return the unified diff from the applied content of a file to its current one, masked."""
    applied = recorder.content(migrator.connection, migration.id)
    if applied is None:
        return ["(its applied content was not recorded, so it cannot be compared)"]
    compared = difflib.unified_diff(
        lines_of(applied),
        lines_of(migration.text),
        "as applied",
        str(migration),
        "",
        "",
        1,
        "",
    )
    return list(compared) or [NOT_SHOWN]


def refuse(migrator: Migrator, plan: Plan) -> None:
    """Raise PlanError if an applied file was edited, with the lines that differ, or renumbered."""
    renumbered.refuse(plan)
    edited = [entry.migration for entry in plan.of(State.EDITED) if entry.migration]
    if not edited:
        return
    found = [line for migration in edited for line in lines(migrator, migration)]
    if len(found) > _SHOWN:
        found = [*found[:_SHOWN], f"… and {len(found) - _SHOWN} more lines"]
    ids = [migration.id for migration in edited]
    raise PlanError(
        f"{', '.join(ids)} {'was' if len(ids) == 1 else 'were'} edited after being applied: the "
        "database has the earlier content",
        hint="\n".join(found)
        + "\n\nRestore the file and write the change as a new migration. If both produce the same "
        f"schema: python -m runner apply --accept-edit {ids[0]}\n{if_newest(plan)}".rstrip(),
    )


def if_newest(plan: Plan) -> str:
    """Return how to apply edited files again if they are the newest, and can be rolled back.

    They may be known to this database alone. "" for others.
    """
    edited = plan.of(State.EDITED)
    newest = plan.applied()[: len(edited)]
    if {entry.id for entry in newest} != {entry.id for entry in edited}:
        return ""
    try:
        for entry in newest:
            _ = entry.migration and entry.migration.rollback
    except FileError:  # none, or it is irreversible
        return ""
    steps = f" --steps {len(newest)}" if len(newest) > 1 else ""
    return (
        "If applied nowhere else, and what it made may be lost: "
        f"python -m runner rollback{steps}, then apply"
    )


def accept(
    migrator: Migrator, files: Sequence[Migration], name: str, *, report: Report = silent
) -> None:
    """Record the current content of an edited file as applied; the caller holds the lock.

    Raises UsageError if there is no such file or it was not edited, and PlanError, with the
    differences, unless the edit changes nothing in two tests: the file run on this database and
    rolled back, and the file in place of its applied content on a scratch server.
    """
    edited = lookup.find(files, name)
    state = next(e.state for e in compare(files, migrator.records()).entries if e.id == edited.id)
    if state not in (State.EDITED, State.COSMETIC):
        raise UsageError(f"{edited.id} is {state.label}, so there is no edit to accept")
    applied = recorder.content(migrator.connection, edited.id)
    if applied is None:
        raise PlanError(
            f"The applied content of {edited.id} was not recorded, so the edit cannot be compared "
            "with it",
            hint="Restore the file.",
        )
    report(Working(f"dry run of {edited.id}"))
    _refuse_changes(edited, _effects_here(migrator, edited), "run on this database")
    version = migrator.connection.info.server_version // 10000
    # What a further source makes of the files before it may need another kind of server.
    before = [f for f in files[: files.index(edited)] if f.source in ("", edited.source)]
    with (
        tempfile.TemporaryDirectory() as folder,
        scratch_server(version, report, other=True) as scratch,
    ):
        old = Migration(Path(folder) / edited.path.name, edited.id, edited.number)
        old.path.write_text(applied, encoding="utf-8")
        found = difference(
            scratch.snapshot_of([*before, old], like=migrator.connection),
            scratch.snapshot_of([*before, edited], like=migrator.connection),
        )
    _refuse_changes(edited, found, "run in place of the applied content")
    migrator.record(edited, "edit")


def _effects_here(migrator: Migrator, edited: Migration) -> list[Difference]:
    """Return what the file would change here; nothing if it cannot run in a transaction."""
    if not edited.header.transactional:
        return []
    connection = migrator.connection
    with connection.transaction(force_rollback=True):
        connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
        before = snapshot.take(connection)
        lock_wait = migrator.lock_waits.for_file(edited.header)
        transactional.run_whole(connection, edited, state=NO_CHANGES, lock_wait=lock_wait)
        connection.execute(transactional.RESET_SESSION.encode())
        return difference(before, snapshot.take(connection))


def _refuse_changes(edited: Migration, found: Sequence[Difference], how: str) -> None:
    if found:
        raise PlanError(
            f"The edited {edited.id} produces a different schema",
            hint=f"Effects of the edited file, {how}:\n"
            + "\n".join(f"  {d.as_effect()}" for d in found)
            + "\nWrite the change as a new migration.",
        )
