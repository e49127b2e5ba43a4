"""The catalog fingerprint kept at the end of a run, by which later manual changes are detected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from runner.errors import LockTimeout
from runner.events import Note, Report, silent
from runner.postgres.connection import Connection
from runner.queries import query
from runner.schema import snapshot

_OTHER_VERSION = """\
Manual changes were not looked for: the last run was on another major version of PostgreSQL, or of
the runner's catalog. To look once, and remember the result: python -m runner apply --restored"""


def store_sql() -> str:
    """Return the statements that store the fingerprint with the newest log entry."""
    keep = query("schema/store_fingerprint").replace("{fingerprint}", snapshot.fingerprint_sql())
    # Deferred triggers run after this.
    return f"{snapshot.PIN}; {snapshot.scoped(keep)}; {snapshot.UNPIN}"


@dataclass(frozen=True)
class Changed:
    """The catalog was changed outside of a run."""

    after: str  # id of the last migration before it
    since: datetime  # UTC, without time zone

    def __str__(self) -> str:
        since = f"{self.since:%Y-%m-%d %H:%M} UTC"
        return f"changed outside migrations since {since}, after {self.after}"


def changed_since(connection: Connection, report: Report = silent) -> Changed | None:
    """Return since when the catalog differs from what the last run left. Reads only.

    None where it does not, and where that is unknown: no fingerprint is stored, or one of another
    format or major version, or a lock does not let the catalog be read. The last two are reported.
    """
    try:
        stored = snapshot.scoped(query("schema/stored_fingerprint"))
        row = connection.execute(stored.encode()).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    if row is None or not row[0] or row[3]:
        return None
    stored, after, since, _ = row
    try:
        now = snapshot.fingerprint(connection)
    except LockTimeout as error:
        report(Note(f"Manual changes were not looked for. {error.message}"))
        return None
    if stored.rpartition(":")[0] != now.rpartition(":")[0]:
        report(Note(_OTHER_VERSION))
        return None
    return Changed(after, since) if stored != now else None
