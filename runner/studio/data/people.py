"""Who the database can be viewed as: the API roles, the connecting role, the people in `users`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from runner.queries import query
from runner.studio.data.viewer import Person, Pool, session_as

# Offered on every page: organizations, and people of each. Found by a search: people.
_ORGANIZATIONS, _PER_ORGANIZATION, _MAX_FOUND = 6, 8, 50
_SUB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_USER = "00000000-0000-0000-0000-000000000000"

OWNER = Person(
    "owner", "owner", "The connecting role", "none", about="the role that the studio connects as"
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
    """An organization and some of its people."""

    id: str
    name: str
    people: tuple[Person, ...]


@dataclass(frozen=True)
class Identities:
    """Everyone that a page offers to view the database as."""

    organizations: tuple[Organization, ...]
    roles: tuple[Person, ...]

    def all(self) -> list[Person]:
        """Return them in one list, without people who have no account to sign in with."""
        members = [person for org in self.organizations for person in org.people if person.slug]
        return [*self.roles, *members]


def stranger(sub: str = _NO_USER) -> Person:
    """Return a signed-in person whose token's `sub` belongs to no row of `users`."""
    claims = json.dumps({"role": "authenticated", "sub": sub})
    name = "A stranger" if sub == _NO_USER else "Unlinked account"
    return Person(
        sub, "stranger", name, "authenticated", claims, about="signed in, linked to no user"
    )


ROLES = (OWNER, SERVICE, ANON, stranger())


def identities(connections: Pool) -> Identities:
    """Return the roles, and people of the oldest organizations."""
    values = {"organizations": _ORGANIZATIONS, "each": _PER_ORGANIZATION}
    rows = _query_as_owner(connections, "people", values)
    return Identities(tuple(_by_organization(rows)), ROLES)


def find(connections: Pool, text: str) -> tuple[Organization, ...]:
    """Return people by part of a name, e-mail address or organization name, or by a whole id."""
    values = {"text": text.strip(), "limit": _MAX_FOUND}
    return tuple(_by_organization(_query_as_owner(connections, "find_people", values)))


def person(connections: Pool, slug: str) -> Person | None:
    """Return the person that a URL names; None if the slug is neither a role nor a UUID."""
    for known in ROLES:
        if slug == known.slug:
            return known
    if not _SUB.fullmatch(slug):
        return None
    rows = _query_as_owner(connections, "person", {"sub": slug})
    return _person(*rows[0]) if rows else stranger(slug)


def _query_as_owner(connections: Pool, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Query as the connecting role. A database without these tables has no people."""
    try:
        with session_as(connections, OWNER) as connection:
            return connection.execute(query(f"studio/data/{name}"), values).fetchall()
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
        about=organization if sub else "no linked account, so no token can be theirs",
        organization=organization,
        organization_id=organization_id,
        id=id_,
        email=email,
        roles=tuple(roles),
    )
