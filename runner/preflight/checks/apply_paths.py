"""Check that other ways to apply the files give the same schema: a re-run of all, and psql."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Sequence

from runner.errors import RunnerError
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres import embedded
from runner.preflight.checks.finding import Finding, failure
from runner.preflight.scratch import ScratchServer, apply
from runner.schema import snapshot
from runner.schema.diff import difference
from runner.schema.snapshot import Snapshot

_RE_RUN_OF_ALL = "re-run of all files"
_PSQL = "plain psql"
_REPLACED = ("function", "policy", "trigger", "view")  # kinds that a later file may define again
_GONE = ("42703", "42704", "42883", "42P01")  # SQLSTATEs: no such column, object, function, table
_PRIVILEGE = re.compile(r"[a-z ]+ to .+")  # the trait of a fact in schema/queries/catalog.sql


def rerun(migrator: Migrator, file: Migration, check: str) -> Finding | None:
    """Delete a file's record and apply the file again; return a finding if that fails."""
    try:
        _again(migrator, file)
    except RunnerError as error:
        return failure(check, file, "cannot be run again", error)
    return None


def _again(migrator: Migrator, file: Migration) -> None:
    with migrator.lock():
        migrator.record(file, "unmark")
        migrator.apply([file])


def rerun_all(
    scratch: ScratchServer, files: Sequence[Migration], expected: Snapshot
) -> list[Finding]:
    """Apply every file again to the complete schema, and return the first that changes it.

    What one file takes back or replaces may be given again by a later one: privileges, policies,
    functions, triggers and views are compared when all files have run. A file that names what a
    later one renamed or dropped is left out: it ran twice before that one, in the check of its own.
    """
    with scratch.database() as migrator:
        apply(migrator, files)
        waiting: dict[str, Migration] = {}  # the file after which such a thing differed
        for file in files:
            try:
                _again(migrator, file)
            except RunnerError as error:
                if file is files[-1] or getattr(error, "sqlstate", "") not in _GONE:
                    return [failure(_RE_RUN_OF_ALL, file, "cannot be run again", error)]
            found = difference(expected, snapshot.take(migrator.connection))
            given = [d for d in found if d.kind in _REPLACED or _PRIVILEGE.fullmatch(d.trait)]
            waiting = {d.as_effect(): waiting.get(d.as_effect(), file) for d in given}
            if lasting := [d for d in found if d not in given]:
                return [_changes(file, (d.as_effect() for d in lasting))]
    return [_changes(next(iter(waiting.values())), waiting)] if waiting else []


def _changes(file: Migration, effects: Iterable[str]) -> Finding:
    summary = "changes the complete schema when it is run again"
    return Finding(_RE_RUN_OF_ALL, file.id, summary, tuple(effects))


def apply_with_psql(
    scratch: ScratchServer, files: Sequence[Migration], expected: Snapshot
) -> list[Finding]:
    """Apply the files with psql, in one transaction if each of them is transactional."""
    whole = all(file.header.transactional for file in files)
    calls = [files] if whole else [[file] for file in files]
    with scratch.database() as migrator:
        target = scratch.target(migrator.connection.info.dbname)
        for call in calls:
            arguments = [part for file in call for part in ("-f", str(file.path))]
            if call[0].header.transactional:
                arguments.insert(0, "-1")
            ran = subprocess.run(
                [
                    *(embedded.program("psql", scratch.server.version), "-X", "-q"),
                    *("-v", "ON_ERROR_STOP=1", *arguments),
                ],
                env={**target.environ({}), "PGOPTIONS": "-c client_min_messages=warning"},
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode or ran.stdout.strip() or ran.stderr.strip():
                output = (ran.stdout + ran.stderr).strip().splitlines()
                summary = "psql fails" if ran.returncode else "psql prints warnings or rows"
                return [Finding(_PSQL, "", summary, tuple(output))]
        found = difference(snapshot.take(migrator.connection), expected)
    details = tuple(d.as_drift("with psql", "with the runner") for d in found)
    return [Finding(_PSQL, "", "psql produces a different schema", details)] if found else []


PATHS: dict[str, Callable[[ScratchServer, Sequence[Migration], Snapshot], list[Finding]]] = {
    _RE_RUN_OF_ALL: rerun_all,
    _PSQL: apply_with_psql,
}
