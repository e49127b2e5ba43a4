"""The ledger's tables: yoyo's own, in a schema `yoyo`, with our columns beside them.

What is written here is text to be sent together with the commit that it records.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from typing import Any

import psycopg

from runner.database import Connection
from runner.errors import SqlError
from runner.migrations import Migration
from runner.plan import Record
from runner.queries import query

_LONGEST_KEPT = 256 * 1024  # characters of a file's text kept beside its record


def read(connection: Connection) -> dict[str, Record]:
    """Return what is applied, by id. A database without a ledger has none; nothing is written.

    Raises SqlError when the role may not read it.
    """
    try:
        rows = connection.execute(query("records")).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return {}
    except psycopg.errors.InsufficientPrivilege as error:
        raise SqlError(
            f"The ledger cannot be read: {error.diag.message_primary}",
            hint="Connect as the role that applied the migrations. Nothing was done.",
            sqlstate=error.sqlstate or "",
        ) from None
    return {row[0]: Record(*row) for row in rows}


def are_complete(connection: Connection) -> bool:
    """Return whether the tables are there as this version makes them; the last one made tells."""
    row = connection.execute("select to_regclass('yoyo.progress') is not null").fetchone()
    return bool(row and row[0])


def entry(connection: Connection, migration: Migration, operation: str, ms: float) -> str:
    """Return the statements that record an operation."""
    facts: dict[str, Any] = {
        "hash": hashlib.sha256(migration.id.encode()).hexdigest(),
        "id": migration.id,
        "operation": operation,
        "user": operating_system_user(),
        "host": socket.gethostname(),
    }
    change = "unmark"
    if operation in ("apply", "mark"):
        change = "mark"
        facts["sha256"] = migration.sha256
        facts["code_sha256"] = migration.code_sha256
        facts["content"] = migration.text if len(migration.text) <= _LONGEST_KEPT else None
        facts["ms"] = ms
    return f"{filled(connection, change, facts)}; {filled(connection, 'log', facts)}"


def filled(connection: Connection, name: str, values: dict[str, Any]) -> str:
    """Return a query with its values in it, to be sent together with others."""
    return psycopg.ClientCursor(connection).mogrify(query(name), values)


def operating_system_user() -> str:
    """Return who runs this, as the system calls them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
