"""Applied files that have another number or source now, as after a merge of two branches."""

from __future__ import annotations

from runner.errors import PlanError
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.migrate.plan import Entry, Plan, State


def pairs(plan: Plan) -> list[tuple[Entry, Migration]]:
    """Return missing migrations, each with the pending file that has the same code."""
    pending = plan.of(State.PENDING, State.OUT_OF_ORDER)
    found = []
    for missing in plan.of(State.MISSING):
        code = missing.record.code_sha256 if missing.record else None
        same = [e.migration for e in pending if e.migration and e.migration.code_sha256 == code]
        if code and len(same) == 1:
            found.append((missing, same[0]))
    return found


def accept(migrator: Migrator, plan: Plan) -> None:
    """Record each such file in place of the missing one; call under the lock."""
    for missing, file in pairs(plan):
        if missing.id.endswith(f"/{file.name}") or missing.id == file.name:
            migrator.record(file, "edit")  # moved to another source; yoyo's key is the name alone
            continue
        migrator.record(file, "mark", last=False)
        migrator.record(Migration(file.path, missing.id, file.number), "unmark")


def refuse(plan: Plan) -> None:
    """Raise PlanError if there is such a file: to apply it would run its code a second time."""
    found = pairs(plan)
    if found:
        ids = ", ".join(f"{missing.id} is {file.id} now" for missing, file in found)
        raise PlanError(
            f"Applied files have another number now, with the same code: {ids}",
            hint="To record that without running them: python -m runner apply --renumbered",
        )
