"""Adopt a database that already has the schema, created by psql, yoyo, Prisma or another tool.

Migrations are recorded only if the catalog is equal to the one that the files produce.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import PlanError
from runner.events import Note, Report, Working, silent
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.preflight.foreign import foreign_advice, separate_foreign
from runner.preflight.scratch import apply, scratch_server
from runner.schema import snapshot
from runner.schema.diff import Difference

_SHOWN = 20  # differences that an error shows


def baseline(
    migrator: Migrator,
    files: Sequence[Migration],
    to: Migration | None = None,
    *,
    report: Report = silent,
) -> list[Migration]:
    """Record the files up to `to`, or all, as applied; return those that were not recorded yet.

    The caller holds the lock. Raises PlanError, with the differences, unless the catalog is equal
    to the one that these files produce in an empty database.
    """
    last = to or files[-1]
    here = snapshot.take(migrator.connection)
    differences: dict[str, list[Difference]] = {}  # by the id of the last file applied
    foreign: list[str] = []
    with scratch_server(here.version, report) as scratch, scratch.database() as made:
        for file in files[: files.index(last) + 1]:
            report(Working(f"baseline: {file.id}"))
            apply(made, [file])
            differences[file.id], foreign = separate_foreign(here, snapshot.take(made.connection))
    if differences[last.id]:
        raise _mismatch(last, differences)
    if foreign:
        report(Note(foreign_advice(foreign)))
    known = migrator.records()
    todo = [file for file in files[: files.index(last) + 1] if file.id not in known]
    for file in todo:
        migrator.record(file, "mark")
    return todo


def _mismatch(last: Migration, differences: dict[str, list[Difference]]) -> PlanError:
    found = differences[last.id]
    count = f"{len(found)} difference{'' if len(found) == 1 else 's'}"
    lines = [f"  {d.as_drift()}" for d in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  … and {len(found) - _SHOWN} more")
    equal = [id_ for id_, found in differences.items() if not found]
    if equal:
        lines.append(
            f"It matches the files up to {equal[-1]}: python -m runner baseline --to "
            f"{equal[-1]}, then apply."
        )
    else:
        fixes = dict.fromkeys(d.fix for d in found if d.fix)
        lines += ["Statements that fix it without losing data:", *fixes] if fixes else []
    return PlanError(
        f"The database does not match the files up to {last.id}: {count}",
        hint="\n".join(lines),
    )
