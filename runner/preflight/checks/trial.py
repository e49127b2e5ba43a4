"""Run an applied file again, and find out what that changes."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager

from psycopg import sql

from runner.errors import RunnerError
from runner.execution import transactional
from runner.execution.sql_errors import own_sql_error
from runner.files.loader import Migration
from runner.postgres.connection import Connection
from runner.preflight.catalog_changes import RESET_SESSION
from runner.preflight.checks.chain import Chain
from runner.preflight.checks.finding import Finding, failure
from runner.preflight.diff import Difference, difference
from runner.queries import query

_Table = tuple[str, str]  # schema and name


def check_again(check: str, chain: Chain, file: Migration) -> Iterator[Finding]:
    """Run an applied file again: it must not fail, nor change anything."""
    try:
        found, tables = run_again(chain, file)
    except RunnerError as error:
        yield failure(check, file, "cannot be run again", error)
        return
    details = [*(d.as_effect() for d in found), *(f"rows of {table}" for table in tables)]
    if details:
        yield Finding(check, file.id, "changes the database when it is run again", tuple(details))


def run_again(chain: Chain, file: Migration) -> tuple[list[Difference], list[str]]:
    """Run an applied file again; return what that changes in the catalog, and in which tables.

    A transactional file runs in the chain's other session and is rolled back, so the database
    stays as it is, also after an error.
    Raises RunnerError if the file fails.
    """
    connection, migrator = chain.reader, chain.migrator
    if not file.header.transactional:
        before = _digests(connection)
        with migrator.lock():
            migrator.record(file, "unmark")
            migrator.apply([file])
        changed = chain.changes.since()
        after = _digests(connection, of=before)
    else:
        undone, kept = chain.changes.undone(), _sequences_kept(connection)
        with undone, kept, connection.transaction(force_rollback=True):
            run(connection, file)
            after = _digests(connection, locked=True)
            changed = chain.changes.since()
        before = _digests(connection, of=after) if after else {}
    found = difference(*changed) if changed else []
    return found, [".".join(t) for t in after if t in before and after[t] != before[t]]


@contextmanager
def _sequences_kept(connection: Connection) -> Iterator[None]:
    """Put back what no rollback does: sequences, and what the session has prepared."""
    before = {*connection.execute(query("preflight/checks/sequences"))}
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(RESET_SESSION.encode())
            moved = before - {*connection.execute(query("preflight/checks/sequences"))}
            for name, value, is_called in moved:
                connection.execute("select setval(%s::regclass, %s, %s)", (name, value, is_called))


def run(connection: Connection, file: Migration) -> None:
    """Run a file in the open transaction, up to what its commit would check."""
    transactional.run_whole(connection, file, state="")
    end = f"set constraints all immediate; {RESET_SESSION}"
    _, error = transactional.send(connection, end)
    if error:
        raise own_sql_error(error, f"at the commit of {file}", state="")


def _digests(
    connection: Connection, *, locked: bool = False, of: Container[_Table] | None = None
) -> dict[_Table, str]:
    """Return a digest of the rows of each table, independent of their order.

    `locked`: only of tables whose rows this transaction may have changed. `of`: of these, if they
    exist. A materialized view that is not populated cannot be read: its digest is "".
    """
    one = sql.SQL(  # t.* is the row, also if a column is named t
        "select {}, {}, md5(coalesce(string_agg((t.*)::text, chr(10) order by (t.*)::text), ''))"
        " from {} t"
    )
    parts: list[sql.Composed] = []
    digests: dict[_Table, str] = {}
    tables = connection.execute(query("preflight/checks/tables"), {"locked": locked}).fetchall()
    for schema, name, is_populated in tables:
        if of is None or (schema, name) in of:
            digests[schema, name] = ""
            if is_populated:
                parts.append(
                    one.format(sql.Literal(schema), sql.Literal(name), sql.Identifier(schema, name))
                )
    if parts:
        rows = connection.execute(sql.SQL(" union all ").join(parts)).fetchall()
        digests |= {(schema, name): digest for schema, name, digest in rows}
    return digests
