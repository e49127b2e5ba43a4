"""Objects that a session of a superuser must not use, because another role decides what they do.

Row-level security and `set role` do not limit code that a superuser's session runs: it can undo the
role, and then run a program on the server. What leads to such code is a relation or function whose
owner is not trusted; see untrusted.sql.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.isolation.tenancy.config import Config
from runner.postgres.connection import Connection
from runner.queries import query


@dataclass(frozen=True)
class Untrusted:
    """A relation, function or operator, and the role whose code it leads to."""

    oid: int
    name: str  # quoted, with the schema where it is needed
    owner: str
    is_relation: bool
    shadows: bool  # it could be used instead of an object of PostgreSQL or of a trusted role


def read(connection: Connection, config: Config | None) -> list[Untrusted]:
    """Return these objects; none for a session that could not run programs on the server.

    Trusted are the owners of the tables that the project's file names, if any, else of schemas.
    """
    if not _has_untrusted_owners(connection):
        return []
    named: list[str] = []
    if config:
        people = config.people.table if config.people else None
        named = [name for name in (config.tenant_table, people, *config.rights) if name]
    given = {"tables": named, "schemas": not named}
    return [Untrusted(*row) for row in connection.execute(query("isolation/untrusted"), given)]


def limit_search_path(connection: Connection, *, local: bool = True) -> None:
    """Let no statement find a function or operator of such a role instead of PostgreSQL's own.

    `local`: until the transaction ends, else for the session. Nothing is changed elsewhere.
    """
    if _has_untrusted_owners(connection):
        connection.execute(query("isolation/limit_search_path"), {"local": local})


def _has_untrusted_owners(connection: Connection) -> bool:
    """Whether the other queries can find anything, which take longer to plan; seldom true."""
    return connection.execute(query("isolation/untrusted_owners")).fetchone() == (True,)
