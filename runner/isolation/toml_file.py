"""Read isolation.toml, or another TOML file: errors name file, line and the nearest known word."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from runner.errors import Place, UsageError

NAME = "isolation.toml"
MISSING = (
    "It says what the tenants are and who may do what: docs/isolation.md describes it.\n"
    "python -m runner verify --init  writes the first one from the live database.\n"
    "python -m runner verify --only drift  works without it."
)
_TYPES = {
    str: "a string",
    bool: "true or false",
    list: "a list of strings",
    dict: "a table of strings",
}
_HEADER = re.compile(r"\s*(\[\[?[^\]]+\]\]?)\s*(#.*)?$")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[\w-]+)\s*=""")

Keys = tuple[str, ...]


@dataclass(frozen=True)
class TomlFile:
    """A parsed file, and how to report what is wrong in it."""

    path: Path
    text: str
    content: Mapping[str, Any]

    def error(
        self, keys: Keys, problem: str, *, word: str = "", known: Iterable[str] = (), hint: str = ""
    ) -> UsageError:
        """Return the error for what `keys` lead to: the keys of nested tables, outermost first.

        `word`: the wrong word; `known`: the right ones.
        """
        return self.error_at(self.line(keys, word), problem, hint=hint or nearest(word, known))

    def error_at(self, line: int, problem: str, *, hint: str) -> UsageError:
        """Return the error for what a line says; lines are counted from 1."""
        lines = self.text.splitlines()
        return UsageError(
            f"{self.path}:{line}: {problem}",
            hint=hint,
            place=Place(str(self.path), line, text=lines[line - 1] if lines else ""),
        )

    def line(self, keys: Keys, word: str = "") -> int:
        """Return the line, from 1, where `keys` or the longest part of them stand.

        `word`: then the first line from there on that contains it.
        """
        lines = self.text.splitlines()
        best = (0, 1)
        for number, found in self._positions:
            if found == keys[: len(found)]:
                best = max(best, (len(found), number), key=lambda each: each[0])
        start = best[1]
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        inside = (
            n for n, line in enumerate(lines[start - 1 :], start) if word and whole.search(line)
        )
        return next(inside, start)

    def end_of(self, section: str) -> int:
        """Return how many lines there are up to the last one of these sections; all without one.

        Comments and blank lines before the next section belong to that.
        """
        lines, end = self.text.splitlines(), 0
        positions = [*self._positions, (len(lines) + 1, ())]
        for (_, keys), (following, _) in pairwise(positions):
            if keys[:1] == (section,):
                end = following - 1
        while end and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
            end -= 1
        return end or len(lines)

    @cached_property
    def _positions(self) -> list[tuple[int, Keys]]:
        return list(_positions(self.text.splitlines()))

    def section(self, name: str, keys: Mapping[str, type], required: Iterable[str]) -> Any:
        """Return a section with these keys and no others."""
        section = self.content.get(name, {})
        self.check((name,), section, keys)
        for key in required:
            if key not in section:
                raise self.error((name,), f"[{name}] has no {key}")
        return section

    def check(self, at: Keys, value: Any, keys: Mapping[str, type]) -> None:
        """Raise the error unless `value` is a table of these keys and types, and no others."""
        if not isinstance(value, dict):
            raise self.error(at, f"{dotted(at)} must be a table")
        for key, found in value.items():
            if key not in keys:
                raise self.error(
                    (*at, key), f"unknown key {key!r} in [{dotted(at)}]", word=key, known=keys
                )
            parts = found.values() if isinstance(found, dict) else found
            strings = not isinstance(found, list | dict) or all(isinstance(p, str) for p in parts)
            if not isinstance(found, keys[key]) or not strings:
                raise self.error((*at, key), f"{key} must be {_TYPES[keys[key]]}")


def read(path: Path, *, missing: str = "", more: Path | None = None) -> TomlFile:
    """Return a file, parsed. Raises UsageError; `missing` is the hint where there is no file.

    `more`: a file that adds sections to it, if it exists.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if more and more.is_file():
            text = f"{text.rstrip()}\n\n{more.read_text(encoding='utf-8')}"
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint=missing) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return parse(text, path)


def parse(text: str, path: Path) -> TomlFile:
    """Return a text, parsed. Raises UsageError with line and column, naming `path`."""
    try:
        return TomlFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(found[2]), int(found[3])) if found else (None, None)
        place = Place(str(path), line, column, text.splitlines()[line - 1] if line else "")
        raise UsageError(f"{place}: {found[1] if found else error}", place=place) from None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint with the known word that is most like this one, else with all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    upper = {each.upper(): each for each in words}
    close = close or [upper[e] for e in difflib.get_close_matches(word.upper(), upper, n=1)]
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known: {', '.join(words)}." if words else ""


def _positions(lines: Iterable[str]) -> Iterator[tuple[int, Keys]]:
    """Yield the number of each line that is a table's header or a key, with its keys."""
    header: Keys = ()
    for number, line in enumerate(lines, 1):
        if match := _HEADER.match(line):
            try:
                header = _keys(tomllib.loads(match[1]))
            except tomllib.TOMLDecodeError:
                continue
            yield number, header
        elif match := _KEY.match(line):
            yield number, (*header, match[1].strip("\"'"))


def _keys(nested: Any) -> Keys:
    while isinstance(nested, list):
        nested = nested[0]
    return tuple(key for name in nested for key in (name, *_keys(nested[name])))


def dotted(keys: Keys) -> str:
    """Return keys as the header of a table."""
    return ".".join(key if re.fullmatch(r"[\w-]+", key) else f'"{key}"' for key in keys)
