"""Servers, databases and callers for the tests.

A test that uses a database runs once on each server: the embedded PostgreSQL 18 and 16, and the
server of TEST_DATABASE_URL (a superuser's URL) when that is set. One template database per server
is created by our own apply; a test gets a clone of it.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import cluster_copies
import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from xdist.scheduler import LoadScopeScheduling

from runner import embedded
from runner.files import loader
from runner.migrate.migrator import Migrator
from runner.preflight.temporary_server import temporary_server

SQL_DIR = Path(__file__).parents[1] / "sql"
API_ROLES = ("anon", "authenticated", "service_role")
GIVEN_URL = os.environ.get("TEST_DATABASE_URL", "")
EMBEDDED = {"pg18": 18, "pg16": 16}

# Tests start a runner hundreds of times: let the first one compile its modules for all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _in_memory() -> None:
    """Keep temporary files in memory, where there is room: databases consist of many small files.

    Which is several times faster than a disk. Worker processes inherit TMPDIR.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK):
        return
    room = os.statvfs(memory)
    if room.f_flag & os.ST_NOEXEC or room.f_bavail * room.f_frsize < 4 << 30:
        return
    os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="", dir=memory)
    Path(os.environ["TMPDIR"]).chmod(0o711)  # for the server's user, if root runs the tests
    tempfile.tempdir = None
    atexit.register(shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True)


def _initdb_once() -> None:
    """Let all processes of a run copy the data of their temporary servers from one folder."""
    folder = os.environ.get(cluster_copies.FOLDER)
    if not folder or not os.access(folder, os.W_OK):
        folder = tempfile.mkdtemp(prefix="clusters-")
        Path(folder).chmod(0o711)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    cluster_copies.install(folder)


_in_memory()
_initdb_once()
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL, connected to as a superuser."""

    name: str
    host: str
    port: int
    user: str
    password: str | None
    maintenance: str
    version: int

    def conninfo(self, database: str, **parts: str) -> str:
        """A libpq connection string; `parts` are libpq's own keywords."""
        known = {
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            **({"password": self.password} if self.password else {}),
        }
        return make_conninfo("", **{**known, "dbname": database, **parts})

    @contextmanager
    def database(self, *, of: str | None = None) -> Iterator[Database]:
        """A temporary database, empty or a clone of database `of`."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        copied = " strategy file_copy" if of and self.name in EMBEDDED else ""  # no fsync there
        self._execute("create database {}" + f" template {of}{copied}" * bool(of), name)
        try:
            yield Database(self, name)
        finally:
            self._execute("drop database if exists {} with (force)", name)

    def _execute(self, statement: str, name: str) -> None:
        with psycopg.connect(self.conninfo(self.maintenance), autocommit=True) as conn:
            conn.execute(sql.SQL(statement).format(sql.Identifier(name)))


@dataclass(frozen=True)
class Database:
    """A database on a server, and how to connect to it."""

    server: Server
    name: str

    def conninfo(self, **parts: str) -> str:
        return self.server.conninfo(self.name, **parts)

    def connect(self, *, autocommit: bool = False, **parts: str) -> Connection[TupleRow]:
        """Connect without automatic prepared statements: each statement is planned when sent."""
        return psycopg.connect(
            self.conninfo(**parts), autocommit=autocommit, prepare_threshold=None
        )


@dataclass(frozen=True)
class Caller:
    """An API caller: a database role and the claims of its token."""

    name: str
    role: str
    sub: str | None = None
    claims: str = field(default="")

    def __post_init__(self) -> None:
        if not self.claims:
            token = {"role": self.role, **({"sub": self.sub} if self.sub else {})}
            object.__setattr__(self, "claims", json.dumps(token))


# What a role makes to run a program, if a superuser's session calls it.
ESCAPE = """
create function public.escape() returns int language plpgsql as $$ begin
    perform set_config('role', 'none', true);
    copy (select 1) to program 'touch escaped';
    return 1;
exception when others then
    return 1;
