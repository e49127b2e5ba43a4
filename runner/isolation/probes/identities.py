"""The callers that are tried: each actor, and identities that are incomplete, outdated or bent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

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
from runner.isolation.tenancy.objects import Function
from runner.isolation.verdict import FORGED
from runner.postgres.connection import Connection

_SETTING = re.compile(r"current_setting\(\s*(?:E)?'([\w.]+\.[\w.-]+)'", re.IGNORECASE)
# How a text that reads several settings reads this one as JSON: before or after its name.
_AS_JSON = (
    r"jsonb?_\w+\((?:(?!current_setting).){{0,60}}current_setting\(\s*(?:E)?'{0}'"
    r"|current_setting\(\s*(?:E)?'{0}'(?:(?!current_setting).){{0,60}}?"
    r"(?:::|\bas)\s*(?:pg_catalog\.)?json"
)
_KEY = re.compile(
    r"->>?\s*'([\w-]+)'|#>>?\s*'\{([^}]*)\}'|#>>?\s*array\[([^\]]*)\]"
    r"|jsonb?_extract_path(?:_text)?\([^;]*?,\s*((?:'[\w-]+'[,\s]*)+)\)|\['([\w-]+)'\]",
    re.IGNORECASE,
)
_CLAIM = re.compile(r'"([\w-]+)"\s*:')
_SIGNED = {"aud", "exp", "iat", "iss", "jti", "nbf", "app_metadata"}  # the server's, not the user's
_JSON = ("json", "jsonb")
_POLICIES = """
    select concat_ws(' ', pg_catalog.pg_get_expr(polqual, polrelid),
        pg_catalog.pg_get_expr(polwithcheck, polrelid))
    from pg_catalog.pg_policy
"""


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
        self._fixture, self._config = fixture, fixture.config
        self._actors = list(self._config.actors.values())
        self._named = names_tenant(self._config)
        self._people = {p.name: p for p in fixture.people if p.user}
        self._claims = set(_CLAIM.findall(" ".join(self._config.settings.values())))
        self._policies = [text for (text,) in connection.execute(_POLICIES)]

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
        """Yield callers with claims and settings that policies read and the template lacks."""
        actor = next((a for a in self._actors if a.member), None) or next(
            (a for a in self._actors if not a.everywhere), None
        )
        if actor is None:
            return
        person = self._fixture.member(actor.member, A) if actor.member else None
        base = self._identity(actor.name, actor, person, A)
        values = [self._fixture.ids.get(B, ""), *(p.user for p in self._of_other())]
        for name, keys, suspect in self._read():
            for value in dict.fromkeys(filter(None, values)):
                for forged, text in self._texts(name, base.settings.get(name, ""), keys, value):
                    bent = replace(
                        base,
                        name=f"{actor.name}{FORGED}{forged}",
                        settings={**base.settings, name: text},
                    )
                    yield Caller(bent, {A: (actor.name,)}, forged=True, suspect=suspect)

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

    def _sources(self, function: Function) -> Iterator[str]:
        """Yield where keys of what a function returns are read: in it, and in who calls it."""
        left = [function]
        seen: set[int] = set()
        while left:
            each = left.pop()
            seen.add(each.oid)
            yield each.source
            if each.returns in _JSON:
                left += [f for f in self._callers_of(each) if f.oid not in seen]
                yield from (p for p in self._policies if _calls(p, each))

    def _callers_of(self, function: Function) -> list[Function]:
        return [f for f in self._fixture.tenants.functions if _calls(f.source, function)]

    def _read(self) -> list[tuple[str, list[str], str]]:
        """Return the settings that the database reads, with keys in them, and who reads them."""
        found: dict[str, tuple[set[str], list[str]]] = {}
        tenants = self._fixture.tenants
        for function in tenants.functions:
            if tenants.is_platforms(function):  # auth.uid(): the platform's API sets it
                continue
            read = set(_SETTING.findall(function.source))
            for setting in read:
                keys, readers = found.setdefault(setting, (set(), []))
                if _is_json(setting, function.source):
                    keys.update(self._claims, *map(_keys, self._sources(function)))
                elif len(read) == 1:
                    keys.update(*map(_keys, self._sources(function)))
                readers += [f.signature for f in (function, *self._callers_of(function))]
        for policy in self._policies:
            for setting in _SETTING.findall(policy):
                found.setdefault(setting, (set(), []))[0].update(_keys(policy))
        result = []
        for setting, (keys, readers) in found.items():
            template = self._config.settings.get(setting)
            known = {key for key in keys if template and f'"{key}"' in template} | _SIGNED
            left = sorted(keys - known - {"user_metadata"})
            if template is None or ('"' in template and left):
                result.append((setting, left, ", ".join(dict.fromkeys(readers))))
        return result


def _calls(text: str, function: Function) -> bool:
    return re.search(rf"\b{re.escape(function.name)}\s*\(", text) is not None


def _is_json(setting: str, text: str) -> bool:
    """Whether a setting is cast to JSON in a text that reads several."""
    return (
        re.search(_AS_JSON.format(re.escape(setting)), text, re.IGNORECASE | re.DOTALL) is not None
    )


def _keys(text: str) -> Iterator[str]:
    """Yield the keys of JSON values that a text reads."""
    for match in _KEY.finditer(text):
        listed = next(filter(None, match.groups()), "")
        yield from (key.strip(" '\n") for key in listed.split(","))
