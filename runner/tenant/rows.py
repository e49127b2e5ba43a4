"""Which rows are one tenant's, in which order, and what they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from runner.errors import NO_CHANGES, Interrupted, LockTimeout, RunnerError, UsageError
from runner.isolation.tenancy import config, relations
from runner.isolation.tenancy.config import Config
from runner.isolation.tenancy.objects import TENANT, Reference, Relation, TenantMap
from runner.isolation.toml_file import MISSING, NAME
from runner.postgres.connection import Connection
from runner.postgres.signals import Interrupt
from runner.preflight.sample_rows import shapes
from runner.queries import query

# One form of every value as text, whatever the settings of role, database and server are.
_FORMATS = (
    "set local search_path = pg_catalog; set local row_security = off; set local jit = off;"
    " set local timezone = 'UTC'; set local datestyle = 'ISO, YMD';"
    " set local intervalstyle = 'postgres';"
    " set local extra_float_digits = 1; set local bytea_output = 'hex';"
    " set local xmloption = content; set local lc_monetary = 'C'"
)
Row = tuple[str | None, ...]
_AS_OWNER = """Connect as the owner of the tables, without SUPERUSER.
If they have several owners, as a role that is a member of each."""
_APPLY = "Is everything applied? python -m runner apply"


@dataclass(frozen=True, eq=False)
class Tenant:
    """One tenant of a database: its rows, as conditions on the tables that hold them."""

    id: str
    config: Config
    tenants: TenantMap
    tables: tuple[Relation, ...]  # those with rows of tenants, referenced ones first

    def condition(self, relation: Relation, alias: str = "t") -> str:
        """Return the condition that a row is this tenant's.

        Where the table has no column of the tenant, the first of its references that is not null
        decides: required ones come first.
        """
        if relation.tenant_column:
            equal = self.tenants.equal(relation, relation.tenant_column)
            return f"{alias}.{quoted(relation.tenant_column)} {equal} {literal(self.id)}"
        cases = []
        for reference in self._deciding[relation.oid]:
            parent, inner = self.tenants.relations[reference.oid], f"{alias}_"
            joined = self.tenants.joined(relation, reference, alias, inner)
            found = f"exists (select from {source(parent)} as {inner} where {joined}"
            cases.append((reference, f"{found} and {self.condition(parent, inner)})"))
        if len(cases) == 1:
            return cases[0][1]
        whens = (f"when {_filled(reference, alias)} then {found}" for reference, found in cases)
        return f"case {' '.join(whens)} else false end"

    @cached_property
    def _deciding(self) -> Mapping[int, list[Reference]]:
        """The references that decide, of each table without a column of the tenant."""
        return {r.oid: self._references(r) for r in self.tables if not r.tenant_column}

    def _references(self, relation: Relation) -> list[Reference]:
        assert relation.path  # noqa: S101 - how else could it be a tenant's
        first, found = relation.path, [relation.path]
        if all((c := relation.column(name)) and c.not_null for name in first.columns):
            return found
        for other in sorted(relation.references, key=lambda r: r.implied):
            parent = self.tenants.relations.get(other.oid)
            if other != first and parent in self.tables and not self._leads(parent, relation):
                found.append(other)
        return found

    def decides(self, relation: Relation) -> bool:
        """Whether rows of other tables are the tenant's because of rows of this one."""
        return any(r.oid == relation.oid for found in self._deciding.values() for r in found)

    def _leads(self, start: Relation | None, end: Relation) -> bool:
        waiting, seen = [start], set[int]()
        while waiting:
            relation = waiting.pop()
            if relation is None or relation.oid in seen:
                continue
            if relation is end:
                return True
            seen.add(relation.oid)
            waiting += [self.tenants.relations.get(r.oid) for r in relation.references]
        return False

    def crossing(self, connection: Connection) -> Iterator[str]:
        """Yield what of the tenant's rows refers to rows of another tenant."""
        for relation in self.tables:
            for reference in relation.references:
                parent = self.tenants.relations.get(reference.oid)
                if parent not in self.tables or reference.implied or parent is relation:
                    continue
                pairs = list(zip(reference.columns, reference.referred, strict=True))
                if (relation.tenant_column, parent.tenant_column) in pairs:
                    continue
                rows = (
                    f"select from {source(relation)} as t where {self.condition(relation)}"
                    f" and exists (select from {source(parent)} as p"
                    f" where {self.tenants.joined(relation, reference, 't', 'p')}"
                    f" and ({self.condition(parent, 'p')}) is not true)"
                )
                if one(connection, f"select exists ({rows})"):
                    yield f"{relation.qualified} ({', '.join(reference.columns)})"

    def counts(self, connection: Connection) -> dict[str, int]:
        """Return how many rows the tenant has in each table that has any."""
        found = {
            relation.qualified: one(
                connection,
                f"select count(*) from {source(relation)} as t where {self.condition(relation)}",
            )
            for relation in self.tables
        }
        return {name: int(count) for name, count in found.items() if count}

    def label(self, connection: Connection) -> str:
        """Return the name by which people know the tenant; its id where it has none."""
        table = self.tenants.tenant
        if table is None:
            return self.id
        texts = [c.name for c in table.columns if c.category == "S" and c.name not in table.key]
        column = "name" if "name" in texts else next(iter(texts), "")
        if not column:
            return self.id
        text = f"select t.{quoted(column)}::text from {source(table)} as t"
        return str(one(connection, f"{text} where {self.condition(table)}") or self.id)

    def digest(self, connection: Connection) -> dict[str, tuple[int, ...]]:
        """Return count and digest of the rows that are not the tenant's, of every table."""
        parts = []
        for relation in self.tenants.relations.values():
            if relation.is_table and relation.parent is None:
                theirs = (
                    f"({self.condition(relation, 'x')}) is not true"
                    if relation in self.tables
                    else "true"
                )
                sums = (
                    f"coalesce(sum(hashtextextended(row(x.*)::text, {seed})), 0)" for seed in (1, 2)
                )
                parts.append(
                    f"select {literal(relation.qualified)}, count(*), {', '.join(sums)}"
                    f" from {source(relation)} as x where {theirs}"
                )
        rows = connection.execute(" union all ".join(parts).encode()).fetchall()
        return {name: tuple(map(int, found)) for name, *found in rows}


