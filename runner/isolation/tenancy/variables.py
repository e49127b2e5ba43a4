"""The variables of statements: :'name' stands for an id of a row, as in psql."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

_VARIABLE = re.compile(r":'([\w.]+)'")
ALWAYS = ("tenant", "org", "me", "user", "new_id", "new_uuid")


class _Actor(Protocol):
    @property
    def member(self) -> str | None: ...
    @property
    def user(self) -> str: ...


def variables(text: str) -> Iterator[str]:
    """Yield the name of each :'name' of a statement."""
    return (match[1] for match in _VARIABLE.finditer(text))


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Return a statement with each :'name' replaced by its literal, as psql does it."""
    return _VARIABLE.sub(lambda match: literal(values[match[1]]), text)


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a value as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def names(fixture: str, actors: Iterable[_Actor]) -> frozenset[str]:
    """Return the variables: of the fixture and the users, and a few that always exist."""
    found = {*variables(fixture), *ALWAYS}
    for actor in actors:
        for user in filter(None, (actor.user, (actor.member or "").lower())):
            found |= {user, f"{user}_uuid"}
        if actor.member:
            found.add(f"user.{actor.member}")
    return frozenset(found)
