"""Create and drop scratch databases on a temporary server of the embedded PostgreSQL.

RUNNER_SCRATCH_URL names another server for them, which has extensions that the embedded one lacks.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from runner import embedded
from runner import settings as environment
from runner.errors import NO_CHANGES, DatabaseUnreachable, RunnerError, SqlError, UsageError
from runner.events import Report, Working, silent
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.postgres import signals
from runner.postgres.connection import Connection, connect
from runner.postgres.target import Target, parse
from runner.preflight import lacking
from runner.preflight.temporary_server import temporary_server
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot
from runner.settings import EMBEDDED_VERSIONS

_OWNER = "postgres"
_ADVICE = (
    f"Name a superuser of another server in {environment.SCRATCH_URL}; or unset it, to use the "
    "embedded one."
)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class OtherServer:
    """The server of RUNNER_SCRATCH_URL."""

    address: Target
    version: int
    data_dir: None = None


@dataclass(frozen=True)
class _Limited(Target):
    """A database whose sessions have limits; its URL in a message is the one that was typed."""

    typed_options: str = ""

    def url(self, *, show_password: bool = False) -> str:
        others = {key: value for key, value in self.parameters.items() if key != "options"}
        typed = {"options": self.typed_options} if self.typed_options else {}
        target = Target({**others, **typed}, self.source, self.embedded)
        return target.url(show_password=show_password)


class ScratchServer:
    """A temporary server, with a separate database for each use.

    `twin`: another one like it, for what runs at the same time: databases of a server share roles.
    """

    _numbers = itertools.count(1)

    def __init__(
        self, server: embedded.Server | OtherServer, twin: ScratchServer | None = None
    ) -> None:
        self.server = server
        self.twin = twin

    @property
    def program_version(self) -> int:
        """The version of psql in the wheel for this server: its own, or the newest."""
        known = self.server.version in EMBEDDED_VERSIONS
        return self.server.version if known else max(EMBEDDED_VERSIONS)

    def target(self, name: str, user: str = _OWNER) -> Target:
        """Return the address of one of its databases, for one of its roles."""
        if isinstance(self.server, OtherServer):
            address = self.server.address
            return replace(address, parameters={**address.parameters, "dbname": name})
        url = self.server.url(name, user=user)
        return Target(parse(url), "a scratch server", embedded=False)

    @contextmanager
    def database(
        self,
        *,
        of: str | None = None,
        like: Connection | None = None,
        files: Sequence[Migration] = (),
        report: Report = silent,
    ) -> Iterator[Migrator]:
        """Create a database, yield a migrator for it, and drop it.

        It is empty, or a copy of the database `of`, to which no session may be connected. For files
        without the names of schemas it has the search_path of `like`.
        """
        name = f"scratch_{os.getpid()}_{next(self._numbers)}"
        self._execute(
            "create database {}" + (" template {}" if of else ""), name, *([of] if of else [])
        )
        if isinstance(self.server, OtherServer):  # to compile a query of the catalog takes longer
            self._execute("alter database {} set jit = off", name)
        try:
            if of:
                with connect(self.target(self.maintenance)) as admin:
                    copy_privileges(admin, of, name)
            if like:
                with connect(self.target(name)) as made:
                    lacking.set_path(made, like, files)
            with connect(self.target(name)) as connection:
                yield Migrator(connection, report=report, fingerprints=False)
        finally:
            self._execute("drop database if exists {} with (force)", name)

    def snapshot_of(
        self, files: Sequence[Migration], *, like: Connection | None = None
    ) -> Snapshot:
        """Return the schema that files produce; raises as `read_of`."""
        return self.read_of(files, snapshot.take, like=like)

    def read_of(
        self,
        files: Sequence[Migration],
        read: Callable[[Connection], _Result],
        *,
        like: Connection | None = None,
        before: Callable[[Connection], None] = lambda _: None,
    ) -> _Result:
        """Return what `read` finds in a database with these files.

        `like`: a database that has roles, extensions or a search_path which they may need.
        `before`: runs in the empty database, at each attempt. Raises FileError or SqlError for a
        bad file.
        """
        while True:
            with self.database(like=like, files=files) as migrator:
                before(migrator.connection)
                try:
                    apply(migrator, files)
                    return read(migrator.connection)
                except SqlError as error:
                    if not (like and self._supply(error, like)):
                        raise self._explained(error) from None

    def supplying(
        self,
        run: Callable[[], _Result],
        like: Callable[[], AbstractContextManager[Migrator]] | None,
    ) -> _Result:
        """Run what applies files, and again after each role or extension that this supplies.

        `like`: connects to a database that may have them. Raises what `run` raises.
        """
        while True:
            try:
                return run()
            except SqlError as error:
                supplied = False
                if like and lacking.concerns(error):
                    with suppress(DatabaseUnreachable), like() as migrator:
                        supplied = self._supply(error, migrator.connection)
                if not supplied:
                    raise self._explained(error) from None

    def _supply(self, error: SqlError, like: Connection) -> bool:
        template = "template1" if self.server.data_dir else self.maintenance
        with connect(self.target(template)) as admin:
            supplied = lacking.supply(error, admin, like, self.server.data_dir)
        return supplied and (self.twin is None or self.twin._supply(error, like))

    def _explained(self, error: SqlError) -> SqlError:
        """Say which server an error is about: it reads as if the database had lost something."""
        other = isinstance(self.server, OtherServer)
        which = f"the server of {environment.SCRATCH_URL}" if other else "from the wheel"
        error.state = f"That was on a scratch server, {which}. {NO_CHANGES}"
        if lacking.concerns(error):
            server = f"To use a server that has what the files need: {environment.SCRATCH_URL}=postgresql://…"
            error.hint = f"{error.hint}\n{server}".strip()
        return error

    @property
    def maintenance(self) -> str:
        name = self.server.address.name if isinstance(self.server, OtherServer) else ""
        return name or "postgres"

    def _execute(self, statement: Any, *names: str) -> None:
        with connect(self.target(self.maintenance)) as admin:
            try:
                admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
            except psycopg.Error as error:
                hint = _ADVICE if isinstance(self.server, OtherServer) else ""
                made = SqlError(str(error), hint=hint, sqlstate=error.sqlstate or "")
                raise self._explained(made) from None


@contextmanager
def scratch_server(
    version: int,
    report: Report = silent,
    settings: Mapping[str, str] | None = None,
    *,
    other: bool = False,
    twin: bool = False,
) -> Iterator[ScratchServer]:
    """Start a server with the embedded version closest to PostgreSQL `version`, and stop it.

    Args:
        settings: PostgreSQL's own, for all of its sessions.
        other: use the server of RUNNER_SCRATCH_URL instead, if it is set.
        twin: start two, if not.
    """
    url = environment.load().environ.get(environment.SCRATCH_URL) if other else None
    if url:
        yield ScratchServer(_other_server(url, settings or {}))
        return
    closest = min(EMBEDDED_VERSIONS, key=lambda major: (abs(major - version), major))
    report(Working(f"starting a scratch server, PostgreSQL {closest}"))
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=1) as pool:
        start = partial(temporary_server, closest, settings=settings)
        second = pool.submit(stack.enter_context, start()) if twin else None
        first = stack.enter_context(start())
        yield ScratchServer(first, ScratchServer(second.result()) if second else None)


def _other_server(url: str, settings: Mapping[str, str]) -> OtherServer:
    """Return the server of RUNNER_SCRATCH_URL; an error about it says so."""
    try:
        address = Target(parse(url), environment.SCRATCH_URL, embedded=False)
        if limit := settings.get("statement_timeout"):  # others need a superuser
            typed = address.parameters.get("options", "")
            options = f"{typed} -c statement_timeout={limit}".strip()
            more = {**address.parameters, "options": options}
            address = _Limited(more, environment.SCRATCH_URL, embedded=False, typed_options=typed)
        with connect(address) as connection:
            return OtherServer(address, connection.info.server_version // 10000)
    except UsageError as error:
        message = f"{environment.SCRATCH_URL} cannot be used: {error.message}"
        raise UsageError(message, hint=f"{error.hint}\n{_ADVICE}") from None
    except DatabaseUnreachable as error:
        waits = " To wait for it: --wait SECONDS."  # which is about the database
        error.hint = f"{error.hint.replace(waits, '')}\n{_ADVICE}"
        raise


def copy_privileges(admin: psycopg.Connection[Any], source: str, copy: str) -> None:
    """Give a copy the privileges of its source on the database itself, which it lacks.

    Only TEMPORARY, which PUBLIC has in a new database; who may connect is not compared.
    """
    has = "select pg_catalog.has_database_privilege('public', %s, 'temporary')"
    if admin.execute(has, [source]).fetchone() != (True,):
        revoke = sql.SQL("revoke temporary on database {} from public")
        admin.execute(revoke.format(sql.Identifier(copy)))


def version_like(here: Snapshot) -> int:
    """Return the version of a scratch server to compare a database with.

    Only from 18 on an extension can be replaced; catalogs of different versions compare as equal.
    """
    made = any(fact.kind == "extension" for fact in here.facts)
    extensions = made or "extensions" in here.platform  # a schema for them alone
    return max(here.version, lacking.FOLDER_SETTING) if extensions else here.version


def apply(migrator: Migrator, files: Sequence[Migration]) -> None:
    """Apply files to a scratch database, under its lock."""
    try:
        with migrator.lock():
            migrator.apply(files)
    except RunnerError:
        signals.resume()  # this run has ended, the command goes on
        raise
