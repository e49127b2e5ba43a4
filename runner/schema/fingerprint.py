"""The catalog's fingerprint: kept when a run ends, so that a change by hand is seen later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot


def entry(connection: Connection) -> str:
    """Return the statements that keep the catalog's fingerprint with the newest entry."""
    fingerprint = snapshot.fingerprint_sql(connection.info.server_version // 10000)
    keep = query("schema/keep_fingerprint").replace("{fingerprint}", fingerprint)
    return f"{snapshot.PATH}; {keep}"


@dataclass(frozen=True)
class Changed:
    """Somebody other than a run has changed the catalog."""

    after: str  # the migration that was the last before it
    since: datetime  # UTC, without saying so

    def __str__(self) -> str:
        return (
            f"changed outside migrations since {self.since:%Y-%m-%d %H:%M} UTC, after {self.after}"
        )


def changed_since(connection: Connection) -> Changed | None:
    """Return when somebody else changed the catalog. Reads only.

    None where it is as the last run left it, and where nobody knows how that was: another release
    or another server kept its fingerprint, or none was kept.
    """
    try:
        row = connection.execute(query("schema/kept_fingerprint")).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    prefix = snapshot.fingerprint_prefix(connection.info.server_version // 10000)
    if row is None or not (row[0] or "").startswith(prefix):
        return None
    return None if row[0] == snapshot.fingerprint(connection) else Changed(row[1], row[2])
