"""The catalog fingerprint kept at the end of a run, by which later manual changes are detected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot


def store_sql(connection: Connection) -> str:
    """Return the statements that store the fingerprint with the newest log entry."""
    fingerprint = snapshot.fingerprint_sql(connection.info.server_version // 10000)
    keep = query("schema/store_fingerprint").replace("{fingerprint}", fingerprint)
    return f"{snapshot.PATH}; {keep}"


@dataclass(frozen=True)
class Changed:
    """The catalog was changed outside of a run."""

    after: str  # id of the last migration before it
    since: datetime  # UTC, without time zone

    def __str__(self) -> str:
        return (
            f"changed outside migrations since {self.since:%Y-%m-%d %H:%M} UTC, after {self.after}"
        )


def changed_since(connection: Connection) -> Changed | None:
    """Return since when the catalog differs from what the last run left. Reads only.

    None where it does not, and where that is unknown: no fingerprint is stored, or one of another
    format or major version.
    """
    try:
        row = connection.execute(query("schema/stored_fingerprint")).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    prefix = snapshot.fingerprint_prefix(connection.info.server_version // 10000)
    if row is None or not (row[0] or "").startswith(prefix):
        return None
    return None if row[0] == snapshot.fingerprint(connection) else Changed(row[1], row[2])
