"""Insert the rows of an export into another database, in one transaction, as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from runner.errors import NO_CHANGES, RunnerError
from runner.events import Note, Report, Working
from runner.isolation.tenancy.objects import Relation
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot
from runner.tenant import export, folder, rows
from runner.tenant.folder import OWN, Manifest, TableFile

_APPLY = "Apply the same migrations as where it was exported: python -m runner apply"


def load(connection: Connection, sql_dir: Path, source: Path, report: Report) -> Manifest:
    """Insert the rows of a folder, unless the tenant has rows here already. Raises RunnerError.

    Triggers do not fire; keys, checks and references are enforced. Rows of no tenant are inserted
    only where they are missing.
    """
    manifest = folder.read(source)
    with rows.transaction(connection, ""):
        tenant = rows.read(connection, sql_dir, manifest.tenant)
        if found := tenant.counts(connection):
            raise RunnerError(
                f"This database has rows of the tenant {tenant.id} already: {', '.join(found)}",
                hint="An import adds a tenant that is not there. See: tenant erase",
                state=NO_CHANGES,
            )
        known = {r.qualified: r for r in tenant.tenants.relations.values() if r.is_table}
        tables = [(file, _matching(connection, file, known)) for file in manifest.tables]
        foreign = [r for file, r in tables if (file.part == OWN) != (r in tenant.tables)]
        if foreign:
            raise RunnerError(
                f"{foreign[0].qualified} belongs to tenants in only one of the two databases",
                hint=f"Their isolation.toml must agree. {_APPLY}",
                state=NO_CHANGES,
            )
        if snapshot.fingerprint(connection) != manifest.fingerprint:
            report(Note("The schema differs from the one of the export, but its tables fit."))
        relations = [relation for _, relation in tables]
        with _without_triggers(connection, relations), rows.deferred(connection, relations):
            for file, relation in tables:
                report(Working(f"loading {relation.qualified}"))
                with _explained(file):
                    _insert(connection, source, file, relation)
            with _explained(None):
                connection.execute("set constraints all immediate")
        for file, relation in tables:
            if file.part == OWN:
                condition = tenant.condition(relation)
                read = export.lines(connection, relation, file.columns, condition)
                if export.digest(read) != (file.rows, file.sha256):
                    raise RunnerError(
                        f"The rows of {relation.qualified} would not be what was exported",
                        hint="The files hold rows of another tenant, or were changed.",
                        state=NO_CHANGES,
                    )
        oids = [relation.oid for relation in relations]
        for (move,) in connection.execute(query("tenant/sequences"), {"tables": oids}).fetchall():
            connection.execute(move.encode())
    return manifest


def _matching(connection: Connection, file: TableFile, known: dict[str, Relation]) -> Relation:
    """Return the table of a file. Raises RunnerError if it is missing or has other columns."""
    relation = known.get(file.table)
    if relation is None:
        raise RunnerError(f"There is no table {file.table}", hint=_APPLY, state=NO_CHANGES)
    here = rows.columns(connection, [relation])[relation.oid]
    for name in sorted({*here, *file.columns}):
        if here.get(name) != file.columns.get(name):
            raise RunnerError(
                f"{file.table}.{name} is {file.columns.get(name, 'missing')} in the export, and"
                f" {here.get(name, 'missing')} in this database",
                hint=_APPLY,
                state=NO_CHANGES,
            )
    return relation


@contextmanager
def _without_triggers(connection: Connection, tables: Sequence[Relation]) -> Iterator[None]:
    """Switch triggers off for the transaction, so that ids, times and logs stay as they were.

    Other sessions can read these tables meanwhile; those that write to them wait.
    """
    oids = [table.oid for table in tables]
    found = connection.execute(query("tenant/triggers"), {"tables": oids}).fetchall()
    for off, _ in found:
        connection.execute(off.encode())
    yield
    for _, on in found:
        connection.execute(on.encode())


def _insert(connection: Connection, source: Path, file: TableFile, relation: Relation) -> None:
    listed = ", ".join(map(rows.quoted, file.columns))
    into = f"{relation.qualified} ({listed})"
    if file.part == OWN:
        _copy(connection, into, folder.rows(source, file))
        return
    connection.execute(
        f"create temporary table incoming on commit drop as select {listed}"
        f" from {relation.qualified} with no data".encode()
    )
    _copy(connection, f"pg_temp.incoming ({listed})", folder.rows(source, file))
    connection.execute(
        f"insert into {into} overriding system value select {listed} from pg_temp.incoming"
        " on conflict do nothing".encode()
    )
    connection.execute("drop table pg_temp.incoming")


def _copy(connection: Connection, into: str, found: Iterator[list[str | None]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"copy {into} from stdin".encode()) as copy:
        for row in found:
            copy.write_row(row)


@contextmanager
def _explained(file: TableFile | None) -> Iterator[None]:
    """Raise PostgreSQL's refusal of a row as a RunnerError that names the file."""
    try:
        yield
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        where = f"{file.file}: " if file else ""
        found = (error.diag.message_detail, error.diag.context)
        raise RunnerError(
            f"{where}{error.diag.message_primary}",
            hint="\n".join((*filter(None, found), "An import keeps every id and changes none.")),
            state=NO_CHANGES,
        ) from None
