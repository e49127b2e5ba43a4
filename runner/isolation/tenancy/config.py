"""Read isolation.toml: tenant, identity, actors, people, rights and accepted findings."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from runner.errors import UsageError

COMMANDS = ("select", "insert", "update", "delete")
_SECTIONS = {
    "expose": ("schemas", "functions"),
    "tenant": ("table", "column", "columns", "shared"),
    "identity": ("settings",),
    "people": ("table", "user", "tenant", "role"),
    "actors": (),
    "rights": (),
    "accept": ("rule", "object", "because"),
    "conventions": (),
}
_ACTOR_KEYS = ("role", "member", "everywhere")


@dataclass(frozen=True)
class Actor:
    """A kind of caller: a database role, and for a member of a tenant the role there."""

    name: str
    role: str
    member: str | None = None
    everywhere: bool = False  # may cross tenants


@dataclass(frozen=True)
class People:
    """The table whose rows make a person a member of a tenant, and its columns."""

    table: str
    user: str
    tenant: str
    role: str | None


@dataclass(frozen=True)
class Right:
    """What some actors may do with one command on one relation, in their own tenant."""

    actors: tuple[str, ...]
    columns: tuple[str, ...] | None = None  # None: every column
    where: str | None = None  # SQL: which rows; None: every row


@dataclass(frozen=True)
class Accepted:
    """A finding that is intended."""

    rule: str
    object: str
    because: str


@dataclass(frozen=True)
class Config:
    """An isolation.toml."""

    tenant_table: str | None
    tenant_column: str
    tenant_columns: Mapping[str, str]  # of single tables, where it has another name
    shared: tuple[str, ...]
    settings: Mapping[str, str]
    actors: Mapping[str, Actor]
    people: People | None = None
    rights: Mapping[str, Mapping[str, tuple[Right, ...]]] = field(default_factory=dict)
    accept: tuple[Accepted, ...] = ()
    schemas: tuple[str, ...] | None = None
    functions: tuple[str, ...] | None = None
    fixture: str | None = None  # SQL: rows that cannot be invented
    path: str = "isolation.toml"

    @property
    def fixture_path(self) -> Path:
        """The file of `fixture`."""
        return Path(self.path).with_suffix("") / "fixture.sql"


def is_generic(path: Path) -> bool:
    """Whether a file is there and has rights of the form that this package reads.

    A file that is not TOML counts, so that `read` reports it.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return False
    except ValueError:
        return True
    rights = data.get("rights", {})
    written_out = (
        isinstance(right, dict) and "allowed" in right
        for commands in rights.values()
        if isinstance(commands, dict)
        for whats in commands.values()
        if isinstance(whats, dict)
        for right in whats.values()
    )
    return "tenant" in data and not any(written_out)


def read(path: Path) -> Config:
    """Return the configuration of a file; raise UsageError with file and line if it is malformed.

    Rows that cannot be invented are read from isolation/fixture.sql beside it.
    """
    fixture = path.parent / path.stem / "fixture.sql"
    try:
        text = path.read_text(encoding="utf-8")
        rows = fixture.read_text(encoding="utf-8") if fixture.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} or {fixture} cannot be read: {error}") from None
    return parse(text, str(path), fixture=rows)


