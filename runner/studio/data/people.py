"""Who the database can be viewed as: the connecting role, the actors and people of isolation.toml.

A person's `slug` stands in URLs: `owner` for the connecting role; an actor's name, or
`actor:TENANT:NAME`; a user's id, `user:ID`, or `user:TENANT:ID` where the request names the tenant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import psycopg

from runner.errors import UsageError
from runner.isolation.rows import identity
from runner.isolation.tenancy.config import Actor, Config
from runner.queries import query
from runner.studio.data import people_source
from runner.studio.data.people_source import PeopleSource
from runner.studio.data.viewer import CannotViewAs, Person, Source, connection_failed, session_as

# Offered on every page: tenants, and people of each. Found by a search: people.
_TENANTS, _PER_TENANT, _MAX_FOUND = 6, 8, 50
_PLAIN_ID = re.compile(r"\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLAIN_NAME = re.compile(r"(?!owner$)[A-Za-z_]\w*", re.ASCII)

CONNECTED = Person(
    "owner", "owner", "The connecting role", "none", about="the role that the studio connects as"
)


@dataclass(frozen=True)
class Tenant:
    """A tenant and some of its people."""

    id: str
    name: str
    people: tuple[Person, ...]


@dataclass(frozen=True)
class Identities:
    """Everyone that a page offers to view the database as."""

    tenants: tuple[Tenant, ...]
    roles: tuple[Person, ...]
    problem: str = ""  # why no people are offered
    advice: tuple[str, ...] = ()

    def all(self) -> list[Person]:
        """Return them in one list, without people who have no account to sign in with."""
        members = [person for tenant in self.tenants for person in tenant.people if person.slug]
        return [*self.roles, *members]

    def some(self, most: int) -> list[Person]:
        """Return at most so many: of each tenant as many, and first one of each role in it."""
        sorted_people = []
        for tenant in self.tenants:
            people = [person for person in tenant.people if person.slug]
            first = {(person.role, person.roles): person for person in reversed(people)}
            rest = sorted(people, key=lambda p: (p.is_actor, p is not first[p.role, p.roles]))
            sorted_people.append(rest)
        left = most - len(self.roles)
        turns = [(turn, n) for n, some in enumerate(sorted_people) for turn in range(len(some))]
        chosen = sorted(sorted(turns)[:left], key=lambda each: each[1])
        return [*self.roles, *(sorted_people[n][turn] for turn, n in chosen)]


def identities(source: Source) -> Identities:
    """Return the connecting role, the actors, and people of the first tenants."""
    config = source.project.config
    if config is None:
        with session_as(source, CONNECTED) as connection:
            granted = connection.execute(query("isolation/draft/roles")).fetchall()
        known = (Person(_slug(r), "actor", r, r, about="a role with grants") for r, _ in granted)
        project = source.project
        return Identities((), (CONNECTED, *known), project.problem, project.advice)
    made = _Made(config)
    values = {"tenants": _TENANTS, "each": _PER_TENANT}
    found = _found(source, made, "people", values)
    roles = (CONNECTED, *made.roles(), *found.strangers)
    return Identities(found.tenants, roles, found.problem, found.advice)


def find(source: Source, text: str) -> tuple[Tenant, ...]:
    """Return people by part of a name, e-mail address or tenant's name, or by a whole id."""
    config = source.project.config
    if config is None:
        return ()
    made, text = _Made(config), text.strip()
    values = {"text": text, "limit": _MAX_FOUND}
    found = _found(source, made, "find_people", values).tenants
    if not found and not config.tenant_table and not made.lists_people:
        return (Tenant(text, "", tuple(made.actors_of(text, text))),)
    return found


