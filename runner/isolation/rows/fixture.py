"""Make the rows of two tenants: in every tenant table, with references inside the tenant only.

The values name their tenant wherever a column allows it, and are random in each run. PostgreSQL
decides what fits; the rows exist in a transaction that is rolled back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql

from runner.isolation.rows.identity import OTHER, A, B, Person, settings
from runner.isolation.rows.people import PeopleMaker, members
from runner.isolation.tenancy.config import Config
from runner.isolation.tenancy.relations import PERSON, SHARED, TENANT, Relation, TenantMap
from runner.postgres.connection import Connection
from runner.preflight import sample_rows
from runner.preflight.sample_rows import shapes, values
from runner.preflight.sample_rows.scope import Scope
from runner.preflight.sample_rows.shapes import Table
from runner.queries import query

Made = dict[str, str | None]  # a row, as PostgreSQL prints it
SHARED_ROWS = "S"
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
    failures: list[Failure] = field(default_factory=list)
    shapes: dict[int, Table] = field(default_factory=dict)
    listers: dict[str, values.Lister] = field(default_factory=dict)  # by owner

    def member(self, role: str, tenant: str) -> Person | None:
        """Return the person with one role in one tenant."""
        return next((p for p in self.people if p.roles == {tenant: role} and not p.former), None)

    def persons(self, tenant: str) -> list[str]:
        """Return the users of a tenant's people, and of nobody else's, as SQL literals."""
        return [_literal(p.user) for p in self.people if set(p.roles) == {tenant} and not p.former]

    def condition(self, relation: Relation, owner: str, alias: str = "t") -> str:
        """Return the condition that a row belongs to a tenant."""
        tenant = _literal(self.ids[owner])
        return self.tenants.belongs(relation, alias, tenant, self.persons(owner))

    def of(self, relation: Relation, owner: str) -> list[Made]:
        """Return the rows that were made in a table for an owner."""
        return self.rows[owner].get((relation.schema, relation.name), [])


def make(connection: Connection, config: Config, tenants: TenantMap) -> Fixture:
    """Insert the rows in the open transaction, as the role that owns the tables."""
    connection.execute("set constraints all immediate")
    connection.execute(query("preflight/sample_rows/holds"))
    maker = _Maker(connection, Fixture(config, tenants))
    maker.make()
    return maker.fixture


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _Maker:
    """Fill the tables in the order of their references."""

    def __init__(self, connection: Connection, fixture: Fixture) -> None:
        self._connection = connection
        self.fixture = fixture
        self._n = secrets.randbelow(8000) + 100
        first = 20_000 + secrets.randbelow(20_000)
        for owner, base in (
            (A, first),
            (B, first + 1 + secrets.randbelow(9_000)),
            ("S", first - 1),
        ):
            marker = f"{'zq'}{owner.lower()}{secrets.token_hex(3)}"
            self.fixture.listers[owner] = values.marked(marker, base)
        self._order = self._shapes()
        self._people = PeopleMaker(self.fixture.config, self.fixture.tenants)

    def _shapes(self) -> list[tuple[Relation, Table]]:
        """Return the tables to fill: those of tenants and persons, and what callers reach."""
        by_name = {(r.schema, r.name): r for r in self.fixture.tenants.relations.values()}
        needed = []
        wanted = [
            (by_name[(table.schema, table.name)], table)
            for table in shapes.read(self._connection, numbered=True)
            if (table.schema, table.name) in by_name
        ]
        api = self.fixture.tenants.api_roles
        referenced = {ref.oid for relation, _ in wanted for ref in relation.references}
        behind = {oid for r in by_name.values() if r.within_reach(api) for oid in r.bases}
        for relation, table in wanted:
            if (
                relation.tenancy in (TENANT, PERSON, SHARED)
                or relation.within_reach(api)
                or relation.oid in referenced | behind
            ):
                implied = [
                    shapes.Reference(ref.columns, parent.schema, parent.name, ref.referred)
                    for ref in relation.references
                    if ref.implied and (parent := self.fixture.tenants.relations.get(ref.oid))
                ]
                needed.append(replace(table, references=[*table.references, *implied]))
        order = shapes.in_order(needed)
        found = [(by_name[(table.schema, table.name)], table) for table in order]
        self.fixture.shapes = {relation.oid: table for relation, table in found}
        first = self._needed_first(found)
        return sorted(found, key=lambda pair: pair[0].oid not in first)

    def _needed_first(self, found: list[tuple[Relation, Table]]) -> set[int]:
        """Return the tables of tenants and people, and those that they refer to."""
        tenants = self.fixture.tenants
        roots = (tenants.tenant, tenants.people)
        first = {root.oid for root in roots if root} | set(tenants.person_columns)
        for relation, _ in reversed(found):
            if relation.oid in first:
                first |= {ref.oid for ref in relation.references if not ref.implied}
        return first

    def make(self) -> None:
        """Make tenants, people and all other rows."""
        tenants, people = self.fixture.tenants, self.fixture.tenants.people
        self._read_shared()
        if tenants.tenant is None:
            self._invent_tenants()
        for relation, table in self._order:
            if relation.tenancy == PERSON and relation.oid in tenants.person_columns:
                self._persons(relation, table)
            elif relation is tenants.tenant:
                self._tenants(relation, table)
            elif relation is people:
                self._members(relation, table)
            elif relation.tenancy in (TENANT, PERSON):
                for owner in (A, B):
                    self._of_tenant(relation, table, owner)
                if relation.tenant_column and self._is_nullable(relation):
                    self._shared(relation, table, {relation.tenant_column: None})
            else:
                self._shared(relation, table, {})
        for number, (relation, table) in enumerate(self._order):  # references to later tables
            unmet = table.referring(t for _, t in self._order[number:])
            if unmet and relation.tenancy == TENANT and relation is not tenants.tenant:
                for owner in (A, B):
                    self._fill(relation, table, owner, self._fixed(relation, owner), only=unmet)
        referenced = {ref.oid for relation, _ in self._order for ref in relation.references}
        for relation, table in self._order:  # rows that no later row or trigger has changed
            if relation.tenancy != TENANT or relation in (tenants.tenant, people):
                continue
            if relation.oid in referenced and not _takes_parent(relation):
                for owner in (A, B):
                    fixed = self._fixed(relation, owner)
                    self._fill(relation, table, owner, fixed, vary=False, quiet=True)
        self._own_rows()
        self._become(None, None)
        self.fixture.people = self._people.dismiss(self._connection, self.fixture.ids)

    def _own_rows(self) -> None:
        """Run the project's fixture.sql once for each tenant."""
        for owner in (A, B) if self.fixture.config.fixture else ():
            text = (self.fixture.config.fixture or "").replace(
                ":'tenant'", _literal(self.fixture.ids[owner])
            )
            for person in self.fixture.people:
                if set(person.roles) == {owner}:
                    role = person.roles[owner]
                    text = text.replace(f":'user.{role}'", _literal(person.user))
            self._connection.execute(text.encode())

    # --- one kind of table -------------------------------------------------------------------

    def _invent_tenants(self) -> None:
        for owner in (A, B):
            self.fixture.ids[owner] = str(10**6 + secrets.randbelow(10**6) + (owner == B) * 10**6)

    def _tenants(self, relation: Relation, table: Table) -> None:
        for owner in (A, B):
            self._fill(relation, table, owner, {}, vary=False)
        found = [self.fixture.of(relation, owner) for owner in (A, B)]
        column = relation.tenant_column or ""
        if not all(found):
            return
        first, second = (rows[0][column] or "" for rows in found)
        if _rank(first) > _rank(second):
            key = (relation.schema, relation.name)
            rows, listers = self.fixture.rows, self.fixture.listers
            rows[A][key], rows[B][key] = found[1], found[0]
            listers[A], listers[B] = listers[B], listers[A]
            first, second = second, first
        self.fixture.ids = {A: first, B: second}

    def _persons(self, relation: Relation, table: Table) -> None:
        """Make one row for each person; a table that refers to another one takes its row."""
        column = self.fixture.tenants.person_columns[relation.oid]
        key = (relation.schema, relation.name)
        for person in self._people.plan():
            owner = next(iter(person.roles), B)
            rows = {**self._visible(owner), **self._people.rows_of(person)}
            for attempt in range(3):
                made, reason = sample_rows.fill_scope(
                    self._connection,
                    table,
                    Scope(rows, self.fixture.listers[owner], self._next(), vary=False),
                )
                if made:
                    break
            if made:
                self._people.made(person, key, made[0], made[0][column] or "")
                self.fixture.rows[owner].setdefault(key, []).append(made[0])
            else:
                self.fixture.failures.append(Failure(relation, owner, reason))
                return
        self.fixture.people = self._people.known()

    def _members(self, relation: Relation, table: Table) -> None:
        """Make the people table's row for each role of each person."""
        config = self.fixture.config.people
        assert config  # noqa: S101 - there is a people table
        self._people.number(relation, self.fixture.listers[SHARED_ROWS], table, self._next)
        for person, tenant, role in self._people.memberships():
            fixed: dict[str, str | None] = {config.tenant: self.fixture.ids[tenant]}
            fixed[config.user] = person.user
            column = relation.column(config.role) if config.role else None
            if column:
                fixed[column.name] = f"{{{role}}}" if column.category == "A" else role
            made = self._fill(relation, table, tenant, fixed, vary=False, person=person)
            if made:
                self._people.joined(person, made[0], self.fixture.tenants, relation)
        self.fixture.people = self._people.known()

    def _of_tenant(self, relation: Relation, table: Table, owner: str) -> None:
        """Make rows of one tenant: the first with the same numbers as the other tenant's."""
        fixed = self._fixed(relation, owner)
        common = self._common(relation, table, owner)
        failed = len(self.fixture.failures)
        first = self._fill(relation, table, owner, {**fixed, **common}, vary=False)
        if not first and common:
            del self.fixture.failures[failed:]
            first = self._fill(relation, table, owner, fixed, vary=False)
        self._fill(relation, table, owner, fixed, quiet=bool(first))

    def _shared(self, relation: Relation, table: Table, fixed: Mapping[str, str | None]) -> None:
        self._become(None, None)
        self._fill(relation, table, SHARED_ROWS, fixed, vary=False)

    def _read_shared(self) -> None:
        """Read a few rows of each shared table: the rows of tenants may refer to them."""
        for relation, table in self._order:
            if relation.tenancy != SHARED:
                continue
            cursor = self._connection.execute(
                sql.SQL("select * from {} limit {}").format(table.identifier, _EXISTING)
            )
            result, columns = cursor.pgresult, cursor.description or ()
            assert result  # noqa: S101 - it was executed
            self.fixture.rows[SHARED_ROWS][(relation.schema, relation.name)] = [
                {
                    column.name: None if (v := result.get_value(n, place)) is None else v.decode()
                    for place, column in enumerate(columns)
                }
                for n in range(result.ntuples)
            ]

    # --- values ------------------------------------------------------------------------------

    def _fixed(self, relation: Relation, owner: str) -> dict[str, str | None]:
        column = relation.tenant_column
        return {column: self.fixture.ids.get(owner)} if column else {}

    def _common(self, relation: Relation, table: Table, owner: str) -> dict[str, str | None]:
        """Return the values that both tenants have: of keys that include the tenant column."""
        if owner == B:
            return {
                name: row[name]
                for row in self.fixture.of(relation, A)[:1]
                for name in self._counted(relation, table)
            }
        return {}

    def _counted(self, relation: Relation, table: Table) -> list[str]:
        """Return the columns that are counted within a tenant: part of its composite keys."""
        referring = {name for reference in table.references for name in reference.columns}
        return [
            column.name
            for column in table.columns
            if column.name not in {*referring, relation.tenant_column}
            and any(
                relation.tenant_column in key.columns and column.name in key.columns
                for key in relation.keys
            )
            and not any([column.name] == key.columns for key in relation.keys)
        ]

    def _is_nullable(self, relation: Relation) -> bool:
        column = relation.column(relation.tenant_column or "")
        return column is not None and not column.not_null

    def _next(self) -> int:
        self._n += 40
        return self._n

    # --- rows --------------------------------------------------------------------------------

    def _visible(self, owner: str) -> dict[tuple[str, str], list[Made]]:
        """Return the rows that an owner's rows may refer to."""
        rows = {**self.fixture.rows[SHARED_ROWS]}
        if owner != SHARED_ROWS:
            rows |= self.fixture.rows[owner]
            rows |= self._people.rows_in(owner)
        return rows

    def _fill(
        self,
        relation: Relation,
        table: Table,
        owner: str,
        fixed: Mapping[str, str | None],
        *,
        vary: bool = True,
        only: set[str] | None = None,
        person: Person | None = None,
        quiet: bool = False,
    ) -> list[Made]:
        """Insert rows of one owner; remember them, or why there are none."""
        if owner != SHARED_ROWS:
            self._become(owner, person or self._people.first(owner))
        rows = self._visible(owner)
        if person:
            rows |= self._people.rows_of(person)
        scope = Scope(rows, self.fixture.listers[owner], self._next(), fixed, vary)
        made, reason = sample_rows.fill_scope(self._connection, table, scope, only=only)
        key = (relation.schema, relation.name)
        self.fixture.rows[owner].setdefault(key, []).extend(made)
        if not made and not quiet and only is None:
            self.fixture.failures.append(Failure(relation, owner, reason))
        return made

    def _become(self, owner: str | None, person: Person | None) -> None:
        become(self._connection, self.fixture, owner, person)


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


def template(
    connection: Connection, fixture: Fixture, relation: Relation, owner: str
) -> tuple[Made | None, str]:
    """Return a row that could be inserted for an owner, after trying it; and why there is none."""
    table = fixture.shapes.get(relation.oid)
    if table is None:
        return None, "no rows can be made in it"
    rows = {**fixture.rows[SHARED_ROWS], **(fixture.rows[owner] if owner != "S" else {})}
    column = relation.tenant_column
    fixed = {column: fixture.ids.get(owner)} if column else {}
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
    except psycopg.Error as error:
        if connection.closed:
            raise
        reason = str(error)
    return (found[0] if found else None), reason


def _takes_parent(relation: Relation) -> bool:
    """Whether a row of another table can have one row at most in this one."""
    referring = {name for reference in relation.references for name in reference.columns}
    return any(set(key.columns) <= referring for key in relation.keys if key.columns)


def _rank(text: str) -> tuple[int, str]:
    return (len(text) if text.isdigit() else 0, text)


__all__ = ["OTHER", "Failure", "Fixture", "Made", "make", "members", "template"]
