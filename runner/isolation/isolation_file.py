"""Read isolation.toml and validate it: each error names file, line and the nearest known word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from runner.isolation import toml_file
from runner.isolation.actors import variables
from runner.isolation.matrix.permissions import COMMANDS, Permission
from runner.isolation.toml_file import MISSING, NAME, Keys, TomlFile, dotted

_SECTIONS = ("tenant", "identity", "people", "actors", "rights", "conventions")
_RESERVED = ("expose", "accept")  # nothing reads them yet
_TENANT = {"table": str, "column": str, "key": str, "id": str}
_IDS = ("text", "uuid")
_IDENTITY = {"settings": dict}
_ACTOR = {"role": str, "member": str, "user": str, "everywhere": bool}
_RIGHT = {"allowed": list, "sql": str, "granted": list}
_CONVENTIONS = {"internal_schemas": list}
_TABLE = re.compile(r"(\w+)\.(\w+)")


class IsolationFile(TomlFile):
    """An isolation.toml; `tenant`, `settings`, `actors` … return its sections, validated."""

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
                    raise self.error(keys, f"[{dotted(keys)}] has no {key}")
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
            raise self.error(at, f"{dotted(at)} must be [rights.table.command.right]")
        return value.items()

    def internal_schemas(self) -> tuple[str, ...]:
        """Return the schemas of the project that no API serves."""
        section = self.section("conventions", _CONVENTIONS, ())
        return tuple(section.get("internal_schemas", ()))


def read(sql_dir: Path) -> IsolationFile:
    """Return the file of a project's folder, parsed. Raises UsageError."""
    toml = toml_file.read(sql_dir / NAME, missing=MISSING)
    file = IsolationFile(toml.path, toml.text, toml.content)
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
    file = toml_file.read(path)
    found = []
    for entry in file.content.get("equivalent", []):
        file.check(("equivalent",), entry, {"name": str, "layer": str})
        found.append((entry.get("name", ""), entry.get("layer", "")))
    return tuple(found)
