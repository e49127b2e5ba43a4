"""Check that other ways to apply the files give the same schema: a re-run of all, and psql."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence

from runner import embedded
from runner.errors import RunnerError, SqlError
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate import seeds
from runner.migrate.migrator import Migrator
from runner.preflight import lacking
from runner.preflight.catalog_changes import Catalog, CatalogChanges
from runner.preflight.checks.finding import Finding, failure
from runner.preflight.checks.trial import run
from runner.preflight.diff import Difference, difference
from runner.preflight.scratch import ScratchServer, apply
from runner.schema import snapshot

RE_RUN_OF_ALL = "re-run of all files"
PSQL = "plain psql"
SEEDS = "seeds"
# What a later file may give or define again: compared when all files have run.
_REPLACED = ("function", "policy", "procedure", "rule", "trigger", "view")
_PRIVILEGE = re.compile(r"[a-z ]+ to .+")  # the trait of a fact in schema/queries/catalog.sql


def rerun_all(
    scratch: ScratchServer, files: Sequence[Migration], first: int, expected: Catalog
) -> list[Finding]:
    """Apply the files from `first` again to the complete schema; return the first that changes it.

    A privilege, policy or function of a later file may be replaced by an earlier one, if the later
    one gives it again: these are compared when all files have run.
    """
    with scratch.database() as migrator:
        apply(migrator, files)
        changes = CatalogChanges(migrator.connection)
        waiting: dict[str, Migration] = {}  # the file after which such a thing differed
        for file in files[first:]:
            try:
                _run_again(migrator, file)
            except RunnerError as error:
                return [failure(RE_RUN_OF_ALL, file, "cannot be run again", error)]
            changes.since()
            found = expected.difference(changes.catalog)
            given = [d for d in found if _may_be_given_again(d)]
            waiting = {d.as_effect(): waiting.get(d.as_effect(), file) for d in given}
            if lasting := [d for d in found if d not in given]:
                return [_changes(file, (d.as_effect() for d in lasting))]
    return [_changes(next(iter(waiting.values())), waiting)] if waiting else []


def _may_be_given_again(d: Difference) -> bool:
    return d.kind in _REPLACED or d.trait == "comment" or bool(_PRIVILEGE.fullmatch(d.trait))


def _run_again(migrator: Migrator, file: Migration) -> None:
    """Run an applied file again, and commit it."""
    if not file.header.transactional:
        with migrator.lock():
            migrator.record(file, "unmark")
            migrator.apply([file])
        return
    with migrator.connection.transaction():
        run(migrator.connection, file)


def _changes(file: Migration, effects: Iterable[str]) -> Finding:
    summary = "changes the complete schema when it is run again"
    return Finding(RE_RUN_OF_ALL, file.id, summary, tuple(effects))


def load_seeds(
    scratch: ScratchServer, files: Sequence[Migration], scripts: Sequence[SqlFile]
) -> list[Finding]:
    """Load the seeds into the complete schema, twice, as `up` does; return what fails."""
    with scratch.database() as migrator, migrator.lock():
        migrator.apply(files)
        for when in ("", " a second time"):
            try:
                seeds.load(migrator, [*scripts])
            except RunnerError as error:
                if isinstance(error, SqlError) and lacking.concerns(error):
                    raise  # a role that the named database may have
                return [failure(SEEDS, None, f"cannot be loaded{when}", error)]
    return []


def apply_with_psql(
    scratch: ScratchServer, files: Sequence[Migration], expected: Catalog
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
                    *(embedded.program("psql", scratch.program_version), "-X", "-q"),
                    *("-v", "ON_ERROR_STOP=1", *arguments),
                ],
                env={**target.environ({}), "PGOPTIONS": "-c client_min_messages=error"},
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode or ran.stdout.strip():  # what is INFO goes to stderr in any case
                output = (ran.stdout + ran.stderr).strip().splitlines()
                summary = "psql fails" if ran.returncode else "psql prints rows"
                return [Finding(PSQL, "", summary, tuple(output))]
        found = difference(snapshot.take(migrator.connection), expected.snapshot())
    details = tuple(d.as_drift("with psql", "with the runner") for d in found)
    return [Finding(PSQL, "", "psql produces a different schema", details)] if found else []
