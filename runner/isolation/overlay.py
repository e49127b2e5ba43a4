"""The overlay of a project: a further source of migrations with isolation data of its own.

Once it is applied, what its folder says is added: isolation.toml, isolation/ (a rule, attack or
invariant replaces the one of the same number), and isolation.lock is that of this database.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from runner.errors import UsageError
from runner.migrate import recorder
from runner.migrate.migrator import Migrator
from runner.migrate.plan import Plan
from runner.postgres.connection import has_citus
from runner.preflight.diff import Difference

_SHOWN = 5


def folder(migrator: Migrator, sql_dir: Path) -> Path | None:
    """Return the folder of the source whose migrations are recorded, beside those of sql_dir."""
    with suppress(UsageError):  # nothing was recorded
        sources = {id_.rpartition("/")[0] for id_ in migrator.records()} - {""}
        return next((sql_dir / name for name in sorted(sources) if (sql_dir / name).is_dir()), None)
    return None


def is_of(id_: str) -> bool:
    """Whether a migration is one of an overlay."""
    return "/" in id_


def separate(
    migrator: Migrator, plan: Plan, found: Iterable[Difference]
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """Return the differences from the files, and those of objects that an overlay for Citus names.

    A scratch server has no Citus, so what such an overlay makes of an object is not known: its text
    is searched for the name, or for the end of one that it composes.
    """
    if not has_citus(migrator.connection):
        return tuple(found), ()
    ids = [entry.id for entry in plan.entries if entry.record and is_of(entry.id)]
    texts = (recorder.content(migrator.connection, id_) or "" for id_ in ids)
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    ends = tuple(word for word in words if word.startswith("_") and len(word) > 4)
    left: list[Difference] = []
    named: list[Difference] = []
    for difference in found:
        name = re.findall(r"\w+", difference.name.partition("(")[0])[-1:]
        of_it = any(word in words or word.endswith(ends) for word in name)
        (named if of_it else left).append(difference)
    return tuple(left), tuple(named)


def note(objects: Collection[str]) -> str:
    """Return what is said of the objects that differ from the files by an overlay."""
    shown = ", ".join(sorted(objects)[:_SHOWN])
    more = f" and {len(objects) - _SHOWN} more" if len(objects) > _SHOWN else ""
    return (
        "note: an overlay for Citus is applied, which no scratch server has. "
        f"{len(objects)} objects that it names differ from the files, and were not compared: "
        f"{shown}{more}. What decides "
        "access is compared with the isolation.lock of its folder"
    )
