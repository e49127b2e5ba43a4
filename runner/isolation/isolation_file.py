"""Read isolation.toml and validate it: each error names file, line and the nearest known word."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.errors import Place, UsageError
from runner.isolation.actors import variables
from runner.isolation.matrix.permissions import COMMANDS, Permission

NAME = "isolation.toml"

_SECTIONS = ("tenant", "identity", "actors", "rights", "conventions")
_RESERVED = (
    "expose",
    "people",
    "accept",
)  # nothing reads them yet
_TENANT = {"table": str, "column": str, "key": str, "id": str}
_IDS = ("text", "uuid")
_IDENTITY = {"settings": dict}
_ACTOR = {"role": str, "member": str, "user": str, "everywhere": bool}
_RIGHT = {"allowed": list, "sql": str, "granted": list}
_CONVENTIONS = {"internal_schemas": list}
_TYPES = {
    str: "a string",
    bool: "true or false",
    list: "a list of strings",
    dict: "a table of strings",
}
_HEADER = re.compile(r"\s*(\[\[?[^\]]+\]\]?)\s*(#.*)?$")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[\w-]+)\s*=""")
_TABLE = re.compile(r"(\w+)\.(\w+)")

Keys = tuple[str, ...]


@dataclass(frozen=True)
class IsolationFile:
    """The parsed file; `table`, `declared` … return its sections, validated."""

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
        inside = (n for n, line in enumerate(lines[start - 1 :], start) if word and word in line)
        return next(inside, start)

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
            raise self.error(at, f"{_dotted(at)} must be a table")
        for key, found in value.items():
            if key not in keys:
                raise self.error(
                    (*at, key), f"unknown key {key!r} in [{_dotted(at)}]", word=key, known=keys
                )
            parts = found.values() if isinstance(found, dict) else found
            strings = not isinstance(found, list | dict) or all(isinstance(p, str) for p in parts)
            if not isinstance(found, keys[key]) or not strings:
                raise self.error((*at, key), f"{key} must be {_TYPES[keys[key]]}")

    def tenant(self) -> tuple[tuple[str, str], str, str, bool]:
        """Return the tenant table, its key, the column of others, and whether it is a UUID."""
        section = self.section("tenant", _TENANT, ("table", "column"))
        table = _TABLE.fullmatch(section["table"])
        if not table:
            raise self.error(("tenant", "table"), "table must be a schema and a name: public.orgs")
        kind = section.get("id", "text")
        if kind not in _IDS:
            raise self.error(("tenant", "id"), f"unknown id {kind!r}", word=kind, known=_IDS)
        return (table[1], table[2]), section.get("key", "id"), section["column"], kind == "uuid"

    def settings(self) -> dict[str, str]:
        """Return the templates of the settings of a request."""
        settings: dict[str, str] = self.section("identity", _IDENTITY, ("settings",))["settings"]
        return settings

    def actors(self) -> dict[str, dict[str, Any]]:
        """Return the declaration of each actor, by name."""
        actors = self.content.get("actors", {})
        if not isinstance(actors, dict) or not actors:
            raise self.error(("actors",), "[actors] must name at least one actor")
        found = {}
        for name, declared in actors.items():
            at = ("actors", name)
            self.check(at, declared, _ACTOR)
            if not declared.get("role"):
                raise self.error(at, f"the actor {name} has no role")
            if declared.get("everywhere") and declared.get("member"):
                raise self.error(at, f"{name} is a member of one tenant and everywhere: choose one")
            member = declared.get("member", "")
            found[name] = {"user": member.lower(), **declared}
        if not any(declared.get("member") for declared in found.values()):
            raise self.error(("actors",), 'no actor is a member of a tenant: { …, member = "…" }')
        return found

    def rights(self, actors: Iterable[str], names: Iterable[str]) -> tuple[Permission, ...]:
        """Return the rights. `names`: the variables that their statements may use."""
        found = []
        for keys, declared in self._leaves():
            self.check(keys, declared, _RIGHT)
            for key in ("allowed", "sql"):
                if key not in declared:
                    raise self.error(keys, f"[{_dotted(keys)}] has no {key}")
            for key in ("allowed", "granted"):
                for name in declared.get(key, ()):
                    if name not in actors:
                        raise self.error(
                            (*keys, key),
                            f"unknown actor {name!r} in {key}",
                            word=name,
                            known=actors,
                        )
            _, table, command, what = keys
            right = Permission(
                table,
                command,
                what,
                allowed=tuple(declared["allowed"]),
                sql=declared["sql"].strip(),
                granted=tuple(declared.get("granted", ())),
                line=self.line(keys),
            )
            for name in variables(right.sql):
                if name not in names:
                    raise self.error(
                        (*keys, "sql"),
                        f"unknown variable :'{name}'",
                        word=name,
                        known=names,
                    )
            found.append(right)
        return tuple(found)

    def _leaves(self) -> Iterator[tuple[Keys, Any]]:
        """Yield each right with its keys: rights, table, command and what."""
        for table, commands in self._tables(("rights",), self.content.get("rights", {})):
            for command, rights in self._tables(("rights", table), commands):
                at = ("rights", table, command)
                if command not in COMMANDS:
                    raise self.error(
                        at, f"unknown command {command!r}", word=command, known=COMMANDS
                    )
                for what, declared in self._tables(at, rights):
                    yield (*at, what), declared

    def _tables(self, at: Keys, value: Any) -> Iterable[tuple[str, Any]]:
        if not isinstance(value, dict):
            raise self.error(at, f"{_dotted(at)} must be [rights.table.command.right]")
        return value.items()

    def internal_schemas(self) -> tuple[str, ...]:
        """Return the schemas of the project that no API serves."""
        section = self.section("conventions", _CONVENTIONS, ())
        return tuple(section.get("internal_schemas", ()))


def read(sql_dir: Path) -> IsolationFile:
    """Return the file of a project's folder, parsed. Raises UsageError."""
    file = _parse(sql_dir / NAME)
    for name in file.content:
        if name in _RESERVED:
            raise file.error((name,), f"[{name}] is not supported yet", hint="Remove it.")
        if name not in _SECTIONS:
            raise file.error((name,), f"unknown section [{name}]", word=name, known=_SECTIONS)
    return file


def equivalents(path: Path) -> tuple[tuple[str, str], ...]:
    """Return the entries of equivalent.toml: a pattern of mutants' names, the layer that holds."""
    if not path.is_file():
        return ()
    file = _parse(path)
    found = []
    for entry in file.content.get("equivalent", []):
        file.check(("equivalent",), entry, {"name": str, "layer": str})
        found.append((entry.get("name", ""), entry.get("layer", "")))
    return tuple(found)


def _parse(path: Path) -> IsolationFile:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"{path} does not exist",
            hint="It says what the tenants are and who may do what: docs/isolation.md describes it."
            "\npython -m runner verify --only drift  works without it.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    try:
        return IsolationFile(path, text, tomllib.loads(text))
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


def _dotted(keys: Keys) -> str:
    return ".".join(key if re.fullmatch(r"[\w-]+", key) else f'"{key}"' for key in keys)
