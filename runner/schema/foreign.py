"""Records of other migration tools: told apart from drift, and named."""

from __future__ import annotations

from collections.abc import Sequence

from runner.schema.diff import Difference, difference
from runner.schema.snapshot import Snapshot

# What other tools keep their own records in; told apart from drift, and named.
FOREIGN = tuple(
    f"public.{name}"
    for name in ("_prisma_migrations", "_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock")
)


def told_apart(here: Snapshot, there: Snapshot) -> tuple[list[Difference], list[str]]:
    """Return how a database differs from its files, and the tables of other tools' records."""
    found = difference(here, there)
    foreign = [d for d in found if d.after is None and d.name in FOREIGN]
    return [d for d in found if d not in foreign], [d.name for d in foreign]


def words_of_foreign(names: Sequence[str]) -> str:
    """Say what to do about other tools' records."""
    return (
        f"{', '.join(names)}: another tool's records, which the files do not make. Drop them once "
        "that tool is not used here any more"
    )
