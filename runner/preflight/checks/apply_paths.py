"""Other roads to the same schema: every file once more over the finished one, and psql alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from runner.errors import RunnerError
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres import embedded
from runner.preflight.checks.finding import Finding, broken
from runner.preflight.scratch import ScratchServer, apply
from runner.schema import snapshot
from runner.schema.diff import difference
from runner.schema.snapshot import Snapshot

_AGAIN = "the whole chain runs again"
_PSQL = "psql makes the same, all at once"


def run_again(migrator: Migrator, file: Migration, proof: str) -> Finding | None:
    """Apply a file again with its record forgotten."""
    try:
        with migrator.lock():
            migrator.unmark(file)
            migrator.apply([file])
    except RunnerError as error:
        return broken(proof, file, "cannot be run again", error)
    return None


def again(scratch: ScratchServer, files: Sequence[Migration], made: Snapshot) -> list[Finding]:
    """Run every file over the finished schema."""
    with scratch.database() as migrator:
        apply(migrator, files)
        for file in files:
            again = run_again(migrator, file, _AGAIN)
            if again:
                return [again]
            found = difference(made, snapshot.take(migrator.connection))
            if found:
                words = tuple(d.as_effect() for d in found)
                what = "changes something when it is run over the finished schema"
                return [Finding(_AGAIN, file.id, what, words)]
    return []


def by_psql(scratch: ScratchServer, files: Sequence[Migration], made: Snapshot) -> list[Finding]:
    """Run the files by psql, in one transaction where each of them may be in one."""
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
                said = (ran.stdout + ran.stderr).strip().splitlines()
                return [Finding(_PSQL, "", "psql does not run the files in silence", tuple(said))]
        found = difference(snapshot.take(migrator.connection), made)
    words = tuple(d.as_drift("by psql", "by the runner") for d in found)
    return [Finding(_PSQL, "", "psql makes something else", words)] if found else []


ROADS: dict[str, Callable[[ScratchServer, Sequence[Migration], Snapshot], list[Finding]]] = {
    _AGAIN: again,
    _PSQL: by_psql,
}