def person(source: Source, slug: str) -> Person | None:
    """Return the person that a URL names; None if there is no such person."""
    if slug == CONNECTED.slug:
        return CONNECTED
    config = source.project.config
    if config is None:
        return next((one for one in identities(source).roles if one.slug == slug), None)
    made = _Made(config)
    if known := next((one for one in made.roles() if one.slug == slug), None):
        return known
    kind, *parts = slug.split(":")
    if _PLAIN_ID.fullmatch(slug):
        kind, parts = "user", [slug]
    parts = [unquote(part) for part in parts]
    if kind == "user" and len(parts) in (1, 2):
        return _user(source, made, parts[-1], parts[0] if len(parts) > 1 else None)
    if kind == "actor" and len(parts) == 2:
        among = made.actors_of(parts[0], _tenant_name(source, made, parts[0]))
        return next((one for one in among if one.slug == slug), None)
    return None


class _Made:
    """Makes the people of one configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.names_tenant = identity.names_tenant(config)
        self.lists_people = config.people is not None or config.people_sql is not None
        actors = config.actors.values()
        self._members = [actor for actor in actors if actor.member]
        self._others = [actor for actor in actors if not actor.member]

    def roles(self) -> tuple[Person, ...]:
        """Return the actors without a user."""
        return tuple(self._actor(actor) for actor in self._others if not actor.user)

    def strangers(self, no_user: str) -> tuple[Person, ...]:
        """Return a person who is signed in and in no tenant. `no_user`: an id of no user."""
        named = self.lists_people and identity.names_user(self.config)
        return (self.stranger(no_user, no_user),) if self._members and named else ()

    def actors_of(self, tenant: str, name: str) -> Iterator[Person]:
        """Yield the actors as callers of a tenant, for which no person is listed."""
        among = self._others if self.lists_people else list(self.config.actors.values())
        for actor in among if self.names_tenant else ():
            if not actor.everywhere and not actor.user:
                yield self._actor(actor, tenant, name)

    def stranger(self, user: str, no_user: str, tenant: str | None = None) -> Person:
        """Return a person who is signed in with an id that belongs to no user."""
        member = (self._members or self._others)[0]
        name = "A stranger" if user == no_user else "Unlinked account"
        return Person(
            self._user_slug(user, tenant if self.names_tenant else None),
            "stranger",
            name,
            member.role,
            self._settings(member.role, user, tenant),
            about="signed in, and in no tenant",
        )

    def member(self, row: Sequence[Any]) -> Person:
        """Return a person from a row of the queries."""
        tenant_id, tenant, user, name, email, roles = row
        roles = tuple(map(str, roles if isinstance(roles, list) else [roles] if roles else ()))
        actor = next((actor for actor in self._members if actor.member in roles), None)
        about = "" if actor or not roles else f"no actor in [actors] is {', '.join(roles)}"
        actor = actor or (self._members or self._others)[0]
        if not user:
            about = "no linked account, so no token can be theirs"
        return Person(
            slug=self._user_slug(user, tenant_id if self.names_tenant else None) if user else "",
            kind="member",
            name=name or email or user or "",
            role=actor.role,
            settings=self._settings(actor.role, user, tenant_id) if user else (),
            about=about,
            tenant=tenant or tenant_id,
            tenant_id=tenant_id,
            email=email or "",
            roles=roles,
        )

    def tenants(self, rows: Iterable[Sequence[Any]]) -> tuple[Tenant, ...]:
        """Return the rows of the queries by tenant, with the actors of each."""
        found: dict[str, tuple[str, list[Person]]] = {}
        for row in rows:
            people = found.setdefault(row[0], (row[1] or row[0], []))[1]
            if row[2] or row[3]:
                people.append(self.member(row))
        return tuple(
            Tenant(id_, name, (*people, *self.actors_of(id_, name)))
            for id_, (name, people) in found.items()
        )

    def _actor(self, actor: Actor, tenant: str | None = None, name: str = "") -> Person:
        kind = "service" if actor.everywhere else "member" if tenant else "actor"
        about = "crosses tenants" if actor.everywhere else "" if tenant else "without a user"
        return Person(
            slug=_slug(actor.name, tenant),
            kind=kind,
            name=actor.name,
            role=actor.role,
            settings=self._settings(actor.role, None, tenant),
            about=about,
            tenant=name,
            tenant_id=tenant or "",
            roles=(actor.member,) if actor.member and actor.member != actor.name else (),
        )

    def _settings(
        self, role: str, user: str | None, tenant: str | None
    ) -> tuple[tuple[str, str], ...]:
        return tuple(identity.settings(self.config, role, user, tenant).items())

    def _user_slug(self, user: str, tenant: str | None) -> str:
        if tenant is None:
            return user if _PLAIN_ID.fullmatch(user) else f"user:{quote(user, safe='')}"
        return f"user:{quote(tenant, safe='')}:{quote(user, safe='')}"


def _slug(name: str, tenant: str | None = None) -> str:
    if tenant is None and _PLAIN_NAME.fullmatch(name):
        return name
    return f"actor:{quote(tenant or '', safe='')}:{quote(name, safe='')}"


@dataclass(frozen=True)
class _Found:
    """What a query finds, or why it finds nothing."""

    tenants: tuple[Tenant, ...] = ()
    strangers: tuple[Person, ...] = ()
    problem: str = ""
    advice: tuple[str, ...] = ()


def _read(
    source: Source, made: _Made, name: str, values: Mapping[str, Any]
) -> tuple[PeopleSource, list[Any]]:
    """Return the rows of one of the queries, as the connecting role sees them.

    Where that role may not read the tables, as an actor who crosses tenants. Raises UsageError
    where the file does not fit the database, psycopg.Error.
    """
    everywhere = (actor for actor in made.roles() if actor.kind == "service")
    refusal: psycopg.Error | None = None
    for reader in (CONNECTED, *everywhere):
        try:
            return _rows(source, reader, made.config, name, values)
        except psycopg.errors.FeatureNotSupported:
            return _rows(source, reader, made.config, f"{name}_ranked", values)
        except psycopg.errors.InsufficientPrivilege as error:
            refusal = refusal or error
        except CannotViewAs:
            continue
    assert refusal  # noqa: S101 - the connecting role can be viewed as
    raise refusal


def _rows(
    source: Source, reader: Person, config: Config, name: str, values: Mapping[str, Any]
) -> tuple[PeopleSource, list[Any]]:
    with session_as(source, reader) as connection:
        tables = people_source.read(connection, config)
        return tables, connection.execute(tables.statement(name), values).fetchall()


def _found(source: Source, made: _Made, name: str, values: Mapping[str, Any]) -> _Found:
    try:
        tables, rows = _read(source, made, name, values)
    except UsageError as error:
        return _Found(problem=error.message, advice=tuple(error.hint.splitlines()))
    except psycopg.Error as error:
        if connection_failed(error):
            raise
        return _Found(problem=f"{made.config.path}: {error.diag.message_primary or error}")
    tenants = made.tenants(rows)
    strangers = made.strangers(tables.no_user)
    if tables.limited and not any(tenant.people for tenant in tenants):
        problem = f"Row-level security hides {tables.limited} from the connecting role"
        return _Found(tenants, strangers, problem)
    return _Found(tenants, strangers)


def _user(source: Source, made: _Made, user: str, tenant: str | None) -> Person | None:
    """Return a user; a stranger, if no row is this user's; None if no user can have the id."""
    try:
        tables, rows = _read(source, made, "person", {"user": user, "tenant": tenant})
    except (UsageError, psycopg.Error) as error:  # such as an id that is not of the column's type
        if connection_failed(error):
            raise
        return None
    return made.member(rows[0]) if rows else made.stranger(user, tables.no_user, tenant)


def _tenant_name(source: Source, made: _Made, tenant: str) -> str:
    try:
        _, rows = _read(source, made, "tenant", {"tenant": tenant})
    except (UsageError, psycopg.Error) as error:
        if connection_failed(error):
            raise
        return tenant
    return (rows[0][0] if rows else None) or tenant
