"""Create and drop scratch databases on a temporary server of the embedded PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from runner.events import Report, Working, silent
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres import embedded
from runner.postgres.connection import connect
from runner.postgres.target import Target, parse
from runner.preflight.temporary_server import temporary_server
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot
from runner.settings import EMBEDDED_VERSIONS

_OWNER = "postgres"


class ScratchServer:
    """A temporary server, with a separate database for each use."""

    def __init__(self, server: embedded.Server) -> None:
        self.server = server
        self._numbers = itertools.count(1)

    def target(self, name: str, user: str = _OWNER) -> Target:
        """Return the address of one of its databases, for one of its roles."""
        url = self.server.url(name, user=user)
        return Target(parse(url), "a scratch server", embedded=False)

    @contextmanager
    def database(self, *, of: str | None = None) -> Iterator[Migrator]:
        """Create a database, yield a migrator for it, and drop it.

        It is empty, or a copy of the database `of`, to which no session may be connected.
        """
        name = f"scratch_{next(self._numbers)}"
        self._execute(
            "create database {}" + (" template {}" if of else ""), name, *([of] if of else [])
        )
        try:
            if of:
                with connect(self.target("postgres")) as admin:
                    copy_privileges(admin, of, name)
            with connect(self.target(name)) as connection:
                yield Migrator(connection, fingerprints=False)
        finally:
            self._execute("drop database if exists {} with (force)", name)

    def snapshot_of(self, files: Sequence[Migration]) -> Snapshot:
        """Return the schema that files produce. Raises FileError or SqlError for a bad file."""
        with self.database() as migrator:
            apply(migrator, files)
            return snapshot.take(migrator.connection)

    def _execute(self, statement: Any, *names: str) -> None:
        with connect(self.target("postgres")) as admin:
            admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def scratch_server(
    version: int, report: Report = silent, settings: Mapping[str, str] | None = None
) -> Iterator[ScratchServer]:
    """Start a server with the embedded version closest to PostgreSQL `version`, and stop it.

    `settings`: PostgreSQL's own, for all of its sessions.
    """
    closest = min(EMBEDDED_VERSIONS, key=lambda major: (abs(major - version), major))
    report(Working(f"starting a scratch server, PostgreSQL {closest}"))
    with temporary_server(closest, settings=settings) as server:
        yield ScratchServer(server)


def copy_privileges(admin: psycopg.Connection[Any], source: str, copy: str) -> None:
    """Give a copy the privileges of its source on the database itself, which it lacks.

    Only TEMPORARY, which PUBLIC has in a new database; who may connect is not compared.
    """
    has = "select pg_catalog.has_database_privilege('public', %s, 'temporary')"
    if admin.execute(has, [source]).fetchone() != (True,):
        revoke = sql.SQL("revoke temporary on database {} from public")
        admin.execute(revoke.format(sql.Identifier(copy)))


def apply(migrator: Migrator, files: Sequence[Migration]) -> None:
    """Apply files to a scratch database, under its lock."""
    with migrator.lock():
        migrator.apply(files)
