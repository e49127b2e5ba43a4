"""Turn an error of PostgreSQL into a SqlError: file, line and column, advice, state."""

from __future__ import annotations

import re
import unicodedata

import psycopg
from psycopg.errors import Diagnostic

from runner.errors import SqlError
from runner.files import statements
from runner.files.sql_file import SqlFile
from runner.files.statements import Statement
from runner.postgres.connection import DISK_FULL

_OUTSIDE = "put `-- transactional: false` into the header of a file of its own."
_ADVICE = {
    "25001": f"PostgreSQL runs this only outside a transaction: {_OUTSIDE}",
    "2D000": "A commit or rollback in a block or procedure works only outside a transaction: "
    + _OUTSIDE,
    "55P04": "A new enum value can be used only after it is committed: move the statements that "
    "use it to the next migration.",
    "42501": "The role that is connected, or that the file sets, lacks a privilege.",
    "53100": DISK_FULL,
    "57014": "It was canceled, or reached a statement_timeout: set one for this file with "
    "`-- statement_timeout: 10min` in its header; `off` for none.",
}
# For a file that already runs outside a transaction.
_ADVICE_OUTSIDE = {
    **_ADVICE,
    "25001": "PostgreSQL runs this only as a single statement, not in a block or function.",
    "2D000": "A procedure or block may end a transaction, a function may not.",
}
_LONGEST = 1000  # characters of a server message, which may quote the rest of a large file
_LINE_OF_BLOCK = re.compile(r"inline_code_block line (\d+)")


def sql_error(
    error: psycopg.Error,
    script: SqlFile,
    statement: Statement | None,
    *,
    state: str,
    sent_from: int = 0,
) -> SqlError:
    """Return a SqlError with the place PostgreSQL points to, or the start of the statement.

    Args:
        statement: the one that failed, where known.
        state: the state sentence.
        sent_from: offset in the file (characters) at which the sent text began, from which
            PostgreSQL counts; negative where statements were sent before the file.
    """
    diag = error.diag
    sqlstate = diag.sqlstate or ""
    context = diag.context or ""
    if diag.internal_query:
        context = f'SQL statement "{diag.internal_query}"\n{context}'.strip()
    at = offset(diag, script, statement, sent_from)
    invisible = _invisible_character(sqlstate, script.text, at) if diag.statement_position else ""
    advice = _ADVICE if script.header.transactional else _ADVICE_OUTSIDE
    return SqlError(
        _message(diag.message_primary or "PostgreSQL gave no reason", sqlstate),
        hint=f"{advice.get(sqlstate, '')}\n{invisible}".strip(),
        state=state,
        place=statements.place(script.text, at, str(script)),
        sqlstate=sqlstate,
        detail=_cut(diag.message_detail or ""),
        server_hint=_cut(diag.message_hint or ""),
        context=_cut(context),
    )


def offset(diag: Diagnostic, script: SqlFile, statement: Statement | None, sent_from: int) -> int:
    """Return where in the file (characters) a message points to; arguments as for `sql_error`."""
    if statement and not diag.statement_position:
        return statement.start + _line_in_block(statement, diag.context or "")
    return min(max(sent_from + int(diag.statement_position or 1) - 1, 0), len(script.text))


def own_sql_error(error: psycopg.Error, where: str, *, state: str, hint: str = "") -> SqlError:
    """Return a SqlError for the runner's own SQL, which has no place in a file."""
    diag = error.diag
    return SqlError(
        f"{diag.message_primary} ({where})",
        hint=f"{_ADVICE.get(diag.sqlstate or '', '')}\n{hint}".strip(),
        state=state,
        sqlstate=diag.sqlstate or "",
        detail=diag.message_detail or "",
        server_hint=diag.message_hint or "",
    )


def _message(text: str, sqlstate: str) -> str:
    """Return the message; for an unclosed quote PostgreSQL repeats everything after it."""
    first, *more = text.splitlines()
    if sqlstate == "42601" and (more or len(first) > 200):
        return f'{first[:200]}…"'
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _line_in_block(statement: Statement, context: str) -> int:
    """Return the offset of the failing line of a DO block; PL/pgSQL counts from its quote."""
    line = int(["1", *_LINE_OF_BLOCK.findall(context)][-1])  # the last one named is the outermost
    block = next(statements.parts(statement.text, statements.QUOTES), None)
    if statement.words[:1] != ["do"] or line == 1 or not block:
        return 0
    start = block[0]
    for _ in range(line - 1):
        start = statement.text.find("\n", start) + 1
    return start + len(re.match(r"\s*", statement.text[start:])[0])  # type: ignore[index]


def _invisible_character(sqlstate: str, text: str, offset: int) -> str:
    """Name an invisible character in the word at fault, as in text copied from a web page."""
    word = re.compile(r"[^ \t\n\r\f\v'\"]{,64}").match(text, offset)
    if not word or not sqlstate.startswith("42"):
        return ""
    for character in word.group():
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Zs"):
            name = unicodedata.name(character, "a control character")
            return f"Invisible character at this position: U+{ord(character):04X} {name}."
    return ""