def read(connection: Connection, sql_dir: Path, tenant: str) -> Tenant:
    """Return a tenant as isolation.toml describes it. Raises UsageError, naming the file."""
    if not (sql_dir / NAME).is_file():
        hint = MISSING.rpartition("\n")[0]
        raise UsageError(f"{sql_dir / NAME} does not exist", hint=hint)
    file = config.read(sql_dir / NAME)
    found = relations.read(connection, file)
    _refuse_withheld(found)
    known = {name for r in found.relations.values() for name in (r.name, f"{r.schema}.{r.name}")}
    if file.tenant_table and found.tenant is None:
        problem = f"there is no table {file.tenant_table}"
        raise file.error(("tenant", "table"), problem, file.tenant_table, known, _APPLY)
    own = {(r.schema, r.name): r for r in found.owned() if r.tenancy == TENANT}
    if not own:
        columns = {c.name for r in found.relations.values() for c in r.columns}
        problem = f"no table has a column {file.tenant_column}"
        raise file.error(("tenant", "column"), problem, file.tenant_column, columns, _APPLY)
    return Tenant(tenant, file, found, tuple(in_order(connection, found, own.values())))


def _refuse_withheld(tenants: TenantMap) -> None:
    """Raise UsageError if the map lacks a relation: its rows would be left out."""
    found = [
        f"{relation.qualified} would run code of {tenants.owners[relation.oid]} as a superuser"
        for relation in tenants.withheld
        if isinstance(relation, Relation)
    ]
    if found or tenants.blocked:
        raise UsageError(found[0] if found else tenants.blocked, hint=_AS_OWNER)


