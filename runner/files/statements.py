"""Split SQL text into statements.

Follows PostgreSQL's lexer (scan.l) and psql's (psqlscan.l): nested comments, all five quoting
forms; semicolons in parentheses (create rule) and in `begin atomic` bodies do not end a statement.
Used to run files outside a transaction, to locate the statement that failed, and to reject what
only psql understands. Nothing here changes the text. Repetitions are possessive (`*+`), without
backtracking, so that time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise

from runner.errors import FileError, Place, masked

# In PostgreSQL every non-ASCII character may be part of a name, and none is white space. Written
# as the complement of the other ASCII characters, which compiles twenty times as fast.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_LETTER_OR_DIGIT = r"[^\x00-/:-@\[-^`{-\x7f]"
_IN_NAME = r"[^\x00-#%-/:-@\[-^`{-\x7f]"  # and $
_TAG = rf"\$ (?: {_LETTER} {_LETTER_OR_DIGIT}*+ )? \$"
_ESCAPED = r"' (?: [^'\\]++ | \\. | '' )*+ (?: ' | \\?\Z )"
_NEXT = re.compile(
    rf"""
    (?: [^'"$();\\/-]++ | -(?!-) | /(?!\*) | (?<={_IN_NAME})\$ | (?!{_TAG})\$ )*+
    (?: (?P<line_comment> --[^\r\n]*+ )
      | (?P<block_comment> /\* )
      | (?P<escaped> (?<=[eE]) (?<!{_IN_NAME}[eE])
            {_ESCAPED} (?: [ \t\f\v]*+ [\r\n] [ \t\n\r\f\v]*+ {_ESCAPED} )*+ )
      | (?P<quoted> '[^']*+'? | "[^"]*+"? )
      | (?P<dollar> {_TAG} )
      | (?P<open> \( )
      | (?P<close> \) )
      | (?P<semicolon> ; )
      | (?P<backslash> \\ )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENTS = ("line_comment", "block_comment")
QUOTES = ("escaped", "quoted", "dollar")
_NO_CODE = (*COMMENTS, "semicolon", "end")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_WHITE = " \t\n\r\f\v"
_NOT_WHITE = re.compile(rf"[^{_WHITE}]|\Z")
_PIECE = re.compile(rf"[^{_WHITE}]++")
_WORD = re.compile(rf"{_LETTER}{_IN_NAME}*+")
_BODY_WORD = re.compile(rf"(?i)(?<!{_IN_NAME})(?:(begin)\s+atomic|(case)|end)(?!{_IN_NAME})")

_TRANSACTION_WORDS = ("begin", "commit", "end", "rollback", "abort", "savepoint", "release")
_WATCHED_WORDS = (*_TRANSACTION_WORDS, "start", "prepare", "copy", "discard", "set")
_WATCHED = re.compile(rf"(?i)(?:{'|'.join(_WATCHED_WORDS)})(?!{_IN_NAME})")
_UNQUOTES = re.compile(r"(?i)\bstandard_conforming_strings\s*(?:=|\bto\b)\s*'?(?:of|f|n|0)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, without the comments around it: from `start` to `end` in the file's text."""

    file: str = field(repr=False)  # the whole text, so that a large file is kept once
    start: int
    end: int
    line: int

    @property
    def text(self) -> str:
        return self.file[self.start : self.end]

    @property
    def words(self) -> list[str]:
        """Its first three words in lower case, up to a quote or parenthesis."""
        return _words(self.text, 0, 3)


def place(text: str, offset: int, file: str) -> Place:
    """Return file, line, column and text of the line at an offset (characters) of a text.

    The text is without a password, also one that follows the word on the line before.
    """
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    end = re.compile(r"[\r\n]|\Z").search(text, offset)
    line = _line_ends(text, 0, start) + 1
    shown = masked(text[max(start - 200, 0) : end.start() if end else None])
    return Place(file, line, offset - start + 1, re.split(r"[\r\n]", shown)[-1])


def split(text: str, file: str = "") -> Iterator[Statement]:
    """Yield the statements of a text in order.

    Raises FileError at a backslash outside quotes: in psql commands only, never in SQL.
    """
    line, counted = 1, 0
    for start, end in _spans(text, file):
        line += _line_ends(text, counted, start)
        counted = start
        yield Statement(text, start, end, line)


def code(text: str) -> Iterator[str]:
    """Yield the words of a text without comments and white space.

    Texts with the same code are the same to PostgreSQL.
    """
    position = 0
    for kind, begin, end in _tokens(text):
        yield from _PIECE.findall(text, position, begin)
        if begin < end and kind not in COMMENTS:
            yield text[begin:end]
        position = end


def parts(text: str, kinds: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Yield start and end offset of each part of these kinds: COMMENTS or QUOTES."""
    return ((begin, end) for kind, begin, end in _tokens(text) if kind in kinds)


def checked_statements(text: str, file: str, *, transactional: bool) -> list[Statement]:
    """Return the statements of a text, rejecting those that cannot be sent by a program.

    Raises FileError with the place for a psql command, for transaction control (it would split the
    transaction of file and record), for COPY from or to psql, for what releases the run's lock.
    """
    statements: list[Statement] = []
    for statement in split(text, file):
        statements.append(statement)
        watched = _WATCHED.match(text, statement.start)
        if watched and (problem := _problem(statement, transactional)):
            what, hint = problem
            raise FileError(f"{file} {what}", place=place(text, statement.start, file), hint=hint)
    return statements


def _problem(statement: Statement, transactional: bool) -> tuple[str, str] | None:
    """Return what is wrong with a statement, and what to do; None for one that can be sent."""
    words = statement.words
    if words[0] in _TRANSACTION_WORDS or (
        words[0] in ("start", "prepare") and words[1:2] == ["transaction"]
    ):
        hint = "The runner opens and commits one transaction for a migration and its record."
        hint += " Remove the statement."
        if transactional:
            hint += " To run each statement on its own, put `-- transactional: false` into the"
            hint += " header instead."
        return f"contains transaction control: {words[0]}", hint
    if words[0] == "copy":
        pairs = set(pairwise(piece.lower() for piece in code(statement.text)))
        if ("from", "stdin") in pairs:
            hint = "Write the rows as `insert into … values …`."
            return "copies from stdin, which only psql can supply", hint
        if ("to", "stdout") in pairs:
            return "copies to stdout, which only psql can read", "Remove the statement."
    if words[:2] == ["discard", "all"]:
        hint = "Remove it: the session is reset after each file anyway."
        return "discards the whole session, including the lock of this run", hint
    if words[0] == "set" and _UNQUOTES.search(statement.text):
        hint = "It has no effect on this file, which PostgreSQL reads before it runs.\nRemove it, "
        hint += r"and write a string that has escapes as E'it\'s'."
        return "turns standard_conforming_strings off", hint
    return None


def _spans(text: str, file: str) -> Iterator[tuple[int, int]]:
    """Yield start and end offset of each statement without its semicolon."""
    start: int | None = None
    position = looked = parentheses = bodies = 0
    for kind, begin, end in _tokens(text):
        if start is None:
            first = _NOT_WHITE.search(text, position)
            if first and (first.start() < begin or kind not in _NO_CODE):
                start = looked = first.start()
        if kind == "backslash":
            raise FileError(
                f"{file} contains a psql command, which PostgreSQL does not understand",
                place=place(text, begin, file),
                hint="Plain SQL only: a migration must run the same from psql and from a program.",
            )
        if kind == "open":
            parentheses += 1
        elif kind == "close":
            parentheses = max(0, parentheses - 1)
        elif start is not None and kind == "semicolon" and not parentheses:
            if _makes_routine(text, start):
                bodies = _open_bodies(text, looked, begin, bodies)
                looked = end
            if not bodies:
                yield start, begin
                start = None
        elif start is not None and kind == "end":
            yield start, len(text.rstrip(_WHITE))
        position = end


def _makes_routine(text: str, start: int) -> bool:
    if text[start : start + 6].lower() != "create":
        return False
    words = [word for word in _words(text, start, 4) if word not in ("or", "replace")]
    return words[1:2] in (["function"], ["procedure"])


def _open_bodies(text: str, start: int, end: int, depth: int) -> int:
    """Return how many `begin atomic` and `case` are open at `end`, given `depth` at `start`."""
    bare = []
    position, parentheses = start, 0
    for kind, begin, after in _tokens(text, start):
        if not parentheses:
            bare.append(text[position : min(begin, end)])
        if begin >= end:
            break
        parentheses += (kind == "open") - (kind == "close")
        position = after
    for begins, case in _BODY_WORD.findall(" ".join(bare)):
        if begins:
            depth += 1
        elif depth:
            depth += 1 if case else -1
    return depth


def _words(text: str, start: int, count: int) -> list[str]:
    """Return up to `count` words in lower case, skipping comments and stopping at anything else."""
    words: list[str] = []
    position = start
    for kind, begin, end in _tokens(text, start):
        found = _WORD.finditer(text, position, begin)
        words += [word.group().lower() for word in islice(found, count - len(words))]
        if kind not in COMMENTS or len(words) == count:
            break
        position = end
    return words


def _tokens(text: str, start: int = 0) -> Iterator[tuple[str, int, int]]:
    """Yield kind, start and end of each token other than words, then the end."""
    position = start
    while match := _NEXT.match(text, position):
        kind = match.lastgroup or ""
        begin, position = match.span(kind)
        if kind == "block_comment":
            closing = _end_of_comment(text, position)
            # An unclosed one would hide the rest: sent as it is, so that PostgreSQL rejects it.
            kind, position = (kind, closing) if closing else ("open_comment", len(text))
        elif kind == "dollar":
            closing = text.find(match[kind], position)
            position = len(text) if closing < 0 else closing + len(match[kind])
        elif kind == "escaped":
            begin -= 1  # include the E
        yield kind, begin, position
    yield "end", len(text), len(text)


def _end_of_comment(text: str, position: int) -> int | None:
    depth = 1
    while depth:
        mark = _COMMENT_MARK.search(text, position)
        if not mark:
            return None
        depth += 1 if mark.group() == "/*" else -1
        position = mark.end()
    return position


def _line_ends(text: str, start: int, end: int) -> int:
    """Count line ends between two offsets; CR LF is one."""
    feeds, returns = text.count("\n", start, end), text.count("\r", start, end)
    return feeds + returns - (text.count("\r\n", start, end) if feeds and returns else 0)
