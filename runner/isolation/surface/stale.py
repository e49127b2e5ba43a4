"""Whether the migrations still make the reviewed surface, for `check`."""

from __future__ import annotations

from pathlib import Path

from runner.files import loader
from runner.isolation.surface import review
from runner.preflight.checks.finding import Finding
from runner.preflight.scratch import ScratchServer, apply


def findings(scratch: ScratchServer, sql_dir: Path, lock: Path) -> list[Finding]:
    """Return the finding that the files make another security surface than was reviewed."""
    with scratch.database() as migrator:
        apply(migrator, loader.read(sql_dir))
        changes = review.stale(migrator.connection, lock) or []
    if not changes:
        return []
    summary = f"is stale: python -m runner up && {review.ACCEPT}"
    details = (line for change in changes for line in (change.summary, *change.diff))
    return [Finding(lock.name, "", summary, tuple(details))]
