"""A server that tests can stop and restart, and runners that pause at any point."""

from __future__ import annotations

import itertools
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from checkout import TIMEOUT, Checkout, Result, until
from conftest import Database, _server
from process_pool import Child, ProcessPool
from proxy import PAUSE_LOCK, Proxy

from runner import embedded
from runner.embedded import postmaster
from runner.preflight.temporary_server import UNSAFE_FAST_SETTINGS, temporary_server

CATALOG = (Path(__file__).parents[1] / "sql" / "catalog.sql").read_text(encoding="utf-8")
RECORDS = "select migration_id, content_sha256, code_sha256 from yoyo._yoyo_migration order by 1"
UNFINISHED = "select migration_id, statement_number from yoyo.progress"
WAITING_FOR_PAUSE_LOCK = f"""
    select 1 from pg_locks
    where locktype = 'advisory' and objid = {PAUSE_LOCK} and not granted and pid = %s
    """


class ServerHarness:
    """One PostgreSQL server, and the process pool of the runners that use it."""

    def __init__(self, scratch: embedded.Server, folder: Path) -> None:
        self.server = _server("harness", scratch.url("postgres"))
        self.pool = ProcessPool(killed=True)
        self._scratch = scratch
        self._folder = folder
        self._numbers = itertools.count(1)

    @property
    def socket(self) -> Path:
        return Path(self.server.host) / f".s.PGSQL.{self.server.port}"

    def restart(self) -> None:
        """Stop the server as `pg_ctl stop -m immediate` does, and start it again."""
        path, version = self._scratch.data_dir, self._scratch.version
        running = postmaster.find_running(path)
        assert running
        running.stop(signal.SIGQUIT)
        embedded.start_unlocked(path, version, None, UNSAFE_FAST_SETTINGS, lambda _: None)

    def new_folder(self) -> Path:
        """Create a folder whose path is short enough for a socket."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """An empty database and an empty folder."""
        with self.server.database() as database:
            workspace = Workspace(self, database)
            yield workspace
            workspace.operator.close()


@contextmanager
def start_server_harness() -> Iterator[ServerHarness]:
    with (
        temporary_server(18) as scratch,
        tempfile.TemporaryDirectory(prefix="resilience-") as folder,
    ):
        harness = ServerHarness(scratch, Path(folder))
        try:
            yield harness
        finally:
            harness.pool.close()


class Workspace(Checkout):
    """A checkout with a connection of an operator, who queries, interferes and holds PAUSE_LOCK."""

    def __init__(self, harness: ServerHarness, database: Database) -> None:
        super().__init__(harness.new_folder(), database)
        self.environ["RUNNER_LOCK_TIMEOUT"] = "0"  # else a runner stops waiting for PAUSE_LOCK
        self.harness = harness
        self._operator: psycopg.Connection[Any] | None = None

    @property
    def operator(self) -> psycopg.Connection[Any]:
        """The operator's connection; a new one if it was closed."""
        if not self._operator or self._operator.closed:
            assert self.database
            self._operator = self.database.connect(autocommit=True)
        return self._operator

    def reconnect(self) -> None:
        """Use a new operator's connection from now on, after the server was restarted."""
        self.operator.close()

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self.operator.execute(sql, values).fetchall()

    def wait_for_end_of_session(self, pid: int) -> None:
        until(lambda: not self.query("select 1 from pg_stat_activity where pid = %s", pid))

    def start_child(self, *arguments: str, signal_at: int = 0) -> Child:
        """Start `python -m runner`."""
        return self.harness.pool.start(
            *arguments, folder=self.folder, environ=self.environ, signal_at=signal_at
        )

    def run_child(self, *arguments: str) -> Result:
        """Run `python -m runner` to its end."""
        return Result(*self.start_child(*arguments).wait())

    def start_paused(self, *arguments: str, at: int | str, inner: bool = True) -> ProxiedRunner:
        """Start a runner behind a proxy and wait until it is paused at a point."""
        paused = ProxiedRunner(self, arguments, at, inner=inner)
        assert paused.proxy.reached.wait(TIMEOUT), (
            f"point {at} was not reached, the last was {paused.proxy.points[-1:]}"
        )
        return paused

    def start_proxied(self, *arguments: str, inner: bool = True) -> ProxiedRunner:
        """Start a runner behind a proxy that does not pause it."""
        return ProxiedRunner(self, arguments, 0, inner=inner)

    def points(self, *arguments: str, inner: bool = True) -> list[str]:
        """Run `python -m runner` to its end, and return the points that it passed."""
        proxied = self.start_proxied(*arguments, inner=inner)
        result = proxied.wait()
        assert result.code == 0, result.err
        proxied.proxy.close()
        return proxied.proxy.points


class ProxiedRunner:
    """A runner whose connection passes through a proxy, which may pause it at a point."""

    def __init__(
        self, workspace: Workspace, arguments: tuple[str, ...], at: int | str, *, inner: bool
    ) -> None:
        self.workspace = workspace
        workspace.operator.execute("select pg_advisory_lock(%s)", [PAUSE_LOCK])
        address = workspace.harness.new_folder()
        self.proxy = Proxy(
            address,
            workspace.harness.socket,
            stop_at=at,
            inner=inner,
            is_waiting=lambda pid: bool(workspace.query(WAITING_FOR_PAUSE_LOCK, pid)),
        )
        assert workspace.database
        url = workspace.database.conninfo(host=str(address), port="5432")
        self.child = workspace.harness.pool.start(
            *arguments,
            folder=workspace.folder,
            environ={**workspace.environ, "DATABASE_URL": url},
        )

    def resume(self) -> None:
        """Release PAUSE_LOCK and let the proxy continue."""
        self.workspace.operator.execute("select pg_advisory_unlock_all()")
        self.proxy.resume.set()

    def wait(self) -> Result:
        """Wait until the runner has ended."""
        return Result(*self.child.wait())
