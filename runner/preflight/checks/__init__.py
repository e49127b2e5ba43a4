"""Check migration files on a scratch server: re-run, rollback, existing rows, lint, psql."""

from __future__ import annotations

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
from runner.preflight.catalog_changes import Catalog
from runner.preflight.checks import apply_paths, broken_code, lint
from runner.preflight.checks.ahead import ahead
from runner.preflight.checks.chain import Chain
from runner.preflight.checks.filled import Filled
from runner.preflight.checks.finding import CHECKS, Finding, Findings, failure
from runner.preflight.checks.trial import check_again
from runner.preflight.diff import Difference
from runner.preflight.scratch import ScratchServer, apply, scratch_server

OF_ALL = (apply_paths.RE_RUN_OF_ALL, apply_paths.PSQL)
# What a file may do on the scratch server: generated values must not fill a disk.
LIMITS = {"statement_timeout": "60s", "temp_file_limit": "1GB"}

MANY = 15  # files that are checked with two processors
_RE_RUN, _ROLLBACK, *_ = CHECKS


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
    first: int = 0,
    found: Findings | None = None,
    report: Report = silent,
) -> Findings:
    """Check each file, then all of them together.

    `seeds` are loaded as existing rows, where they fit the schema. With `only`, check this file
    alone, and not all together. The files before number `first` are only applied. `found` is filled
    while this runs, and returned. Raises FileError or SqlError for a file that cannot be applied to
    an empty database.
    """
    found = found or Findings()
    found.clear()
    needed = files if only is None else files[: files.index(only) + 1]
    numbers = range(first if only is None else len(needed) - 1, len(needed))
    chosen = needed[numbers.start :]
    found.planned = [file.id for file in chosen]
    if only is None and chosen:
        found.planned_overall = (*OF_ALL, apply_paths.SEEDS) if seeds else OF_ALL
    linted = lint.findings(chosen)
    unlinted = lint.not_tried()
    others = tuple(f"{file}:" for file in needed[: numbers.start])

    said: list[str] = []
    every: list[_Tried] = []
    with ExitStack() as opened:
        chain = opened.enter_context(
            Chain(scratch.twin or scratch, needed, partial(_note, said, others))
        )
        filled = Filled(opened.enter_context(Chain(scratch, needed)), seeds, found.notes)
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
            failed = [*tried.failed, *filled.check(number, file, tried.effects, tried.after)]
            failed += [finding for finding in linted if finding.file == file.id]
            not_tried = {**tried.not_tried, **filled.not_tried, **unlinted}
            found.add_file(file.id, failed, not_tried, round(tried.ms + _ms(started), 1))
            every.append(tried)
        if only is None and every:
            _check_together(scratch, files, every, found, first=first, report=report)
            if seeds:
                report(Working(f"check: {apply_paths.SEEDS}"))
                failed = apply_paths.load_seeds(scratch, files, seeds)
                found.add_overall(apply_paths.SEEDS, failed)
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
    *,
    first: int,
    report: Report,
) -> None:
    expected, note, why = every[-1].after, "", "those before it are not checked"
    removing = [n for n, each in enumerate(every, first) if broken_code.removes_names(each.effects)]
    if max(removing, default=0) > first:
        first, why = removing[-1], "it drops or renames what others make"
    if first:
        which = f"only {len(files) - first} of them, from {files[first].id} on"
        note = f"{apply_paths.RE_RUN_OF_ALL}: {which}; {why}"
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
        failed = list(check_again(_RE_RUN, self._chain, file))
        if failed and not file.header.transactional:
            self._chain.spoiled()
            migrator = self._chain.before(number + 1)
        not_tried = {}
        if file.header.irreversible:
            not_tried[_ROLLBACK] = f"irreversible: {file.header.irreversible}"
        else:
            failed += self._check_rollback(migrator, file, before, after)
        return _Tried(after, before.difference(after), failed, not_tried, [], 0.0)

    def _check_rollback(
        self, migrator: Migrator, file: Migration, before: Catalog, after: Catalog
    ) -> Iterator[Finding]:
        """Roll an applied file back and apply it again; compare the schema with both."""
        try:
            with migrator.lock():
                migrator.roll_back([file])
        except RunnerError as error:
            if file.path.with_name(f"{file.name}.rollback.sql").exists():
                self._chain.spoiled()
            yield failure(_ROLLBACK, file, "cannot be rolled back", error)
            return
        left = self._chain.catalog().difference(before)
        if left:
            self._chain.spoiled()
            details = tuple(d.as_drift("after the rollback", "before the file") for d in left)
            yield Finding(_ROLLBACK, file.id, "is not rolled back completely", details)
            return
        try:
            apply(migrator, [file])
        except RunnerError as error:
            self._chain.spoiled()
            yield failure(_ROLLBACK, file, "cannot be applied again after its rollback", error)
            return
        found = after.difference(self._chain.catalog())
        if found:
            self._chain.spoiled()
            details = tuple(d.as_drift("the first time", "after the rollback") for d in found)
            summary = "produces a different schema after its rollback"
            yield Finding(_ROLLBACK, file.id, summary, details)
