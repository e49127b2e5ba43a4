"""What a command works with: its settings, options, console and migrator."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cli.console import Console
from runner.errors import DONE, SOMETHING_TO_DO

if TYPE_CHECKING:
    from runner.files.loader import Migration
    from runner.files.sql_file import SqlFile
    from runner.migrate.migrator import Migrator
    from runner.postgres.target import Target
    from runner.settings import Settings


class Context:
    target: Target  # the database of `migrator`

    def __init__(self, settings: Settings, options: Namespace, console: Console) -> None:
        self.settings = settings
        self.options = options
        self.console = console
        self.say, self.report = console.say, console.report
        self.started = time.monotonic()
        self._database: dict[str, Any] = {}  # JSON keys of a command that uses one

    def files(self) -> list[Migration]:
        """Return the migrations of all chosen sources. Raises UsageError or FileError."""
        from runner.files import loader  # noqa: PLC0415 - not needed by every command

        return loader.read(self.settings.sql_dir, self.settings.sources)

    def seeds(self) -> list[SqlFile]:
        """Return the seed files; there may be none in the folder. Raises UsageError."""
        from runner.migrate import seeds  # noqa: PLC0415

        folder = self.settings.seeds_dir
        return seeds.read(folder, optional=folder.is_dir() or folder == Path("seeds"))

    def find(self, files: list[Migration], name: str | None) -> Migration | None:
        if not name:
            return None
        from runner.preflight import lookup  # noqa: PLC0415

        return lookup.find(files, name)

    @contextmanager
    def migrator(self, *, quiet: bool = False, **how: bool) -> Iterator[Migrator]:
        """Connect, and unless `quiet` name the database before anything is done to it.

        `how` is `create`, `log` and `write` of `session.migrator_for`, which says what is raised.
        """
        from runner.migrate.session import migrator_for  # noqa: PLC0415 - loads the driver

        with migrator_for(self.settings, self.report, **how) as migrator:
            assert migrator.target  # noqa: S101 - `migrator_for` sets it
            self.target = migrator.target
            url, version = self.target.url(), migrator.server_version
            self._database = {"target": url, "server_version": version, "notes": self.console.notes}
            if not quiet:
                where = "embedded" if self.target.embedded else f"named by {self.target.source}"
                self.console.note(f"PostgreSQL {version}, {where}\n{url}\n")
            yield migrator

    @property
    def other(self) -> Callable[[], AbstractContextManager[Migrator]] | None:
        """What connects to a database that is named, only to read; None for the embedded one."""
        from runner.migrate.session import migrator_for  # noqa: PLC0415 - loads the driver

        connect = partial(migrator_for, create=False, log=False, write=False)
        return None if self.settings.embedded else partial(connect, self.settings, self.report)

    def document(self, exit_code: int = DONE, **content: Any) -> int:
        """Print the JSON document, with --json; return the exit code."""
        head = {"ok": exit_code in (DONE, SOMETHING_TO_DO), "exit_code": exit_code}
        self.console.document(self.options.command, **{**head, **self._database, **content})
        return exit_code

    @property
    def elapsed(self) -> str:
        return f" · {time.monotonic() - self.started:.2f} s"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
