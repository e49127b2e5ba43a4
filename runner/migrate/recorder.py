"""The ledger's tables: yoyo's own, in a schema `yoyo`, with our columns beside them.

What is written here is text to be sent together with the commit that it records.
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

from runner.errors import SqlError
from runner.files.loader import Migration
from runner.migrate.plan import Record
from runner.postgres.connection import Connection
from runner.queries import query

_LONGEST_KEPT = 256 * 1024  # characters of a file's text kept beside its record


def read(connection: Connection) -> dict[str, Record]:
    """Return what is applied, by id. A database without a ledger has none; nothing is written.

    Raises SqlError when the role may not read it.
    """
    try:
        try:
            rows = _asked(connection, "records")
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            rows = _asked(connection, "records_of_stock_yoyo")
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return {}
    except psycopg.errors.InsufficientPrivilege as error:
        raise SqlError(
            f"The ledger cannot be read: {error.diag.message_primary}",
            hint="Connect as the role that applied the migrations. Nothing was done.",
            sqlstate=error.sqlstate or "",
        ) from None
    return {row[0]: Record(*row) for row in rows}


def _asked(connection: Connection, name: str) -> list[TupleRow]:
    """Ask; where that fails inside a transaction, the transaction is as it was."""
    if connection.info.transaction_status == pq.TransactionStatus.IDLE:
        return connection.execute(query(f"migrate/{name}")).fetchall()
    with connection.transaction():
        return connection.execute(query(f"migrate/{name}")).fetchall()


def unfinished(connection: Connection) -> set[str]:
    """Return what was begun outside a transaction and is not done, as `progress` names it."""
    return {name for (name,) in connection.execute(query("migrate/unfinished"))}


def are_complete(connection: Connection) -> bool:
    """Return whether the tables are there as this version makes them; what is made last tells."""
    row = connection.execute(
        "select from pg_catalog.pg_attribute"
        " where attrelid = to_regclass('yoyo._yoyo_log') and attname = 'fingerprint'"
    ).fetchone()
    return row is not None


def entry(
    connection: Connection,
    migration: Migration,
    operation: str,
    ms: float | None,
    *,
    unfinished: bool = True,
) -> str:
    """Return the statements that record an operation.

    `ms`: how long it took; None where the server finds out, or outside a transaction nobody does.
    `unfinished`: something may be under way that is not any more.
    """
    if operation in ("apply", "mark"):
        timed = {"ms": ms, "in_transaction": migration.header.transactional}
        change, known = "mark", {**facts(migration, operation), **timed}
    else:
        change, known = "unmark", _operation(migration, operation)
    names = (change, "forget_progress", "log") if unfinished else (change, "log")
    return filled(connection, known, *names)


def facts(migration: Migration, operation: str) -> dict[str, Any]:
    """Return what a record holds of a file, and of who does what with it."""
    return {
        **_operation(migration, operation),
        "sha256": migration.sha256,
        "code_sha256": migration.code_sha256,
        "content": migration.text if len(migration.text) <= _LONGEST_KEPT else None,
    }


def _operation(migration: Migration, operation: str) -> dict[str, Any]:
    return {
        "hash": hashlib.sha256(migration.id.encode()).hexdigest(),
        "id": migration.id,
        "operation": operation,
        "user": operating_system_user(),
        "host": socket.gethostname(),
    }


def content(connection: Connection, id_: str) -> str | None:
    """Return a file as it was applied; None where that was not kept. Reads only."""
    row = connection.execute(query("migrate/content"), {"id": id_}).fetchone()
    return str(row[0]) if row and row[0] is not None else None


def filled(connection: Connection, values: dict[str, Any], *names: str) -> str:
    """Return queries with their values in them, to be sent together with others."""
    text = "; ".join(query(f"migrate/{name}") for name in names)
    return psycopg.ClientCursor(connection).mogrify(text, values)


@cache
def operating_system_user() -> str:
    """Return who runs this, as the system calls them; LOGNAME may hold anything."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = str(os.getuid())
    return name.encode("utf-8", "replace").decode()[:100]
