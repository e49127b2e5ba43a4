"""Where one SQL statement ends and the next begins.

Follows PostgreSQL's lexer (scan.l) and psql's (psqlscan.l): nested comments, all five ways to
quote; semicolons in parentheses (create rule) and in `begin atomic` bodies do not end a statement.
Used to run the files that stay outside a transaction, to name the statement that failed, and to
refuse what only psql understands. Nothing here changes the text. Repetitions are possessive (`*+`),
so that none is ever tried again: time grows with the length of a text and with nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise

from runner.errors import FileError, Place

# As PostgreSQL has it, every character beyond ASCII may stand in a name, and none is white space.
# Written as all that is no other character of ASCII, which compiles twenty times as fast.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_LETTER_OR_DIGIT = r"[^\x00-/:-@\[-^`{-\x7f]"
_IN_NAME = r"[^\x00-#%-/:-@\[-^`{-\x7f]"  # and the dollar sign
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
_BODY_WORD = re.compile(
    rf"(?<!{_IN_NAME})(?:(begin)\s+atomic|(case)|end)(?!{_IN_NAME})", re.IGNORECASE
)

_TRANSACTION_WORDS = ("begin", "commit", "end", "rollback", "abort", "savepoint", "release")
_WATCHED = re.compile(
    rf"(?:{'|'.join(_TRANSACTION_WORDS)}|start|prepare|copy|discard)(?!{_IN_NAME})", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, without the comments around it: from `start` to `end` in the file's text."""

    file: str = field(repr=False)  # the whole text: a large file is held once
    start: int
    end: int
    line: int

    @property
    def text(self) -> str:
        """The statement itself."""
        return self.file[self.start : self.end]

    @property
    def words(self) -> list[str]:
        """Its first three words, lower case; none from behind a quote or a parenthesis."""
        return _words(self.text, 0, 3)


def place(text: str, offset: int, file: str) -> Place:
    """Turn an offset into file, line and column, with the line itself."""
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    end = re.compile(r"[\r\n]|\Z").search(text, offset)
    line = _line_ends(text, 0, start) + 1
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
    for kind, begin, end in _tokens(text):
        yield from _PIECE.findall(text, position, begin)
        if begin < end and kind not in COMMENTS:
            yield text[begin:end]
        position = end


def parts(text: str, kinds: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Yield start and end offset of each part of these kinds: COMMENTS or QUOTES."""
    return ((begin, end) for kind, begin, end in _tokens(text) if kind in kinds)


def refuse_what_only_psql_can(text: str, file: str, *, transactional: bool) -> list[Statement]:
    """Split a file and refuse what cannot work when a program sends it to the server.

    Raises FileError with the place: for transaction control (it would cut the transaction that
    holds effect and record together), for COPY from or to psql, for the end of the runner's lock.
    """
    statements: list[Statement] = []
    for statement in _split(text, file):
        statements.append(statement)
        problem = _WATCHED.match(text, statement.start) and _problem(statement, transactional)
        if problem:
            what, hint = problem
            raise FileError(
                f"{file} {what}",
                place=place(text, statement.start, file),
                hint=f"{hint} Nothing was run.",
            )
    return statements


def _problem(statement: Statement, transactional: bool) -> tuple[str, str] | None:
    """Return what is wrong with a statement and what to do, when it cannot be sent."""
    words = statement.words
    if words[0] in _TRANSACTION_WORDS or (
        words[0] in ("start", "prepare") and words[1:2] == ["transaction"]
    ):
        hint = (
            "A migration and its record are one transaction, opened and committed by the runner. "
            "Remove the statement."
        )
        if transactional:
            hint += (
                " If each statement must stand alone, put `-- transactional: false` into the "
                "header instead."
            )
        return f"holds transaction control: {words[0]}", hint
    if words[0] == "copy":
        pairs = set(pairwise(piece.lower() for piece in code(statement.text)))
        if ("from", "stdin") in pairs:
            hint = "Write the rows as `insert into … values …`."
            return "copies from stdin, which only psql can feed", hint
        if ("to", "stdout") in pairs:
            return "copies to stdout, which only psql can read", "Remove the statement."
    if words[:2] == ["discard", "all"]:
        hint = "Remove it: the session is put back after each file anyway."
        return "discards the whole session, and with it the lock of this run", hint
    return None


def _split(text: str, file: str) -> Iterator[Statement]:
    line = 1
    counted = 0
    for start, end in _spans(text, file):
        line += _line_ends(text, counted, start)
        counted = start
        yield Statement(text, start, end, line)


def _spans(text: str, file: str) -> Iterator[tuple[int, int]]:
    """Yield start and end offset of each statement, its semicolon left out."""
    start: int | None = None
    position = looked = parentheses = bodies = 0
    for kind, begin, end in _tokens(text):
        if start is None:
            first = _NOT_WHITE.search(text, position)
            if first and (first.start() < begin or kind not in _NO_CODE):
                start = looked = first.start()
                bodies = 0
        if kind == "backslash":
            raise FileError(
                f"{file} holds a psql command, which PostgreSQL itself does not know",
                place=place(text, begin, file),
                hint="Plain SQL only: a migration must run the same from psql and from a program. "
                "Nothing was run.",
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
    words = _words(text, start, 4)[1:]
    return (words[2:] if words[:2] == ["or", "replace"] else words)[:1] in (
        ["function"],
        ["procedure"],
    )


def _open_bodies(text: str, start: int, end: int, depth: int) -> int:
    """Count the `begin atomic` and `case` that are open at `end`, when `depth` are at `start`."""
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
    """Return so many words, lower case, or as many as come before more than words and comments."""
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
    """Yield kind, start and end of all that is more than words, and at last the end."""
    position = start
    while match := _NEXT.match(text, position):
        kind = match.lastgroup or ""
        begin, position = match.span(kind)
        if kind == "block_comment":
            closing = _end_of_comment(text, position)
            # One that never ends would hide all the rest: PostgreSQL must see it, and refuse it.
            kind, position = (kind, closing) if closing else ("open_comment", len(text))
        elif kind == "dollar":
            closing = text.find(match[kind], position)
            position = len(text) if closing < 0 else closing + len(match[kind])
        elif kind == "escaped":
            begin -= 1  # the E belongs to it
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
    """Count line ends between two offsets; a CR with its LF behind it is one."""
    feeds, returns = text.count("\n", start, end), text.count("\r", start, end)
    return feeds + returns - (text.count("\r\n", start, end) if feeds and returns else 0)
