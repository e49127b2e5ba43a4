"""Run an applied file again, and find out what that changes."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from runner.execution import transactional
from runner.execution.sql_errors import own_sql_error
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection
from runner.preflight.catalog_changes import RESET_SESSION, CatalogChanges
from runner.preflight.diff import Difference, difference
from runner.queries import query
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot

_Table = tuple[str, str]  # schema and name


def run_again(
    migrator: Migrator, reader: Connection, file: Migration, expected: Snapshot
) -> tuple[list[Difference], list[str]]:
    """Run an applied file again; return what differs from `expected`, and the tables it changes.

    A transactional file runs on `reader`, another connection, and is rolled back, so the database
    stays as it is, also after an error.
    Raises RunnerError if the file fails.
    """
    connection = reader
    if not file.header.transactional:
        connection = migrator.connection
        known = _row_changes(connection)
        before = _digests(connection, known)
        with migrator.lock():
            migrator.record(file, "unmark")
            migrator.apply([file])
        found = difference(expected, snapshot.take(connection))
        after = _digests(connection, before.keys() & _row_changes(connection).keys())
    else:
        with connection.transaction(force_rollback=True):
            changes, known = CatalogChanges(connection, expected), _row_changes(connection)
            changes.begin(transactional=True)
            run(connection, file)
            now = _row_changes(connection)
            after = _digests(connection, (t for t in now if known.get(t, now[t]) != now[t]))
            changed = changes.since(file.statements)
            found = difference(*changed) if changed else []
        before = _digests(connection, after)
    return found, [".".join(table) for table in after if after[table] != before[table]]


def run(connection: Connection, file: Migration) -> None:
    """Run a file in the open transaction, up to what its commit would check."""
    transactional.run_whole(connection, file, state="")
    end = f"set constraints all immediate; {RESET_SESSION}"
    _, error = transactional.send(connection, end)
    if error:
        raise own_sql_error(error, f"at the commit of {file}", state="")


def catalog_writes(connection: Connection) -> int:
    """Return a number that changes when this session writes to the catalog."""
    row = connection.execute(query("preflight/catalog_writes")).fetchone()
    return int(row[0]) if row else -1


def _row_changes(connection: Connection) -> dict[_Table, str]:
    rows = connection.execute(query("preflight/checks/row_changes")).fetchall()
    return {(schema, name): changes for schema, name, changes in rows}


def _digests(connection: Connection, tables: Iterable[_Table]) -> dict[_Table, str]:
    """Return a digest of the rows of each table, independent of their order."""
    one = sql.SQL(
        "select {}, {}, md5(coalesce(string_agg(t::text, chr(10) order by t::text), '')) from {} t"
    )
    parts = [one.format(*map(sql.Literal, t), sql.Identifier(*t)) for t in tables]
    if not parts:
        return {}
    rows = connection.execute(sql.SQL(" union all ").join(parts)).fetchall()
    return {(schema, name): digest for schema, name, digest in rows}
