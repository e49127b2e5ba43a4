"""Where one SQL statement ends and the next begins.

Follows psql's lexer (psqlscan.l): nested comments, all five ways to quote, semicolons in
parentheses (create rule) and `begin atomic` bodies do not end a statement. Used to run the files
that stay outside a transaction, to name the statement that failed, and to refuse what only psql
understands. Nothing here changes the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from runner.errors import FileError, Place

_SPECIAL = re.compile(
    r"""
      (?P<line_comment> --[^\r\n]* )
    | (?P<block_comment> /\* )
    | (?P<escaped> (?<![\w$]) [eE] ' (?: [^'\\] | \\. )* (?:'|\Z) )
    | (?P<quoted> ' [^']* (?:'|\Z) | " [^"]* (?:"|\Z) )
    | (?P<dollar> (?<![\w$]) \$ (?: [^\W\d] \w* )? \$ )
    | (?P<open> \( ) | (?P<close> \) )
    | (?P<semicolon> ; )
    | (?P<backslash> \\ )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\W\d]\w*")
_GAP = r"(?:\s|--[^\r\n]*|/\*.*?\*/)+"
_ROUTINE = re.compile(
    rf"create{_GAP}(?:or{_GAP}replace{_GAP})?(?:function|procedure)\b", re.IGNORECASE | re.DOTALL
)
_BODY_WORD = re.compile(r"\b(?:(begin)\s+atomic|(case)|(end))\b", re.IGNORECASE)

_TRANSACTION_WORDS = {"begin", "commit", "end", "rollback", "abort", "savepoint", "release"}


@dataclass(frozen=True)
class Statement:
    """One statement, without the comments around it; `start` is its offset in the file's text."""

    text: str
    start: int
    line: int

    @property
    def words(self) -> list[str]:
        """Its first words, lower case."""
        pieces = islice(code(self.text[:200]), 6)
        return [word.lower() for piece in pieces for word in _WORD.findall(piece)][:3]


def place(text: str, offset: int, file: str) -> Place:
    """Turn an offset into file, line and column, with the line itself."""
    before = text[:offset]
    start = max(before.rfind("\n"), before.rfind("\r")) + 1
    end = re.compile(r"[\r\n]|\Z").search(text, offset)
    line = len(re.findall(r"\r\n|\r|\n", before)) + 1
    return Place(file, line, offset - start + 1, text[start : end.start() if end else None])


def split(text: str, file: str = "") -> list[Statement]:
    """Return the statements of a file in order.

    Raises FileError at a backslash outside quotes: no SQL has one there, psql commands do.
    """
    return list(_split(text, file))


def code(text: str) -> Iterator[str]:
    """Yield the words of a text, comments and the white space between them dropped.

    Two files with the same code differ in nothing that PostgreSQL acts on.
    """
    position = 0
    for token in _tokens(text):
        yield from text[position : token.start].split()
        if not token.is_comment:
            yield text[token.start : token.end]
        position = token.end
    yield from text[position:].split()


def refuse_what_only_psql_can(text: str, file: str, *, transactional: bool) -> list[Statement]:
    """Split a file and refuse what cannot work when a program sends it to the server.

    Raises FileError with the place: transaction control (it would cut the transaction that holds
    effect and record together) and COPY FROM STDIN (the data would come from psql).
    """
    statements: list[Statement] = []
    for statement in _split(text, file):
        statements.append(statement)
        words = statement.words
        first = words[0] if words else ""
        if first in _TRANSACTION_WORDS or words[:2] in (
            ["start", "transaction"],
            ["prepare", "transaction"],
        ):
            raise FileError(
                f"{file} holds transaction control: {first}",
                place=place(text, statement.start, file),
                hint="A migration and its record are one transaction, opened and committed by the "
                "runner. Remove the statement"
                + (
                    ", or put `-- transactional: false` into the header if each statement must "
                    "stand alone."
                    if transactional
                    else "."
                ),
            )
        if first == "copy" and re.search(r"\bfrom\s+stdin\b", statement.text, re.IGNORECASE):
            raise FileError(
                f"{file} copies from stdin, which only psql can feed",
                place=place(text, statement.start, file),
                hint="Write the rows as `insert into … values …`.",
            )
    return statements


@dataclass(frozen=True)
class _Token:
    kind: str
    start: int
    end: int

    @property
    def is_comment(self) -> bool:
        return self.kind in ("line_comment", "block_comment")


def _split(text: str, file: str) -> Iterator[Statement]:
    line = 1
    counted = 0
    for start, end in _spans(text, file):
        line += len(re.findall(r"\r\n|\r|\n", text[counted:start]))
        counted = start
        yield Statement(text[start:end], start, line)


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while match := _SPECIAL.search(text, position):
        kind = match.lastgroup or ""
        end = match.end()
        if kind == "block_comment":
            end = _end_of_comment(text, end)
        elif kind == "dollar":
            closing = text.find(match.group(), end)
            end = len(text) if closing < 0 else closing + len(match.group())
        yield _Token(kind, match.start(), end)
        position = end


def _end_of_comment(text: str, position: int) -> int:
    depth = 1
    while depth:
        mark = _COMMENT_MARK.search(text, position)
        if not mark:
            return len(text)
        depth += 1 if mark.group() == "/*" else -1
        position = mark.end()
    return position


def _spans(text: str, file: str) -> Iterator[tuple[int, int]]:
    """Yield start and end offset of each statement, its semicolon left out."""
    start: int | None = None
    parentheses = body = 0
    position = 0
    for token in _tokens(text):
        between = _SPACE.match(text, position)
        if start is None and between and between.end() < token.start:
            start = between.end()
        if start is not None and not parentheses and _ROUTINE.match(text, start):
            body += _body_depth(text, position, token.start)
        if token.kind == "backslash":
            raise FileError(
                f"{file} holds a psql command, which PostgreSQL itself does not know",
                place=place(text, token.start, file),
                hint="Plain SQL only: a migration must run the same from psql and from a program.",
            )
        if token.kind == "open":
            parentheses += 1
        elif token.kind == "close":
            parentheses = max(0, parentheses - 1)
        if token.kind == "semicolon" and not parentheses and body <= 0:
            if start is not None:
                yield start, token.start
            start, body = None, 0
        elif start is None and not token.is_comment and token.kind != "semicolon":
            start = token.start
        position = token.end
    rest = _SPACE.match(text, position)
    if start is None and rest and rest.end() < len(text):
        start = rest.end()
    if start is not None:
        yield start, len(text.rstrip())


def _body_depth(text: str, start: int, end: int) -> int:
    depth = 0
    for begin, case, _end in _BODY_WORD.findall(text, start, end):
        depth += 1 if begin or case else -1
    return depth
