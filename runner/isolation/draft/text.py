"""Write a configuration as isolation.toml, in the short form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from runner.isolation.draft.schema import Draft
from runner.isolation.tenancy.config import Config, Right

_HEADER = """\
# Written by `python -m runner verify --init` from the catalog, and by trying. Review it, above all
# [rights]: what works today is not always what is meant. docs/isolation.md explains each section.
"""


def text(draft: Draft, config: Config) -> str:
    """Return the file, with the open questions as comments in their sections."""
    lines = [_HEADER.rstrip()]
    for section, body in (
        ("tenant", list(_tenant(config))),
        ("identity", list(_identity(config))),
        ("people", list(_people(config))),
        ("actors", list(_actors(config))),
        ("rights", list(_rights(config))),
    ):
        asked = [f"# decide: {question}" for name, question in draft.undecided if name == section]
        if body or asked:
            header = f"[{section}]"
            lines += ["", f"{header:<11}# {_MEANING[section]}", *body, *asked]
            if not body:
                lines[-1 - len(asked)] = f"# {header}"
    return "\n".join(lines) + "\n"


_MEANING = {
    "tenant": "one row of the table per tenant; the column says whose a row is",
    "identity": "what a request sets: {role}, {user} and {tenant} are replaced",
    "people": "a row of this table makes a user a member of a tenant",
    "actors": "a database role; for a member, the role in the tenant",
    "rights": "in the own tenant, as tried; everything else is refused",
}


def _tenant(config: Config) -> Iterator[str]:
    if config.tenant_table:
        yield f"table = {_quoted(config.tenant_table)}"
    yield f"column = {_quoted(config.tenant_column)}"
    if config.shared:
        yield f"shared = {_list(config.shared)}"


def _identity(config: Config) -> Iterator[str]:
    if config.settings:
        pairs = (f"{_quoted(k)} = {_literal(v)}" for k, v in config.settings.items())
        yield f"settings = {{ {', '.join(pairs)} }}"


def _people(config: Config) -> Iterator[str]:
    if config.people:
        yield f"table = {_quoted(config.people.table)}"
        yield f"user = {_quoted(config.people.user)}"
        if config.people.role:
            yield f"role = {_quoted(config.people.role)}"


def _actors(config: Config) -> Iterator[str]:
    for actor in config.actors.values():
        value = _quoted(actor.role)
        if actor.member:
            value = f"{{ role = {value}, member = {_quoted(actor.member)} }}"
        yield f"{_key(actor.name)} = {value}"


def _rights(config: Config) -> Iterator[str]:
    """Yield a line for all relations with the same rights."""
    grouped: dict[str, list[str]] = {}
    for name, commands in config.rights.items():
        grouped.setdefault(_commands(commands), []).append(name)
    for value, names in grouped.items():
        yield f"{_key(' '.join(names))} = {value}"


def _commands(commands: Mapping[str, Sequence[Right]]) -> str:
    grouped: dict[str, list[str]] = {}
    for command, rights in commands.items():
        if rights:
            grouped.setdefault(_who(rights), []).append(command)
    pairs = (f"{_key(' '.join(names))} = {value}" for value, names in grouped.items())
    return f"{{ {', '.join(pairs)} }}" if grouped else "{ select = [] }"


def _who(rights: Sequence[Right]) -> str:
    """Return who has one command: a list of actors, or columns by actor."""
    grouped: dict[tuple[tuple[str, ...] | None, str | None], list[str]] = {}
    for right in rights:
        grouped.setdefault((right.columns, right.where), []).extend(right.actors)
    if [*grouped] == [(None, None)]:
        return _quoted(" ".join(grouped[None, None]))
    pairs = []
    for (columns, where), actors in grouped.items():
        value = _list(columns) if columns is not None else "true"
        if where is not None:
            value = (
                _quoted(where)
                if columns is None
                else f"{{ columns = {value}, where = {_quoted(where)} }}"
            )
        pairs.append(f"{_key(' '.join(actors))} = {value}")
    return f"{{ {', '.join(pairs)} }}"


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if plain else _quoted(name)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a basic string of TOML has the same escapes


def _literal(value: str) -> str:
    return f"'{value}'" if '"' in value and "'" not in value else _quoted(value)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"
