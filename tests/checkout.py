"""A checkout in a temporary folder, with its own sql/ and seeds/, and the two command lines."""

from __future__ import annotations

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

from conftest import Database

from runner import settings
from runner.events import Report, silent
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate import session
from runner.migrate.migrator import Migrator

ROOT = Path(__file__).parents[1]
OURS = ("PG", "RUNNER_", "SUPABASE_")
PATIENCE = 60.0  # seconds: an end to waiting for what never comes; no test is slower for it


@dataclass(frozen=True)
class Said:
    """What a program said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document of stdout; anything beside it fails."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


@dataclass
class Checkout:
    """A folder that somebody works in, and the database that DATABASE_URL names there."""

    folder: Path
    database: Database | None = None
    environ: dict[str, str] = field(default_factory=dict, repr=False)  # not for a CI log

    def __post_init__(self) -> None:
        self.environ = clean_environ(self.environ)
        if self.database:
            self.environ["DATABASE_URL"] = self.database.conninfo()

    def write(self, **files: str) -> None:
        """Write migrations; a double underscore before the last word stands for its dot."""
        for name, text in files.items():
            self.file(f"sql/{name.lstrip('_').replace('__', '.')}.sql", text)

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def seed(self, **files: str) -> None:
        for name, text in files.items():
            self.file(f"seeds/{name.lstrip('_')}.sql", text)

    def runner(self, *words: str, **more: str) -> Said:
        """Run `python -m runner`; a warning would end it."""
        return self.run(sys.executable, "-W", "error", "-m", "runner", *words, **more)

    def yoyo(self, *words: str, **more: str) -> Said:
        """Run yoyo with this repository's own yoyo.ini."""
        ini = self.folder / "yoyo.ini"
        ini.write_text((ROOT / "yoyo.ini").read_text(encoding="utf-8"), encoding="utf-8")
        return self.run(str(Path(sys.executable).with_name("yoyo")), *words, **more)

    def run(self, *command: str, **more: str) -> Said:
        with self.start(*command, **more) as process:
            out, err = process.communicate(timeout=PATIENCE)
        return Said(process.returncode, out, err)

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

    def start_runner(self, *words: str) -> subprocess.Popen[str]:
        return self.start(sys.executable, "-W", "error", "-m", "runner", *words)

    def migrations(self) -> list[Migration]:
        return loader.read(self.folder / "sql")

    @contextmanager
    def migrator(self, report: Report = silent, lock_wait: float = 60.0) -> Iterator[Migrator]:
        """The ledger inside this process, under its lock."""
        where = settings.load(
            sql_dir=str(self.folder / "sql"),
            seeds_dir=str(self.folder / "seeds"),
            lock_wait=lock_wait,
            environ={**self.environ, "RUNNER_HOME": str(self.folder / ".runner")},
        )
        with session.migrator_for(where, report) as opened, opened.lock():
            yield opened

    def apply(self, report: Report = silent) -> None:
        """Apply everything, in this process."""
        with self.migrator(report) as migrator:
            migrator.apply(self.migrations())

    def apply_rest(self, count: int | None = None) -> None:
        """Apply the first `count` of what is not recorded yet."""
        with self.migrator() as migrator:
            known = migrator.records()
            migrator.apply([file for file in self.migrations() if file.id not in known][:count])

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        assert self.database
        with self.database.connect(autocommit=True) as conn:
            return conn.execute(sql).fetchall()

    def do(self, sql: str) -> None:
        """Run statements of somebody else, each by itself."""
        assert self.database
        with self.database.connect(autocommit=True) as conn:
            conn.execute(sql)

    def value(self, sql: str) -> Any:
        ((value,),) = self.rows(sql)
        return value

    def applied(self) -> list[str]:
        """The ids that yoyo's own table records."""
        if self.value("select to_regclass('yoyo._yoyo_migration')") is None:
            return []
        ids = self.rows("select migration_id from yoyo._yoyo_migration order by migration_id")
        return [id_ for (id_,) in ids]

    def log_lines(self) -> list[dict[str, Any]]:
        log = self.folder / ".runner" / "runs.jsonl"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def clean_environ(more: Mapping[str, str]) -> dict[str, str]:
    """The environment without anything that names a database or colours the output."""
    unwanted = ("DATABASE_URL", "DIRECT_URL", "NO_COLOR", "FORCE_COLOR", "TERM")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(OURS) and name not in unwanted
    }
    return {**kept, **more}


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until something is so; the deadline is for what will never be."""

    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)
