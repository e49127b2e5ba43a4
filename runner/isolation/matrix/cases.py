"""The cases of the matrix: for each right, one statement by one actor in one organization."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.isolation.fixture import ACTORS, AWAY, HOME, Actor
from runner.isolation.matrix.permissions import TENANTS, Permission, permissions

_WHERE = re.compile(r"\s+where\s")


@dataclass(frozen=True)
class Case:
    """One case to execute: a right, the actor, and whether in the own or the other organization."""

    right: Permission
    actor_name: str  # a key of ACTORS
    own_org: bool
    without_where: bool = False  # then no SELECT policy applies in addition to those of the command

    @property
    def actor(self) -> Actor:
        """The role and claims used."""
        return ACTORS[self.actor_name]

    @property
    def allowed(self) -> bool:
        """Whether the permission table allows it."""
        return self.right.allows(self.actor_name, own_org=self.own_org)

    @property
    def name(self) -> str:
        """The right's name, as --only takes it."""
        return f"{self.right.table}.{self.right.command}.{self.right.what}"

    @property
    def sql(self) -> str:
        """The statement, with the ids of the organization that it targets."""
        org = HOME if self.own_org else AWAY
        me = self.actor_name.lower() if self.actor_name in TENANTS else "member"
        statement = self.right.statement(org.ids(me=me))
        return _WHERE.split(statement)[0] if self.without_where else statement

    @property
    def what(self) -> str:
        """The right, and the variant."""
        return f"{self.right.what}, without WHERE" if self.without_where else self.right.what

    @property
    def where(self) -> str:
        """The targeted organization: `own` or `other`."""
        return "own" if self.own_org else "other"

    @property
    def title(self) -> str:
        """The case in one line; also the title of its cell and the `proof` of its breach."""
        right = self.right
        return f"{right.table}.{right.command}.{self.what} as {self.actor_name} in {self.where} org"

    @property
    def crosses_organizations(self) -> bool:
        """Whether a signed-in user accesses rows that only policies can deny."""
        return (
            self.actor.role == "authenticated"
            and (not self.own_org or self.actor_name not in TENANTS)
            and self.right.command != "truncate"
        )


def cases(only: str | None = None) -> list[Case]:
    """Return every case, or those of `only`: matrix, a table, table.command or a right's name."""
    found = [
        Case(right, actor_name, own_org)
        for right in permissions()
        for actor_name in ACTORS
        for own_org in (True, False)
    ]
    found += [
        Case(right, actor_name, own_org=False, without_where=True)
        for right in permissions()
        if right.command in ("update", "delete") and right.tenants
        for actor_name, actor in ACTORS.items()
        if actor.role == "authenticated"
    ]
    if only in (None, "matrix"):
        return found
    return [case for case in found if case.name == only or case.name.startswith(f"{only}.")]


def tables() -> list[str]:
    """Return the tables of the permission table, in its order."""
    return list(dict.fromkeys(right.table for right in permissions()))
