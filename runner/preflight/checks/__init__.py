"""Check migration files on a scratch server: re-run, rollback, existing rows, lint, psql."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

from runner.errors import Interrupted, RunnerError
from runner.events import Event, Note, Report, Working, silent
from runner.execution import transactional
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection
from runner.preflight import sample_rows
from runner.preflight.catalog_changes import Catalog
from runner.preflight.checks import apply_paths, broken_code, lint
from runner.preflight.checks.chain import Chain
from runner.preflight.checks.finding import CHECKS, Finding, Findings, failure
from runner.preflight.checks.trial import run_again
from runner.preflight.diff import Difference
from runner.preflight.scratch import ScratchServer, apply
from runner.queries import query

# What a file may do on the scratch server: generated values must not fill a disk.
LIMITS = {"statement_timeout": "60s", "temp_file_limit": "1GB"}

_RE_RUN, _ROLLBACK, _DATA, _LINT = CHECKS
_CHANGES = ("delete", "merge", "update", "with")  # first words of what changes existing rows
_DYNAMIC = re.compile(r"(?i)\bexecute\s(?!\s*(?:function|procedure)\b)")  # may name any table
# A difference of another kind, such as of a type, may concern the rows of every table.
_OF_ONE_TABLE = ("column", "constraint", "function", "index", "policy", "table", "trigger", "view")


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
    linted = lint.findings(needed if only is None else [only])
    unlinted = lint.not_tried()
    others = tuple(f"{file}:" for file in needed if only not in (None, file))

    def said(event: Event) -> None:
        if not isinstance(event, Note) or event.text.startswith(others):
            return
        if event.text not in found.notes:
            found.notes.append(event.text)

    with Chain(scratch, needed, said) as empty, Chain(scratch, needed) as filled:
        checker = _Checker(empty, filled, seeds, found.notes)
        for number in range(len(needed)) if only is None else [len(needed) - 1]:
            file = needed[number]
            report(Working(f"check {file.id}"))
            started = time.monotonic()
            failed = list(checker.check(number, file))
            ms = round((time.monotonic() - started) * 1000, 1)
            failed += [finding for finding in linted if finding.file == file.id]
            found.add_file(file.id, failed, {**checker.not_tried, **unlinted}, ms)
        if only is None and checker.state:
            _check_together(scratch, files, checker, found, report)
    return found


def _check_together(
    scratch: ScratchServer,
    files: Sequence[Migration],
    checker: _Checker,
    found: Findings,
    report: Report,
) -> None:
    assert checker.state  # noqa: S101 - there is at least one file
    first, note = checker.removed, ""
    if first:
        which = f"the {len(files) - first} from {files[first].id} on"
        note = f"{apply_paths.RE_RUN_OF_ALL}: {which}; it drops or renames what others make"
    report(Working(f"check: {apply_paths.RE_RUN_OF_ALL}"))
    failed = apply_paths.rerun_all(scratch, files, first, checker.state)
    found.add_overall(apply_paths.RE_RUN_OF_ALL, failed, note)
    report(Working(f"check: {apply_paths.PSQL}"))
    found.add_overall(apply_paths.PSQL, apply_paths.apply_with_psql(scratch, files, checker.state))


class _Checker:
    """Check files in their order, each in an empty database and in one with rows."""

    state: Catalog | None = None  # after the last file
    removed = 0  # the number of the last file that drops or renames something, counted from 0

    def __init__(
        self, empty: Chain, filled: Chain, seeds: Sequence[SqlFile], notes: list[str]
    ) -> None:
        self._empty = empty
        self._filled = filled
        self._seeds = seeds
        self._notes = notes
        self._have_rows: set[str] = set()  # tables
        self.not_tried: dict[str, str] = {}  # of the last file: why, by check

    def check(self, number: int, file: Migration) -> Iterator[Finding]:
        """Apply a file to databases that have all files before it, and yield what failed."""
        self.not_tried = {}
        self._empty.before(number)
        before = self.state or self._empty.catalog()
        migrator = self._empty.before(number + 1)
        after = self.state = self._empty.catalog()
        if failed := list(_check_again(_RE_RUN, self._empty, file)):
            yield from failed
            if not file.header.transactional:
                self._empty.spoiled()
                migrator = self._empty.before(number + 1)
        if failed := list(self._check_rollback(migrator, file, before, after)):
            yield from failed
            self._empty.spoiled()
        effects = before.difference(after)
        if broken_code.removes_names(effects):
            self.removed = number
        if failed := list(self._check_existing_data(number, file, effects, after)):
            yield from failed
            self._filled.spoiled()
        self._forget(effects)

    def _check_rollback(
        self, migrator: Migrator, file: Migration, before: Catalog, after: Catalog
    ) -> Iterator[Finding]:
        """Roll an applied file back and apply it again; compare the schema with both."""
        if file.header.irreversible:
            self.not_tried[_ROLLBACK] = f"irreversible: {file.header.irreversible}"
            return
        try:
            with migrator.lock():
                migrator.roll_back([file])
        except RunnerError as error:
            yield failure(_ROLLBACK, file, "cannot be rolled back", error)
            return
        left = self._empty.catalog().difference(before)
        if left:
            details = tuple(d.as_drift("after the rollback", "before the file") for d in left)
            yield Finding(_ROLLBACK, file.id, "is not rolled back completely", details)
            return
        try:
            apply(migrator, [file])
        except RunnerError as error:
            yield failure(_ROLLBACK, file, "cannot be applied again after its rollback", error)
            return
        found = after.difference(self._empty.catalog())
        if found:
            details = tuple(d.as_drift("the first time", "after the rollback") for d in found)
            summary = "produces a different schema after its rollback"
            yield Finding(_ROLLBACK, file.id, summary, details)

    def _check_existing_data(
        self, number: int, file: Migration, effects: Sequence[Difference], after: Catalog
    ) -> Iterator[Finding]:
        """Apply a file while every table has rows, then again without its record."""
        if self._filled.is_new:
            self._have_rows = set()
        migrator = self._filled.before(number)
        self._fill(migrator.connection, file)
        removes = broken_code.removes_names(effects)
        broken = broken_code.failing(migrator.connection) if removes else set()
        try:
            self._filled.before(number + 1)
        except RunnerError as error:
            yield failure(_DATA, file, "fails if tables contain rows", error)
            return
        if removes and (broken := broken_code.failing(migrator.connection) - broken):
            summary = "breaks code that uses what it renames or drops"
            yield Finding(_DATA, file.id, summary, tuple(broken_code.described(broken)))
        self._note_row_security(migrator.connection, file)
        found = after.difference(self._filled.catalog())
        if found:
            details = tuple(d.as_drift("without rows", "with rows") for d in found)
            summary = "produces a different schema if tables contain rows"
            yield Finding(_DATA, file.id, summary, details)
        else:
            yield from _check_again(_DATA, self._filled, file)

    def _fill(self, connection: Connection, file: Migration) -> None:
        """Insert rows into tables that have none, or changed; note those that stay empty."""
        _load_fitting_seeds(connection, self._seeds)
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


def _load_fitting_seeds(connection: Connection, seeds: Sequence[SqlFile]) -> None:
    """Load each seed file that the current schema accepts."""
    for file in seeds:
        try:
            with connection.transaction():
                transactional.run_whole(connection, file, state="")
        except Interrupted:
            raise
        except RunnerError:  # written for an earlier or later schema
            continue
        finally:
            connection.execute(transactional.RESET_SESSION.encode())
