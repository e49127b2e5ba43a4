"""Split a file of another migration tool at that tool's own marks.

A mark is a `--` comment on a line of its own: in quotes and in block comments it is text. The first
one decides which tool reads the file; what looks like a mark of another one is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runner.errors import FileError
from runner.files import other_tools, statements

_MARK = re.compile(
    r"""(?ix) (?:
        --[ \t]* \+goose [ \t]+ (?P<goose> .*)
      | --[ \t]* \+(?:migrate|micrate) [ \t]+ (?P<sql_migrate> .*)
      | --[ \t]* rambler [ \t]+ (?P<rambler> (?:up|down)\b .*)
      | --[ \t]* migrate: (?P<dbmate> (?:up|down)\b .*)
      | ----[ ] create[ ]above[ ]/[ ]drop[ ]below [ ]---- (?P<tern>)
      | ----[ ] tern: [ ]? (?P<option> disable-tx) [ ]----
      | --[ \t]* (?P<node> up|down) [ ]migration
    ) [ \t]*""",
)
_OUTSIDE = ("disable-tx", "no transaction", "no-transaction", "notransaction", "transaction:false")
_UP_REQUIRED = {  # by the tool, which would refuse the file
    "goose": "-- +goose Up",
    "sql_migrate": "-- +migrate Up",
    "dbmate": "-- migrate:up",
}
_LINE_END = re.compile(r"\r\n?|\n|\Z")
_STATEMENT_END = re.compile(r"\s*;?[ \t]*(?:\r\n?|\n)?")
_HEAD = re.compile(r"(?:[ \t]*(?:--[^\r\n]*)?(?:\r\n?|\n))*")  # blank lines and comments
_SQLX = re.compile(r"(?i)(?:^|(?<=[\r\n]))[ \t]*--[ \t]*no-transaction[ \t]*(?:\r\n?|\n)")
_BEGIN = re.compile(r"(?i)begin(?:\s+(?:work|transaction))?\s*")
_COMMIT = re.compile(r"(?i)commit(?:\s+(?:work|transaction))?\s*")


@dataclass(frozen=True)
class Parts:
    """What applies and what undoes it, which of them run outside a transaction, and whose it is."""

    up: str
    down: str = ""
    outside: frozenset[str] = frozenset()
    tool: str = ""
    problem: str = ""  # why the tool itself would refuse the file, or what it replaces in it


def parts(text: str) -> Parts:
    """Return the parts of a file whose name has no direction."""
    pieces: dict[str, list[str]] = {"up": [], "down": []}
    outside: set[str] = set()
    now, tool, problem, position, is_open, has_up = "up", "", "", 0, False, False
    for begin, end, mark in _lines(text, _MARK):
        kind = str(mark.lastgroup)
        of = "tern" if kind == "option" else kind
        tool = tool or of
        if of != tool:
            continue
        pieces[now].append(text[position:begin])
        position = end
        said = " ".join(mark[kind].lower().split())
        word = "down" if kind == "tern" else said.partition(" ")[0]
        if said.startswith("envsub on"):
            problem = f"has variables of goose: {mark.group().strip()}"
        if is_open and word in (*pieces, "statementbegin"):
            break
        is_open = word == "statementbegin" or (is_open and word != "statementend")
        now = word if word in pieces else now
        has_up |= word == "up"
        if any(option in said for option in _OUTSIDE):
            outside |= {word} if word in pieces else {*pieces}
    if tool in _UP_REQUIRED and not has_up:
        problem = f"has no mark of what applies it: {_UP_REQUIRED[tool]}"
    if is_open:
        problem = "has a StatementBegin without StatementEnd"
    pieces[now].append(text[position:])
    if not tool:
        return of_sqlx(text)
    up, down = ("".join(piece) for piece in pieces.values())
    return Parts(up, down, frozenset(outside), tool, problem)


def of_sqlx(text: str) -> Parts:
    """Return a text without the mark of sqlx, which counts above the first statement."""
    head = _HEAD.match(text)
    mark = _SQLX.search(text, 0, head.end()) if head else None
    if not mark:
        return Parts(text)
    return Parts(text[: mark.start()] + text[mark.end() :], outside=frozenset({"up"}), tool="sqlx")


def without_marks(text: str) -> str:
    """Return a text without the lines that would be marks, if its file's name had no direction."""
    kept, position = [], 0
    for begin, end, _ in _lines(text, other_tools.MARK, whole=False):
        kept.append(text[position:begin])
        position = end
    return "".join([*kept, text[position:]])


def without_transaction(text: str) -> str:
    """Return a text without `begin` and `commit`, if these are its first and last statement."""
    try:
        found = list(statements.split(text))
    except FileError:
        return text  # `convert.check` says why
    if (
        len(found) < 2
        or not _BEGIN.fullmatch(found[0].text)
        or not _COMMIT.fullmatch(found[-1].text)
    ):
        return text
    first, last = _line(text, found[0]), _line(text, found[-1])
    return text[: found[0].start] + text[first[1] : last[0]] + text[last[1] :]


def _line(text: str, statement: statements.Statement) -> tuple[int, int]:
    """Return where a statement starts and ends, with the blanks and the line end around it."""
    start = statement.start
    while start and text[start - 1] in " \t":
        start -= 1
    end = _STATEMENT_END.match(text, statement.end)
    return start, end.end() if end else statement.end


def _lines(
    text: str, pattern: re.Pattern[str], *, whole: bool = True
) -> Iterator[tuple[int, int, re.Match[str]]]:
    """Yield start and end of each line that is a comment which matches a pattern."""
    for start, end in statements.parts(text, ("line_comment",)):
        match = (pattern.fullmatch if whole else pattern.match)(text, start, end)
        begin = start
        while begin and text[begin - 1] in " \t":
            begin -= 1
        if match and (not begin or text[begin - 1] in "\r\n"):
            line_end = _LINE_END.match(text, end)
            yield begin, line_end.end() if line_end else end, match
