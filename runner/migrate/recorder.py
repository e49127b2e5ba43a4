"""The migration records: yoyo's tables in a schema `yoyo`, with our columns added.

Records are returned as SQL text, which is sent together with the commit that they record.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from functools import cache
from typing import Any

import psycopg
from psycopg import pq
from psycopg.rows import TupleRow

from runner.errors import NO_CHANGES, SqlError
from runner.files.loader import Migration
from runner.migrate.plan import Record
from runner.postgres.connection import Connection
from runner.queries import query

_LONGEST_KEPT = 256 * 1024  # characters of a file's text stored with its record


def read(connection: Connection) -> dict[str, Record]:
    """Return the records by id; none where the tables do not exist. Writes nothing.

    Raises SqlError when the role may not read them, LockTimeout when they are locked.
    """
    try:
        try:
            rows = _rows(connection, "records")
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            rows = _rows(connection, "records_of_stock_yoyo")
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return {}
    except psycopg.errors.LockNotAvailable:
        from runner.schema import snapshot  # noqa: PLC0415 - only for this error

        raise snapshot.locked(connection, "The table of migration records") from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise SqlError(
            f"The migration records cannot be read: {error.diag.message_primary}",
            hint="Connect as the role that applied the migrations.",
            state=NO_CHANGES,
            sqlstate=error.sqlstate or "",
        ) from None
    return {row[0]: Record(*row) for row in rows}


def _rows(connection: Connection, name: str) -> list[TupleRow]:
    """Run a query; if it fails inside a transaction, that transaction stays usable."""
    idle = connection.info.transaction_status == pq.TransactionStatus.IDLE
    with connection.transaction():
        if idle:  # no wait without a word
            connection.execute("set local lock_timeout = '2s'")
        return connection.execute(query(f"migrate/{name}")).fetchall()


def unfinished(connection: Connection) -> dict[str, int]:
    """Return unfinished runs outside a transaction, as operation and id: statements done."""
    try:
        return dict(_rows(connection, "unfinished"))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return {}


def tables_are_complete(connection: Connection) -> bool:
    """Return whether the tables have this version's form: its newest column exists."""
    row = connection.execute(
        "select from pg_catalog.pg_attribute"
        " where attrelid = to_regclass('yoyo._yoyo_log') and attname = 'fingerprint'"
    ).fetchone()
    return row is not None


def sql_of(
    connection: Connection,
    migration: Migration,
    operation: str,
    ms: float | None,
    *,
    unfinished: bool = True,
) -> str:
    """Return the SQL that records an operation.

    Args:
        operation: "apply", "mark", "edit", "rollback" or "unmark".
        ms: duration; None to let the server measure it, which it can in a transaction.
        unfinished: also delete the progress of a run outside a transaction.
    """
    values: dict[str, Any] = {
        "hash": hashlib.sha256(migration.name.encode()).hexdigest(),  # as yoyo knows it
        "id": migration.id,
        "operation": operation,
        "user": operating_system_user(),
        "host": socket.gethostname(),
    }
    change = {"apply": "mark", "rollback": "unmark"}.get(operation, operation)
    if change != "unmark":
        values |= {
            "sha256": migration.sha256,
            "code_sha256": migration.code_sha256,
            "content": migration.text if len(migration.text) <= _LONGEST_KEPT else None,
            "ms": ms,
            "in_transaction": migration.header.transactional,
        }
    names = (change, "forget_progress", "log") if unfinished else (change, "log")
    return fill(connection, values, *names)


def content(connection: Connection, id_: str) -> str | None:
    """Return the text of a file as it was applied; None where that is not stored. Reads only."""
    row = connection.execute(query("migrate/content"), {"id": id_}).fetchone()
    return str(row[0]) if row and row[0] is not None else None


def fill(connection: Connection, values: dict[str, Any], *names: str) -> str:
    """Return queries with their values filled in, to be sent together with others."""
    text = "; ".join(query(f"migrate/{name}") for name in names)
    return psycopg.ClientCursor(connection).mogrify(text, values)


@cache
def operating_system_user() -> str:
    """Return the operating system's name of the user, at most 100 characters."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container user without a name
        name = str(os.getuid())
    return name.encode("utf-8", "replace").decode()[:100]
