"""Compare a database with its migration files: recorded migrations, and the catalog.

The catalog comparison detects what guards hide: `create table if not exists` silently skips an
existing table of a different shape. So the target's catalog is compared with the one that the same
files produce in an empty database on a scratch server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import psycopg

from runner.events import Report, Working, silent
from runner.files.loader import Migration
from runner.isolation import overlay
from runner.isolation.verdict import Breach, Check
from runner.migrate import recorder
from runner.migrate.migrator import Migrator
from runner.migrate.plan import ADVICE, Entry, Plan, State, compare
from runner.postgres.connection import Connection, has_citus, open_second
from runner.preflight import edits, forced, foreign, order
from runner.preflight.diff import Difference
from runner.preflight.foreign import foreign_advice, separate_foreign
from runner.preflight.partitions import at_run_time, made_at_run_time
from runner.preflight.scratch import scratch_server, version_like
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot

NAME = "drift"
_SOURCE = "the files in sql/{}, applied to an empty database"
_MISSING = " and the recorded text of those that are missing"
_PASSED = {State.APPLIED: True, State.COSMETIC: True, State.EDITED: False}  # others: not compared
_WRITE = "python -m runner new NAME  -- and write the change into this migration"
_CAUSE = "changed by hand, or an `if not exists` guard skipped an existing object"


@dataclass(frozen=True)
class Audit:
    """The differences between a database and its files."""

    plan: Plan
    differences: tuple[Difference, ...]
    foreign: tuple[str, ...]  # tables of other migration tools
    edits: dict[str, list[str]]  # the differing lines of each edited migration, by id
    elsewhere: dict[str, list[str]]  # the pending migrations that another tool applied, by sentence
    of_overlay: tuple[Difference, ...] = ()  # of objects that it names: it runs on no other server
    partitions: tuple[str, ...] = ()  # that no file makes

    def checks(self) -> list[Check]:
        """Return one check per migration, and one for the catalog."""
        found = [
            Check(
                "file",
                entry.id,
                ADVICE.get(entry.state, "applied; the file is unchanged"),
                "the migration tables",
                entry.state.label,
                passed=_PASSED.get(entry.state),
            )
            for entry in self.plan.entries
        ]
        count = len({d.object for d in self.differences})
        differ = "1 object differs" if count == 1 else f"{count} objects differ"
        missing = _MISSING if self.plan.of(State.MISSING) else ""
        outcome = differ if count else f"matches the files{missing}"
        source = _SOURCE.format(missing)
        return [
            *found,
            Check(
                "catalog", NAME, "The catalog, object by object", source, outcome, passed=not count
            ),
        ]

    def breaches(self) -> list[Breach]:
        """Return one breach per edited migration and per object that differs."""
        views = {d.name for d in self.differences if d.kind.endswith("view")}
        differ = [
            _differs(list(of_object), views)
            for _, of_object in groupby(self.differences, lambda d: d.object)
        ]
        differ.sort(key=lambda breach: order.rank_of_fix(breach.fix))
        return [*(self._edited(entry) for entry in self.plan.of(State.EDITED)), *differ]

    def warnings(self) -> list[str]:
        """Return differences that are not breaches: pending or missing files, other tools."""
        found = [f"{', '.join(ids)}: {said}" for said, ids in self.elsewhere.items()]
        named = {id_ for ids in self.elsewhere.values() for id_ in ids}
        found += [
            f"{', '.join(ids)}: {ADVICE[state]}"
            for state in (State.PENDING, State.OUT_OF_ORDER, State.MISSING, State.COSMETIC)
            if (ids := [e.id for e in self.plan.of(state) if e.id not in named])
        ]
        if self.foreign:
            found.append(foreign_advice(self.foreign))
        if self.of_overlay:
            found.append(overlay.note({d.object for d in self.of_overlay}))
        if self.partitions:
            found.append(made_at_run_time(self.partitions))
        return found

    def _edited(self, entry: Entry) -> Breach:
        return Breach(
            proof=NAME,
            subject=entry.id,
            summary=f"{entry.id} was edited after being applied.",
            exposed="\n".join(self.edits[entry.id]),
            cause="the database still has the schema of the earlier version of the file",
            intended=f"python -m runner apply --accept-edit {entry.id}  "
            "-- if both versions produce the same schema",
            fix="-- restore the file, and write the change as a new migration",
        )


def audit(migrator: Migrator, files: Sequence[Migration], *, report: Report = silent) -> Audit:
    """Compare the database with its applied files, or with all files if none is recorded.

    Read-only. Raises FileError or SqlError if the files do not apply to an empty database, and
    ServerError if no scratch server can be started.
    """
    report(Working("drift: building the catalog from the files"))
    with auditing(migrator, files) as finish:
        return finish()


@contextmanager
def auditing(migrator: Migrator, files: Sequence[Migration]) -> Iterator[Callable[[], Audit]]:
    """Build the catalog of the files in another thread; yield the function that awaits the audit.

    It raises as `audit` does. A signal also ends the other thread.
    """
    plan = compare(files, migrator.records())
    here = snapshot.take(migrator.connection)
    tables = foreign.tables(migrator.connection)
    elsewhere = {
        foreign.note(table, of_table, plan): [file.id for file in of_table]
        for table, of_table in foreign.recorded(migrator.connection, plan)
        if of_table
    }
    version = version_like(here)

    def finish() -> Audit:
        found, of_others = separate_foreign(tables, here, building.result())
        found, partitions = at_run_time(found, here, building.result())
        edited = {
            e.id: edits.lines(migrator, e.migration) for e in plan.of(State.EDITED) if e.migration
        }
        left, of_overlay = overlay.separate(migrator, plan, found)
        others, parts = tuple(of_others), tuple(partitions)
        return Audit(plan, left, others, edited, elsewhere, of_overlay, parts)

    with (
        tempfile.TemporaryDirectory() as folder,
        _second(migrator.connection) as second,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        files = applied(migrator, plan, Path(folder))
        building = pool.submit(_built, version, files, second or migrator.connection)
        if second is None:
            building.exception()  # waits, because both need the one connection
        yield finish


def _second(connection: Connection) -> AbstractContextManager[Connection | None]:
    try:
        return open_second(connection)
    except psycopg.Error:  # the server or the role has no connection left
        return nullcontext()


def _built(version: int, files: Sequence[Migration], like: Connection) -> Snapshot:
    with scratch_server(version, other=True) as scratch:
        return forced.as_owner(scratch.snapshot_of(files, like=like), files, scratch, like)


def applied(migrator: Migrator, plan: Plan, folder: Path) -> list[Migration]:
    """Return the applied files; a missing one is restored from the text that was recorded."""
    if not any(entry.record for entry in plan.entries):
        return [entry.migration for entry in plan.entries if entry.migration]
    files = []
    citus = has_citus(migrator.connection)
    for number, entry in enumerate(plan.entries):
        if entry.record is None or (citus and overlay.is_of(entry.id)):
            continue
        if entry.migration:
            files.append(entry.migration)
        elif (content := recorder.content(migrator.connection, entry.id)) is not None:
            path = folder / f"{number}.sql"
            path.write_text(content, encoding="utf-8")
            files.append(Migration(path, entry.id, number))
    return files


def _differs(of_object: Sequence[Difference], views: Collection[str]) -> Breach:
    """Return one breach for all differences of one object; columns of `views` have no fix."""
    first = of_object[0]
    fixes = [d.fix or ("" if d.of in views else statement(d)) for d in of_object]
    details = [d.as_drift().removeprefix(f"{first.object}: ") for d in of_object]
    return Breach(
        proof=NAME,
        subject=first.object,
        summary=f"{first.object}: {'; '.join(details)}",
        exposed="\n".join(line for d in of_object for line in d.lines()),
        cause=_CAUSE,
        intended=_WRITE,
        fix="\n".join(dict.fromkeys(filter(None, fixes))),
    )


def statement(extra: Difference) -> str:
    """Return the statement that removes what no file makes, and its rows; '' for the rest.

    Also FORCE where the files have it against the attributes of the owner; ONLY says that these do
    not decide.
    """
    if extra.trait == "force" and extra.after:
        word = "force" if extra.after.startswith("on") else "no force"
        return f"alter table only {extra.name} {word} row level security;"
    if extra.is_whole and extra.after is None:
        if extra.kind == "column" and extra.of:
            column = extra.name.removeprefix(f"{extra.of}.")
            return f"alter table {extra.of} drop column {column};  -- and its values"
        if extra.kind == "table":
            return f"drop table {extra.name};  -- and its rows"
        if extra.kind == "sequence":
            return f"drop sequence {extra.name};"
    return ""
