"""What is tried: one statement by one person on one organization, for each right of the table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.isolation.fixture import ACTORS, AWAY, HOME, Actor
from runner.isolation.matrix.permissions import TENANTS, Permission, permissions

_WHERE = re.compile(r"\s+where\s")


@dataclass(frozen=True)
class Try:
    """One cell to come: a right, who tries it, and where."""

    right: Permission
    who: str
    own_org: bool
    blind: bool = False  # without WHERE: then no policy for SELECT stands before the other ones

    @property
    def actor(self) -> Actor:
        """The role and the claims it is tried with."""
        return ACTORS[self.who]

    @property
    def allowed(self) -> bool:
        """What the permission table promises."""
        return self.right.allows(self.who, own_org=self.own_org)

    @property
    def name(self) -> str:
        """The right's name, as --only takes it."""
        return f"{self.right.table}.{self.right.command}.{self.right.what}"

    @property
    def sql(self) -> str:
        """The statement, with the ids of the organization it is tried on."""
        org = HOME if self.own_org else AWAY
        me = self.who.lower() if self.who in TENANTS else "member"
        statement = self.right.attempt(org.ids(me=me))
        return _WHERE.split(statement)[0] if self.blind else statement

    @property
    def what(self) -> str:
        """The right, and how it is tried."""
        return f"{self.right.what}, without WHERE" if self.blind else self.right.what

    @property
    def where(self) -> str:
        """Whose organization: the own one, or the other."""
        return "own" if self.own_org else "other"

    @property
    def title(self) -> str:
        """The whole of it in a line, as its cell and a breach of it are called."""
        right = self.right
        return f"{right.table}.{right.command}.{self.what} as {self.who} in {self.where} org"

    @property
    def crosses(self) -> bool:
        """Whether somebody signed in reaches where they have no row, and policies must stop it."""
        return (
            self.actor.role == "authenticated"
            and (not self.own_org or self.who not in TENANTS)
            and self.right.command != "truncate"
        )


def tries(only: str | None = None) -> list[Try]:
    """Return every cell, or those of `only`: matrix, a table, table.command or a right's name."""
    all_ = [
        Try(right, who, own_org)
        for right in permissions()
        for who in ACTORS
        for own_org in (True, False)
    ]
    all_ += [
        Try(right, who, own_org=False, blind=True)
        for right in permissions()
        if right.command in ("update", "delete") and right.tenants
        for who, actor in ACTORS.items()
        if actor.role == "authenticated"
    ]
    if only in (None, "matrix"):
        return all_
    return [try_ for try_ in all_ if try_.name == only or try_.name.startswith(f"{only}.")]


def tables() -> list[str]:
    """Return the tables the permission table knows, in its order."""
    return list(dict.fromkeys(right.table for right in permissions()))
