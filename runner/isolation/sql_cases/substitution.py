"""Who runs a statement of a case, attack or invariant, and what its variables stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from runner.isolation.probes.identities import identity_of, who
from runner.isolation.project import Project
from runner.isolation.rows.fixture import Fixture
from runner.isolation.rows.identity import A, B, Identity
from runner.isolation.sql_cases.scenario import OF_AWAY, OWNER, Step
from runner.isolation.tenancy.variables import substitute

_TABLE = re.compile(r"('(?:[^']|'')*')|(?<!:):table\b")
_WORD = re.compile(r"(?<!:):(key|tenant_table|tenant_key|member_roles|api_roles)\b")


class Substitution:
    """The actors and values of the two tenants whose rows were made."""

    def __init__(self, fixture: Fixture, project: Project) -> None:
        self._fixture, self.project = fixture, project
        self.identity = lru_cache(maxsize=None)(self._identity)
        self.values = lru_cache(maxsize=None)(self._values)
        tenant = fixture.tenants.tenant
        member_roles, api_roles = project.quoted_roles
        self._words = {
            "tenant_table": tenant.qualified if tenant else "",
            "tenant_key": (tenant.tenant_column or "") if tenant else "",
            "member_roles": member_roles,
            "api_roles": api_roles,
        }

    def actor(self, step: Step) -> Identity | None:
        """Return who runs a step; None is the connecting role."""
        if step.actor_name == OWNER:
            return None
        away = step.actor_name.endswith(OF_AWAY)
        return self.identity(step.actor_name.removesuffix(OF_AWAY), B if away else A)

    def _identity(self, name: str, tenant: str = A) -> Identity:
        """Return an actor in a tenant, the first one by default."""
        actor = self.project.actors[name]
        person = who(self._fixture, actor, tenant)
        return identity_of(self._fixture, name, actor, person, tenant)

    def _values(self, tenant: str, name: str = "") -> Mapping[str, str]:
        """Return the variables in a tenant; `me` and `user` are this actor, or a member."""
        named = self._fixture.named[tenant]
        actors, members = self.project.actors, self.project.members
        actor = actors[name] if name and (actors[name].member or actors[name].user) else None
        actor = actor or (actors[members[-1]] if members else None)
        user = ((actor.member or "").lower() or actor.user) if actor else ""
        return {
            **named,
            "me": named.get(user, ""),
            "user": named.get(f"{user}_uuid", ""),
        }

    def step(self, step: Step, text: str, table: str = "", key: str = "") -> str:
        """Return SQL or condition of a step with the ids, the quoted table and its key inserted."""
        text = _TABLE.sub(lambda match: _with_table(match, table), text)
        words = {**self._words, "key": key}
        if not words["tenant_table"]:  # a tenant is only a value
            words |= {"tenant_table": table, "tenant_key": key}
        text = _WORD.sub(lambda match: words[match[1]], text)
        name = "" if step.actor_name == OWNER else step.actor_name.removesuffix(OF_AWAY)
        away = {f"away.{name}": value for name, value in self.values(B).items()}
        return substitute(text, {**self.values(A, name), **away})


def _with_table(match: re.Match[str], table: str) -> str:
    """Return a match of _TABLE with the name inserted; within a literal, its quotes are doubled."""
    literal: str | None = match[1]
    if literal is None:
        return table
    escaped = table.replace("'", "''")
    return re.sub(r"(?<!:):table\b", lambda _: escaped, literal)
