"""Make the rows of two tenants: in every tenant table, with references inside the tenant only.

The values name their tenant wherever a column allows it, and are random in each run. PostgreSQL
decides what fits; the rows exist in a transaction that is rolled back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import psycopg
from psycopg import sql

from runner.errors import ProofError
from runner.execution.transactional import send
from runner.files import statements
from runner.isolation.rows.fixture import SHARED_ROWS, Failure, Fixture, Made, become
from runner.isolation.rows.identity import A, B, Person
from runner.isolation.rows.named import Ids
from runner.isolation.rows.named import values as values_of
from runner.isolation.rows.order import counted, tables_to_fill, takes_parent
from runner.isolation.rows.people import PeopleMaker
from runner.isolation.tenancy.objects import PERSON, SHARED, TENANT, Relation
from runner.isolation.tenancy.variables import substitute
from runner.postgres.connection import Connection
from runner.preflight import sample_rows
from runner.preflight.sample_rows import values
from runner.preflight.sample_rows.scope import Scope
from runner.preflight.sample_rows.shapes import Table
from runner.queries import query

_EXISTING = 3  # rows of a shared table that are referred to


def make(connection: Connection, fixture: Fixture) -> None:
    """Insert the rows in the open transaction, as the role that owns the tables."""
    connection.execute("set constraints all immediate")
    connection.execute(query("preflight/sample_rows/holds"))
    _Maker(connection, fixture).make()


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
        self._order = tables_to_fill(connection, fixture)
        self._people = PeopleMaker(self.fixture.config, self.fixture.tenants)

    def make(self) -> None:
        """Make tenants, people and all other rows."""
        self._read_shared()
        if self.fixture.tenants.tenant is None:
            self._invent_tenants()
        for relation, table in self._order:
            self._make(relation, table)
            if relation is self.fixture.tenants.tenant and not self.fixture.ids:
                return  # without tenants, nothing else can be made
        self._refer_to_later()
        self._add_unchanged()
        self._own_rows()
        self._become(None, None)
        self.fixture.people = self._people.dismiss(self._connection, self.fixture.ids)
        self.fixture.person_rows = self._people.rows

    def _make(self, relation: Relation, table: Table) -> None:
        """Make the rows of one table."""
        tenants = self.fixture.tenants
        if relation.tenancy == PERSON and relation.oid in tenants.person_columns:
            self._persons(relation, table)
        elif relation is tenants.tenant:
            self._tenants(relation, table)
        elif relation is tenants.people:
            self._members(relation, table)
        elif relation.tenancy in (TENANT, PERSON):
            for owner in (A, B):
                self._of_tenant(relation, table, owner)
            if relation.tenant_column and self._is_nullable(relation):
                self._shared(relation, table, {relation.tenant_column: None})
        else:
            self._shared(relation, table, {})

    def _plain_tables(self) -> list[tuple[Relation, Table]]:
        """Return the tables of tenants, without those of tenants and people themselves."""
        special = (self.fixture.tenants.tenant, self.fixture.tenants.people)
        return [
            (relation, table)
            for relation, table in self._order
            if relation.tenancy == TENANT and relation not in special
        ]

    def _refer_to_later(self) -> None:
        """Make rows that refer to tables which were filled later."""
        tables = [table for _, table in self._order]
        for relation, table in self._plain_tables():
            unmet = table.referring(tables[tables.index(table) :])
            for owner in (A, B) if unmet else ():
                self._fill(relation, table, owner, self._fixed(relation, owner), only=unmet)

    def _add_unchanged(self) -> None:
        """Make rows to which no row refers, and which no trigger of a later row has changed."""
        referenced = {ref.oid for relation, _ in self._order for ref in relation.references}
        for relation, table in self._plain_tables():
            if relation.oid in referenced and not takes_parent(relation):
                for owner in (A, B):
                    fixed = self._fixed(relation, owner)
                    self._fill(relation, table, owner, fixed, vary=False, quiet=True)

    def _own_rows(self) -> None:
        """Run the project's fixture.sql once for each tenant. Raises ProofError if it fails."""
        config, ids = self.fixture.config, Ids()
        for owner in self.fixture.ids:
            self.fixture.named[owner] = values_of(
                config,
                self.fixture.tenants.people,
                members=self._people.members(),
                owner=owner,
                tenant=self.fixture.ids[owner],
                ids=ids,
            )
            text = substitute(config.fixture or "", self.fixture.named[owner])
            self._become(None, None)
            done, error = send(self._connection, text)
            if isinstance(error, psycopg.OperationalError):  # a lock, a timeout
                raise error
            if error:
                statement = [*statements.split(text)][done]
                raise ProofError(
                    f"{config.fixture_path} failed: {error.diag.message_primary}",
                    hint="It runs once for each tenant, after rows were made in every table, with "
                    "the tenant as :'tenant' and users as :'user.ROLE'.",
                    place=statements.place(text, statement.start, str(config.fixture_path)),
                )

    # --- one kind of table -------------------------------------------------------------------

    def _invent_tenants(self) -> None:
        """Invent two tenants, where a tenant is only a value of the setting."""
        columns = (
            next((c for c in table.columns if c.name == relation.tenant_column), None)
            for relation, table in self._order
        )
        column = next(filter(None, columns), None)
        for owner in (A, B) if column else ():
            assert column  # noqa: S101 - or the loop is empty
            self.fixture.ids[owner] = self.fixture.listers[owner](column, "", self._next())[0]

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
            for _ in range(3):
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
                for name in counted(relation, table)
            }
        return {}

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
        if owner == SHARED_ROWS:
            self.fixture.added.extend((relation, row) for row in made)
        if not made and not quiet and only is None:
            self.fixture.failures.append(Failure(relation, owner, reason))
        return made

    def _become(self, owner: str | None, person: Person | None) -> None:
        become(self._connection, self.fixture, owner, person)


def _rank(text: str) -> tuple[int, str]:
    return (len(text) if text.isdigit() else 0, text)
