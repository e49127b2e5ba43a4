"""Refresh the materialized views in the transaction of the rows, so that these are in them."""

from __future__ import annotations

import psycopg

from runner.isolation.rows.fixture import Failure, Fixture
from runner.isolation.tenancy.objects import SHARED
from runner.postgres.connection import Connection
from runner.queries import query

_COMMITTED = "a refresh would be committed, with the rows of this proof"
_READ = (
    "another session reads it, and had to wait for the refresh. A unique index on it, of columns "
    "alone and all rows, lets it be refreshed beside readers"
)


def refresh(
    connection: Connection, fixture: Fixture, *, exclusive: bool = True, committed: bool = False
) -> None:
    """Refresh each materialized view; note in the fixture those that could not be, and why.

    `exclusive`: also those that other sessions cannot read meanwhile. `committed`: the rows of the
    fixture are, so nothing is refreshed.
    """
    tenants = fixture.tenants
    views = [r for r in tenants.relations.values() if r.kind == "m" and not tenants.is_platforms(r)]
    beside = {
        oid
        for (oid,) in connection.execute(
            query("isolation/rows/concurrently"), {"views": [view.oid for view in views]}
        )
    }
    for view in sorted(views, key=lambda v: v.oid):  # one that reads another was made later
        reason = _COMMITTED if committed else ""
        if not (reason or exclusive or view.oid in beside):
            reason = _READ
        if not reason:
            how = "concurrently " if view.oid in beside else ""
            try:
                with connection.transaction():
                    text = f"refresh materialized view {how}{view.qualified}"
                    connection.execute(text.encode())
            except psycopg.Error as error:
                if connection.closed:
                    raise
                reason = error.diag.message_primary or str(error)
        if reason and view.tenancy != SHARED:
            fixture.unrefreshed.append(Failure(view, "", reason))