def in_order(
    connection: Connection, tenants: TenantMap, chosen: Iterable[Relation]
) -> list[Relation]:
    """Return tables in the order of inserts: referenced ones first."""
    left = {(r.schema, r.name): r for r in chosen}
    listed = []
    for table in shapes.read(connection, numbered=True) if left else ():
        if relation := left.get((table.schema, table.name)):
            implied = [
                shapes.Reference(r.columns, parent.schema, parent.name, r.referred)
                for r in relation.references
                if r.implied and (parent := tenants.relations.get(r.oid))
            ]
            listed.append(replace(table, references=[*table.references, *implied]))
    order = [left.pop((table.schema, table.name)) for table in shapes.in_order(listed)]
    return [*order, *left.values()]


@contextmanager
def deferred(connection: Connection, tables: Iterable[Relation]) -> Iterator[None]:
    """Defer, in the open transaction, foreign keys that are circles in this order of inserts."""
    oids = [table.oid for table in tables]
    found = connection.execute(query("tenant/cycles"), {"tables": oids}).fetchall()
    for off, _ in found:
        connection.execute(off.encode())
    yield
    connection.execute("set constraints all immediate")
    for _, on in found:
        connection.execute(on.encode())


def columns(connection: Connection, tables: Iterable[Relation]) -> dict[int, dict[str, str]]:
    """Return the columns of each table that have values of their own, with their types."""
    found: dict[int, dict[str, str]] = {table.oid: {} for table in tables}
    for oid, name, type_ in connection.execute(
        query("tenant/columns"), {"tables": list(found)}
    ).fetchall():
        found[oid][name] = type_
    return found


def select(relation: Relation, names: Iterable[str], condition: str) -> str:
    """Return the query for rows, ordered by their keys in a way that no collation changes."""
    listed = ", ".join(f"t.{quoted(name)}" for name in names)
    order = ", ".join(f't.{quoted(name)}::text collate "C"' for name in relation.key or names)
    return f"select {listed} from {source(relation)} as t where {condition} order by {order}"


@contextmanager
def transaction(connection: Connection, mode: str, state: str = NO_CHANGES) -> Iterator[None]:
    """Open a transaction of one snapshot, in which every value has one form as text.

    Raises LockTimeout for a lock, and RunnerError for a row that another session changed.
    `state`: what an error before the commit says was changed.
    """
    committing = False
    try:
        with connection.transaction():
            connection.execute(f"set transaction isolation level repeatable read{mode}".encode())
            connection.execute(_FORMATS.encode())
            yield
            committing = True
    except Interrupt as interrupt:
        if committing:
            raise
        raise Interrupted(interrupt.number, state=state) from None
    except psycopg.errors.LockNotAvailable as error:
        raise LockTimeout(
            f"Could not acquire a lock: {error.diag.message_primary}",
            hint="Another session holds it. Run the same command again.",
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise RunnerError(
            str(error.diag.message_primary),
            hint="Connect as the owner of the tables or a superuser, from whom no row is hidden.",
            state=state,
        ) from None
    except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected) as error:
        raise RunnerError(
            f"Another session changed the same rows: {error.diag.message_primary}",
            hint="Run the same command again.",
            state=state,
        ) from None


def one(connection: Connection, text: str) -> Any:
    """Return the first value of the first row, None without a row."""
    row = connection.execute(text.encode()).fetchone()
    return row[0] if row else None


def source(relation: Relation) -> str:
    """Return the table for FROM: an inheritance child is a table of its own."""
    return f"only {relation.qualified}" if relation.kind == "r" else relation.qualified


def array(texts: Iterable[str | None]) -> str:
    """Return texts as an SQL literal of type text[]."""
    return sql.Literal(list(texts)).as_string(None) + "::text[]"


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return sql.Literal(text).as_string(None)


def quoted(name: str) -> str:
    """Return the name of a column as SQL."""
    return sql.Identifier(name).as_string(None)


def _filled(reference: Reference, alias: str) -> str:
    return " and ".join(f"{alias}.{quoted(name)} is not null" for name in reference.columns)
