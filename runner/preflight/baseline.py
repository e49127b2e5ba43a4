"""Taking over a database that has this schema already, whatever made it: psql, yoyo, Prisma, …

Nothing is believed: the records are written only where the catalog is proven to be what the
files make.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import PlanError
from runner.events import Note, Report, Working, silent
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.preflight.scratch import apply, scratch_server
from runner.schema import snapshot
from runner.schema.diff import Difference
from runner.schema.foreign import told_apart, words_of_foreign

_SHOWN = 20  # differences that an error holds


def baseline(
    migrator: Migrator,
    files: Sequence[Migration],
    to: Migration | None = None,
    *,
    report: Report = silent,
) -> list[Migration]:
    """Record the files up to `to`, or all, as applied; return those that were not recorded yet.

    To be called under the lock. Raises PlanError, naming what differs, where the catalog is not
    what these files make of an empty database.
    """
    last = to or files[-1]
    here = snapshot.take(migrator.connection)
    states: dict[str, list[Difference]] = {}
    foreign: list[str] = []
    with scratch_server(here.version, report) as scratch, scratch.database() as made:
        for file in files[: files.index(last) + 1]:
            report(Working(f"baseline: {file.id}"))
            apply(made, [file])
            states[file.id], foreign = told_apart(here, snapshot.take(made.connection))
    if states[last.id]:
        raise _refused(last, states)
    if foreign:
        report(Note(words_of_foreign(foreign)))
    known = migrator.records()
    todo = [file for file in files[: files.index(last) + 1] if file.id not in known]
    for file in todo:
        migrator.mark(file)
    return todo


def _refused(last: Migration, states: dict[str, list[Difference]]) -> PlanError:
    found = states[last.id]
    count = f"{len(found)} thing{' differs' if len(found) == 1 else 's differ'}"
    lines = [f"  {d.as_drift()}" for d in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  … and {len(found) - _SHOWN} more")
    reached = [id_ for id_, differences in states.items() if not differences]
    if reached:
        lines.append(
            f"It is what the files up to {reached[-1]} make: python -m runner baseline --to "
            f"{reached[-1]}, then apply."
        )
    else:
        fixes = dict.fromkeys(d.fix for d in found if d.fix)
        lines += ["To fix it, where that is certain:", *fixes] if fixes else []
    return PlanError(
        f"The database is not what the files up to {last.id} make: {count}",
        hint="\n".join([*lines, "Nothing was recorded."]),
    )
