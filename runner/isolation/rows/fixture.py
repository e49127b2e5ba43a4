"""The rows that were made for two tenants, and how to make one more."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from runner.isolation.rows.identity import A, B, Person, settings
from runner.isolation.tenancy.config import Config
from runner.isolation.tenancy.objects import Relation, TenantMap
from runner.isolation.tenancy.variables import literal, quoted
from runner.postgres.connection import Connection
from runner.preflight import sample_rows
from runner.preflight.sample_rows import values
from runner.preflight.sample_rows.scope import Scope
from runner.preflight.sample_rows.shapes import Table
from runner.queries import query

Made = dict[str, str | None]  # a row, as PostgreSQL prints it
SHARED_ROWS = "S"
OWNER = ""  # the connecting role, among `requests`
_EXISTING = 3  # rows of a shared table that are referred to


@dataclass(frozen=True)
class Failure:
    """A table in which no row could be made, and why."""

    relation: Relation
    owner: str
    reason: str


@dataclass
class Fixture:
    """What was made, and how to make more."""

    config: Config
    tenants: TenantMap
    ids: dict[str, str] = field(default_factory=dict)  # of the tenants A and B
    people: list[Person] = field(default_factory=list)
    rows: dict[str, dict[tuple[str, str], list[Made]]] = field(
        default_factory=lambda: {A: {}, B: {}, SHARED_ROWS: {}}
    )  # by owner and table
    added: list[tuple[Relation, Made]] = field(default_factory=list)  # those of no tenant
    named: dict[str, dict[str, str]] = field(default_factory=dict)  # :'name' → value, by tenant
    person_rows: dict[str, dict[tuple[str, str], list[Made]]] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=dict)  # what follows the settings, by role
    by_key: bool = False  # rows have a place by their key too: ctid is that of some node
    later: frozenset[int] = frozenset()  # tables that are not filled: the project's fixture does it
    failures: list[Failure] = field(default_factory=list)
    unrefreshed: list[Failure] = field(default_factory=list)  # materialized views, without the rows
    shapes: dict[int, Table] = field(default_factory=dict)
    listers: dict[str, values.Lister] = field(default_factory=dict)  # by owner

    def member(self, role: str, tenant: str) -> Person | None:
        """Return the person with one role in one tenant."""
        return next((p for p in self.people if p.roles == {tenant: role} and not p.former), None)

    def persons(self, tenant: str) -> list[str]:
        """Return the users of a tenant's people who are in no other, as SQL literals."""
        return [literal(p.user) for p in self.people if set(p.roles) == {tenant} and not p.former]

    def condition(self, relation: Relation, owner: str, alias: str = "t") -> str:
        """Return the condition that a row belongs to a tenant."""
        tenant = literal(self.ids[owner])
        return self.tenants.belongs(relation, alias, tenant, self.persons(owner))

    def place(self, relation: Relation, alias: str = "t") -> str:
        """Return the expression that tells where a row is: it changes with each change."""
        if not self.by_key:
            return f"{alias}.tableoid::text || {alias}.ctid::text"
        key = ", ".join(f"{alias}.{quoted(name)}" for name in relation.key) or alias
        return f"{alias}.ctid::text || md5(row({key})::text)"

    def of(self, relation: Relation, owner: str) -> list[Made]:
        """Return the rows that were made in a table for an owner."""
        return self.rows[owner].get((relation.schema, relation.name), [])


def requests(connection: Connection, config: Config) -> dict[str, str]:
    """Return the call that follows the settings of a request, by role; none of who may not."""
    roles = [OWNER, *{actor.role: None for actor in config.actors.values()}]
    given = {"function": config.pre_request, "roles": roles}
    return dict(connection.execute(query("isolation/pre_request"), given).fetchall())


def become(
    connection: Connection, fixture: Fixture, owner: str | None, person: Person | None
) -> None:
    """Set what a request of a person would set, so that defaults and triggers have it."""
    config = fixture.config
    role = next((a.role for a in config.actors.values() if a.member), "")
    user = person.user if person and person.user else None
    given = settings(config, role, user, fixture.ids.get(owner) if owner else None)
    for name, value in given.items():
        connection.execute("select set_config(%s, %s, true)", [name, value if owner else ""])
    if request := fixture.requests.get(OWNER):
        connection.execute(request.encode())


def template(
    connection: Connection, fixture: Fixture, relation: Relation, owner: str, *, new: bool = False
) -> tuple[Made | None, str]:
    """Return a row that could be inserted for an owner, after trying it; and why there is none.

    `new`: of a tenant that does not exist yet.
    """
    table = fixture.shapes.get(relation.oid)
    if table is None:
        return None, "no rows can be made in it"
    rows = {**fixture.rows[SHARED_ROWS], **(fixture.rows[owner] if owner != "S" else {})}
    column = relation.tenant_column
    fixed = {column: fixture.ids.get(owner)} if column and not new else {}
    scope = Scope(
        rows, fixture.listers[owner], secrets.randbelow(10**4) + 20_000, fixed, vary=False
    )
    found: list[Made] = []
    reason = ""
    try:
        with connection.transaction(force_rollback=True):
            members_of = (p for p in fixture.people if set(p.roles) == {owner} and not p.former)
            become(connection, fixture, owner, next(members_of, None))
            found, reason = sample_rows.fill_scope(connection, table, scope)
    except psycopg.errors.IntegrityError as error:
        reason = str(error)
    return (found[0] if found else None), reason
