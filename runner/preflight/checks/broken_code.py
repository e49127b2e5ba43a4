"""Find triggers and functions that use what a file has renamed or dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.postgres.connection import Connection
from runner.preflight.diff import Difference
from runner.queries import query


def removes_names(differences: Sequence[Difference]) -> bool:
    """Return whether an object or column is gone, which code may still use by its name."""
    return any(d.is_whole and d.after is None for d in differences)


def failing(connection: Connection) -> set[tuple[str, str]]:
    """Return what fails for want of an object or column, each with PostgreSQL's reason."""
    with connection.transaction(force_rollback=True):
        connection.execute(query("preflight/checks/broken_code"))
        found = connection.execute("select * from pg_temp.broken_code()").fetchall()
    return {(what, reason) for what, reason in found}


def described(found: set[tuple[str, str]]) -> Iterator[str]:
    for what, reason in sorted(found):
        yield f"{what}: {reason}"
