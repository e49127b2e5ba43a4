"""A checkout in a temporary folder with its own sql/ and seeds/, and both command lines on it."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import process_pool
from conftest import Database
from process_pool import ProcessPool

from runner import settings
from runner.events import Report, silent
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate import seeds, session
from runner.migrate.migrator import Migrator

ROOT = Path(__file__).parents[1]
CLEARED_PREFIXES = ("PG", "RUNNER_", "SUPABASE_", "GITHUB_")
TIMEOUT = process_pool.TIMEOUT
AT_START = ("PYTHON", "LC_", "LANG", "TZ")  # variables that only a new interpreter reads


@dataclass(frozen=True)
class Result:
    """Exit code and output of a finished program."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout; fails if stdout contains anything else."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


@dataclass
class Checkout:
    """A working folder, and the database that DATABASE_URL names in its environment."""

    folder: Path
    database: Database | None = None
    environ: dict[str, str] = field(default_factory=dict, repr=False)  # must not appear in a CI log

    def __post_init__(self) -> None:
        self.environ = clean_environ(self.environ)
        if self.database:
            self.environ["DATABASE_URL"] = self.database.conninfo()

    def write(self, **files: str) -> None:
        """Write files of sql/: `_0001_a="…"`, `_0001_a__rollback="…"` for 0001_a.rollback.sql."""
        for name, text in files.items():
            self.file(f"sql/{name.lstrip('_').replace('__', '.')}.sql", text)

    def file(self, name: str, text: str) -> Path:
        """Write a file, dedented, and return its path; `name` is relative to the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def seed(self, **files: str) -> None:
        """Write files of seeds/: `_01_people="…"`."""
        for name, text in files.items():
            self.file(f"seeds/{name.lstrip('_')}.sql", text)

    def runner(self, *args: str, **more: str) -> Result:
        """Run `python -m runner` with warnings as errors; `more` are environment variables."""
        environ = {**self.environ, **more}
        if any(
            name.startswith(AT_START) and os.environ.get(name) != environ[name] for name in environ
        ):
            return self.run(sys.executable, "-W", "error", "-m", "runner", *args, **more)
        return Result(*_pool().start(*args, folder=self.folder, environ=environ).wait())

    def yoyo(self, *args: str, **more: str) -> Result:
        """Run yoyo with this repository's own yoyo.ini."""
        ini = self.folder / "yoyo.ini"
        ini.write_text((ROOT / "yoyo.ini").read_text(encoding="utf-8"), encoding="utf-8")
        return self.run(str(Path(sys.executable).with_name("yoyo")), *args, **more)

    def run(self, *command: str, **more: str) -> Result:
        """Run a command to its end, and return its exit code and output."""
        with self.start(*command, **more) as process:
            out, err = process.communicate(timeout=TIMEOUT)
        return Result(process.returncode, out, err)

    def start(self, *command: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_runner(self, *args: str) -> subprocess.Popen[str]:
        return self.start(sys.executable, "-W", "error", "-m", "runner", *args)

    def migrations(self) -> list[Migration]:
        return loader.read(self.folder / "sql")

    @contextmanager
    def migrator(self, report: Report = silent, lock_wait: float = 60.0) -> Iterator[Migrator]:
        """A migrator in this process, holding the lock; `lock_wait` is in seconds."""
        where = settings.load(
            sql_dir=str(self.folder / "sql"),
            seeds_dir=str(self.folder / "seeds"),
            lock_wait=lock_wait,
            environ={**self.environ, "RUNNER_HOME": str(self.folder / ".runner")},
        )
        with session.migrator_for(where, report) as opened, opened.lock():
            yield opened

    def apply(self, report: Report = silent) -> None:
        """Apply every migration, in this process."""
        with self.migrator(report) as migrator:
            migrator.apply(self.migrations())

    def apply_rest(self, count: int | None = None) -> None:
        """Apply the first `count` migrations that are not recorded yet, or all of them."""
        with self.migrator() as migrator:
            known = migrator.records()
            migrator.apply([file for file in self.migrations() if file.id not in known][:count])

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        assert self.database
        with self.database.connect(autocommit=True) as conn:
            return conn.execute(sql).fetchall()

    def do(self, sql: str) -> None:
        """Run statements in another session that does not belong to the runner."""
        assert self.database
        with self.database.connect(autocommit=True) as conn:
            conn.execute(sql)

    def value(self, sql: str) -> Any:
        """Return the single value of a query."""
        ((value,),) = self.rows(sql)
        return value

    def applied(self) -> list[str]:
        """Return the ids recorded in yoyo's table, sorted."""
        if self.value("select to_regclass('yoyo._yoyo_migration')") is None:
            return []
        ids = self.rows("select migration_id from yoyo._yoyo_migration order by migration_id")
        return [id_ for (id_,) in ids]

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the lines of the default run log."""
        log = self.folder / ".runner" / "runs.jsonl"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


@functools.cache
def _pool() -> ProcessPool:
    """Starting an interpreter and importing psycopg takes longer than most commands."""
    pool = ProcessPool()
    atexit.register(pool.close)
    return pool


def clean_environ(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without variables that select a database or affect color."""
    unwanted = ("DATABASE_URL", "DIRECT_URL", "NO_COLOR", "FORCE_COLOR", "TERM")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(CLEARED_PREFIXES) and name not in unwanted
    }
    return {**kept, **more}


def until(condition: Callable[[], bool], timeout: float = TIMEOUT) -> None:
    """Wait until a condition is true; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.01)


def seeded_checkout(folder: Path, database: Database) -> Checkout:
    """Return a checkout of sql/ and seeds/, whose database has the seeds."""
    checkout = Checkout(folder, database)
    for name in ("sql", "seeds"):
        (folder / name).symlink_to(ROOT / name)
    with checkout.migrator() as migrator:
        seeds.load(migrator, seeds.read(folder / "seeds"))
    return checkout
