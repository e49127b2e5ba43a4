"""Write the rows of one tenant, and those of no tenant that they refer to, from one snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from runner.errors import NO_CHANGES, RunnerError, UsageError
from runner.events import Note, Report, Working
from runner.isolation.tenancy.objects import Reference, Relation
from runner.postgres.connection import Connection
from runner.schema import snapshot
from runner.tenant import folder, rows
from runner.tenant.folder import OWN, REFERENCED, Manifest, TableFile
from runner.tenant.rows import Tenant

Values = dict[str, str | None]


def export(
    connection: Connection, sql_dir: Path, name: str, target: Path, report: Report
) -> Manifest:
    """Write a tenant's rows to a new folder. Reads only; raises RunnerError.

    `name`: the id of the tenant. The folder appears when it is complete.
    """
    for path in folder.unfinished(target):
        report(Note(f"{path} is of an export that was killed or still runs: delete it if killed"))
    with folder.new(target) as place, rows.transaction(connection, ", read only"):
        tenant = rows.read(connection, sql_dir, name)
        require(connection, tenant)
        for what in tenant.crossing(connection):
            raise RunnerError(
                f"Rows of this tenant refer to rows of another tenant: {what}",
                hint="They would not be complete elsewhere. Correct or delete them first.",
                state=NO_CHANGES,
            )
        needs = _Needs(connection, tenant)
        columns = rows.columns(connection, tenant.tables)
        own: list[TableFile] = []
        for relation in tenant.tables:
            report(Working(f"reading {relation.qualified}"))
            found = lines(connection, relation, columns[relation.oid], tenant.condition(relation))
            file = _File(place, len(own) + 51, relation, OWN)  # after those that they refer to
            for values in found:
                needs.add(relation, values)
                file.write(values)
            own.append(file.close(columns[relation.oid]))
        others = list(needs.files(place))
        manifest = Manifest(
            tenant=name,
            at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            server=connection.info.parameter_status("server_version") or "?",
            database=connection.info.dbname,
            fingerprint=snapshot.fingerprint(connection),
            tables=(*others, *own),
        )
        folder.write_manifest(place, manifest)
    return manifest


def require(connection: Connection, tenant: Tenant) -> None:
    """Raise UsageError unless there is such a tenant."""
    table = tenant.tenants.tenant
    if table is None:
        column, reason = tenant.config.tenant_column, ""
        try:
            found = tenant.counts(connection)
        except psycopg.DataError as error:
            found, reason = {}, str(error.diag.message_primary)
        if not found:
            raise UsageError(f"There is no row whose {column} is {tenant.id!r}", hint=reason)
        return
    key = f"t.{rows.quoted(table.tenant_column or '')}::text"
    from_ = f"from {rows.source(table)} as t where {key}"
    if rows.one(connection, f"select true {from_} = {rows.literal(tenant.id)}"):
        return
    same = ""
    for text_column in table.columns:
        if text_column.category == "S" and not same:
            name = (
                f"lower(t.{rows.quoted(text_column.name)}::text) = lower({rows.literal(tenant.id)})"
            )
            text = f"select {key} from {rows.source(table)} as t where {name} limit 1"
            same = str(rows.one(connection, text) or "")
    raise UsageError(
        f"There is no tenant {tenant.id!r} in {table.qualified}",
        hint=f"Did you mean the one whose {table.tenant_column} is {same}?"
        if same
        else f"It is named by its {table.tenant_column}: select * from {table.qualified};",
    )


def lines(
    connection: Connection, relation: Relation, columns: Iterable[str], condition: str
) -> Iterator[Values]:
    """Yield rows by column, each value as PostgreSQL's output function writes it."""
    text = f"copy ({rows.select(relation, columns, condition)}) to stdout"
    names = list(columns)
    with connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
        for row in copy.rows():
            yield dict(zip(names, row, strict=True))


def digest(found: Iterable[Values]) -> tuple[int, str]:
    """Return count and SHA-256 of rows, as of their file."""
    count, hashed = 0, hashlib.sha256()
    for values in found:
        count += 1
        hashed.update(folder.line(values))
    return count, hashed.hexdigest()


