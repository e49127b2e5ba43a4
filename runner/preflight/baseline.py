"""Adopt a database that already has the schema, created by psql, yoyo, Prisma or another tool.

Migrations are recorded only if the catalog is equal to the one that the files produce.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from runner.errors import PlanError, SqlError
from runner.events import Note, Report, Working, silent
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres.connection import connect
from runner.preflight import forced, order, server_facts
from runner.preflight import foreign as other_tools
from runner.preflight.catalog_changes import PARTS, CatalogChanges
from runner.preflight.diff import Difference
from runner.preflight.foreign import foreign_advice, separate_foreign
from runner.preflight.partitions import at_run_time, made_at_run_time
from runner.preflight.scratch import ScratchServer, apply, scratch_server, version_like
from runner.schema import snapshot
from runner.schema.snapshot import Fact, Snapshot

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
    chosen = files[: files.index(last) + 1]
    tables = other_tools.tables(migrator.connection)
    here = snapshot.take(migrator.connection)
    with scratch_server(version_like(here), report, other=True) as scratch:
        report(Working(f"baseline: {len(chosen)} files"))
        there, made = server_facts.made_by(chosen, scratch, migrator.connection)
        there = forced.as_owner(there, chosen, scratch, migrator.connection)
        differences, foreign = separate_foreign(tables, here, there)
        differences, partitions = at_run_time(differences, here, there)
        is_recorded = bool(migrator.records())
        is_empty = not (is_recorded or any(_is_made(fact, tables) for fact in here.facts))
        if differences and is_empty:
            raise PlanError(
                "The database has no table, function or type: there is nothing to record",
                hint="To create the schema: python -m runner apply",
            )
        if differences:
            match = _last_match(migrator, here, scratch, chosen)
            lost, note = server_facts.lost(migrator.connection, made, chosen)
            lost += [note] if note else []
            raise _mismatch(last, differences, match, lost, is_recorded=is_recorded)
    if foreign:
        report(Note(foreign_advice(foreign)))
    if partitions:
        report(Note(made_at_run_time(partitions)))
    known = migrator.records()
    todo = [file for file in chosen if file.id not in known]
    for file in todo:
        migrator.record(file, "mark", last=file is todo[-1])
    return todo


def _is_made(fact: Fact, tables: Sequence[other_tools.ForeignTable]) -> bool:
    """Whether a fact is of what files make, and not of the records of another tool."""
    name = fact.of or fact.name
    return fact.kind in PARTS and not any(table.contains(name) for table in tables)


def _last_match(
    migrator: Migrator, here: Snapshot, scratch: ScratchServer, files: Sequence[Migration]
) -> str:
    """Return the id of the last file after which the catalog is equal; empty if there is none."""
    tables = other_tools.tables(migrator.connection)
    partitions = {fact.name for fact in here.facts if fact.trait == "partition"}
    expected = {f.name for f in here.facts if f.kind == "table" and _is_made(f, tables)}
    expected -= partitions
    match = ""
    with ExitStack() as stack:
        made = stack.enter_context(scratch.database(like=migrator.connection, files=files))
        # A session that no file resets keeps the plans of its queries.
        reader = stack.enter_context(connect(scratch.target(made.connection.info.dbname)))
        changes = CatalogChanges(reader)
        other_owner = forced.differs(migrator.connection, reader)  # `--to` compares all of it
        for file in files:
            migrator.report(Working(f"baseline: {file.id}"))
            try:
                apply(made, [file])
            except SqlError:  # a role without a guard, which the first database has made
                break
            changes.since()
            if expected - changes.catalog.parts.keys():
                continue  # to compare all takes longest
            there = changes.catalog.snapshot()
            found = at_run_time(separate_foreign(tables, here, there)[0], here, there)[0]
            if all(d.trait == "force" and other_owner for d in found):
                match = file.id
    return match


def _mismatch(
    last: Migration,
    found: Sequence[Difference],
    match: str,
    lost: Sequence[str],
    *,
    is_recorded: bool,
) -> PlanError:
    count = f"{len(found)} difference{'' if len(found) == 1 else 's'}"
    lines = [f"  {d.as_drift()}" for d in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  … and {len(found) - _SHOWN} more")
    if is_recorded:
        lines.append("If it was restored from a dump: python -m runner apply --restored")
    elif match:
        lines.append(
            f"It matches the files up to {match}: python -m runner baseline --to {match}, then "
            "apply."
        )
    else:
        fixes = [*lost, order.joined(d.fix for d in found if d.fix)]
        if any(fixes):
            lines += ["Statements that fix it without losing data:", *filter(None, fixes)]
    return PlanError(
        f"The database does not match the files up to {last.id}: {count}",
        hint="\n".join(lines),
    )
