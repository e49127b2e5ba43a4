"""Sessions as a given person: their role, the settings of their request, one read-only transaction.

PostgreSQL enforces that nothing is written: each transaction is `read only`, runs under the
person's role with a statement timeout, and is always rolled back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from runner.isolation import untrusted
from runner.postgres.connection import Connection
from runner.postgres.target import Target
from runner.queries import query
from runner.studio.data import project
from runner.studio.data.project import Project

Pool = ConnectionPool[Connection]

TIMEOUT = "5s"  # statement_timeout: a page that needs more has asked for too much
MAX_CONNECTIONS = 6  # further requests wait for a free one
POOL_TIMEOUT = 15.0  # seconds to wait for a free connection
_MAX_REASON = 500  # characters: an error may quote a long value
# SQLSTATE classes that mean no usable connection: connection exception, insufficient resources,
# operator intervention. psycopg's OperationalError also covers errors of a single statement.
_CONNECTION_CLASSES = ("08", "53", "57")


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
    """A person or role to view the database as: a database role and the settings of a request."""

    slug: str  # in URLs; see people.py. Empty: no token can be theirs
    kind: str  # "owner", "service", "member", "stranger" or "actor": the color
    name: str
    role: str  # "none" for the connecting role itself
    settings: tuple[tuple[str, str], ...] = ()
    about: str = ""
    tenant: str = ""  # its name
    tenant_id: str = ""
    email: str = ""
    roles: tuple[str, ...] = ()  # in the tenant

    @property
    def in_sentence(self) -> str:
        """The name inside a sentence: "the connecting role"; a member's name is unchanged."""
        return self.name.lower() if self.kind in ("owner", "stranger") else self.name

    @property
    def is_owner(self) -> bool:
        """Whether this is the connecting role itself."""
        return self.kind == "owner"

    @property
    def is_actor(self) -> bool:
        """Whether this is any caller of a kind in a tenant, and no certain person."""
        return self.slug.startswith("actor:")

    @property
    def request(self) -> str:
        """The statements that make a session this person's, as SQL."""
        lines = [f"set local role {_quoted(self.role)};"] if not self.is_owner else []
        for name, value in self.settings:
            given = ", ".join("'" + part.replace("'", "''") + "'" for part in (name, value))
            lines.append(f"select set_config({given}, true);")
        return "\n".join(lines)


@dataclass(frozen=True)
class Source:
    """A database, and the folder whose isolation.toml says who uses it."""

    connections: Pool
    logins: Pool  # for people; the same if there is no login for them
    sql_dir: Path

    @property
    def project(self) -> Project:
        """What the file says now: it may be edited while the studio runs."""
        return project.read(self.sql_dir)

    @property
    def login_statement(self) -> str:
        """The statement that makes a login which is no superuser; empty if there is one."""
        if self.logins is not self.connections:
            return ""
        roles = sorted({_quoted(actor.role) for actor in self.project.actors})
        grant = f"\ngrant {', '.join(roles)} to app_login;" if roles else ""
        return f"create role app_login login noinherit;{grant}"

    def of(self, person: Person) -> Pool:
        """Return the connections through which the database is viewed as a person."""
        return self.connections if person.is_owner else self.logins


@contextmanager
def opened(
    target: Target, sql_dir: Path, login: Target | None = None, timeout: float = POOL_TIMEOUT
) -> Iterator[Source]:
    """Open connections to a database, and close them at the end.

    `login`: the same database for a login that can only become people's roles, which they are then
    viewed through. `timeout`: seconds to wait for a free connection before PoolTimeout.
    """
    with pool(target, timeout) as connections:
        if login is None or login == target:
            yield Source(connections, connections, sql_dir)
        else:
            with pool(login, timeout) as logins:
                yield Source(connections, logins, sql_dir)


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
def session_as(source: Source, person: Person) -> Iterator[Connection]:
    """Yield a connection inside a transaction as this person; it is always rolled back.

    Raises CannotViewAs if the connecting role cannot switch to the person's role; psycopg.Error.
    """
    refusal: psycopg.Error | None = None
    with source.of(person).connection() as connection:
        with connection.transaction(force_rollback=True):
            if source.of(person) is source.connections:
                untrusted.limit_search_path(connection)
            if person.settings:
                settings = json.dumps(dict(person.settings))
                connection.execute(query("studio/data/settings"), {"settings": settings})
            try:
                given = {"timeout": TIMEOUT, "role": person.role}
                connection.execute(query("studio/data/viewer"), given)
            except (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.InvalidParameterValue,
            ) as error:
                refusal = error
            else:
                _prepare(connection, source, person)
                yield connection
        if refusal:  # only now, because quoting the names takes a query
            raise _cannot_view_as(connection, person, refusal)


def _prepare(connection: Connection, source: Source, person: Person) -> None:
    """Call what the project calls before each request, where the database has it."""
    config = source.project.config
    if config and config.pre_request and person.settings:
        given = {"function": config.pre_request, "roles": [person.role]}
        for name, call in connection.execute(query("isolation/pre_request"), given).fetchall():
            if name:
                connection.execute(call.encode())


def connection_failed(error: Exception) -> bool:
    """Return whether an error means that there is no usable connection."""
    return isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate.startswith(_CONNECTION_CLASSES)
    )


def reason(error: psycopg.Error, timeout: str) -> str:
    """Return why a statement failed, as PostgreSQL says it; `timeout` is the one it had."""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return f"the query took longer than {timeout}"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "it is locked: another session is changing it"
    return (error.diag.message_primary or str(error))[:_MAX_REASON]


def _cannot_view_as(connection: Connection, person: Person, refusal: psycopg.Error) -> CannotViewAs:
    if isinstance(refusal, psycopg.errors.InvalidParameterValue):
        return CannotViewAs(
            f"There is no role {person.role} in this database",
            "[actors] in isolation.toml names it, and a migration has to create it",
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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
