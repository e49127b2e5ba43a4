"""One file outside a transaction: statement by statement, each once, and no broken index is left.

A statement and the note that it is done are one transaction wherever PostgreSQL lets it run in one.
What it does not, such as `create index concurrently`, may run a second time after a crash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import psycopg

from runner.errors import FileError, Place, SqlError
from runner.execution import concurrent_indexes
from runner.execution.concurrent_indexes import Index
from runner.execution.lock_waits import LockWait
from runner.execution.sql_errors import sql_error
from runner.execution.transactional import RESET_SESSION, check_encoding, send
from runner.files import statements
from runner.files.sql_file import SqlFile
from runner.files.statements import Statement
from runner.postgres.connection import Connection

# Not in a transaction at all, or in one that may not write the note.
_ONLY_ALONE = ("25001", "25006")
_MAY_COMMIT = ("call", "do")


def run(
    connection: Connection,
    script: SqlFile,
    lock_wait: LockWait,
    *,
    done: list[str],
    record: Callable[[int, str], str],
    state: str,
) -> Iterator[int]:
    """Run a file outside any transaction, each statement by itself, and again where it met a lock.

    `done` are the SHA-256s of the statements that an earlier run finished; they are skipped.
    `record` returns what writes down that a statement is done. Yields how many are, after each.
    Raises SqlError with the place for what PostgreSQL refuses, FileError when a finished statement
    was edited since.
    """
    settings: list[str] = []  # the session is put back after each statement, so they are set anew
    for number, statement in enumerate(script.statements):
        if statement.words[:1] == ["set"]:
            settings.append(statement.text)
        digest = hashlib.sha256(statement.text.encode()).hexdigest()
        if number < len(done):
            if done[number] != digest:
                raise FileError(
                    f"{script} was interrupted after statement {len(done)}, and its statement "
                    f"{number + 1} was edited since",
                    place=statements.place(script.text, statement.start, str(script)),
                    hint="Put that statement back as it ran; write what is new after the last one.",
                )
            continue
        one = _One(connection, script, statement, lock_wait, f"{state} {so_far(number)}".strip())
        lock_wait.retry(
            partial(one.run, settings, record(number, digest)),
            on_failure=partial(send, connection, f"rollback; {RESET_SESSION}"),
        )
        yield number + 1


@dataclass(frozen=True)
class _One:
    """One statement of a file outside a transaction."""

    connection: Connection
    script: SqlFile
    statement: Statement
    lock_wait: LockWait
    state: str

    def run(self, settings: list[str], record: str) -> None:
        """Run it together with its record, so that it runs once; alone where it must be."""
        index = concurrent_indexes.built_by(self.statement.text)
        if index:
            self._drop_unfinished(index)
        for setting in (self.lock_wait.of_statement(self.statement.text), *settings):
            send(self.connection, setting)
        if not index and not set(self.statement.words[:1]) & set(_MAY_COMMIT):
            error = self._together(record)
            if not error:
                return
            send(self.connection, "rollback")
            if error.sqlstate not in _ONLY_ALONE:
                raise self._error(error)
        _, error = send(self.connection, self.statement.text, self.lock_wait)
        if error:
            raise self._error(error, index)
        check_encoding(self.connection, self.script, self.state)
        if index:
            self._check(index)
        send(self.connection, RESET_SESSION)
        _, error = send(self.connection, record)
        if error:
            raise self._error(error)

    def _together(self, record: str) -> psycopg.Error | None:
        for text in ("begin", self.statement.text, f"{RESET_SESSION}; {record}; commit"):
            _, error = send(self.connection, text, self.lock_wait)
            if error:
                return error
            check_encoding(self.connection, self.script, self.state)
        return None

    def _drop_unfinished(self, index: Index) -> None:
        found = concurrent_indexes.look(self.connection, index)
        if found and not found.valid:
            self._refuse_half_built(found)
            _, error = send(
                self.connection, f"drop index concurrently {found.name}", self.lock_wait
            )
            if error:
                raise SqlError(
                    f"The unfinished index {found.name} of an earlier run cannot be dropped: "
                    f"{error.diag.message_primary}",
                    hint=f"Drop it by hand, then run the same command again. {self.state}",
                    sqlstate=error.sqlstate or "",
                )

    def _check(self, index: Index) -> None:
        """Raise SqlError unless the index is there and can be used."""
        found = concurrent_indexes.look(self.connection, index)
        if found and not found.valid:
            self._refuse_half_built(found)
            raise SqlError(
                f"{self.script}: the index {found.name} was made but is not valid",
                place=self._place(),
                hint=f"{self.state} It is dropped and built again by the next run.",
            )

    def _refuse_half_built(self, found: concurrent_indexes.State) -> None:
        if found.builder:
            raise SqlError(
                f"{self.script}: the index {found.name} is being built by another session, "
                f"pid {found.builder}",
                place=self._place(),
                hint=f"When that is done, run the same command again. {self.state}",
            )

    def _error(self, error: psycopg.Error, index: Index | None = None) -> SqlError:
        told = sql_error(
            error,
            self.script,
            self.statement,
            state=self.state,
            sent_from=self.statement.start,
        )
        if index and told.sqlstate == "23505":
            told.hint = (
                f"{concurrent_indexes.duplicates(self.connection, index)}\n{told.hint}".strip()
            )
        if index and told.sqlstate == "42P07":
            told.hint = f"If an earlier run of this file made it: `if not exists`.\n{told.hint}"
        return told

    def _place(self) -> Place:
        return statements.place(self.script.text, self.statement.start, str(self.script))


def so_far(number: int) -> str:
    """Say how many statements of a file outside a transaction are done."""
    if not number:
        return "None of its statements is done."
    return (
        f"Its statements 1–{number} are done and stay."
        if number > 1
        else ("Its first statement is done and stays.")
    )
