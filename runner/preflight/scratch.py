"""Scratch databases: made on a server from the wheel, tried out, thrown away."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from runner.events import Report, Working, silent
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres import embedded
from runner.postgres.connection import connect
from runner.postgres.target import Target, parse
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot
from runner.settings import EMBEDDED_VERSIONS

_OWNER = "postgres"


class ScratchServer:
    """A scratch server; whoever asks gets databases of their own on it."""

    def __init__(self, server: embedded.Server) -> None:
        self.server = server
        self._numbers = itertools.count(1)

    def target(self, name: str, user: str = _OWNER) -> Target:
        """Where one of its databases is, for any role of its own."""
        url = self.server.url(name, user=user)
        return Target(parse(url), "a scratch server", embedded=False)

    @contextmanager
    def database(self, *, of: str | None = None) -> Iterator[Migrator]:
        """A new database, empty or a copy of another that nobody is connected to."""
        name = f"scratch_{next(self._numbers)}"
        self._do("create database {}" + (" template {}" if of else ""), name, *([of] if of else []))
        try:
            if of:  # privileges on a database are not copied with it
                self._do("revoke temporary on database {} from public", name)
            with connect(self.target(name)) as connection:
                yield Migrator(connection, fingerprints=False)
        finally:
            self._do("drop database if exists {} with (force)", name)

    def snapshot_of(self, files: Sequence[Migration]) -> Snapshot:
        """What the files make of an empty database. Raises FileError or SqlError for a bad one."""
        with self.database() as migrator:
            apply(migrator, files)
            return snapshot.take(migrator.connection)

    def _do(self, statement: Any, *names: str) -> None:
        with connect(self.target("postgres")) as admin:
            admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def scratch_server(version: int, report: Report = silent) -> Iterator[ScratchServer]:
    """A scratch server as near to PostgreSQL `version` as the wheel has one."""
    near = min(EMBEDDED_VERSIONS, key=lambda has: (abs(has - version), has))
    report(Working(f"starting a scratch server, PostgreSQL {near}"))
    with embedded.scratch(near) as server:
        yield ScratchServer(server)


def apply(migrator: Migrator, files: Sequence[Migration]) -> None:
    """Apply files to a scratch database."""
    with migrator.lock():
        migrator.apply(files)
