"""A server of its own, which may be stopped, and runners that stand still at any point."""

from __future__ import annotations

import itertools
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from checkout import PATIENCE, Checkout, Said
from conftest import Database, _server
from process_pool import Child, Nursery
from proxy import GATE, Proxy

from runner.postgres import embedded
from runner.postgres.embedded import postmaster

CATALOGUE = (Path(__file__).parents[1] / "sql" / "catalogue.sql").read_text(encoding="utf-8")
RECORDS = "select migration_id, content_sha256, code_sha256 from yoyo._yoyo_migration order by 1"
UNFINISHED = "select migration_id, statement_number from yoyo.progress"
AT_THE_GATE = f"""
    select 1 from pg_locks
    where locktype = 'advisory' and objid = {GATE} and not granted and pid = %s
    """
ALIVE = "select 1 from pg_stat_activity where pid = %s"


class Stage:
    """One PostgreSQL, and the nursery of its runners."""

    def __init__(self, scratch: embedded.Server, folder: Path) -> None:
        self.server = _server("stage", scratch.url("postgres"))
        self.nursery = Nursery()
        self._scratch = scratch
        self._folder = folder
        self._numbers = itertools.count(1)

    @property
    def socket(self) -> Path:
        return Path(self.server.host) / f".s.PGSQL.{self.server.port}"

    def stop_and_start(self) -> None:
        """Stop the server as `pg_ctl stop -m immediate` does, and start it again."""
        home, version = self._scratch.data_dir, self._scratch.version
        running = postmaster.living(home)
        assert running
        running.end(signal.SIGQUIT)
        embedded._start(home, version, None, dict(embedded.HASTE), lambda _: None)

    def new_folder(self) -> Path:
        """A folder whose path is short enough for a socket."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    @contextmanager
    def room(self) -> Iterator[Room]:
        """An empty database, and a folder to work in."""
        with self.server.database() as database:
            room = Room(self, database)
            yield room
            room.operator.close()


@contextmanager
def stage() -> Iterator[Stage]:
    with embedded.scratch(18) as scratch, tempfile.TemporaryDirectory(prefix="faults-") as folder:
        made = Stage(scratch, Path(folder))
        try:
            yield made
        finally:
            made.nursery.close()


class Room(Checkout):
    """A checkout with an operator beside it, who looks, interferes, and holds the gate."""

    def __init__(self, stage: Stage, database: Database) -> None:
        super().__init__(stage.new_folder(), database)
        self.environ["RUNNER_LOCK_TIMEOUT"] = "0"  # else who waits at the gate gives way
        self.stage = stage
        self._operator: psycopg.Connection[Any] | None = None

    @property
    def operator(self) -> psycopg.Connection[Any]:
        """The operator's connection: it lasts until the server is stopped."""
        if not self._operator or self._operator.closed:
            assert self.database
            self._operator = self.database.connect(autocommit=True)
        return self._operator

    def after_a_stop(self) -> None:
        """Connect anew."""
        self.operator.close()

    def look(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self.operator.execute(sql, values).fetchall()

    def begin(self, *words: str, signal_at: int = 0) -> Child:
        """Start `python -m runner`."""
        start = self.stage.nursery.start
        return start(*words, folder=self.folder, environ=self.environ, signal_at=signal_at)

    def fork(self, *words: str) -> Said:
        """Run `python -m runner` to its end."""
        return Said(*self.begin(*words).wait())

    def standing(self, *words: str, at: int | str, inner: bool = True) -> Standing:
        """Start a runner that comes to stand at a point."""
        standing = Standing(self, words, at, inner=inner)
        assert standing.proxy.reached.wait(PATIENCE), (
            f"point {at} was not reached, the last was {standing.proxy.points[-1:]}"
        )
        return standing

    def passing(self, *words: str, inner: bool = True) -> Standing:
        """Start a runner that stands still nowhere."""
        return Standing(self, words, 0, inner=inner)

    def points(self, *words: str, inner: bool = True) -> list[str]:
        """Run `python -m runner` to its end, and return the points it passed."""
        passing = self.passing(*words, inner=inner)
        said = passing.ended()
        assert said.code == 0, said.err
        passing.proxy.hang_up()
        return passing.proxy.points


class Standing:
    """A runner that stands still at a point."""

    def __init__(self, room: Room, words: tuple[str, ...], at: int | str, *, inner: bool) -> None:
        self.room = room
        room.operator.execute("select pg_advisory_lock(%s)", [GATE])
        address = room.stage.new_folder()
        self.proxy = Proxy(
            address,
            room.stage.socket,
            stop_at=at,
            inner=inner,
            waits_there=lambda pid: bool(room.look(AT_THE_GATE, pid)),
        )
        assert room.database
        url = room.database.conninfo(host=str(address), port="5432")
        self.child = room.stage.nursery.start(
            *words, folder=room.folder, environ={**room.environ, "DATABASE_URL": url}
        )

    def let_go(self) -> None:
        """Let it go on."""
        self.room.operator.execute("select pg_advisory_unlock_all()")
        self.proxy.resume.set()

    def ended(self) -> Said:
        return Said(*self.child.wait())
