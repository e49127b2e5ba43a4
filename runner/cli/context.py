"""What a command works with: its settings, options, console and migrator."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runner.cli.console import Console
from runner.errors import DONE

if TYPE_CHECKING:
    from runner.files.loader import Migration
    from runner.migrate.migrator import Migrator
    from runner.settings import Settings


class Context:
    """One run of a command."""

    def __init__(self, settings: Settings, options: Namespace, console: Console) -> None:
        self.settings = settings
        self.options = options
        self.console = console
        self.say = console.say
        self._started = time.monotonic()
        self._database: dict[str, Any] = {}  # JSON keys of a command that uses one

    def files(self) -> list[Migration]:
        """Return the migrations. Raises UsageError or FileError."""
        from runner.files import loader  # noqa: PLC0415 - not needed by every command

        return loader.read(self.settings.sql_dir)

    def find(self, files: list[Migration], name: str | None) -> Migration | None:
        """Return the migration that an option names, None without that option."""
        from runner.files import loader  # noqa: PLC0415

        return loader.find(files, name) if name else None

    @contextmanager
    def migrator(self, *, quiet: bool = False, **how: bool) -> Iterator[Migrator]:
        """Connect, and name the database before anything is done to it.

        Args:
            quiet: do not name it.
            how: `create`, `log` and `write` of `session.migrator_for`, which also says what it
                raises.
        """
        from runner.migrate.session import migrator_for  # noqa: PLC0415 - loads the driver

        with migrator_for(self.settings, self.console.report, **how) as migrator:
            url = migrator.target.url() if migrator.target else None
            self._database = {"target": url, "server_version": migrator.server_version}
            if migrator.target and not quiet:
                source = migrator.target.source
                where = "embedded" if migrator.target.embedded else f"named by {source}"
                self.console.note(f"PostgreSQL {migrator.server_version}, {where}\n{url}\n")
            yield migrator

    def document(self, **content: Any) -> None:
        """Print the JSON document, with --json."""
        head: dict[str, Any] = {"ok": True, "exit_code": DONE}
        if self._database:
            head = {**head, **self._database, "notes": self.console.notes}
        self.console.document(self.options.command, **{**head, **content})

    @property
    def elapsed(self) -> str:
        """The time since the start, to end a summary with."""
        return f" · {time.monotonic() - self._started:.2f} s"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: 1 file, 2 files."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
