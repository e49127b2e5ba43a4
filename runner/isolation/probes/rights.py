"""Which rows and columns a caller may use, by the rights of isolation.toml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import errors, sql

from runner.errors import UsageError
from runner.isolation.probes.identities import Caller
from runner.isolation.rows.fixture import Fixture
from runner.isolation.rows.identity import A, B
from runner.isolation.rows.snapshot import Row, Snapshot
from runner.isolation.tenancy.config import COMMANDS, Right
from runner.isolation.tenancy.objects import Relation
from runner.postgres.connection import Connection


@dataclass
class Rights:
    """The declared rights, resolved against the catalog and the rows."""

    def __init__(self, connection: Connection, fixture: Fixture, snapshot: Snapshot) -> None:
        self._connection, self._fixture, self._snapshot = connection, fixture, snapshot
        self._config = fixture.config
        self._by_oid: dict[int, dict[str, tuple[Right, ...]]] = {}
        self._rows: dict[tuple[int, str, str, str], list[Row]] = {}
        self._with_rights = {
            name
            for commands in self._config.rights.values()
            for rights in commands.values()
            for right in rights
            for name in right.actors
        }
        for name, commands in self._config.rights.items():
            relation = fixture.tenants.named(name)
            if relation is None:
                raise UsageError(
                    f"{self._config.path}: there is no relation {name}",
                    hint="[rights] names tables and views, with their schema if that is needed.",
                )
            known = {column.name for column in relation.columns}
            for rights in commands.values():
                for right in rights:
                    if unknown := set(right.columns or ()) - known:
                        raise UsageError(
                            f"{self._config.path}: {relation.qualified} has no column "
                            f"{sorted(unknown)[0]}",
                            hint=f"It has {', '.join(sorted(known))}.",
                        )
            of_relation = self._by_oid.setdefault(relation.oid, {})
            for command, rights in commands.items():
                of_relation[command] = of_relation.get(command, ()) + rights

    def declared(self, relation: Relation) -> bool:
        """Whether anything is declared about a relation."""
        return relation.oid in self._by_oid

    def judged(self, caller: Caller) -> bool:
        """Whether a caller is held to rights: who crosses tenants only if any right names them."""
        return not caller.everywhere or caller.name in self._with_rights

    def of(self, relation: Relation, command: str, caller: Caller, tenant: str) -> Iterator[Right]:
        """Yield the rights of a caller in a tenant."""
        names = caller.rights.get(tenant, ())
        for right in self._by_oid.get(relation.oid, {}).get(command, ()):
            if set(names) & set(right.actors):
                yield right

    def may(
        self,
        relation: Relation,
        command: str,
        caller: Caller,
        tenant: str,
        column: str | None = None,
    ) -> bool:
        """Whether a caller has a right in a tenant, on some rows, to a column if given."""
        return any(
            column is None or right.columns is None or column in right.columns
            for right in self.of(relation, command, caller, tenant)
        )

    def any(self, relation: Relation, command: str, role: str) -> bool:
        """Whether any actor with a database role has a right."""
        return any(
            self._config.actors[name].role == role
            for right in self._by_oid.get(relation.oid, {}).get(command, ())
            for name in right.actors
        )

    def columns(self, relation: Relation, command: str, caller: Caller, tenant: str) -> set[str]:
        """Return the columns that a caller may use in a tenant."""
        found: set[str] = set()
        for right in self.of(relation, command, caller, tenant):
            found |= set(right.columns or (c.name for c in relation.columns))
        return found

    def named(self, relation: Relation, command: str, caller: Caller) -> set[str]:
        """Return the columns that the rights of a caller name in the own tenant."""
        return {
            name
            for right in self.of(relation, command, caller, caller.own)
            for name in right.columns or ()
        }

    def rows(
        self, relation: Relation, command: str, caller: Caller, column: str | None = None
    ) -> list[Row]:
        """Return the rows that a caller may use, in every tenant, with one column."""
        found: list[Row] = []
        for tenant in (A, B):
            for right in self.of(relation, command, caller, tenant):
                if column is None or right.columns is None or column in right.columns:
                    found += self._meeting(relation, right.where, caller, tenant)
        return found

    def _meeting(
        self, relation: Relation, where: str | None, caller: Caller, tenant: str
    ) -> list[Row]:
        rows = self._snapshot.of(relation, tenant)
        if where is None:
            return rows
        person = caller.identity.person
        user = person.user if person else ""
        text = where
        for name, value in (("user", user), ("tenant", self._fixture.ids[tenant])):
            text = text.replace(f"{{{name}}}", sql.Literal(value).as_string(None))
        key = (relation.oid, text, tenant, user)
        if key not in self._rows:
            self._rows[key] = self._evaluated(relation, text, where, rows)
        return self._rows[key]

    def _evaluated(self, relation: Relation, text: str, where: str, rows: list[Row]) -> list[Row]:
        """Return the rows that meet a condition; PostgreSQL evaluates it."""
        alias = relation.name.replace('"', '""')
        place = self._fixture.place(relation, f'"{alias}"') if relation.is_table else "''"
        select = f'select {place}, "{alias}".* from {relation.qualified} as "{alias}" where {text}'  # noqa: S608
        try:
            with self._connection.transaction():
                cursor = self._connection.execute(select.encode())
        except errors.Error as error:
            if self._connection.closed:
                raise
            raise UsageError(
                f"{self._config.path}: {relation.qualified}: the condition {where!r} fails: "
                f"{error.diag.message_primary}",
                hint="It is SQL on the columns of the relation; {user} and {tenant} are values.",
            ) from None
        result = cursor.pgresult
        assert result  # noqa: S101 - it was executed
        found = {
            tuple(result.get_value(line, n) for n in range(result.nfields))
            for line in range(result.ntuples)
        }
        columns = [column.name for column in relation.columns]
        if relation.is_table:
            places = {line[0] for line in found}
            return [row for row in rows if row.place.encode() in places]
        encoded = {line[1:] for line in found}
        return [
            row
            for row in rows
            if tuple(None if v is None else v.encode() for v in row.shown(columns)) in encoded
        ]


__all__ = ["COMMANDS", "Rights"]
