"""Choose what to roll back."""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import UsageError
from runner.events import Note, Report
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.migrate.plan import Entry


def chosen(
    applied: Sequence[Entry], steps: int | None, stop: Migration | None, report: Report
) -> list[Entry]:
    """Return the newest `steps` migrations that have a file, or all, or those after `stop`."""
    if steps is None:
        return list(applied)
    if stop is None:
        found = [entry for entry in applied if entry.migration][:steps]
        for entry in applied[: applied.index(found[-1])] if found else applied:
            if not entry.migration:
                report(Note(f"{entry.id} stays applied: its file is not here"))
        return found
    ids = [entry.id for entry in applied]
    if stop.id not in ids:
        raise UsageError(
            f"{stop.id} is not applied, so nothing can be rolled back to it",
            hint=f"Applied: {', '.join(reversed(ids)) or 'none'}",
        )
    return list(applied[: ids.index(stop.id)])


def roll_back(migrator: Migrator, entries: Sequence[Entry]) -> None:
    """Roll back applied migrations. Raises UsageError where the file of one is missing."""
    for entry in entries:
        if entry.migration is None:
            raise UsageError(
                f"{entry.id} is applied but has no file here, so it cannot be rolled back from "
                "this checkout",
                hint="Check out the branch or release that has it.",
            )
    migrator.roll_back([entry.migration for entry in entries if entry.migration])
