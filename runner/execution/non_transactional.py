"""Run one SQL file outside a transaction: each statement once, invalid indexes dropped and rebuilt.

A statement and the note that it is done are one transaction wherever PostgreSQL lets it run in
one. Others, such as `create index concurrently`, may run a second time after a crash. As in psql,
what a statement sets in the session holds for the statements after it, also when a file resumes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import psycopg

from runner.errors import FileError, SqlError
from runner.execution import concurrent_indexes
from runner.execution.concurrent_indexes import Index
from runner.execution.lock_waits import LockWait
from runner.execution.notices import Messages, OnNotice, note_hidden_rows
from runner.execution.sql_errors import own_sql_error, sql_error
from runner.execution.transactional import check_encoding, send
from runner.files import statements
from runner.files.sql_file import SqlFile
from runner.files.statements import Statement
from runner.postgres.connection import Connection

# Not allowed in a transaction, or only in one that must not write the note.
_ONLY_ALONE = ("25001", "25006")
_MAY_COMMIT = ("call", "do")
# For the note alone: whatever role and settings the file has set are back after the transaction.
_OWN_SETTINGS = (
    "set local session authorization default; set local role none; "
    "set local search_path = pg_catalog, pg_temp; set local standard_conforming_strings = on"
)
# What a new session needs to go on. A temporary table would need its rows, too.
_SETS = ("set", "reset", "prepare", "deallocate", "discard", "load")
_SETS_CONFIG = re.compile(r"(?i)select (?:pg_catalog\.)?set_config ?\(")
_TEMPORARY = re.compile(r"(?i)create (?:or replace )?(?:(?:local|global) )?temp(?:orary)?\b")


def run(
    connection: Connection,
    script: SqlFile,
    lock_wait: LockWait,
    *,
    done: list[str],
    record: Callable[[int, str], str],
    state: str,
) -> Iterator[int]:
    """Run a file outside any transaction, each statement on its own; retry while locks are busy.

    Args:
        done: SHA-256 of each statement that an earlier run completed; these are skipped.
        record: returns the SQL that notes a statement's number and SHA-256 as done.
        state: the state sentence of what ran before this file.

    Yields the number of completed statements, after each.

    Raises:
        SqlError: with the place, for what PostgreSQL rejects.
        FileError: a completed statement was edited since, or made a temporary table.
    """
    with Messages(lock_wait.report, script) as messages:
        for number, statement in enumerate(script.statements):
            digest = hashlib.sha256(statement.text.encode()).hexdigest()
            if number < len(done):
                if done[number] != digest:
                    raise FileError(
                        f"{script} was interrupted after statement {len(done)}, and its statement "
                        f"{number + 1} was edited since",
                        place=statements.place(script.text, statement.start, str(script)),
                        hint="Restore that statement; add new ones after the last one.",
                        state=f"{state} {progress(len(done))}".strip(),
                    )
                _restore(connection, script, statement, f"{state} {progress(len(done))}".strip())
                continue
            kept = f"{state} {progress(number)}".strip()
            one = _Execution(connection, script, statement, lock_wait, messages, kept)
            lock_wait.retry(
                partial(one.run, record(number, digest)),
                on_failure=partial(send, connection, "rollback"),
            )
            yield number + 1


def _restore(connection: Connection, script: SqlFile, done: Statement, state: str) -> None:
    """Repeat a completed statement of an earlier session, if all it did was to set something."""
    code = " ".join(statements.code(done.text))
    if _TEMPORARY.match(code):
        raise FileError(
            f"{script} was interrupted, and the temporary table that it made is gone",
            place=statements.place(script.text, done.start, str(script)),
            hint="Make an ordinary table in another file, or undo its statements by hand and "
            "delete its rows of yoyo.progress.",
            state=state,
        )
    if (done.words[:1] and done.words[0] in _SETS) or _SETS_CONFIG.match(code):
        _, error = send(connection, done.text)
        if error:
            raise sql_error(error, script, done, state=state, sent_from=done.start)


@dataclass(frozen=True)
class _Execution:
    connection: Connection
    script: SqlFile
    statement: Statement
    lock_wait: LockWait
    messages: Messages
    state: str

    def run(self, record: str) -> None:
        """Run it in one transaction with its record, or alone where it has to be."""
        index = concurrent_indexes.built_by(self.statement.text)
        if index and (invalid := self._invalid(index)):
            self._drop(invalid)
        before = slice(self.script.statements[0].start, self.statement.start)
        if "lock_timeout" not in self.statement.file[before]:  # unless the file has set its own
            send(self.connection, self.lock_wait.statement_settings(self.statement.text))
        if not index and not set(self.statement.words[:1]) & set(_MAY_COMMIT):
            error = self._with_record(record)
            if not error:
                return
            send(self.connection, "rollback")
            if error.sqlstate not in _ONLY_ALONE:
                raise self._error(error)
        if error := self._send_statement():
            raise self._error(error, index)
        check_encoding(self.connection, self.script, self.state)
        if index and (invalid := self._invalid(index)):
            raise self._problem(
                f"the index {invalid} was created but is not valid",
                hint="The next run drops it and builds it again.",
            )
        if error := self._send(f"begin read write; {_OWN_SETTINGS}; {record}; commit"):
            raise self._error(error)

    def _with_record(self, record: str) -> psycopg.Error | None:
        own = f"{_OWN_SETTINGS}; {record}; commit"
        before = ("begin", *self._for_workers())
        sent = (self._send(text) for text in before)
        if error := next(filter(None, sent), None) or self._send_statement():
            return error
        check_encoding(self.connection, self.script, self.state)
        note_hidden_rows(self.connection, self.script, self.statement.text, self.lock_wait.report)
        return self._send(own)

    def _send(self, text: str, said: OnNotice | None = None) -> psycopg.Error | None:
        return send(self.connection, text, self.lock_wait, on_notice=said)[1]

    def _send_statement(self) -> psycopg.Error | None:
        one = self.statement
        return self._send(one.text, self.messages.about([one], sent_from=one.start))

    def _for_workers(self) -> list[str]:
        return self.lock_wait.lock_settings() if self.lock_wait.citus else []

    def _invalid(self, index: Index) -> str:
        """Return the name of an invalid index, else "". Raises SqlError while it is being built."""
        name, builder = concurrent_indexes.invalid(self.connection, index)
        if builder:
            raise self._problem(
                f"the index {name} is being built by another session, pid {builder}",
                hint="Run the same command again when that has ended.",
            )
        return name

    def _drop(self, invalid: str) -> None:
        _, error = send(self.connection, f"drop index concurrently {invalid}", self.lock_wait)
        if error:
            where = f"dropping the invalid index {invalid} of an earlier run"
            hint = "Drop it by hand, then run the same command again."
            raise own_sql_error(error, where, state=self.state, hint=hint)

    def _error(self, error: psycopg.Error, index: Index | None = None) -> SqlError:
        start = self.statement.start
        found = sql_error(error, self.script, self.statement, state=self.state, sent_from=start)
        if index and found.sqlstate == "23505":
            duplicates = concurrent_indexes.duplicates(self.connection, index)
            found.hint = f"{duplicates}\n{found.hint}".strip()
        if index and (left := concurrent_indexes.invalid(self.connection, index)[0]):
            found.state = f"{found.state} It left the index {left}, which is not valid.".strip()
        if index and found.sqlstate == "42P07":
            found.hint = f"If an earlier run created it, add `if not exists`.\n{found.hint}"
        return found

    def _problem(self, message: str, hint: str) -> SqlError:
        place = statements.place(self.script.text, self.statement.start, str(self.script))
        message = f"{self.script}: {message}"
        return SqlError(message, hint=hint, state=self.state, place=place)


def progress(number: int) -> str:
    """Return the state sentence for the completed statements of a file outside a transaction."""
    if not number:
        return "None of its statements ran."
    return f"Its statements 1–{number} are done." if number > 1 else "Its first statement is done."
