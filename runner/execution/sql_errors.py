"""What PostgreSQL refused, in words: file, line and column, advice, and what is kept."""

from __future__ import annotations

import re
import unicodedata

import psycopg

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
    "55P04": "PostgreSQL lets a new enum value be used only after it is committed: put the "
    "statements that use it into the next migration.",
    "42501": "The role you connect as, or the one that the file sets, may not do this.",
    "53100": DISK_FULL,
    "57014": "Somebody cancelled it, or it met a statement_timeout: a file gets one of its own by "
    "`-- statement_timeout: 10min` in its header; `off` is none.",
}
# For a file that is outside a transaction already.
_ADVICE_OUTSIDE = {
    "25001": "PostgreSQL runs this only as a statement of its own, in no block or function.",
    "2D000": "PostgreSQL lets a procedure or block end a transaction, and no function.",
}
_LONGEST = 1000  # characters of what the server says: it may quote the rest of a large file
_LINE_OF_BLOCK = re.compile(r"inline_code_block line (\d+)")


def sql_error(
    error: psycopg.Error,
    script: SqlFile,
    statement: Statement | None,
    *,
    state: str,
    sent_from: int = 0,
) -> SqlError:
    """Tell where a statement failed: where PostgreSQL points, or else where it begins.

    `sent_from` is the offset in the file of what was sent, from which PostgreSQL counts; below 0
    where something was sent before the file.
    """
    diag = error.diag
    sqlstate = diag.sqlstate or ""
    context = diag.context or ""
    if diag.internal_query:
        context = f'SQL statement "{diag.internal_query}"\n{context}'.strip()
    advice = ""
    if diag.statement_position:
        offset = sent_from + int(diag.statement_position) - 1
        offset = min(max(offset, 0), len(script.text))
        advice = _about_the_invisible(sqlstate, script.text, offset)
    elif statement:
        offset = statement.start + _line_in_block(statement, context)
    else:
        offset = max(sent_from, 0)
    return SqlError(
        _message(diag.message_primary or "PostgreSQL gave no reason", sqlstate),
        hint=advised(
            sqlstate, f"{advice}\n{state}".strip(), transactional=script.header.transactional
        ),
        place=statements.place(script.text, offset, str(script)),
        sqlstate=sqlstate,
        detail=_cut(diag.message_detail or ""),
        server_hint=_cut(diag.message_hint or ""),
        context=_cut(context),
    )


def advised(sqlstate: str, state: str, *, transactional: bool = True) -> str:
    """Return what to do about an error, where we know it, and what state things are in."""
    advice = _ADVICE.get(sqlstate, "")
    if not transactional:
        advice = _ADVICE_OUTSIDE.get(sqlstate, advice)
    return f"{advice}\n{state}".strip()


def _message(text: str, sqlstate: str) -> str:
    """Return what was wrong; of an unclosed quote PostgreSQL repeats all that follows it."""
    first, *more = text.splitlines()
    if sqlstate == "42601" and (more or len(first) > 200):
        return f'{first[:200]}…"'
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _line_in_block(statement: Statement, context: str) -> int:
    """Return the offset of the line of a DO block that failed; PL/pgSQL counts from its quote."""
    lines = _LINE_OF_BLOCK.findall(context)
    block = next(statements.parts(statement.text, statements.QUOTES), None)
    if statement.words[:1] != ["do"] or not lines or not block:
        return 0
    offset = block[0]
    for _ in range(int(lines[-1]) - 1):  # the last one named is the outermost
        offset = statement.text.find("\n", offset) + 1
    if lines[-1] == "1":
        return 0
    return offset + len(re.match(r"\s*", statement.text[offset:])[0])  # type: ignore[index]


def _about_the_invisible(sqlstate: str, text: str, offset: int) -> str:
    """Name a character that hides in the word at fault, as texts copied from a page have it."""
    word = re.compile(r"[^ \t\n\r\f\v'\"]{,64}").match(text, offset)
    if not word or not sqlstate.startswith("42"):
        return ""
    for character in word.group():
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Zs"):
            name = unicodedata.name(character, "a control character")
            return f"A character that nobody sees is in the way: U+{ord(character):04X} {name}."
    return ""
