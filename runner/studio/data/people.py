"""Whom one can look as: the roles of the API, the connecting role, and the people in `users`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from runner.queries import query
from runner.studio.data.viewer import Person, Pool, through

_ORGANIZATIONS, _EACH, _FOUND = 6, 8, 50
_SUB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOBODY = "00000000-0000-0000-0000-000000000000"

OWNER = Person(
    "owner", "owner", "The connecting role", "none", about="all that it owns, and no policy between"
)
ANON = Person(
    "anon",
    "anon",
    "anon",
    "anon",
    claims=json.dumps({"role": "anon"}),
    about="not signed in",
)
SERVICE = Person(
    "service_role",
    "service",
    "service_role",
    "service_role",
    claims=json.dumps({"role": "service_role"}),
    about="the platform's back end: every organization",
)


@dataclass(frozen=True)
class Organization:
    """An organization with some of its people."""

    id: str
    name: str
    people: tuple[Person, ...]


@dataclass(frozen=True)
class Crowd:
    """Everybody who is offered to look as."""

    organizations: tuple[Organization, ...]
    roles: tuple[Person, ...]

    def everybody(self) -> list[Person]:
        """Return them in one list, those who cannot sign in left out."""
        members = [person for org in self.organizations for person in org.people if person.slug]
        return [*self.roles, *members]


def stranger(sub: str = _NOBODY) -> Person:
    """Return somebody signed in whom no row of users is linked to."""
    claims = json.dumps({"role": "authenticated", "sub": sub})
    name = "A stranger" if sub == _NOBODY else "Nobody's account"
    return Person(
        sub, "stranger", name, "authenticated", claims, about="signed in, linked to no user"
    )


ROLES = (OWNER, SERVICE, ANON, stranger())


def crowd(connections: Pool) -> Crowd:
    """Return the people of the first organizations, and the roles."""
    values = {"organizations": _ORGANIZATIONS, "each": _EACH}
    return Crowd(tuple(_by_organization(_ask(connections, "studio_people", values))), ROLES)


def find(connections: Pool, word: str) -> tuple[Organization, ...]:
    """Return those whom a word finds: a part of a name or an address, or a whole id."""
    values = {"word": word.strip(), "limit": _FOUND}
    return tuple(_by_organization(_ask(connections, "studio_find_people", values)))


def person(connections: Pool, slug: str) -> Person | None:
    """Return whom an address names; None where it can be nobody."""
    for known in ROLES:
        if slug == known.slug:
            return known
    if not _SUB.fullmatch(slug):
        return None
    rows = _ask(connections, "studio_person", {"sub": slug})
    return _person(*rows[0]) if rows else stranger(slug)


def _ask(connections: Pool, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Ask as the connecting role. A database without such tables has no people."""
    try:
        with through(connections, OWNER) as connection:
            return connection.execute(query(name), values).fetchall()
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InsufficientPrivilege,
    ):
        return []


def _by_organization(rows: Iterable[tuple[Any, ...]]) -> list[Organization]:
    found: dict[str, tuple[str, list[Person]]] = {}
    for row in rows:
        found.setdefault(row[0], (row[1], []))[1].append(_person(*row))
    return [Organization(id_, name, tuple(people)) for id_, (name, people) in found.items()]


def _person(*row: Any) -> Person:
    organization_id, organization, id_, name, email, roles, sub = row
    return Person(
        slug=sub or "",
        kind="member",
        name=name,
        role="authenticated",
        claims=json.dumps({"role": "authenticated", "sub": sub}) if sub else "",
        about=organization if sub else "not linked to an account, so nobody can be them",
        organization=organization,
        organization_id=organization_id,
        id=id_,
        email=email,
        roles=tuple(roles),
    )
