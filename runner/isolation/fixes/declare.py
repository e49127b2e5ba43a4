"""The lines for isolation.toml that declare what a revoke would take away."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.errors import UsageError
from runner.isolation import toml_file
from runner.isolation.tenancy import config
from runner.isolation.tenancy.config import Right
from runner.isolation.tenancy.objects import Relation
from runner.preflight.order import parts

COMMANDS = ("select", "insert", "update", "delete")
REVOKE = re.compile(
    rf"revoke (all|{'|'.join(COMMANDS)})(?: \((.+)\))? on (?:table )?(\S+) from (.+?);", re.DOTALL
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")

Rights = Mapping[str, Sequence[Right]]  # by command
Held = Mapping[str, Mapping[str, Sequence[str] | None]]  # columns by command and role; None: all
ROW_OF = "-- insert a row of "  # how the fix begins where a row is needed


def row_of(relation: str) -> str:
    """Return what is to be done where a relation lacks the row that a right is about."""
    return (
        f"{ROW_OF}{relation} in isolation/fixture.sql, which runs once for each tenant, :'tenant'"
    )


def actors(sql_dir: Path) -> dict[str, list[str]]:
    """Return the actors by database role. Of a malformed file there are none: it is an error."""
    try:
        text = (sql_dir / toml_file.NAME).read_text(encoding="utf-8")
        found = tomllib.loads(text).get("actors", {})
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
        match = REVOKE.match(statement)
        roles = listed_in(match[4]) if match else []
        if not match or match[1] == "all" or not set(roles) & by_role.keys():
            return ""
        columns = listed_in(match[2]) if match[2] else None
        for role in set(roles) & by_role.keys():
            of_command = held.setdefault(match[3], {}).setdefault(match[1], {})
            if columns is None or of_command.get(role, ()) is None:
                of_command[role] = None
            else:
                of_command[role] = [*(of_command.get(role) or ()), *columns]
    declared = declared_in(file)
    found = []
    for table, of_table in held.items():
        rights = section_of(declared, table)
        missing = {
            command: {
                role: columns
                for role, columns in by.items()
                if not covers(rights or {}, command, by_role[role], columns)
            }
            for command, by in of_table.items()
        }
        if any(missing.values()):
            found.append(lines(table, missing, by_role, file, rights))
    return "\n".join(found)


def listed_in(names: str) -> list[str]:
    return [name.strip().strip('"') for name in names.split(",")]


def section_of(rights: Mapping[str, Rights], table: str) -> Rights | None:
    """Return the rights of a table, named as in SQL; None where it has no section."""
    full = table.replace('"', "")
    names = (_short(table), full, full.rpartition(".")[2])
    return next((rights[name] for name in names if name in rights), None)


def declared_in(file: Path) -> Mapping[str, Rights]:
    """Return the rights of the file by table; none of a malformed file, which is an error."""
    try:
        return config.read(file).rights
    except UsageError:
        return {}


def covers(
    rights: Rights, command: str, actors: Iterable[str], columns: Sequence[str] | None
) -> bool:
    """Whether an actor has the right that a role needs this privilege for."""
    of_role = [r for r in rights.get(command, ()) if set(r.actors) & set(actors)]
    if any(right.columns is None for right in of_role):
        return True
    named = {column for right in of_role for column in right.columns or ()}
    return columns is not None and {column.strip('"') for column in columns} <= named


def _short(table: str) -> str:
    return table.replace('"', "").removeprefix("public.")


def lines(
    table: str,
    held: Held,
    by_role: Mapping[str, list[str]],
    file: Path | str,
    declared: Rights | None = None,
) -> str:
    """Return the section of a table's rights, for every actor with one of these roles.

    `declared`: the rights that the table has in the file. Then each line belongs to them: it has
    what they say of its command too, and names the actors that have the command already, because
    policies let no other use it.
    """
    name = _short(table)
    found = [] if declared is not None else [f"# {file}", f"[rights.{key(name)}]"]
    for command in COMMANDS:
        before = (declared or {}).get(command, ())
        rights = _merged(before, held.get(command, {}), by_role)
        if rights == [*before]:
            continue
        if before:
            known = {column for right in before for column in right.columns or ()}
            columns = {column: None for right in rights for column in right.columns or ()}
            added = ", ".join(column for column in columns if column not in known)
            what = f"add {added} to the list of" if added else "change"
            found.append(f"# {file}: {what} {command} of {name}; the new line:")
        elif declared is not None:
            found.append(f"# {file}: add to the rights of {name}")
        found.append(f"{command} = {_value(rights)}")
    if declared is None and len(found) == len(("file", "section")):
        found.append("select = []")
    return "\n".join(dict.fromkeys(found))


def _merged(
    before: Sequence[Right],
    held: Mapping[str, Sequence[str] | None],
    by_role: Mapping[str, list[str]],
) -> list[Right]:
    """Return the rights of a command, with what roles hold added to those of their actors."""
    rights = [*before]
    for role, columns in held.items():
        actors = by_role.get(role, [])
        wanted = None if columns is None else [column.strip('"') for column in columns]
        merged: list[Right] = []
        for right in rights:
            having = tuple(actor for actor in right.actors if actor in actors)
            others = tuple(actor for actor in right.actors if actor not in actors)
            if others:
                merged.append(replace(right, actors=others))
            if having and (right.columns is None or wanted is None):
                merged.append(replace(right, actors=having, columns=None))
            elif having:
                more = dict.fromkeys((*right.columns, *(wanted or ())))  # type: ignore[misc]
                merged.append(replace(right, actors=having, columns=tuple(more)))
        if actors and not any(set(right.actors) & set(actors) for right in rights):
            merged.append(Right(tuple(actors), None if wanted is None else tuple(wanted)))
        rights = merged
    return rights


def _value(rights: Iterable[Right]) -> str:
    """Return the rights of a command in TOML."""
    found: list[str] = []
    everything: list[str] = []
    for right in rights:
        listed = f"[{', '.join(map(quoted, right.columns))}]" if right.columns is not None else ""
        if not listed and right.where is None:
            everything += right.actors
        elif listed and right.where is not None:
            value = f"{{ columns = {listed}, where = {quoted(right.where)} }}"
            found.append(f"{key(' '.join(right.actors))} = {value}")
        else:
            found.append(f"{key(' '.join(right.actors))} = {listed or quoted(right.where or '')}")
    names = " ".join(dict.fromkeys(everything))
    if not found:
        return quoted(names)
    return f"{{ {', '.join([*found, *([f'{key(names)} = true'] if names else [])])} }}"


def key(name: str) -> str:
    """Return a TOML key."""
    return name if _BARE.fullmatch(name) else quoted(name)


def shared(name: str, declared: Iterable[str], file: Path | str) -> str:
    """Return the line that declares a table as shared, after those that are."""
    return _listed("tenant", "shared", name, declared, file)


def forged(name: str, declared: Iterable[str], file: Path | str) -> str:
    """Return the lines that declare a setting: as one that a client may set, or that none does."""
    return (
        f"{_listed('identity', 'forged', name, declared, file)}\n"
        "# or, if each request sets it: settings of [identity]; or, if no client can:\n"
        f'# [[accept]]\n# rule = "undecided"\n# object = {quoted(f"setting {name}")}\n'
        '# because = "…"'
    )


def of_function(name: str, declared: Iterable[str], file: Path | str) -> str:
    """Return the line that declares a function, after those that are."""
    return _listed("expose", "functions", name, declared, file)


def _listed(section: str, entry: str, name: str, declared: Iterable[str], file: Path | str) -> str:
    names = ", ".join(map(quoted, dict.fromkeys([*declared, name])))
    return f"# {file}: {entry} of [{section}]\n{entry} = [{names}]"


def quoted(text: str) -> str:
    """Return a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def of_relation(relation: Relation, by_role: Mapping[str, list[str]], file: Path | str) -> str:
    """Return the lines that declare what the roles of actors hold on a relation."""
    held: dict[str, dict[str, list[str] | None]] = {command: {} for command in COMMANDS}
    for role in by_role:
        for command in ("select", "insert", "update"):
            columns = relation.usable(role, command)
            is_all = len(columns) == len(relation.columns)
            if columns:
                held[command][role] = None if is_all or command == "select" else columns
        if relation.holds(role, "delete"):
            held["delete"][role] = None
    return lines(f"{relation.schema}.{relation.name}", held, by_role, file)


def of_grants(
    table: str, granted: Iterable[str], by_role: Mapping[str, list[str]], file: Path | str
) -> str:
    """Return the lines that declare what is granted on a table, given as `select to anon`."""
    held: dict[str, dict[str, None]] = {}
    for text in granted:
        command, _, role = text.partition(" to ")
        held.setdefault(command, {})[role.strip('"')] = None
    return lines(table, held, by_role, file)