class _File:
    """Write the file of a table."""

    def __init__(self, place: Path, number: int, relation: Relation, part: str) -> None:
        self._name = folder.file_name(number, relation.qualified)
        self._file = (place / self._name).open("wb")
        self._hash, self._rows, self._table, self._part = (
            hashlib.sha256(),
            0,
            relation.qualified,
            part,
        )

    def write(self, values: Values) -> None:
        text = folder.line(values)
        self._hash.update(text)
        self._file.write(text)
        self._rows += 1

    def close(self, columns: dict[str, str]) -> TableFile:
        self._file.close()
        return TableFile(
            self._table, self._part, self._name, self._rows, self._hash.hexdigest(), columns
        )


class _Needs:
    """The rows of no tenant that exported rows refer to, and those that these refer to."""

    def __init__(self, connection: Connection, tenant: Tenant) -> None:
        self._connection, self._tenant = connection, tenant
        self._wanted: dict[tuple[int, tuple[str, ...]], set[rows.Row]] = {}
        self._rows: dict[int, dict[rows.Row, Values]] = {}

    def add(self, relation: Relation, values: Values) -> None:
        """Note what a row refers to."""
        for reference in self._outward(relation):
            key = tuple(values[name] for name in reference.columns)
            if None not in key:
                wanted = self._wanted.setdefault((reference.oid, tuple(reference.referred)), set())
                wanted.add(key)

    def _outward(self, relation: Relation) -> Iterator[Reference]:
        for reference in relation.references:
            parent = self._tenant.tenants.relations.get(reference.oid)
            if parent and not reference.implied and parent not in self._tenant.tables:
                yield reference

    def files(self, place: Path) -> Iterator[TableFile]:
        """Read and write the rows, in the order of inserts."""
        relations, done = self._tenant.tenants.relations, set[tuple[int, rows.Row]]()
        while self._wanted:
            (oid, referred), keys = self._wanted.popitem()
            relation, found = relations[oid], self._rows.setdefault(oid, {})
            columns = rows.columns(self._connection, [relation])[oid]
            condition = _among(self._tenant, relation, referred, keys)
            for values in list(lines(self._connection, relation, columns, condition)):
                row = tuple(values.values())
                if (oid, row) not in done:
                    done.add((oid, row))
                    self.add(relation, values)
                    found[row] = self._without_tenant(relation, values)
        chosen = [relations[oid] for oid, found in self._rows.items() if found]
        order = rows.in_order(self._connection, self._tenant.tenants, chosen)
        for number, relation in enumerate(order, 1):
            columns = rows.columns(self._connection, [relation])[relation.oid]
            file = _File(place, number, relation, REFERENCED)
            for values in self._rows[relation.oid].values():
                file.write(values)
            yield file.close(columns)

    def _without_tenant(self, relation: Relation, values: Values) -> Values:
        """Return a row without optional references to tenants: these may be others."""
        kept = dict(values)
        for reference in relation.references:
            if self._tenant.tenants.relations.get(reference.oid) in self._tenant.tables:
                for name in reference.columns:
                    column = relation.column(name)
                    if column and not column.not_null and name in kept:
                        kept[name] = None
        return kept


def _among(
    tenant: Tenant, relation: Relation, referred: tuple[str, ...], keys: Collection[rows.Row]
) -> str:
    """Return the condition that a row has one of these keys."""
    equal = " and ".join(
        f"t.{rows.quoted(name)} {tenant.tenants.equal(relation, name)} k.c{n}::{column.type}"
        for n, name in enumerate(referred)
        if (column := relation.column(name))
    )
    listed = sorted(keys, key=str)
    places = range(len(referred))
    lists = ", ".join(rows.array([key[n] for key in listed]) for n in places)
    named = ", ".join(f"c{n}" for n in places)
    return f"exists (select from unnest({lists}) as k ({named}) where {equal})"
