"""A template database, filled once, and a copy of it for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from runner.errors import UsageError
from runner.files import loader
from runner.isolation import application_login, toml_file
from runner.isolation.rows import identity
from runner.isolation.tenancy import config
from runner.isolation.tenancy.config import Config
from runner.migrate import seeds
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection, connect
from runner.postgres.target import Target, parse
from runner.preflight.temporary_server import temporary_server
from runner.queries import query

Fill = Callable[[Connection], object]
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Project:
    """Where the files of a schema are; `seeds` may be absent, and so may its isolation.toml."""

    sql: Path
    seeds: Path

    @property
    def isolation(self) -> Config | None:
        """The isolation.toml beside the migrations."""
        path = self.sql / toml_file.NAME
        return config.read(path) if path.is_file() else None


@dataclass(frozen=True)
class Database:
    """The database of one test."""

    target: Target  # as its owner
    project: Project

    @property
    def admin_url(self) -> str:
        """As the owner of all tables, to prepare rows and to look at them."""
        return self.target.url(show_password=True)

    @property
    def url(self) -> str:
        """As the login of applications, which has no rights before it becomes a role of the API."""
        return self._application.url(show_password=True)

    def connect(self, **parameters: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as the owner, in autocommit mode; `parameters` are psycopg's."""
        return psycopg.connect(self.admin_url, **{"autocommit": True, **parameters})

    @contextmanager
    def act_as(
        self, user: str | None = None, *, role: str | None = None, tenant: str | None = None
    ) -> Iterator[Connection]:
        """Yield a connection in a transaction, committed at the end, as a request of this user.

        The function before each request that isolation.toml names is called, if the role may.

        Args:
            user: the id of a user, as the identity in isolation.toml needs it.
            role: a database role; by default that of the members.
            tenant: its id, where the identity names the tenant.

        Raises UsageError if there is no isolation.toml, the role is not known, or the identity does
        not name a tenant that is given.
        """
        isolation = self.project.isolation
        if isolation is None:
            raise UsageError(
                f"{self.project.sql / toml_file.NAME} does not exist",
                hint="It says how a request becomes a user: docs/isolation.md.",
            )
        if tenant is not None and not identity.names_tenant(isolation):
            raise UsageError(
                f"act_as with the tenant {tenant!r}: no setting of a request names the tenant here",
                hint="The user decides: leave it out, or add {tenant} to [identity] in "
                f"{self.project.sql / toml_file.NAME}.",
            )
        role = role or _role(isolation, user)
        given = {"role": role, **identity.settings(isolation, role, user, tenant)}
        with (
            psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection,
            connection.transaction(),
        ):
            asked = {"function": isolation.pre_request, "roles": [role]}
            request = connection.execute(query("isolation/pre_request"), asked).fetchone()
            for name, value in given.items():
                connection.execute("select set_config(%s, %s, true)", [name, value])
            if request:
                connection.execute(request[1].encode())
            yield connection

    @property
    def _application(self) -> Target:
        with connect(self.target) as connection:
            known = connection.execute("select to_regrole(%s)", [application_login.NAME]).fetchone()
        if known == (None,):
            return self.target
        return replace(
            self.target, parameters={**self.target.parameters, "user": application_login.NAME}
        )


def _role(isolation: Config, user: str | None) -> str:
    """Return the role of a request of a user: there must be one only."""
    actors = isolation.actors.values()
    roles = {a.role for a in actors if bool(a.member or a.user) == bool(user) and not a.everywhere}
    if len(roles) != 1:
        known = ", ".join(sorted({a.role for a in actors}))
        raise UsageError("act_as needs a role here", hint=f"role=…, one of {known}")
    return roles.pop()


class Template:
    """A database that is filled once, and copied for each test."""

    def __init__(self, server: Target, name: str, project: Project) -> None:
        self._server, self._name, self._project = server, name, project

    @contextmanager
    def copy(self) -> Iterator[Database]:
        """Copy it, yield the copy, and drop that."""
        name = f"{self._name}_{next(_numbers)}"
        with connect(self._server) as admin:
            names = map(sql.Identifier, (name, self._name))
            admin.execute(sql.SQL("create database {} template {}").format(*names))
            given = {"copy": name, "template": self._name}
            for (text,) in admin.execute(
                query("isolation/testing/database_properties"), given
            ).fetchall():
                admin.execute(text.encode())
            try:
                yield Database(_of(self._server, name), self._project)
            finally:
                drop = sql.SQL("drop database if exists {} with (force)")
                admin.execute(drop.format(sql.Identifier(name)))


@contextmanager
def template(
    server: Target | None, version: int, project: Project, fill: Fill
) -> Iterator[Template]:
    """Create the template: apply the migrations, load the seeds if there are any, call `fill`.

    Args:
        server: a database of a server, as a role that may create databases; None for a temporary
            embedded server of this major version.
        fill: gets a connection in autocommit mode, as the owner.

    Raises RunnerError for files that cannot be used.
    """
    files = loader.read(project.sql)
    scripts = seeds.read(project.seeds) if project.seeds.is_dir() else []
    isolation = project.isolation
    name = f"plainsql_test_{os.getpid()}_{next(_numbers)}"
    with ExitStack() as stack:
        started = None
        if server is None:
            started = stack.enter_context(temporary_server(version))
            server = Target(parse(started.url("postgres")), "a temporary server", embedded=True)
        admin = stack.enter_context(connect(server))
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        stack.callback(admin.execute, drop)
        target = _of(server, name)
        with connect(target) as connection:
            migrator = Migrator(connection, target=target)
            with migrator.lock():
                migrator.apply(files)
                if scripts:
                    seeds.load(migrator, scripts)
            fill(connection)
            if started and isolation:
                roles = sorted({actor.role for actor in isolation.actors.values()})
                application_login.create(connection, target, roles)
        yield Template(server, name, project)


def _of(server: Target, name: str) -> Target:
    return replace(server, parameters={**server.parameters, "dbname": name})
