"""Read isolation.toml: tenant, identity, actors, people, rights, cases and accepted findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.isolation import toml_file
from runner.isolation.tenancy.variables import names as known_names
from runner.isolation.tenancy.variables import variables
from runner.isolation.toml_file import Keys, TomlFile, dotted

COMMANDS = ("select", "insert", "update", "delete")
_TENANT = {"table": str, "column": str, "columns": dict, "shared": list}
_IDENTITY = {"settings": dict, "forged": list, "pre_request": str}
_SECTIONS = {
    "expose": ("schemas", "functions"),
    "tenant": tuple(_TENANT),
    "identity": tuple(_IDENTITY),
    "people": ("table", "user", "tenant", "role", "sql"),
    "actors": (),
    "rights": (),
    "cases": (),
    "accept": ("rule", "object", "because"),
    "conventions": ("internal_schemas", "both_layers"),
}
_ACTOR_KEYS = {"role": str, "member": str, "user": str, "everywhere": bool}
_CASE_KEYS = {"allowed": list, "sql": str}
_COMMAND = re.compile(r"\b(select|insert|update|delete|merge|truncate|call)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Actor:
    """A kind of caller: a database role, and for a member of a tenant the role there."""

    name: str
    role: str
    member: str | None = None
    everywhere: bool = False  # may cross tenants
    user: str = ""  # of isolation/fixture.sql: who is signed in, and member of no tenant


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
class Case:
    """One statement on a relation whose outcome depends on the values, and who may run it."""

    table: str
    what: str
    allowed: tuple[str, ...]  # actors, in their own tenant; those everywhere, in every tenant
    sql: str  # with :'name' for ids of the fixture's rows
    line: int = 0

    @property
    def command(self) -> str:
        """The SQL command of the statement, in lower case."""
        found = _COMMAND.search(self.sql)
        return found[1].lower() if found else "select"

    @property
    def name(self) -> str:
        """The name in one word, as --only takes it."""
        return f"{self.table}.{self.what}"


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
    people_sql: str | None = None  # lists people where the table is not enough: tenant, user …
    rights: Mapping[str, Mapping[str, tuple[Right, ...]]] = field(default_factory=dict)
    cases: tuple[Case, ...] = ()
    accept: tuple[Accepted, ...] = ()
    schemas: tuple[str, ...] | None = None
    functions: tuple[str, ...] | None = None
    internal_schemas: tuple[str, ...] = ()  # of the project, and no API serves them
    both_layers: bool = False  # permissive and restrictive policies must each hold alone
    forged: tuple[str, ...] = ()  # settings that no request makes: tried with other values
    pre_request: str = ""  # a function to call after the settings, where the database has it
    fixture: str | None = None  # SQL: rows that cannot be invented
    path: str = "isolation.toml"
    file: TomlFile | None = None  # for errors that name its line

    def error(
        self, keys: Keys, problem: str, word: str = "", known: Iterable[str] = (), hint: str = ""
    ) -> UsageError:
        """Return the error for what keys of the file say; `word` is wrong, `known` are right."""
        hint = "\n".join(filter(None, (toml_file.nearest(word, known) if word else "", hint)))
        if self.file is None:
            return UsageError(f"{self.path}: {problem}", hint=hint)
        return self.file.error_at(self.file.line(keys, word), problem, hint=hint)

    @property
    def fixture_path(self) -> Path:
        """The file of `fixture`."""
        return Path(self.path).with_suffix("") / "fixture.sql"


def read(path: Path, more: Path | None = None) -> Config:
    """Return the configuration of a file; raise UsageError with file and line if it is malformed.

    Rows that cannot be invented are those of isolation/fixture.sql. `more`: of an overlay.
    """
    toml = toml_file.read(path, missing=toml_file.MISSING, more=more)
    fixture = path.with_suffix("") / "fixture.sql"
    try:
        rows = fixture.read_text(encoding="utf-8") if fixture.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{fixture} cannot be read: {error}") from None
    return _Parser(toml).config(rows)


def parse(text: str, path: str = toml_file.NAME) -> Config:
    """Return the configuration of a text, as `read` does."""
    return _Parser(toml_file.parse(text, Path(path))).config(None)


class _Parser:
    """Check the sections of one file."""

    def __init__(self, file: TomlFile) -> None:
        self._file, self._content = file, file.content

    def config(self, fixture: str | None) -> Config:
        for section, value in self._content.items():
            if section not in _SECTIONS:
                problem = f"unknown section [{section}]"
                raise self._file.error((section,), problem, word=section, known=_SECTIONS)
            for entry in value if isinstance(value, list) else [value]:
                if not isinstance(entry, dict):
                    raise self._file.error((section,), f"[{section}] must be a table")
                for key in entry if _SECTIONS[section] else ():
                    self._known((section, key), key, _SECTIONS[section], f"key in [{section}]:")
        tenant = self._content.get("tenant", {})
        self._file.check(("tenant",), tenant, _TENANT)
        identity = self._content.get("identity", {})
        self._file.check(("identity",), identity, _IDENTITY)
        if not isinstance(tenant.get("column"), str):
            problem, hint = "[tenant] has no column", 'Name it: column = "tenant_id"'
            raise self._file.error(("tenant",), problem, hint=hint)
        actors = {name: self._actor(name, v) for name, v in self._content.get("actors", {}).items()}
        expose, conventions = (self._content.get(k, {}) for k in ("expose", "conventions"))
        return Config(
            tenant_table=tenant.get("table"),
            tenant_column=tenant["column"],
            tenant_columns=tenant.get("columns", {}),
            shared=tuple(tenant.get("shared", ())),
            settings=identity.get("settings", {}),
            forged=tuple(identity.get("forged", ())),
            pre_request=identity.get("pre_request", ""),
            actors=actors,
            people=self._people(tenant["column"]),
            rights=self._rights(actors),
            cases=self._cases(actors, fixture or ""),
            people_sql=self._content.get("people", {}).get("sql"),
            accept=tuple(self._accepted(entry) for entry in self._content.get("accept", [])),
            schemas=self._optional(("expose", "schemas"), expose),
            functions=self._optional(("expose", "functions"), expose),
            both_layers=conventions.get("both_layers", False) is True,
            internal_schemas=self._optional(("conventions", "internal_schemas"), conventions) or (),
            fixture=fixture,
            path=str(self._file.path),
            file=self._file,
        )

    def _optional(self, at: Keys, section: Mapping[str, Any]) -> tuple[str, ...] | None:
        return self._words(at, section[at[-1]]) if at[-1] in section else None

    def _actor(self, name: str, value: Any) -> Actor:
        at = ("actors", name)
        value = {"role": value} if isinstance(value, str) else value
        if not isinstance(value, dict) or not isinstance(value.get("role"), str):
            raise self._file.error(at, f"{name} has no role", hint=f'{name} = {{ role = "…" }}')
        self._file.check(at, value, _ACTOR_KEYS)
        if value.get("everywhere") and value.get("member"):
            problem = f"{name} is a member of one tenant and everywhere: choose one"
            raise self._file.error(at, problem)
        return Actor(**{"name": name, **value})

    def _people(self, column: str) -> People | None:
        people = self._content.get("people")
        if people is None:
            return None
        for key, value in people.items():
            if not isinstance(value, str) or not value.strip():
                raise self._file.error(("people", key), f"{key} must be a string")
        if "sql" in people and "table" not in people:
            return None
        for key in ("table", "user"):
            if key not in people:
                hint = 'Name the table of the people and its column: table = "…", user = "…"'
                raise self._file.error(("people",), f"[people] has no {key}", hint=hint)
        return People(
            people["table"], people["user"], people.get("tenant", column), people.get("role")
        )

    def _accepted(self, entry: Mapping[str, Any]) -> Accepted:
        for key in _SECTIONS["accept"]:
            if not isinstance(entry.get(key), str) or not entry[key].strip():
                raise self._file.error(("accept",), f"an accepted finding has no {key}")
        return Accepted(entry["rule"], entry["object"], entry["because"])

    # --- rights ------------------------------------------------------------------------------

    def _rights(self, actors: Mapping[str, Actor]) -> dict[str, dict[str, tuple[Right, ...]]]:
        rights: dict[str, dict[str, tuple[Right, ...]]] = {}
        for names, commands in self._content.get("rights", {}).items():
            if not isinstance(commands, dict):
                raise self._file.error(
                    ("rights", names), f"{names} has no commands", hint='{ select = ["…"] }'
                )
            for name in re.split(r"[\s,]+", names.strip()):
                of_relation = rights.setdefault(name, {})
                for keys, value in commands.items():
                    at = ("rights", names, keys)
                    for command in re.split(r"[\s,]+", keys.strip()):
                        self._known(at, command, COMMANDS, f"command of {name}:")
                        parsed = tuple(self._right(at, value, actors))
                        of_relation[command] = of_relation.get(command, ()) + parsed
        return rights

    def _right(self, at: Keys, value: Any, actors: Mapping[str, Actor]) -> Iterable[Right]:
        if isinstance(value, (str, list)):
            yield Right(self._who(at, value, actors))
            return
        if not isinstance(value, dict):
            raise self._file.error(at, "a right is a list of actors, or a table by actor")
        for who, what in value.items():
            names = self._who(at, who, actors)
            if what is True:
                yield Right(names)
            elif isinstance(what, str):
                yield Right(names, where=what)
            elif isinstance(what, list):
                yield Right(names, columns=self._words(at, what))
            elif isinstance(what, dict):
                for key in what:
                    self._known(at, key, ("columns", "where"), f"key of {who}:")
                columns = self._words(at, what["columns"]) if "columns" in what else None
                yield Right(names, columns, what.get("where"))
            else:
                raise self._file.error(at, f"{who}: a list of columns, or a condition in quotes")

    def _who(self, at: Keys, value: str | list[str], actors: Iterable[str]) -> tuple[str, ...]:
        names = tuple(value.split()) if isinstance(value, str) else self._words(at, value)
        for name in names:
            self._known(at, name, actors, "actor")
        return names

    # --- cases -------------------------------------------------------------------------------

    def _cases(self, actors: Mapping[str, Actor], fixture: str) -> tuple[Case, ...]:
        known = known_names(fixture, actors.values())
        found = []
        for table, whats in self._content.get("cases", {}).items():
            if not isinstance(whats, dict):
                raise self._file.error(("cases", table), "a case is [cases.table.name]")
            for what, case in whats.items():
                at = ("cases", table, what)
                self._file.check(at, case, _CASE_KEYS)
                for key in _CASE_KEYS:
                    if key not in case:
                        raise self._file.error(at, f"[{dotted(at)}] has no {key}")
                allowed = self._who((*at, "allowed"), case["allowed"], actors)
                for name in variables(case["sql"]):
                    self._known((*at, "sql"), name, known, "variable", f":'{name}'")
                sql = case["sql"].strip()
                found.append(Case(table, what, allowed, sql, self._file.line(at)))
        return tuple(found)

    # --- errors ------------------------------------------------------------------------------

    def _words(self, at: Keys, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self._file.error(at, f"{at[-1]} must be a list of names")
        return tuple(value)

    def _known(self, at: Keys, word: str, known: Iterable[str], what: str, shown: str = "") -> None:
        """Raise the error for a word that is not among the known ones."""
        if word not in (words := list(known)):
            problem = f"unknown {what} {shown or repr(word)}"
            raise self._file.error(at, problem, word=word, known=words)
