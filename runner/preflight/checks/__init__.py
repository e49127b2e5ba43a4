"""What the files are worth, proved on a scratch server: run again, taken back, over rows."""

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
from runner.preflight.checks.apply_paths import run_again
from runner.preflight.checks.finding import PROOFS, Finding, Findings, Line, broken
from runner.preflight.scratch import ScratchServer, apply
from runner.queries import query
from runner.schema import snapshot
from runner.schema.diff import difference
from runner.schema.snapshot import Snapshot

_RE_RUN, _ROLLBACK, _OVER_DATA, _LINT = PROOFS

Proof = Callable[[Migrator, Migration], Iterator[Finding]]


def check(
    scratch: ScratchServer,
    files: Sequence[Migration],
    seeds: Sequence[SqlFile] = (),
    *,
    only: Migration | None = None,
    report: Report = silent,
) -> Findings:
    """Prove each file, or `only` one, then all of them together.

    Raises FileError or SqlError for a file that does not even apply to an empty database.
    """
    found = Findings()
    states: dict[str, Snapshot] = {}
    took: dict[str, float] = defaultdict(float)
    until = files if only is None else files[: files.index(only) + 1]
    chosen = [file for file in files if only in (None, file)]

    def along(proof: Proof) -> None:
        for file, findings, seconds in _along(scratch, until, chosen, proof):
            report(Working(f"check {file.id}"))
            took[file.id] += seconds
            found.failed += findings

    along(partial(_there_and_back, states))
    along(partial(_over_data, states, seeds, found))
    found.failed += lint.findings(chosen)
    for file in chosen:
        failed = {finding.proof for finding in found.failed if finding.file == file.id}
        proofs = {proof: proof not in failed for proof in PROOFS}
        found.lines.append(Line(file.id, proofs, round(took[file.id] * 1000, 1)))
    if only is None:
        for name, road in apply_paths.ROADS.items():
            report(Working(f"check: {name}"))
            found.whole(name, road(scratch, files, states[files[-1].id]))
    if lint.squawk() is None:
        found.notes.append("squawk is not installed, so it was not asked: pip install squawk-cli")
    return found


def _along(
    scratch: ScratchServer, files: Sequence[Migration], chosen: Sequence[Migration], proof: Proof
) -> Iterator[tuple[Migration, list[Finding], float]]:
    """Apply file after file, each by its proof; after one that failed, on a database made anew."""
    done = 0
    while done < len(files):
        with scratch.database() as migrator:
            apply(migrator, files[:done])
            for file in files[done:]:
                done += 1
                started = time.monotonic()
                found = list(proof(migrator, file))
                if file in chosen:
                    yield file, found, time.monotonic() - started
                if found:
                    break


def _there_and_back(
    states: dict[str, Snapshot], migrator: Migrator, file: Migration
) -> Iterator[Finding]:
    """Apply a file; then again with its record forgotten; then back, and there again."""
    before = snapshot.take(migrator.connection)
    apply(migrator, [file])
    after = states[file.id] = snapshot.take(migrator.connection)
    kept = _digests(migrator.connection)
    again = run_again(migrator, file, _RE_RUN)
    if again:
        yield again
        return
    found = difference(after, snapshot.take(migrator.connection))
    words = tuple(d.as_effect() for d in found)
    if _digests(migrator.connection) != kept:
        words += ("changes rows",)
    if words:
        yield Finding(_RE_RUN, file.id, "changes something when it is run again", words)
        return
    yield from _back_and_there(migrator, file, before, after)


def _back_and_there(
    migrator: Migrator, file: Migration, before: Snapshot, after: Snapshot
) -> Iterator[Finding]:
    try:
        with migrator.lock():
            migrator.roll_back([file])
    except RunnerError as error:
        yield broken(_ROLLBACK, file, "cannot be taken back", error)
        return
    left = difference(snapshot.take(migrator.connection), before)
    if left:
        words = tuple(d.as_drift("after the way back", "before the file") for d in left)
        yield Finding(_ROLLBACK, file.id, "is not wholly taken back", words)
        return
    try:
        apply(migrator, [file])
    except RunnerError as error:
        yield broken(_ROLLBACK, file, "cannot be applied again after its way back", error)
        return
    found = difference(after, snapshot.take(migrator.connection))
    if found:
        words = tuple(d.as_drift("the first time", "after the way back") for d in found)
        yield Finding(_ROLLBACK, file.id, "makes something else after its way back", words)


def _over_data(
    states: dict[str, Snapshot],
    seeds: Sequence[SqlFile],
    kept: Findings,
    migrator: Migrator,
    file: Migration,
) -> Iterator[Finding]:
    """Apply a file where every table has rows, and again."""
    _pour_what_fits(migrator.connection, seeds)
    for made in sample_rows.fill(migrator.connection):
        note = f"no rows could be made for {made.table}: {made.why_not}"
        if made.why_not and not made.rows and note not in kept.notes:
            kept.notes.append(note)
    try:
        apply(migrator, [file])
    except RunnerError as error:
        yield broken(_OVER_DATA, file, "fails where the tables have rows", error)
        return
    found = difference(states[file.id], snapshot.take(migrator.connection))
    if found:
        words = tuple(d.as_drift("without rows", "with rows") for d in found)
        yield Finding(_OVER_DATA, file.id, "makes something else where the tables have rows", words)
    digests = _digests(migrator.connection)
    again = run_again(migrator, file, _OVER_DATA)
    if again:
        yield again
        return
    now = _digests(migrator.connection)
    changed = tuple(f"rows of {name}" for name in now if now[name] != digests.get(name))
    if changed:
        yield Finding(_OVER_DATA, file.id, "changes rows when it is run again", changed)


def _pour_what_fits(connection: Connection, seeds: Sequence[SqlFile]) -> None:
    """Pour in each seed that the schema takes at this point."""
    for script in seeds:
        try:
            with connection.transaction():
                transactional.run_whole(connection, script, state="")
        except RunnerError:  # made for a later schema, or an earlier one
            continue
        finally:
            connection.execute(transactional.RESET_SESSION.encode())


def _digests(connection: Connection) -> dict[str, str]:
    """Return a digest of the rows of each table, whatever their order."""
    tables = connection.execute(query("preflight/checks/tables")).fetchall()
    if not tables:
        return {}
    one = sql.SQL(
        "select {label}, md5(coalesce(string_agg(t::text, chr(10) order by t::text), ''))"
        " from {} as t"
    )
    parts = [one.format(sql.Identifier(*t), label=sql.Literal(".".join(t))) for t in tables]
    return dict(connection.execute(sql.SQL(" union all ").join(parts)).fetchall())
