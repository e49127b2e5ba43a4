"""The lines for isolation.toml that declare what a revoke would take away."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from runner.isolation import toml_file
from runner.isolation.fixes.order import parts

COMMANDS = ("select", "insert", "update", "delete")
_REVOKE = re.compile(
    rf"revoke ({'|'.join(COMMANDS)})(?: \((.+)\))? on (?:table )?(\S+) from (.+?);", re.DOTALL
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")

Held = Mapping[str, Mapping[str, Sequence[str] | None]]  # columns by command and role; None: all


def actors(file: Path) -> dict[str, list[str]]:
    """Return the actors by database role. Of a malformed file there are none: it is an error."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("actors", {})
    except (OSError, ValueError):
        return {}
    by_role: dict[str, list[str]] = {}
    for name, actor in found.items():
        role = actor if isinstance(actor, str) else actor.get("role", "")
        # A signed-in actor without a tenant has no rights.
        if isinstance(actor, str) or "member" in actor or "user" not in actor:
            by_role.setdefault(role, []).append(name)
    return by_role


def of_revokes(fix: str, by_role: Mapping[str, list[str]], file: Path) -> str:
    """Return the lines that declare what a fix revokes; '' if it does anything else."""
    held: dict[str, dict[str, dict[str, list[str] | None]]] = {}
    for statement in parts(fix)[0]:
        match = _REVOKE.match(statement)
        roles = [role.strip().strip('"') for role in match[4].split(",")] if match else []
        if not match or not set(roles) & by_role.keys():
            return ""
        columns = [part.strip() for part in match[2].split(",")] if match[2] else None
        for role in set(roles) & by_role.keys():
            of_command = held.setdefault(match[3], {}).setdefault(match[1], {})
            if columns is None or of_command.get(role, ()) is None:
                of_command[role] = None
            else:
                of_command[role] = [*(of_command.get(role) or ()), *columns]
    return "\n".join(lines(table, of_table, by_role, file) for table, of_table in held.items())


def lines(table: str, held: Held, by_role: Mapping[str, list[str]], file: Path | str) -> str:
    """Return the section of a table's rights, for every actor with one of these roles."""
    name = table.replace('"', "").removeprefix("public.")
    found = [f"# {file}", f"[rights.{name if _BARE.fullmatch(name) else quoted(name)}]"]
    for command in COMMANDS:
        rights = []
        everywhere = []
        for role, columns in held.get(command, {}).items():
            names = " ".join(by_role.get(role, ()))
            if names and columns is None:
                everywhere.append(names)
            elif names and columns:
                listed = ", ".join(quoted(column.strip('"')) for column in columns)
                rights.append(f"{quoted(names)} = [{listed}]")
        if everywhere and not rights:
            found.append(f"{command} = {quoted(' '.join(everywhere))}")
        elif everywhere or rights:
            rights += [f'{quoted(" ".join(everywhere))} = "true"'] if everywhere else []
            found.append(f"{command} = {{ {', '.join(rights)} }}")
    if len(found) == 2:
        found.append("select = []")
    return "\n".join(found)


def quoted(text: str) -> str:
    """Return a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def isolation_file(sql_dir: Path) -> Path:
    """Return the path of a project's isolation file."""
    return sql_dir / toml_file.NAME


def roles_held(granted: Iterable[str]) -> dict[str, dict[str, None]]:
    """Return what relations are granted, given as `select to anon`, by command and role."""
    held: dict[str, dict[str, None]] = {}
    for text in granted:
        command, _, role = text.partition(" to ")
        held.setdefault(command.strip().lower(), {})[role.strip().strip('"')] = None
    return held
