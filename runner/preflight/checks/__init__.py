"""Check migration files on a scratch server: re-run, rollback, existing rows, lint, psql."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import NamedTuple

from runner.errors import RunnerError, masked
from runner.events import Event, Note, Report, Working, silent
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection
from runner.preflight import sample_rows
from runner.preflight.catalog_changes import Catalog
from runner.preflight.checks import apply_paths, broken_code, existing_rows, lint
from runner.preflight.checks.ahead import ahead
from runner.preflight.checks.chain import Chain
from runner.preflight.checks.finding import CHECKS, Finding, Findings, failure
from runner.preflight.checks.trial import run_again
from runner.preflight.diff import Difference
from runner.preflight.scratch import ScratchServer, apply, scratch_server
from runner.queries import query

OF_ALL = (apply_paths.RE_RUN_OF_ALL, apply_paths.PSQL)
# What a file may do on the scratch server: generated values must not fill a disk.
LIMITS = {"statement_timeout": "60s", "temp_file_limit": "1GB"}

MANY = 15  # files that are checked with two processors
_RE_RUN, _ROLLBACK, _DATA, _LINT = CHECKS
_CHANGES = ("delete", "merge", "update", "with")  # first words of what changes existing rows
_DYNAMIC = re.compile(r"(?i)\bexecute\s(?!\s*(?:function|procedure)\b)")  # may name any table
# A difference of another kind, such as of a type, may concern the rows of every table.
_OF_ONE_TABLE = ("column", "constraint", "function", "index", "policy", "table", "trigger", "view")


def server(
    version: int, files: Collection[Migration], report: Report = silent
) -> AbstractContextManager[ScratchServer]:
    """Start the scratch server for these files; two for many, where the second saves time."""
    return scratch_server(version, report, LIMITS, other=True, twin=len(files) >= MANY)


def check(
    scratch: ScratchServer,
    files: Sequence[Migration],
    seeds: Sequence[SqlFile] = (),
    *,
    only: Migration | None = None,
    found: Findings | None = None,
    report: Report = silent,
) -> Findings:
    """Check each file, then all of them together.

    `seeds` are loaded as existing rows, where they fit the schema. With `only`, check this file
    alone, and not all together. `found` is filled while this runs, and returned. Raises FileError
    or SqlError for a file that cannot be applied to an empty database.
    """
    found = found or Findings()
    found.clear()
    needed = files if only is None else files[: files.index(only) + 1]
    found.planned = [file.id for file in needed if only in (None, file)]
    found.planned_overall = OF_ALL if only is None else ()
    linted = lint.findings(needed if only is None else [only])
    unlinted = lint.not_tried()
    others = tuple(f"{file}:" for file in needed if only not in (None, file))

    numbers = range(len(needed)) if only is None else [len(needed) - 1]
    said: list[str] = []
    every: list[_Tried] = []
    with ExitStack() as opened:
        chain = opened.enter_context(
            Chain(scratch.twin or scratch, needed, partial(_note, said, others))
        )
        filled = _Filled(opened.enter_context(Chain(scratch, needed)), seeds, found.notes)
        alone = _Empty(chain, said).check(numbers, needed)
        if scratch.twin:
            alone = opened.enter_context(ahead(alone, len(numbers)))
        for number in numbers:
            file = needed[number]
            report(Working(f"check {file.id}"))
            try:
                tried = next(alone)
            except RunnerError:
                _add_new(found.notes, said)
                raise
            _add_new(found.notes, tried.notes)
            started = time.monotonic()
            failed = [*tried.failed, *filled.check(number, file, tried)]
            failed += [finding for finding in linted if finding.file == file.id]
            not_tried = {**tried.not_tried, **filled.not_tried, **unlinted}
            found.add_file(file.id, failed, not_tried, round(tried.ms + _ms(started), 1))
            every.append(tried)
        if only is None and every:
            found.notes += existing_rows.not_loaded(chain.before(len(files)).connection, seeds)
            _check_together(scratch, files, every, found, report)
    return found


def _note(notes: list[str], others: tuple[str, ...], event: Event) -> None:
    if isinstance(event, Note) and not event.text.startswith(others):  # files before `only`
        notes.append(masked(event.text))


def _add_new(notes: list[str], more: Iterable[str]) -> None:
    notes += [note for note in dict.fromkeys(more) if note not in notes]


def _ms(started: float) -> float:
    return (time.monotonic() - started) * 1000


def _check_together(
    scratch: ScratchServer,
    files: Sequence[Migration],
    every: Sequence[_Tried],
    found: Findings,
    report: Report,
) -> None:
    expected = every[-1].after
    removing = (n for n, tried in enumerate(every) if broken_code.removes_names(tried.effects))
    first, note = max(removing, default=0), ""
    if first:
        which = f"only {len(files) - first} of them, from {files[first].id} on"
        note = f"{apply_paths.RE_RUN_OF_ALL}: {which}; it drops or renames what others make"
    report(Working(f"check: {apply_paths.RE_RUN_OF_ALL}"))
    failed = apply_paths.rerun_all(scratch, files, first, expected)
    found.add_overall(apply_paths.RE_RUN_OF_ALL, failed, note)
    report(Working(f"check: {apply_paths.PSQL}"))
    found.add_overall(apply_paths.PSQL, apply_paths.apply_with_psql(scratch, files, expected))


class _Tried(NamedTuple):
    """What one file did in an empty database."""

    after: Catalog
    effects: list[Difference]
    failed: list[Finding]
    not_tried: dict[str, str]  # why, by check
    notes: list[str]
    ms: float


class _Empty:
    """Check files in their order, in an empty database: apply, run again, roll back."""

    def __init__(self, chain: Chain, said: list[str]) -> None:
        self._chain = chain
        self._said = said  # by the chain, since the last file

    def check(self, numbers: Iterable[int], files: Sequence[Migration]) -> Iterator[_Tried]:
        """Yield the result of each file; raise if one cannot be applied."""
        before: Catalog | None = None  # that is, the files before the next one
        for number in numbers:
            self._said.clear()
            started = time.monotonic()
            self._chain.before(number)
            before = before or self._chain.catalog()
            tried = self._check(number, files[number], before)
            yield tried._replace(notes=[*self._said], ms=_ms(started))
            before = tried.after

    def _check(self, number: int, file: Migration, before: Catalog) -> _Tried:
        migrator = self._chain.before(number + 1)
        after = self._chain.catalog()
        failed = list(_check_again(_RE_RUN, self._chain, file))
        if failed and not file.header.transactional:
            self._chain.spoiled()
            migrator = self._chain.before(number + 1)
        not_tried = {}
        if file.header.irreversible:
            not_tried[_ROLLBACK] = f"irreversible: {file.header.irreversible}"
        elif not_rolled_back := list(self._check_rollback(migrator, file, before, after)):
            failed += not_rolled_back
            self._chain.spoiled()
        return _Tried(after, before.difference(after), failed, not_tried, [], 0.0)

    def _check_rollback(
        self, migrator: Migrator, file: Migration, before: Catalog, after: Catalog
    ) -> Iterator[Finding]:
        """Roll an applied file back and apply it again; compare the schema with both."""
        try:
            with migrator.lock():
                migrator.roll_back([file])
        except RunnerError as error:
            yield failure(_ROLLBACK, file, "cannot be rolled back", error)
            return
        left = self._chain.catalog().difference(before)
        if left:
            details = tuple(d.as_drift("after the rollback", "before the file") for d in left)
            yield Finding(_ROLLBACK, file.id, "is not rolled back completely", details)
            return
        try:
            apply(migrator, [file])
        except RunnerError as error:
            yield failure(_ROLLBACK, file, "cannot be applied again after its rollback", error)
            return
        found = after.difference(self._chain.catalog())
        if found:
            details = tuple(d.as_drift("the first time", "after the rollback") for d in found)
            summary = "produces a different schema after its rollback"
            yield Finding(_ROLLBACK, file.id, summary, details)


class _Filled:
    """Check files in their order, in a database with rows."""

    def __init__(self, chain: Chain, seeds: Sequence[SqlFile], notes: list[str]) -> None:
        self._chain = chain
        self._seeds = seeds
        self._notes = notes
        self._have_rows: set[str] = set()  # tables
        self.not_tried: dict[str, str] = {}  # of the last file: why, by check

    def check(self, number: int, file: Migration, tried: _Tried) -> list[Finding]:
        """Apply a file while every table has rows; return what failed."""
        self.not_tried = {}
        if failed := list(self._check(number, file, tried.effects, tried.after)):
            self._chain.spoiled()
        self._forget(tried.effects)
        return failed

    def _check(
        self, number: int, file: Migration, effects: Sequence[Difference], after: Catalog
    ) -> Iterator[Finding]:
        """Apply a file while every table has rows, then again without its record."""
        if self._chain.is_new:
            self._have_rows = set()
        migrator = self._chain.before(number)
        self._fill(migrator.connection, file)
        removes = broken_code.removes_names(effects)
        broken = broken_code.failing(migrator.connection) if removes else set()
        try:
            self._chain.before(number + 1)
        except RunnerError as error:
            yield failure(_DATA, file, "fails if tables contain rows", error)
            return
        if removes and (broken := broken_code.failing(migrator.connection) - broken):
            summary = "breaks code that uses what it renames or drops"
            yield Finding(_DATA, file.id, summary, tuple(broken_code.described(broken)))
        if removes:
            named = broken_code.naming(migrator.connection, effects)
            self._notes += [f"{file.id} {sentence}" for sentence in named]
        self._note_row_security(migrator.connection, file)
        found = after.difference(self._chain.catalog())
        if found:
            details = tuple(d.as_drift("without rows", "with rows") for d in found)
            summary = "produces a different schema if tables contain rows"
            yield Finding(_DATA, file.id, summary, details)
        else:
            yield from _check_again(_DATA, self._chain, file)

    def _fill(self, connection: Connection, file: Migration) -> None:
        """Insert rows into tables that have none, or changed; note those that stay empty."""
        existing_rows.load_fitting(connection, self._seeds)
        empty = []
        for result in sample_rows.fill(connection, except_=self._have_rows):
            if result.rows:
                self._have_rows.add(result.table)
                continue
            note = f"no sample rows could be inserted into {result.table}: {result.reason}"
            if note not in self._notes:
                self._notes.append(note)
            empty.append(result.table)
        code = file.text
        concerned = [t for t in empty if t.partition(".")[2] in code or _DYNAMIC.search(code)]
        if concerned:
            self.not_tried[_DATA] = f"no rows in {', '.join(concerned)}"

    def _note_row_security(self, connection: Connection, file: Migration) -> None:
        """Note a data change under row-level security, which is not in force for a superuser."""
        changes = [s.text for s in file.statements if s.words and s.words[0] in _CHANGES]
        if not changes:
            return
        for schema, name in connection.execute(query("preflight/checks/row_security")):
            if any(name in text for text in changes):
                self._notes.append(
                    f"{file.id} changes rows of {schema}.{name}, which has row-level security: run "
                    "by a role that does not bypass it, rows that no policy allows stay as they "
                    "are. plan shows what happens on the target"
                )

    def _forget(self, effects: Sequence[Difference]) -> None:
        """Let tables that a file changed have new rows for the next one."""
        changed = {(d.of or d.name).replace('"', "") for d in effects}
        others = [d for d in effects if d.kind not in _OF_ONE_TABLE]
        self._have_rows = set() if others else self._have_rows - changed


def _check_again(check: str, chain: Chain, file: Migration) -> Iterator[Finding]:
    """Run an applied file again: it must not fail, nor change anything."""
    try:
        found, tables = run_again(chain, file)
    except RunnerError as error:
        yield failure(check, file, "cannot be run again", error)
        return
    details = [*(d.as_effect() for d in found), *(f"rows of {table}" for table in tables)]
    if details:
        yield Finding(check, file.id, "changes the database when it is run again", tuple(details))
