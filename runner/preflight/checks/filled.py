"""Check files in a database with rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runner.errors import Interrupted, RunnerError
from runner.execution import transactional
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.postgres.connection import Connection
from runner.preflight import sample_rows
from runner.preflight.catalog_changes import Catalog
from runner.preflight.checks import broken_code
from runner.preflight.checks.chain import Chain
from runner.preflight.checks.finding import CHECKS, Finding, failure
from runner.preflight.checks.trial import check_again
from runner.preflight.diff import Difference
from runner.queries import query

_DATA = CHECKS[2]
_CHANGES = ("delete", "merge", "update", "with")  # first words of what changes existing rows
_DYNAMIC = re.compile(r"(?i)\bexecute\s(?!\s*(?:function|procedure)\b)")  # may name any table
# A difference of another kind, such as of a type, may concern the rows of every table.
_OF_ONE_TABLE = ("column", "constraint", "function", "index", "policy", "table", "trigger", "view")


class Filled:
    """Check files in their order, in a database with rows."""

    def __init__(self, chain: Chain, seeds: Sequence[SqlFile], notes: list[str]) -> None:
        self._chain = chain
        self._seeds = seeds
        self._notes = notes
        self._have_rows: set[str] = set()  # tables
        self.not_tried: dict[str, str] = {}  # of the last file: why, by check

    def check(
        self, number: int, file: Migration, effects: Sequence[Difference], after: Catalog
    ) -> list[Finding]:
        """Apply a file while every table has rows; return what failed.

        `effects`, `after`: what it changes in an empty database, and the catalog then.
        """
        self.not_tried = {}
        failed = list(self._check(number, file, effects, after))
        self._forget(effects)
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
            self._chain.spoiled()
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
            self._chain.spoiled()
            details = tuple(d.as_drift("without rows", "with rows") for d in found)
            summary = "produces a different schema if tables contain rows"
            yield Finding(_DATA, file.id, summary, details)
        elif failed := list(check_again(_DATA, self._chain, file)):
            if not file.header.transactional:
                self._chain.spoiled()
            yield from failed

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
