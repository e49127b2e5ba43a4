"""Sessions as a given person: their role, their token's claims, one read-only transaction.

PostgreSQL enforces that nothing is written: each transaction is `read only`, runs under the
person's role with a statement timeout, and is always rolled back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from runner.postgres.connection import Connection
from runner.postgres.target import Target
from runner.queries import query

Pool = ConnectionPool[Connection]

TIMEOUT = "5s"  # statement_timeout: a page that needs more has asked for too much
MAX_CONNECTIONS = 6  # further requests wait for a free one
POOL_TIMEOUT = 15.0  # seconds to wait for a free connection


class CannotViewAs(Exception):  # noqa: N818 - it reads better where it is raised
    """The connecting role cannot switch to a person's role. Shown on a page only.

    `command` is what to run, exactly as written; `advice` says where.
    """

    def __init__(self, message: str, advice: str, command: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.command = command


@dataclass(frozen=True)
class Person:
    """A person or role to view the database as: a database role and its token's claims."""

    slug: str  # in URLs: anon, service_role, owner, or the token's "sub"
    kind: str  # "owner", "service", "member", "stranger" or "anon"
    name: str
    role: str  # "none" for the connecting role itself
    claims: str = ""  # as JSON
    about: str = ""
    organization: str = ""
    organization_id: str = ""
    id: str = ""
    email: str = ""
    roles: tuple[str, ...] = ()

    @property
    def in_sentence(self) -> str:
        """The name inside a sentence: "the connecting role"; a member's name is unchanged."""
        return self.name if self.kind == "member" else self.name.lower()

    @property
    def is_owner(self) -> bool:
        """Whether this is the connecting role itself."""
        return self.kind == "owner"


def pool(target: Target, timeout: float = POOL_TIMEOUT) -> Pool:
    """Return a pool that opens read-only connections on demand.

    `timeout` is how many seconds a request waits for a free connection before PoolTimeout.
    """
    # Connection errors are shown on the page; the pool's log would write over the terminal.
    logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())
    parameters: dict[str, Any] = {
        "connect_timeout": "5",
        **target.parameters,
        "application_name": "runner studio",
        "client_encoding": "utf8",
        "autocommit": True,
        "prepare_threshold": None,  # a plan made for one person must not serve the next
    }
    return ConnectionPool(
        kwargs=parameters,
        connection_class=psycopg.Connection,
        min_size=0,
        max_size=MAX_CONNECTIONS,
        timeout=timeout,
        reconnect_timeout=2.0,
        configure=_make_read_only,
        check=ConnectionPool.check_connection,
        open=True,
        name="studio",
    )


def _make_read_only(connection: Connection) -> None:
    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ


@contextmanager
def session_as(connections: Pool, person: Person) -> Iterator[Connection]:
    """Yield a connection inside a transaction as this person; it is always rolled back.

    Raises CannotViewAs if the connecting role cannot switch to the person's role; psycopg.Error.
    """
    refusal: psycopg.Error | None = None
    with connections.connection() as connection:
        with connection.transaction(force_rollback=True):
            try:
                connection.execute(
                    query("studio/data/viewer"),
                    {"timeout": TIMEOUT, "claims": person.claims, "role": person.role},
                )
            except (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.InvalidParameterValue,
            ) as error:
                refusal = error
            else:
                yield connection
        if refusal:  # only now, because quoting the names takes a query
            raise _cannot_view_as(connection, person, refusal)


def _cannot_view_as(connection: Connection, person: Person, refusal: psycopg.Error) -> CannotViewAs:
    if isinstance(refusal, psycopg.errors.InvalidParameterValue):
        return CannotViewAs(
            f"There is no role {person.role} in this database",
            "The first migration creates it",
            "python -m runner apply",
        )
    user = connection.info.user
    names = "select pg_catalog.quote_ident(%s), pg_catalog.quote_ident(%s)"
    ((role, grantee),) = connection.execute(names, [person.role, user]).fetchall()
    return CannotViewAs(
        f"{user} is not allowed to SET ROLE {person.role}",
        f"Run as a role that can grant {person.role}",
        f"grant {role} to {grantee};",
    )
