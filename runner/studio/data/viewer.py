"""Who is looking: everything is read in a transaction as that role, with the claims of that token.

What keeps it read-only is the database: each transaction is `read only`, under the person's role
and with a limit on its time, and is rolled back whatever happens.
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

TIMEOUT = "5s"  # for a statement: whoever browses has asked for too much after that
AT_ONCE = 6  # connections; further requests wait for their turn
PATIENCE = 15.0  # seconds of that wait


class CannotLook(Exception):  # noqa: N818 - it reads better where it is raised
    """The connecting role may not become this one. Seen on a page only."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Person:
    """Somebody to look as: a database role, and the claims that come with it."""

    slug: str  # in addresses: anon, service_role, owner, or the "sub" of the token
    kind: str  # "owner", "service", "member", "stranger" or "anon"
    name: str
    role: str  # "none": as the connection is
    claims: str = ""
    about: str = ""
    organization: str = ""
    organization_id: str = ""
    id: str = ""
    email: str = ""
    roles: tuple[str, ...] = ()

    @property
    def is_owner(self) -> bool:
        """Whether this is the connecting role itself."""
        return self.kind == "owner"


def pool(target: Target, patience: float = PATIENCE) -> Pool:
    """Return connections to a database, made when they are asked for."""
    # A connection that fails is told on the page; the pool's log would write over the terminal.
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
        max_size=AT_ONCE,
        timeout=patience,
        reconnect_timeout=2.0,
        configure=_reading,
        check=ConnectionPool.check_connection,
        open=True,
        name="studio",
    )


def _reading(connection: Connection) -> None:
    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ


@contextmanager
def through(connections: Pool, person: Person) -> Iterator[Connection]:
    """Look as somebody: yields a connection in their transaction, which is rolled back.

    Raises CannotLook where the connecting role may not become theirs; psycopg.Error.
    """
    with connections.connection() as connection, connection.transaction(force_rollback=True):
        try:
            connection.execute(
                query("studio/data/viewer"),
                {"timeout": TIMEOUT, "claims": person.claims, "role": person.role},
            )
        except (
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.InvalidParameterValue,
        ) as error:
            raise _cannot(connection, person, error) from None
        yield connection


def _cannot(connection: Connection, person: Person, error: psycopg.Error) -> CannotLook:
    user = connection.info.user
    if isinstance(error, psycopg.errors.InvalidParameterValue):
        return CannotLook(
            f"There is no role {person.role} in this database",
            hint="The first migration makes it where it is missing: python -m runner apply",
        )
    return CannotLook(
        f"{user} may not become {person.role}",
        hint=f"As a role that may: grant {person.role} to {quoted(user)};",
    )


def quoted(name: str) -> str:
    """Return a name as one writes it in a statement for a person to read."""
    return name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'
