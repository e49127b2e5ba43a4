"""Choose what to roll back."""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import PlanError, UsageError
from runner.events import Note, Report
from runner.files.loader import Migration, source_of
from runner.migrate.migrator import Migrator
from runner.migrate.plan import Entry, Plan


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


def roll_back(migrator: Migrator, plan: Plan, entries: Sequence[Entry]) -> None:
    """Roll back applied migrations, in this order.

    Raises UsageError where the file of one is missing, PlanError where another source needs one.
    """
    for entry in entries:
        if entry.migration is None:
            raise UsageError(
                f"{entry.id} is applied but has no file here, so it cannot be rolled back from "
                "this checkout",
                hint="Check out the branch or release that has it.",
            )
    files = [entry.migration for entry in entries if entry.migration]
    refuse_needed(plan, files)
    migrator.roll_back(files)


def refuse_needed(plan: Plan, files: Sequence[Migration]) -> None:
    """Raise PlanError if an applied file of another source needs one of these.

    One that is not here may need any.
    """
    gone = {file.id for file in files}
    for entry in plan.entries:
        source, file = source_of(entry.id), entry.migration
        if not (source and entry.record) or entry.id in gone:
            continue
        others = [id_ for id_ in gone if source_of(id_) != source]
        if needed := [id_ for id_ in others if not file or id_ in file.depends(gone)]:
            name = needed[-1]
            why = "depends on it"
            hint = f"What was applied after it: python -m runner rollback --to {name}"
            if not file:
                why = "has no file here"
                hint = f"Check out the branch or release that has the source {source}."
            raise PlanError(
                f"{name} cannot be rolled back: {entry.id} is applied and {why}", hint=hint
            )
