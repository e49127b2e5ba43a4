"""What the server says beside its results while it runs a file, with the line that raised it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg
from psycopg import pq
from psycopg.errors import Diagnostic

from runner.errors import Place
from runner.events import Note, Report
from runner.execution.sql_errors import offset
from runner.files import statements
from runner.files.sql_file import SqlFile
from runner.files.statements import Statement
from runner.postgres.connection import Connection
from runner.queries import query

OnNotice = Callable[[Diagnostic, int, pq.abc.PGconn], None]

# Of the notices, those that a file raises itself, and what CASCADE took along: others say that a
# guard met what it is for ("already exists, skipping"). Messages are translated, so by the function
# of PostgreSQL's source: of PL/pgSQL, PL/Python and PL/Perl, then of CASCADE.
_SHOWN = ("exec_stmt_raise", "PLy_output", "plperl_util_elog", "reportDependentObjects")
# "no privileges could be revoked for column tableoid", after the same of the table
_SYSTEM_COLUMN = re.compile(r"(?a)\W(?:ctid|tableoid|[cx]max|[cx]min)\W")
_MOST = 100  # messages of one file, each of which is reported
_RETURN_ROWS = ("call", "execute", "explain", "select", "table", "values", "with")
_CHANGES_ROWS = re.compile(r"(?i)\b(?:update|delete|merge|insert\s[^;]*?\sselect)\b")
_HIDDEN = "row-level security applies to the role of this run, and hides what no policy allows"
_FUNCTION = re.compile(r"function (?:\"?\w+\"?\.)?\"?(\w+)\"?(?:\(| line)")


class Messages:
    """Reports the messages about one file, the first of them each; `rest` says how many followed.

    As a context manager, it says so at the end.
    """

    def __init__(self, report: Report, script: SqlFile, name: str = "") -> None:
        self._report = report
        self._script = script
        self._name = name or str(script)  # of what runs, which may be several files
        self._count = 0

    def __enter__(self) -> Messages:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def rest(self) -> None:
        more, self._count = self._count - _MOST, 0
        if more > 0:
            self._report(Note(f"{self._name}: … and {more:,} more message{'s' * (more > 1)}"))

    def about(self, of: Sequence[Statement], before: int = 0, sent_from: int = 0) -> OnNotice:
        """Return what reports messages about statements of the file, sent after `before` others.

        It gets a message and the number of results that were read. `sent_from`: as for `sql_error`.
        """
        script = self._script

        def said(diag: Diagnostic, done: int, connection: pq.abc.PGconn) -> None:
            level = diag.severity_nonlocalized
            if level not in ("WARNING", "INFO") and diag.source_function not in _SHOWN:
                return
            text = diag.message_primary or ""
            if diag.source_function == "restrict_and_check_grant" and _SYSTEM_COLUMN.search(text):
                return
            self._count += 1
            if self._count > _MOST:
                return
            numbers = (done - before, done - before + 1)
            now, after = (of[n] if 0 <= n < len(of) else None for n in numbers)
            raised = after if _is_ahead(connection) and not _may_raise(now, diag) else now
            place = Place(self._name)
            if raised or diag.statement_position:
                at = offset(diag, script, raised, sent_from)
                place = statements.place(script.text, at, str(script))
            lines = "\n".join(filter(None, (text, diag.message_detail, diag.message_hint)))
            lines = lines.replace("\n", "\n  ")
            self._report(Note(f"{place._replace(column=None)}: {level}: {lines}"))

        return said


def note_hidden_rows(connection: Connection, script: SqlFile, text: str, report: Report) -> None:
    """Report tables of which the open transaction, which has run `text`, met no row: no error."""
    if _CHANGES_ROWS.search(text):
        hidden = connection.execute(query("execution/hidden_rows")).fetchone()
        if hidden and hidden[0]:
            report(Note(f"{script}: no row changed in {hidden[0]}: {_HIDDEN}"))


def _is_ahead(connection: pq.abc.PGconn) -> bool:
    """Return whether a message may be of the statement after the one whose result is awaited.

    libpq hands out messages beyond a result that was not read yet. Then, or after the columns of
    a result, it refuses this mode, which does no more than hand out rows one by one.
    """
    with suppress(psycopg.OperationalError):
        connection.set_single_row_mode()
        return False
    return True


def _may_raise(statement: Statement | None, diag: Diagnostic) -> bool:
    """Return whether a message after the columns of a result is of the statement that has them."""
    called = _FUNCTION.findall(diag.context or "")[-1:]
    returns_rows = statement and set(statement.words[:1]) & set(_RETURN_ROWS)
    return bool(statement and returns_rows and all(name in statement.text for name in called))
