"""The people of the two tenants: one for each role in each, one in both, one who left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import psycopg
from psycopg import sql

from runner.isolation.rows.identity import A, B, Person, names_tenant
from runner.isolation.tenancy.config import Config
from runner.isolation.tenancy.objects import Relation, TenantMap
from runner.postgres.connection import Connection
from runner.preflight.sample_rows import values
from runner.preflight.sample_rows.shapes import Table

Made = dict[str, str | None]
_LEFT = re.compile(r"(^|_)(deleted|left|removed|ended|revoked|disabled|deactivated|archived)(_|$)")
BOTH, MIXED = "member of both", "member with more rights elsewhere"
FORMER, STRANGER = "former member", "stranger"


def members(config: Config) -> list[str]:
    """Return the roles inside a tenant, in the order of the actors."""
    return list(dict.fromkeys(a.member for a in config.actors.values() if a.member))


class PeopleMaker:
    """Plan the people, and remember the rows that were made for each."""

    def __init__(self, config: Config, tenants: TenantMap) -> None:
        self._config, self._tenants = config, tenants
        self._made: dict[str, dict[tuple[str, str], list[Made]]] = {}
        roles = members(config) if tenants.people else []
        self._plan = [Person(f"{role} of {t}", "", {t: role}) for t in (A, B) for role in roles]
        if roles and tenants.person_columns:
            most = max(roles, key=self._count_rights)
            least = min(roles, key=self._count_rights)
            if least != most:
                self._plan.append(Person(MIXED, "", {A: least, B: most}))
            self._plan += [
                Person(BOTH, "", {A: most, B: most}),
                Person(FORMER, "", {A: most}, former=True),
                Person(STRANGER, ""),
            ]
        self._rows: dict[str, Made] = {}  # of the people table, by person

    def _count_rights(self, role: str) -> int:
        names = {a.name for a in self._config.actors.values() if a.member == role}
        return sum(
            bool(names & set(right.actors))
            for commands in self._config.rights.values()
            for rights in commands.values()
            for right in rights
        )

    def plan(self) -> list[Person]:
        """Return the people, with the users that are known so far."""
        return self._plan

    known = plan

    def made(self, person: Person, key: tuple[str, str], row: Made, user: str) -> None:
        """Remember a person's row, and the user that it stands for."""
        self._made.setdefault(person.name, {}).setdefault(key, []).append(row)
        place = next(n for n, each in enumerate(self._plan) if each.name == person.name)
        self._plan[place] = replace(self._plan[place], user=user)

    def rows_of(self, person: Person) -> Mapping[tuple[str, str], list[Made]]:
        """Return the rows that stand for one person, by table."""
        return self._made.get(person.name, {})

    def rows_in(self, tenant: str) -> dict[tuple[str, str], list[Made]]:
        """Return the rows that stand for the people of a tenant, by table."""
        found: dict[tuple[str, str], list[Made]] = {}
        for person in self._plan:
            if tenant in person.roles:
                for key, rows in self.rows_of(person).items():
                    found.setdefault(key, []).extend(rows)
        return found

    def first(self, tenant: str) -> Person | None:
        """Return the person who makes a tenant's rows: the one with most rights."""
        of_tenant = [p for p in self._plan if set(p.roles) == {tenant} and not p.former]
        return max(of_tenant, key=lambda p: self._count_rights(p.roles[tenant]), default=None)

    def number(
        self, people: Relation, lister: values.Lister, table: Table, count: Callable[[], int]
    ) -> None:
        """Give users to people without a row elsewhere.

        Where a request names its tenant, and both can have the same user, a role's user in A is the
        next role's in B.
        """
        if all(person.user for person in self._plan):
            return
        config = self._config.people
        column = next((c for c in table.columns if config and c.name == config.user), None)
        if column is None:
            return
        roles = members(self._config)
        alone = self._is_unique(people, column.name)
        in_turn = not alone and names_tenant(self._config)
        if not in_turn:
            most = max(roles, key=self._count_rights)
            self._plan.append(Person(FORMER, "", {A: most}, former=True))
            self._plan += [] if alone else [Person(BOTH, "", {A: most, B: most})]
        self._plan.append(Person(STRANGER, ""))
        users = [lister(column, "", count())[0] for _ in roles]
        for place, person in enumerate(self._plan):
            user = lister(column, "", count())[0]
            if person.roles and in_turn:
                [(tenant, role)] = person.roles.items()
                user = users[(roles.index(role) + (tenant == B)) % len(roles)]
            self._plan[place] = replace(person, user=user)

    def _is_unique(self, people: Relation, user: str) -> bool:
        """Whether a user has one row of the people table, by its keys or a referred table."""
        referred = (
            key.columns == [theirs]
            for reference in people.references
            if set(people.key) <= set(reference.columns)
            for ours, theirs in zip(reference.columns, reference.referred, strict=True)
            if ours == user and (parent := self._tenants.relations.get(reference.oid))
            for key in parent.keys
        )
        return any(key.columns == [user] for key in people.keys) or any(referred)

    def memberships(self) -> Iterator[tuple[Person, str, str]]:
        """Yield each person with tenant and role."""
        for person in list(self._plan):
            for tenant, role in person.roles.items():
                yield person, tenant, role

    def joined(self, person: Person, row: Made, tenants: TenantMap, people: Relation) -> None:
        """Remember a row of the people table."""
        self._rows[person.name] = row
        if not tenants.person_columns:
            self._made.setdefault(person.name, {})[(people.schema, people.name)] = [row]

    def members(self) -> dict[Person, Made]:
        """Return the people table's row of each person who has one."""
        return {p: self._rows[p.name] for p in self._plan if p.name in self._rows}

    @property
    def rows(self) -> dict[str, dict[tuple[str, str], list[Made]]]:
        """The rows that stand for each person, by name and table."""
        return self._made

    def dismiss(self, connection: Connection, ids: Mapping[str, str]) -> list[Person]:
        """End the membership of the former member; return the people, without who cannot leave."""
        config, people = self._config.people, self._tenants.people
        former = next((p for p in self._plan if p.former), None)
        if former is None or config is None or people is None:
            return self._plan
        left = next(
            (
                column.name
                for column in people.columns
                if _LEFT.search(column.name) and not column.not_null and column.category == "D"
            ),
            None,
        )
        action = (
            sql.SQL("update {} set {} = '2001-01-01'") if left else sql.SQL("delete from {}")
        ).format(sql.Identifier(people.schema, people.name), sql.Identifier(left or ""))
        where = sql.SQL(" where {} = {} and {} = {}").format(
            sql.Identifier(config.tenant), ids[A], sql.Identifier(config.user), former.user
        )
        try:
            with connection.transaction():
                connection.execute(action + where)
        except psycopg.Error:
            if connection.closed:
                raise
            return [person for person in self._plan if person is not former]
        return self._plan
