"""Name tables of tenants that were not distributed, where Citus distributes others."""

from __future__ import annotations

from typing import NamedTuple

from runner.errors import PlanError
from runner.postgres.connection import Connection, has_citus
from runner.queries import query


class Undistributed(NamedTuple):
    """A table that only the coordinator has, and the statements that distribute it."""

    table: str
    column: str
    statements: str

    @property
    def advice(self) -> str:
        return f"has {self.column} and is not distributed, as other tables are by it"


def undistributed(connection: Connection) -> list[Undistributed]:
    """Return such tables; none where the database has no Citus. Reads only."""
    if not has_citus(connection):
        return []
    rows = connection.execute(query("preflight/not_distributed")).fetchall()
    return [Undistributed(*row) for row in rows]


def require(connection: Connection) -> None:
    """Raise PlanError if there is one: its references to distributed tables refuse every row."""
    if found := undistributed(connection):
        statements = "\n".join(one.statements for one in found)
        raise PlanError(
            "; ".join(f"{one.table} {one.advice}" for one in found),
            hint="Its references to these refuse every row. Write this into a migration after it, "
            f"of the source that distributes:\n{statements}",
            state="What was applied stays applied.",
        )
