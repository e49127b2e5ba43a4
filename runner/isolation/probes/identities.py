"""The callers that are tried: each actor, and identities that are incomplete, outdated or bent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from runner.isolation.probes import settings as settings_read
from runner.isolation.probes.settings import Setting
from runner.isolation.rows.fixture import Fixture
from runner.isolation.rows.identity import (
    A,
    B,
    Identity,
    Person,
    names_tenant,
    names_user,
    settings,
)
from runner.isolation.rows.people import BOTH, FORMER, MIXED, STRANGER
from runner.isolation.tenancy.config import Actor
from runner.isolation.verdict import FORGED
from runner.postgres.connection import Connection

_CLAIM = re.compile(r'"([\w-]+)"\s*:')


@dataclass(frozen=True)
class Caller:
    """An identity, and whose rights it has in each tenant."""

    identity: Identity
    rights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # actors, by tenant
    own: str = A  # the tenant whose rows count as own
    regular: bool = False  # declared rights must also work
    forged: bool = False  # with settings that the template lacks: own rows are not tried
    suspect: str = ""  # the function that reads what is forged
    in_both: bool = False  # has the rights of a member in both tenants at once

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def role(self) -> str:
        return self.identity.role

    @property
    def everywhere(self) -> bool:
        """Whether it may cross tenants."""
        return self.identity.actor is not None and self.identity.actor.everywhere


def callers(connection: Connection, fixture: Fixture) -> list[Caller]:
    """Return every caller to try; regular ones first."""
    return list(_Callers(connection, fixture).all())


def who(fixture: Fixture, actor: Actor, tenant: str) -> Person | None:
    """Return the person that an actor is in a tenant, if any."""
    if actor.member:
        return fixture.member(actor.member, tenant)
    user = fixture.named.get(tenant, {}).get(f"{actor.user}_uuid", "")
    return Person(actor.user, user) if user else None


def identity_of(
    fixture: Fixture, name: str, actor: Actor, person: Person | None, tenant: str | None
) -> Identity:
    """Return the settings that a request of a person makes as an actor."""
    given = settings(
        fixture.config,
        actor.role,
        person.user if person else None,
        fixture.ids.get(tenant) if tenant else None,
    )
    request = fixture.requests.get(actor.role, "")
    return Identity(name, actor.role, given, person, actor, tenant, request=request)


class _Callers:
    def __init__(self, connection: Connection, fixture: Fixture) -> None:
        self._connection = connection
        self._fixture, self._config = fixture, fixture.config
        self._actors = list(self._config.actors.values())
        self._named = names_tenant(self._config)
        self._people = {p.name: p for p in fixture.people if p.user}
        self._claims = set(_CLAIM.findall(" ".join(self._config.settings.values())))

    def all(self) -> Iterator[Caller]:
        for actor in self._actors:
            person = who(self._fixture, actor, A)
            if actor.member and person is None and self._fixture.tenants.people:
                continue
            identity = identity_of(self._fixture, actor.name, actor, person, A)
            names = (actor.name,)
            both = actor.everywhere or (not actor.member and not self._named)
            yield Caller(identity, {A: names, B: names} if both else {A: names}, regular=True)
        for role in {actor.role: None for actor in self._actors if not actor.everywhere}:
            yield self._unidentified(role)
        member = next((a for a in reversed(self._actors) if a.member), None)
        if member:
            yield from self._unusual(member)
        yield from self._bent()

    def _identity(
        self, name: str, actor: Actor, person: Person | None, tenant: str | None
    ) -> Identity:
        return identity_of(self._fixture, name, actor, person, tenant)

    def _anyone(self, tenant: str) -> tuple[str, ...]:
        """Return the actors whose rights need no membership, where a tenant is named."""
        return tuple(a.name for a in self._actors if not a.member and not a.everywhere)

    def _unidentified(self, role: str) -> Caller:
        empty = {name: "{}" if '"' in text else "" for name, text in self._config.settings.items()}
        anyone = {} if self._named else {A: self._anyone(A), B: self._anyone(B)}
        request = self._fixture.requests.get(role, "")
        return Caller(Identity(f"{role} without identity", role, empty, request=request), anyone)

    # --- unusual people ----------------------------------------------------------------------

    def _unusual(self, actor: Actor) -> Iterator[Caller]:
        anyone = self._anyone(A)
        elsewhere = {} if self._named else {B: anyone}
        for name in (STRANGER, FORMER):
            if person := self._people.get(name):
                identity = self._identity(name, actor, person, A)
                yield Caller(identity, {A: anyone, **elsewhere})
        for name in (BOTH, MIXED):
            person = self._people.get(name)
            for active in (A, B) if person else ():
                assert person  # noqa: S101 - or the loop is empty
                named = f"{name}, in {active}" if self._named else name
                rights = {t: self._of_role(role) for t, role in person.roles.items()}
                if self._named:
                    rights = {active: rights[active]}
                yield Caller(
                    self._identity(named, actor, person, active),
                    rights,
                    own=active,
                    in_both=not self._named,
                )
                if not self._named:
                    break
        for each in self._actors:
            person = self._fixture.member(each.member, A) if each.member else None
            if person is None:
                continue
            if self._named and names_user(self._config) and self._fixture.tenants.person_columns:
                identity = self._identity(
                    f"{each.name} who names the other tenant", each, person, B
                )
                yield Caller(identity, {A: (each.name,), B: anyone})
            for other in self._actors:
                more = self._count(other.name) > self._count(each.name)
                if other.member and other.role != each.role and more:
                    identity = self._identity(f"{each.name} as {other.role}", other, person, A)
                    yield Caller(identity, {A: (each.name, *anyone)})

    def _count(self, name: str) -> int:
        return sum(
            name in right.actors
            for commands in self._config.rights.values()
            for rights in commands.values()
            for right in rights
        )

    def _of_role(self, role: str) -> tuple[str, ...]:
        return tuple(a.name for a in self._actors if a.member == role)

    # --- bent settings -----------------------------------------------------------------------

    def _bent(self) -> Iterator[Caller]:
        """Yield callers with claims and settings that the database reads and the template lacks.

        One for each role that has a right. What the file says that no client sets is not forged.
        """
        first: dict[str, Actor] = {}
        for actor in sorted(self._actors, key=lambda a: not a.member):
            if not actor.everywhere and (actor.member or not actor.user):
                first.setdefault(actor.role, actor)
        having = [a for a in first.values() if any(self._count(o.name) for o in self._of(a.role))]
        read = settings_read.read(self._connection, self._fixture)
        for actor in having or list(first.values())[:1]:
            person = self._fixture.member(actor.member, A) if actor.member else None
            base = self._identity(actor.name, actor, person, A)
            for setting in read:
                if not settings_read.is_accepted(self._fixture, setting):
                    yield from self._forging(actor, base, setting)

    def _of(self, role: str) -> list[Actor]:
        return [actor for actor in self._actors if actor.role == role]

    def _forging(self, actor: Actor, base: Identity, setting: Setting) -> Iterator[Caller]:
        """Yield callers with what is the other tenant's, and with what it is compared with."""
        others = [self._fixture.ids.get(B, ""), *(p.user for p in self._of_other())]
        shown = {value: f" = {value!r}" for value in setting.values}
        name, keys = setting.name, sorted(setting.keys)
        for value in dict.fromkeys(filter(None, [*others, *shown, *setting.columns])):
            for forged, text in self._texts(name, base.settings.get(name, ""), keys, value):
                bent = replace(
                    base,
                    name=f"{actor.name}{FORGED}{forged}{shown.get(value, '')}",
                    settings={**base.settings, name: text},
                )
                yield Caller(bent, {A: (actor.name,)}, forged=True, suspect=setting.suspect)

    def _of_other(self) -> list[Person]:
        return [p for p in self._fixture.people if set(p.roles) == {B} and p.user][-1:]

    def _texts(
        self, name: str, base: str, keys: list[str], value: str
    ) -> Iterator[tuple[str, str]]:
        """Yield what is forged and its text: the setting as a whole, or the keys in it."""
        if not base and not self._claims & set(keys):
            yield name, value
        if keys:
            claims = json.loads(base) if base.startswith("{") else {}
            more = dict.fromkeys(keys, value)
            yield ", ".join(keys), json.dumps({**claims, **more, "user_metadata": more})