def parse(text: str, path: str = "isolation.toml", *, fixture: str | None = None) -> Config:
    """Return the configuration of a text, as `read` does."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    return _Parser(text, path, data).config(fixture)


class _Parser:
    """Check the sections of one file."""

    def __init__(self, text: str, path: str, data: Mapping[str, Any]) -> None:
        self._text, self._path, self._data = text, path, data

    def config(self, fixture: str | None) -> Config:
        for section, value in self._data.items():
            self._known(section, _SECTIONS, "section")
            for entry in value if isinstance(value, list) else [value]:
                if not isinstance(entry, dict):
                    self._fail(section, f"[{section}] is a section, not a value")
                for key in entry if _SECTIONS[section] else ():
                    self._known(key, _SECTIONS[section], f"key of [{section}]")
        tenant = self._data.get("tenant", {})
        if not isinstance(tenant.get("column"), str):
            self._fail("[tenant]", 'tell the column of the tenant: [tenant] column = "tenant_id"')
        actors = {name: self._actor(name, v) for name, v in self._data.get("actors", {}).items()}
        expose = self._data.get("expose", {})
        return Config(
            tenant_table=tenant.get("table"),
            tenant_column=tenant["column"],
            tenant_columns=tenant.get("columns", {}),
            shared=self._words("shared", tenant.get("shared", [])),
            settings=self._data.get("identity", {}).get("settings", {}),
            actors=actors,
            people=self._people(tenant["column"]),
            rights=self._rights(actors),
            accept=tuple(self._accepted(entry) for entry in self._data.get("accept", [])),
            schemas=self._optional("schemas", expose),
            functions=self._optional("functions", expose),
            fixture=fixture,
            path=self._path,
        )

    def _optional(self, key: str, section: Mapping[str, Any]) -> tuple[str, ...] | None:
        return self._words(key, section[key]) if key in section else None

    def _actor(self, name: str, value: Any) -> Actor:
        if isinstance(value, str):
            value = {"role": value}
        if not isinstance(value, dict) or not isinstance(value.get("role"), str):
            self._fail(name, f'{name} needs a database role: {name} = {{ role = "…" }}')
        for key in value:
            self._known(key, _ACTOR_KEYS, f"key of actor {name}")
        return Actor(name, value["role"], value.get("member"), bool(value.get("everywhere")))

    def _people(self, column: str) -> People | None:
        people = self._data.get("people")
        if people is None:
            return None
        for key in ("table", "user"):
            if not isinstance(people.get(key), str):
                self._fail("[people]", f'[people] needs {key} = "…"')
        return People(
            people["table"], people["user"], people.get("tenant", column), people.get("role")
        )

    def _accepted(self, entry: Mapping[str, Any]) -> Accepted:
        for key in _SECTIONS["accept"]:
            if not isinstance(entry.get(key), str) or not entry[key].strip():
                self._fail("[[accept]]", f'an accepted finding needs {key} = "…"')
        return Accepted(entry["rule"], entry["object"], entry["because"])

    # --- rights ------------------------------------------------------------------------------

    def _rights(self, actors: Mapping[str, Actor]) -> dict[str, dict[str, tuple[Right, ...]]]:
        rights: dict[str, dict[str, tuple[Right, ...]]] = {}
        for names, commands in self._data.get("rights", {}).items():
            if not isinstance(commands, dict):
                self._fail(names, f'{names} needs commands: {{ select = ["…"] }}')
            for name in re.split(r"[\s,]+", names.strip()):
                of_relation = rights.setdefault(name, {})
                for keys, value in commands.items():
                    for command in re.split(r"[\s,]+", keys.strip()):
                        self._known(command, COMMANDS, f"command of {name}", near=names)
                        parsed = tuple(self._right(names, value, actors))
                        of_relation[command] = of_relation.get(command, ()) + parsed
        return rights

    def _right(self, where: str, value: Any, actors: Mapping[str, Actor]) -> Iterable[Right]:
        if isinstance(value, (str, list)):
            yield Right(self._who(where, value, actors))
            return
        if not isinstance(value, dict):
            self._fail(where, f"{where}: a right is a list of actors, or a table by actor")
        for who, what in value.items():
            names = self._who(where, who, actors)
            if what is True:
                yield Right(names)
            elif isinstance(what, str):
                yield Right(names, where=what)
            elif isinstance(what, list):
                yield Right(names, columns=self._words(where, what))
            elif isinstance(what, dict):
                for key in what:
                    self._known(key, ("columns", "where"), f"key of {who}", near=where)
                columns = self._words(where, what["columns"]) if "columns" in what else None
                yield Right(names, columns, what.get("where"))
            else:
                self._fail(where, f"{who}: a list of columns, or a condition in quotes")

    def _who(self, where: str, value: str | list[str], actors: Iterable[str]) -> tuple[str, ...]:
        names = tuple(value.split()) if isinstance(value, str) else self._words(where, value)
        for name in names:
            self._known(name, tuple(actors), "actor", near=where)
        return names

    # --- errors ------------------------------------------------------------------------------

    def _words(self, near: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            self._fail(near, f"{near} is a list of names")
        return tuple(value)

    def _known(self, word: str, words: Iterable[str], what: str, *, near: str = "") -> None:
        known = list(words)
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
            advice = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
            self._fail(word, f"unknown {what} {word!r}{advice}", near=near)

    def _fail(self, word: str, problem: str, *, near: str = "") -> NoReturn:
        lines = self._text.splitlines()
        starts = [n for n, line in enumerate(lines) if near and near in line] or [0]
        places: Sequence[int] = [
            n for n in range(starts[0], len(lines)) if word in lines[n].partition("#")[0]
        ]
        line = f":{places[0] + 1}" if places else ""
        raise UsageError(f"{self._path}{line}: {problem}")
