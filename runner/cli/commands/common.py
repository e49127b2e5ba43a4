"""What every command shows of the database it works on."""

from __future__ import annotations

import argparse
import time
from typing import Any

from runner.cli.console import Console
from runner.errors import DONE
from runner.migrate.migrator import Migrator

Options = argparse.Namespace


def show_target(migrator: Migrator, console: Console) -> None:
    """Say which database is meant, before anything is done to it."""
    if migrator.target:
        where = "embedded" if migrator.target.embedded else f"named by {migrator.target.source}"
        console.note(f"PostgreSQL {migrator.server_version}, {where}\n{migrator.target.url()}\n")


def document(console: Console, options: Options, migrator: Migrator, **content: Any) -> None:
    """Print the JSON document of a command that had a database."""
    content = {"ok": True, "exit_code": DONE, "notes": console.notes, **content}
    target = migrator.target.url() if migrator.target else None
    console.document(
        options.command, target=target, server_version=migrator.server_version, **content
    )


def since(started: float) -> str:
    """Return how long it took, to end a summary with."""
    return f" · {time.monotonic() - started:.2f} s"
