"""Find the file and line that changed a faulty object last: search the migrations for its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from runner.errors import RunnerError
from runner.files import loader, statements
from runner.isolation import toml_file
from runner.isolation.verdict import Breach

_PART = r'(?:"(?:[^"]|"")+"|[^\s."(),;:]+)'
_NAME = rf"{_PART}(?:\.{_PART})*"
# `policy NAME on TABLE`, as rules and root causes have it, and `policy TABLE.NAME`, as the surface.
_ON_TABLE = re.compile(rf"(policy|trigger|rule|constraint) ({_PART}) on (?:table )?({_NAME})")
_IN_TABLE = re.compile(rf"(policy|trigger|rule|constraint|column) ({_PART}\.{_PART})\.({_PART})")
_GRANT = re.compile(rf"grant (\w+)(?: \(.*?\))? on (?:table )?({_NAME}) to ({_PART})")
_WITHIN = r"[^;]{0,1000}?"  # anything in the same statement, within a limit
_LONGEST = 20_000  # characters of a statement; a longer one loads rows
_CREATING = ("create", "alter", "grant", "do")  # first words of statements that are searched
_OBJECT = re.compile(rf"(?:[a-z]+ )*?({_NAME})(?:\(.*\))?$")
# Between CREATE and the name of what is created: TABLE IF NOT EXISTS, OR REPLACE FUNCTION …
_CREATE = r"\bcreate\s+(?:(?!(?:as|authorization|for|from|of|on|to|with)\b)\w+\s+){1,6}?"
# ALTER of a table is about a part of it, which has its own place.
_ALTER = r"\balter\s+(?!table\b|default\b)(?:materialized\s+)?\w+\s+(?:if\s+exists\s+)?"
_CAUSE = re.compile(rf"(function|type|view|materialized view) ({_NAME})\b")
_COLUMN = r"[(,]\s*|\b(?:add|alter)\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?"
_TYPE = r"(?=\s+(?!(?:and|between|ilike|in|is|like|not|or|similar)\b)[\w\"])"
_CONSTRAINTS = {  # how PostgreSQL ends the name of one without a name
    "key": "unique",
    "pkey": r"primary\s+key",
    "fkey": r"foreign\s+key|references",
    "check": "check",
    "excl": "exclude",
}


class Place(NamedTuple):
    """A file, and the line in it; None for a folder."""

    path: Path
    line: int | None


class _Search(NamedTuple):
    """What to search for: a name that the statement must contain, and a pattern."""

    name: str  # lower case
    pattern: re.Pattern[str]  # its last group, else the whole, is the place


class Places:
    """The migrations of a folder, to be searched. Migrations that cannot be read are not."""

    def __init__(self, sql_dir: Path, root: str | Path = ".") -> None:
        """`root`: of the repository; places inside it are relative to it."""
        self._sql_dir, self._root = sql_dir, Path(root).resolve()
        self._found: dict[tuple[str, str], Place] = {}

    @cached_property
    def _files(self) -> list[tuple[Path, str, list[tuple[int, str]]]]:
        """Each migration with its text, and its statements that may create something."""
        try:
            return [
                (file.path, file.text, list(_creating(file.text)))
                for file in loader.read(self._sql_dir)
            ]
        except RunnerError:
            return []  # what is wrong with them is a warning of the proof

    def of(self, breach: Breach) -> Place:
        """Return where the faulty object was created or changed last.

        It is the object that begins the cause, or the grant there, else the subject. For an object
        that no migration names, the place is isolation.toml, or the folder without that file.
        """
        key = (breach.subject, breach.cause)
        if key not in self._found:
            self._found[key] = self._relative(self._search(breach) or self._otherwise())
        return self._found[key]

    def last(self, name: str) -> tuple[tuple[int, int], Place] | None:
        """Return where `policy NAME on TABLE`, a constraint or a function was changed last.

        And its rank among other changes, as file and line. None if no migration names it.
        """
        match, called = _ON_TABLE.match(name), _CAUSE.match(name)
        patterns = _in_table(match[1], match[2], match[3]) if match else iter(())
        place = self._find(iter([_made(called[2], called[1])]) if called else patterns)
        if place is None:
            return None
        number = next(n for n, (path, *_) in enumerate(self._files) if path == place.path)
        return (number, place.line or 0), self._relative(place)

    def unmade(self, text: str) -> list[tuple[str, str]]:
        """Return the policies that a text names and no migration creates, with their tables."""
        return [
            (name, table)
            for kind, name, table in dict.fromkeys(_ON_TABLE.findall(text))
            if kind == "policy" and self._files and not self._find(_in_table(kind, name, table))
        ]

    def _search(self, breach: Breach) -> Place | None:
        for path, _, _ in self._files:
            if path.stem == breach.subject:  # a migration that was edited
                return Place(path, 1)
        return self._find(_patterns(breach))

    def _find(self, patterns: Iterator[_Search]) -> Place | None:
        for name, pattern in patterns:
            for path, text, found in reversed(self._files):
                for start, statement in reversed(found):
                    matches = [*pattern.finditer(statement)] if name in statement.lower() else []
                    if matches:
                        offset = start + matches[-1].start(matches[-1].lastindex or 0)
                        return Place(path, text.count("\n", 0, offset) + 1)
        return None

    def _otherwise(self) -> Place:
        file = self._sql_dir / toml_file.NAME
        return Place(file, 1) if file.is_file() else Place(self._sql_dir, None)

    def _relative(self, place: Place) -> Place:
        path = place.path.resolve()
        if path.is_relative_to(self._root):
            path = path.relative_to(self._root)
        return place._replace(path=path)


def _patterns(breach: Breach) -> Iterator[_Search]:
    """Yield what to search for, the most specific first."""
    for text in (breach.cause, breach.subject):
        if match := _ON_TABLE.match(text):
            yield from _in_table(match[1], match[2], match[3])
        elif match := _IN_TABLE.match(text):
            yield from _in_table(match[1], match[3], match[2])
        elif match := _GRANT.match(text):
            command, table, role = match[1], _named(match[2]), _named(match[3])
            yield _compiled(
                match[2],
                rf"\bgrant\b{_WITHIN}\b(?:{command}|all)\b{_WITHIN}\bon\b{_WITHIN}{table}"
                rf"{_WITHIN}\bto\b{_WITHIN}{role}",
            )
    if match := _CAUSE.match(breach.cause):
        yield _made(match[2], match[1])
    if match := _ON_TABLE.match(breach.subject):
        yield _made(match[3])
    elif match := _IN_TABLE.match(breach.subject):
        yield _made(match[2])
    elif match := _OBJECT.match(breach.subject):
        yield _made(match[1])


def _made(name: str, kind: str = "") -> _Search:
    """Return the search for what creates or alters an object; `kind`: if another has its name."""
    create = rf"\bcreate\s+(?:or\s+replace\s+)?{kind}\s+" if kind else _CREATE
    alter = rf"\balter\s+{kind}\s+(?:if\s+exists\s+)?" if kind else _ALTER
    return _compiled(name, rf"(?:{create}|{alter}){_named(name)}")


def _in_table(kind: str, name: str, table: str) -> Iterator[_Search]:
    part, owner = _named(name), _named(table)
    in_table = rf"\b(?:create|alter)\s[^;(]{{0,80}}?\btable\b[^;(]{{0,80}}?{owner}{_WITHIN}"
    renamed = rf"\brename\s+(?:{kind}\s+)?{_PART}\s+to\s+"
    if kind == "column":
        yield _compiled(name, rf"{in_table}(?:{renamed}|(?:{_COLUMN})(?={part}{_TYPE}))({part})")
    elif kind == "constraint":
        yield _compiled(name, rf"{in_table}(?:{renamed}|(?<!drop )\bconstraint\s+)({part})")
        yield _compiled(name, rf"\bcreate\s+unique\s+index\b{_WITHIN}{part}\s+on\b")
        plain = re.findall(_PART, table)[-1].strip('"')
        unnamed = re.fullmatch(rf"{re.escape(plain)}_(.+)_([a-z]+?)\d*", name.strip('"'))
        if unnamed and (word := _CONSTRAINTS.get(unnamed[2])):
            columns = r"[\W_]+".join(map(re.escape, unnamed[1].split("_")))
            last = unnamed[1].rpartition("_")[2]
            yield _Search(last, _pattern(rf"{in_table}\b({word})[^;]{{0,60}}?\b{columns}\b"))
            yield from _in_table("column", unnamed[1], table)
    else:
        verb = r"\b(?:create\s+(?:or\s+replace\s+)?(?:constraint\s+)?|alter\s+)"
        yield _compiled(name, rf"{verb}{kind}\s+{part}{_WITHIN}\b(?:on|to)\s+{owner}")


def _named(name: str) -> str:
    """Return a pattern for a name, quoted or not, with or without its schema."""
    parts = [
        rf'(?:"{re.escape(part)}"|{re.escape(part)})'
        for part in (part.strip('"') for part in re.findall(_PART, name))
    ]
    schema = "".join(rf"(?:{part}\s*\.\s*)?" for part in parts[:-1])
    return rf'(?<![\w$."]){schema}{parts[-1]}(?![\w$."])'


def _compiled(name: str, pattern: str) -> _Search:
    last: str = re.findall(_PART, name)[-1]
    return _Search(last.strip('"').lower(), _pattern(pattern))


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _creating(text: str) -> Iterator[tuple[int, str]]:
    """Yield the statements that may create something, with their offsets and blank comments."""
    for statement in statements.split(text):
        first = statement.words[:1]
        if first and first[0] in _CREATING and len(statement.text) <= _LONGEST:
            yield statement.start, _without_comments(statement.text)


def _without_comments(text: str) -> str:
    """Return a text of the same length and lines with its comments blank."""
    pieces, position = [], 0
    for start, end in statements.parts(text, statements.COMMENTS):
        pieces += [text[position:start], re.sub(r"[^\n]", " ", text[start:end])]
        position = end
    return "".join((*pieces, text[position:]))