end $$;
"""
ANON = Caller("anon", "anon")
SERVICE = Caller("service_role", "service_role")


@contextmanager
def act_as(conn: Connection[TupleRow], who: Caller) -> Iterator[None]:
    """Set role and claims as PostgREST does, for one transaction that is rolled back.

    Every policy test goes through this function.
    """
    with conn.transaction(force_rollback=True):
        conn.execute(f"set local role {who.role}")
        conn.execute("select set_config('request.jwt.claims', %s, true)", [who.claims])
        yield


def apply_schema(database: Database, **parts: str) -> None:
    """Apply sql/ to a database with our own migrator; `parts` say who connects."""
    with database.connect(autocommit=True, **parts) as conn:
        migrator = Migrator(conn)
        with migrator.lock():
            migrator.apply(loader.read(SQL_DIR))


def migration_files() -> list[Path]:
    """Return the migrations of sql/ in order, without the rollback files."""
    return sorted(f for f in SQL_DIR.glob("*.sql") if not f.name.endswith(".rollback.sql"))


@contextmanager
def start_server(name: str) -> Iterator[Server]:
    """Start an embedded server, or use the one of TEST_DATABASE_URL."""
    if name in EMBEDDED:
        with temporary_server(EMBEDDED[name]) as scratch:
            yield _server(name, scratch.url("postgres"))
    else:
        yield _server(name, GIVEN_URL)


def _server(name: str, url: str) -> Server:
    with psycopg.connect(url) as conn:
        parts = conninfo_to_dict(url)
        return Server(
            name=name,
            host=str(parts.get("host") or conn.info.host),
            port=conn.info.port,
            user=conn.info.user,
            password=conn.info.password or None,
            maintenance=conn.info.dbname,
            version=conn.info.server_version // 10000,
        )


def _roles(server: Server) -> set[str]:
    with psycopg.connect(server.conninfo(server.maintenance)) as conn:
        return {name for (name,) in conn.execute("select rolname from pg_roles")}


@pytest.fixture(scope="session", params=[*EMBEDDED, *(["given"] if GIVEN_URL else [])])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each PostgreSQL in turn; roles that tests leave behind are dropped at the end."""
    with start_server(request.param) as server:
        before = _roles(server)
        yield server
        with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
            for role in sorted(_roles(server) - before):
                with suppress(psycopg.errors.DependentObjectsStillExist):  # used by another run
                    conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    """The name of a template database, created by our own apply."""
    with server.database() as database:
        apply_schema(database)
        yield database.name


@pytest.fixture
def database(server: Server, template: str) -> Iterator[Database]:
    """A clone of the template for one test: the schema of sql/, no rows."""
    with server.database(of=template) as database:
        yield database


@pytest.fixture
def empty_database(server: Server) -> Iterator[Database]:
    """A database without any migration applied."""
    with server.database() as database:
        yield database


@pytest.fixture
def new_database(server: Server) -> Iterator[Callable[..., Database]]:
    """A function that creates further databases for one test: `new_database(of=...)`."""
    with ExitStack() as stack:
        yield lambda of=None: stack.enter_context(server.database(of=of))


# Marks a test whose result does not depend on the PostgreSQL version.
one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two worker processes for the whole suite, none for tests named on the command line."""
    return 2 if config.args_source == pytest.Config.ArgsSource.TESTPATHS else 0


class ByServer(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Run the tests of one server and one directory in one process, and others grouped by file.

    So a process starts a server once for many tests, and roles, which all databases of a server
    share, are created and dropped by one test at a time. The group is read from the test's id,
    because xdist's own groups rename tests, which pytest 9.2 does not allow.
    """

    def _split_scope(self, nodeid: str) -> str:
        server = re.search(rf"[\[-]({'|'.join((*EMBEDDED, 'given'))})[\]-]", nodeid)
        if "test_crash_matrix" in nodeid:  # a slow file: its scenarios in both processes
            return nodeid.rpartition("-")[0]
        file = nodeid.partition("::")[0]
        if "citus/" in file:  # one cluster for all of them
            return "citus"
        if not server or server[1] == "given":  # a given server is the same for both processes
            return server[1] if server else file
        return f"{server[1]} {'/'.join(file.split('/')[:2])}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return ByServer(config, log)


def pytest_report_header() -> list[str]:
    """Name the PostgreSQL versions under test."""
    versions = [_embedded_version(major) for major in EMBEDDED.values()]
    if GIVEN_URL:
        with psycopg.connect(GIVEN_URL) as conn:
            versions.append(f"{conn.info.parameter_status('server_version')} (given)")
    return [f"postgresql: {', '.join(versions)}"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many points the crash matrix hit, from the properties of its test reports."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    hit: Counter[str] = Counter()
    helped = 0
    for name, value in (pair for report in reports for pair in report.user_properties):
        if name == "crash matrix":
            hit[value["operation"]] += value["hit"]
            helped += value["helped"]
    if hit:
        each = ", ".join(f"{count} {operation}" for operation, count in hit.items())
        terminalreporter.write_line(
            f"crash matrix: {hit.total()} points hit ({each}), {helped} not recovered by one run"
        )


def _embedded_version(major: int) -> str:
    postgres = embedded.program("postgres", major)
    result = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True)
    return result.stdout.split()[-1]
