"""Recognize the record tables of other migration tools, which are not drift."""

from __future__ import annotations

from collections.abc import Sequence

from runner.schema.diff import Difference, difference
from runner.schema.snapshot import Snapshot

FOREIGN = tuple(
    f"public.{name}"
    for name in ("_prisma_migrations", "_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock")
)


def separate_foreign(here: Snapshot, there: Snapshot) -> tuple[list[Difference], list[str]]:
    """Return the differences of a database from its files, and other tools' record tables."""
    found = difference(here, there)
    foreign = [d for d in found if d.after is None and d.name in FOREIGN]
    return [d for d in found if d not in foreign], [d.name for d in foreign]


def foreign_advice(names: Sequence[str]) -> str:
    return (
        f"{', '.join(names)}: records of another migration tool. Drop them when that tool is no "
        "longer used here"
    )
