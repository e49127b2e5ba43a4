"""Check migration files on a scratch server: re-run, rollback, existing rows, lint, psql."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from psycopg import sql

from runner.errors import RunnerError
from runner.events import Report, Working, silent
from runner.execution import transactional
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection
from runner.preflight import sample_rows
from runner.preflight.checks import apply_paths, lint
from runner.preflight.checks.apply_paths import rerun
from runner.preflight.checks.finding import CHECKS, FileResult, Finding, Findings, failure
from runner.preflight.scratch import ScratchServer, apply
from runner.queries import query
from runner.schema import snapshot
from runner.schema.diff import difference
from runner.schema.snapshot import Snapshot

_RE_RUN, _ROLLBACK, _DATA, _LINT = CHECKS

# Applies one file to a database that has all files before it, and yields what failed.
FileCheck = Callable[[Migrator, Migration], Iterator[Finding]]


def check(
    scratch: ScratchServer,
    files: Sequence[Migration],
    seeds: Sequence[SqlFile] = (),
    *,
    only: Migration | None = None,
    report: Report = silent,
) -> Findings:
    """Check each file, then all of them together.

    `seeds` are loaded as existing rows, where they fit the schema. With `only`, check this file
    alone, and not all together. Raises FileError or SqlError for a file that cannot be applied to
    an empty database.
    """
    found = Findings()
    states: dict[str, Snapshot] = {}  # by id: the schema after this file
    seconds_of: dict[str, float] = defaultdict(float)
    needed = files if only is None else files[: files.index(only) + 1]
    chosen = [file for file in files if only in (None, file)]

    def check_files(file_check: FileCheck) -> None:
        for file, findings, seconds in _in_sequence(scratch, needed, chosen, file_check):
            report(Working(f"check {file.id}"))
            seconds_of[file.id] += seconds
            found.failed += findings

    check_files(partial(_check_schema, states))
    check_files(partial(_check_existing_data, states, seeds, found))
    found.failed += lint.findings(chosen)
    for file in chosen:
        failed = {finding.check for finding in found.failed if finding.file == file.id}
        passed = {name: name not in failed for name in CHECKS}
        found.files.append(FileResult(file.id, passed, round(seconds_of[file.id] * 1000, 1)))
    if only is None:
        for name, path in apply_paths.PATHS.items():
            report(Working(f"check: {name}"))
            found.add_overall(name, path(scratch, files, states[files[-1].id]))
    if lint.squawk() is None:
        found.notes.append(
            "squawk is not installed, its rules were skipped: pip install squawk-cli"
        )
    return found


def _in_sequence(
    scratch: ScratchServer,
    files: Sequence[Migration],
    chosen: Sequence[Migration],
    file_check: FileCheck,
) -> Iterator[tuple[Migration, list[Finding], float]]:
    """Yield the findings for each chosen file, and the seconds its check took.

    The check itself applies the file. After a failure its database cannot be trusted, so the next
    file gets a new one, to which the files before it are applied.
    """
    done = 0
    while done < len(files):
        with scratch.database() as migrator:
            apply(migrator, files[:done])
            for file in files[done:]:
                done += 1
                started = time.monotonic()
                found = list(file_check(migrator, file))
                if file in chosen:
                    yield file, found, time.monotonic() - started
                if found:
                    break


def _check_schema(
    states: dict[str, Snapshot], migrator: Migrator, file: Migration
) -> Iterator[Finding]:
    """Apply a file, apply it again without its record, roll it back, apply it once more."""
    before = snapshot.take(migrator.connection)
    apply(migrator, [file])
    after = states[file.id] = snapshot.take(migrator.connection)
    rows = _digests(migrator.connection)
    failed = rerun(migrator, file, _RE_RUN)
    if failed:
        yield failed
        return
    found = difference(after, snapshot.take(migrator.connection))
    details = tuple(d.as_effect() for d in found)
    if _digests(migrator.connection) != rows:
        details += ("changes rows",)
    if details:
        yield Finding(_RE_RUN, file.id, "changes the database when it is run again", details)
        return
    yield from _check_rollback(migrator, file, before, after)


def _check_rollback(
    migrator: Migrator, file: Migration, before: Snapshot, after: Snapshot
) -> Iterator[Finding]:
    """Roll an applied file back and apply it again; compare with the schema before and after it."""
    try:
        with migrator.lock():
            migrator.roll_back([file])
    except RunnerError as error:
        yield failure(_ROLLBACK, file, "cannot be rolled back", error)
        return
    left = difference(snapshot.take(migrator.connection), before)
    if left:
        details = tuple(d.as_drift("after the rollback", "before the file") for d in left)
        yield Finding(_ROLLBACK, file.id, "is not rolled back completely", details)
        return
    try:
        apply(migrator, [file])
    except RunnerError as error:
        yield failure(_ROLLBACK, file, "cannot be applied again after its rollback", error)
        return
    found = difference(after, snapshot.take(migrator.connection))
    if found:
        details = tuple(d.as_drift("the first time", "after the rollback") for d in found)
        summary = "produces a different schema after its rollback"
        yield Finding(_ROLLBACK, file.id, summary, details)


def _check_existing_data(
    states: dict[str, Snapshot],
    seeds: Sequence[SqlFile],
    findings: Findings,
    migrator: Migrator,
    file: Migration,
) -> Iterator[Finding]:
    """Apply a file while every table has rows, then again without its record."""
    _load_fitting_seeds(migrator.connection, seeds)
    for result in sample_rows.fill(migrator.connection):
        note = f"no sample rows could be inserted into {result.table}: {result.reason}"
        if result.reason and not result.rows and note not in findings.notes:
            findings.notes.append(note)
    try:
        apply(migrator, [file])
    except RunnerError as error:
        yield failure(_DATA, file, "fails if tables contain rows", error)
        return
    found = difference(states[file.id], snapshot.take(migrator.connection))
    if found:
        details = tuple(d.as_drift("without rows", "with rows") for d in found)
        summary = "produces a different schema if tables contain rows"
        yield Finding(_DATA, file.id, summary, details)
    before = _digests(migrator.connection)
    failed = rerun(migrator, file, _DATA)
    if failed:
        yield failed
        return
    after = _digests(migrator.connection)
    changed = tuple(f"rows of {name}" for name in after if after[name] != before.get(name))
    if changed:
        yield Finding(_DATA, file.id, "changes rows when it is run again", changed)


def _load_fitting_seeds(connection: Connection, seeds: Sequence[SqlFile]) -> None:
    """Load each seed file that the current schema accepts."""
    for file in seeds:
        try:
            with connection.transaction():
                transactional.run_whole(connection, file, state="")
        except RunnerError:  # written for an earlier or later schema
            continue
        finally:
            connection.execute(transactional.RESET_SESSION.encode())


def _digests(connection: Connection) -> dict[str, str]:
    """Return a digest of the rows of each table, independent of their order."""
    tables = connection.execute(query("preflight/checks/tables")).fetchall()
    if not tables:
        return {}
    one = sql.SQL(
        "select {label}, md5(coalesce(string_agg(t::text, chr(10) order by t::text), ''))"
        " from {} as t"
    )
    parts = [one.format(sql.Identifier(*t), label=sql.Literal(".".join(t))) for t in tables]
    return dict(connection.execute(sql.SQL(" union all ").join(parts)).fetchall())
