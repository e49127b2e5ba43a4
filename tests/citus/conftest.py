"""A Citus cluster for the tests: a coordinator and two workers of the PostgreSQL in TEST_CITUS_BIN.

Citus is in no package registry, so these tests are skipped without that variable. All nodes listen
on Unix sockets of one private folder, which Citus accepts as the name of a host; no TCP port is
open. As root they run as another user.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from conftest import SQL_DIR, Database, Server

from runner.embedded import os_user
from runner.files import loader
from runner.migrate.migrator import Migrator
from runner.preflight import temporary_server

BIN = os.environ.get("TEST_CITUS_BIN", "")
WORKERS = 2
SHARDS = 8

_FIRST_PORT = 5432  # the number of a socket; node n has this plus n
_OWNER = "postgres"
_SETTINGS = f"""
listen_addresses = ''
shared_preload_libraries = 'citus'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
max_prepared_transactions = 400
wal_level = logical
shared_buffers = '64MB'
citus.node_conninfo = 'sslmode=disable'
citus.shard_count = {SHARDS}
citus.enable_statistics_collection = off
"""
# At the end of its input, also if these tests are killed: stop all nodes, remove their folder.
_CLEAN_UP = """
while read -r _; do :; done
for file in "$0"/*/postmaster.pid; do read -r pid < "$file" && kill -QUIT "$pid"; done
for _ in 1 2 3 4 5 6 7 8 9; do rm -rf "$0" && exit; sleep 1; done
"""
_numbers = itertools.count(1)


class Cluster:
    """The nodes: 0 is the coordinator, 1 and 2 are workers, and so is any that was added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self._user = os_user.server_user()
        self.add_node()
        self.server = self.node(0)
        for _ in range(WORKERS):
            self.add_node()

    def node(self, number: int) -> Server:
        """Return one node, connected to as its superuser."""
        port = _FIRST_PORT + number
        return Server(f"node{number}", str(self.folder), port, _OWNER, None, "postgres", 15)

    def add_node(self) -> int:
        """Start one more node, which no database has as a worker yet; return its number."""
        number, data = self.count, self.folder / f"node{self.count}"
        made = self.folder / "made"  # once, because initdb takes longer than a copy
        if not made.exists():
            self._run("initdb", "-D", made, "-A", "trust", "-U", _OWNER, "-E", "UTF8", "-N")
        self._user.run("/bin/cp", "-r", made, data)
        settings = f"port = {_FIRST_PORT + number}\nunix_socket_directories = '{self.folder}'\n"
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(settings + _SETTINGS)
        self.count += 1
        self.revive(number)
        return number

    def kill(self, number: int) -> None:
        """Stop a node as a crash does: no session ends orderly."""
        self._run("pg_ctl", "-D", self._data(number), "-m", "immediate", "-w", "stop")

    def revive(self, number: int) -> None:
        data = self._data(number)
        self._run("pg_ctl", "-D", data, "-w", "-l", data / "log", "start")

    @contextmanager
    def database(self, *, of: str | None = None, workers: int = WORKERS) -> Iterator[Database]:
        """Create a database on all nodes, with Citus and its workers; drop it at the end.

        Args:
            of: a `template`, of which it is a copy, with its distributed tables and workers.
            workers: how many it has; without `of`.
        """
        name = f"citus_{os.getpid()}_{next(_numbers)}"
        with ExitStack() as stack:
            for number in range(self.count):
                stack.callback(self._drop, number, name)
                self._create(number, name, of)
            made = Database(self.server, name)
            if of is None:
                here = [str(self.folder), _FIRST_PORT]
                self.sql(0, "create extension citus", database=name)
                self.sql(0, "select citus_set_coordinator_host(%s, %s)", here, database=name)
                for number in range(1, workers + 1):
                    self.add_worker(made, number)
            yield made

    @contextmanager
    def template(self, made: Database) -> Iterator[str]:
        """Let no session into a database, so that it can be copied; yield its name.

        Citus's own sessions end, too: PostgreSQL copies a database that no session uses.
        """
        for number in range(self.count):
            self.sql(number, f"alter database {made.name} allow_connections false")
            self.sql(
                number,
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s",
                [made.name],
            )
        yield made.name

    def add_worker(self, database: Database, number: int) -> None:
        """Make a node that has been started a worker of a database; no shard is moved to it."""
        values = [str(self.folder), _FIRST_PORT + number]
        self.sql(number, "create extension if not exists citus", database=database.name)
        self.sql(0, "select citus_add_node(%s, %s)", values, database=database.name)

    def sql(
        self, number: int, text: str, values: list[object] | None = None, *, database: str = ""
    ) -> list[tuple[object, ...]]:
        """Run one statement on a node, and return its rows."""
        node = self.node(number)
        with psycopg.connect(node.conninfo(database or node.maintenance), autocommit=True) as conn:
            cursor = conn.execute(text.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def _create(self, number: int, name: str, of: str | None) -> None:
        existing = self.sql(number, "select 1 from pg_database where datname = %s", [of])
        self.sql(number, f"create database {name}" + f" template {of}" * bool(existing))

    def _drop(self, number: int, name: str) -> None:
        with suppress(psycopg.OperationalError):  # a node that a test has killed
            self.sql(number, f"drop database if exists {name} with (force)")

    def _data(self, number: int) -> Path:
        return self.folder / f"node{number}"

    def _run(self, program: str, *args: str | Path) -> None:
        result = self._user.run(Path(BIN) / program, *args, stderr=subprocess.STDOUT)
        assert result.returncode == 0, f"{program}: {os_user.tail(result.stdout)}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A coordinator and two workers, for all tests of this folder; skip them without Citus."""
    if not BIN:
        pytest.skip("TEST_CITUS_BIN names no folder of a PostgreSQL that has Citus")
    folder = temporary_server._scratch_folder()
    os_user.server_user().take_ownership(folder)
    with subprocess.Popen(
        ["/bin/sh", "-c", _CLEAN_UP, os.fspath(folder)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    ):  # leaving closes its input, and waits
        yield Cluster(folder)


@pytest.fixture(scope="session")
def citus_template(cluster: Cluster) -> Iterator[str]:
    """The name of a database on all nodes with Citus and two workers, and nothing else."""
    with cluster.database() as made, cluster.template(made) as name:
        yield name


@pytest.fixture(scope="session")
def distributed(cluster: Cluster, citus_template: str) -> Iterator[str]:
    """The name of a database with sql/ and the further source sql/citus/, to copy."""
    with cluster.database(of=citus_template) as made:
        with made.connect(autocommit=True) as conn:
            migrator = Migrator(conn)
            with migrator.lock():
                migrator.apply(loader.read(SQL_DIR, ["citus"]))
        with cluster.template(made) as name:
            yield name


@pytest.fixture
def citus_database(cluster: Cluster, citus_template: str) -> Iterator[Database]:
    """A copy of it for one test."""
    with cluster.database(of=citus_template) as made:
        yield made
