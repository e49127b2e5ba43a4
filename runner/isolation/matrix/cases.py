"""The cases of the matrix: for each right, one statement by one actor in one organization."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.isolation.actors import Actor, substitute
from runner.isolation.matrix.permissions import Permission
from runner.isolation.project import Project

_WHERE = re.compile(r"\s+where\s")


@dataclass(frozen=True)
class Case:
    """One case to execute: a right, the actor, and whether in the own or the other organization."""

    project: Project
    right: Permission
    actor_name: str  # of [actors]
    own_org: bool
    without_where: bool = False  # then no SELECT policy applies in addition to those of the command

    @property
    def actor(self) -> Actor:
        """The role and settings used."""
        return self.project.actors[self.actor_name]

    @property
    def allowed(self) -> bool:
        """Whether the permission table allows it."""
        return self.project.allows(self.right, self.actor_name, own_org=self.own_org)

    @property
    def name(self) -> str:
        """The right's name, as --only takes it."""
        return f"{self.right.table}.{self.right.command}.{self.right.what}"

    @property
    def sql(self) -> str:
        """The statement, with the ids of the organization that it targets."""
        tenant = self.project.home if self.own_org else self.project.away
        me = self.actor.user if self.actor.member else ""
        statement = substitute(self.right.sql, self.project.values(tenant, me))
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
            bool(self.actor.user)
            and (not self.own_org or not self.actor.member)
            and self.right.command != "truncate"
        )


def cases(project: Project, only: str | None = None) -> list[Case]:
    """Return every case, or those of `only`: matrix, a table, table.command or a right's name."""
    found = [
        Case(project, right, actor_name, own_org)
        for right in project.rights
        for actor_name in project.actors
        for own_org in (True, False)
    ]
    found += [
        Case(project, right, actor_name, own_org=False, without_where=True)
        for right in project.rights
        if right.command in ("update", "delete") and project.members_with(right)
        for actor_name, actor in project.actors.items()
        if actor.user
    ]
    if only in (None, "matrix"):
        return found
    return [case for case in found if case.name == only or case.name.startswith(f"{only}.")]
