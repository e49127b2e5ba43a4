"""Is this database what its files say? Ledger against files, and catalog against catalog.

The second is the guard audit: `create table if not exists` skips over a table of another shape and
says nothing, so the target's catalog is held against the one that the same files make of an
empty database, on a scratch server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from runner.events import Report, Working, silent
from runner.files.loader import Migration
from runner.isolation.verdict import Breach, Check
from runner.migrate import recorder
from runner.migrate.migrator import Migrator
from runner.migrate.plan import ADVICE, Entry, Plan, State, compare
from runner.preflight import edits
from runner.preflight.scratch import scratch_server
from runner.schema import snapshot
from runner.schema.diff import Difference
from runner.schema.foreign import told_apart, words_of_foreign

NAME = "drift"
_SOURCE = "the files of sql/, applied to an empty database"
_FAULT = "done by hand, or by a file whose guard (if not exists) skipped over what was there"


@dataclass(frozen=True)
class Audit:
    """What ledger and files, and the two catalogs, say of each other."""

    plan: Plan
    differences: tuple[Difference, ...]
    foreign: tuple[str, ...]  # tables in which other tools keep their records
    edits: dict[str, list[str]]  # the lines that differ, by id of an edited migration

    def checks(self) -> list[Check]:
        """Return a check for each migration, and one for the catalog."""
        found = [
            Check(
                "file",
                entry.id,
                ADVICE.get(entry.state, "applied as it stands"),
                "the ledger",
                entry.state.value,
                passed=entry.state is not State.EDITED,
            )
            for entry in self.plan.entries
        ]
        count = len({d.object for d in self.differences})
        differ = "1 object differs" if count == 1 else f"{count} objects differ"
        words = differ if count else "as the files say"
        return [
            *found,
            Check("file", NAME, "The catalog, object by object", _SOURCE, words, passed=not count),
        ]

    def breaches(self) -> list[Breach]:
        """Return a breach for each edited migration and each object that differs."""
        return [
            *(self._edited(entry) for entry in self.plan.of(State.EDITED)),
            *(
                _differs(list(of_object))
                for _, of_object in groupby(self.differences, lambda d: d.object)
            ),
        ]

    def warnings(self) -> list[str]:
        """Return what is no breach and should be known."""
        found = [
            f"{', '.join(e.id for e in entries)}: {ADVICE[state]}"
            for state in (State.PENDING, State.OUT_OF_ORDER, State.MISSING, State.COSMETIC)
            if (entries := self.plan.of(state))
        ]
        if self.foreign:
            found.append(words_of_foreign(self.foreign))
        return found

    def _edited(self, entry: Entry) -> Breach:
        return Breach(
            proof=NAME,
            subject=entry.id,
            what=f"{entry.id} was edited after being applied.",
            reached="\n".join(self.edits[entry.id]),
            fault="the database holds what the file said before",
            fix="-- put the file back and write the change as a new migration; where both make "
            f"the same:\npython -m runner apply --accept-edit {entry.id}",
        )


def audit(migrator: Migrator, files: Sequence[Migration], *, report: Report = silent) -> Audit:
    """Hold the database against its files: those that are applied, or all where none is recorded.

    Raises FileError or SqlError when the files do not apply to an empty database, and ServerError
    where no scratch server can be started. Reads only.
    """
    plan = compare(files, migrator.records())
    here = snapshot.take(migrator.connection)
    with (
        tempfile.TemporaryDirectory() as folder,
        scratch_server(here.version, report) as scratch,
    ):
        report(Working("drift: the catalog by the files"))
        there = scratch.snapshot_of(_applied(migrator, plan, Path(folder)))
    found, foreign = told_apart(here, there)
    return Audit(
        plan,
        tuple(found),
        tuple(foreign),
        {e.id: edits.lines(migrator, e.migration) for e in plan.of(State.EDITED) if e.migration},
    )


def _applied(migrator: Migrator, plan: Plan, folder: Path) -> list[Migration]:
    """Return the files that are applied; one that is missing here as the ledger has kept it."""
    if not any(entry.record for entry in plan.entries):
        return [entry.migration for entry in plan.entries if entry.migration]
    files = []
    for number, entry in enumerate(plan.entries):
        if entry.record is None:
            continue
        if entry.migration:
            files.append(entry.migration)
        elif (content := recorder.content(migrator.connection, entry.id)) is not None:
            path = folder / f"{entry.id}.sql"
            path.write_text(content, encoding="utf-8")
            files.append(Migration(path, entry.id, number))
    return files


def _differs(of_object: Sequence[Difference]) -> Breach:
    """Return the breach for one object, in however many traits it differs."""
    first = of_object[0]
    said = [d.as_drift().removeprefix(f"{first.object}: ") for d in of_object]
    return Breach(
        proof=NAME,
        subject=first.object,
        what=f"{first.object}: {'; '.join(said)}",
        reached="\n".join(line for d in of_object for line in d.lines()),
        fault=_FAULT,
        fix="\n".join(dict.fromkeys(d.fix for d in of_object if d.fix)),
    )
