"""What every command shows of the database it works on."""

from __future__ import annotations

import argparse
import time
from typing import Any

from runner.cli.console import Console
from runner.errors import DONE
from runner.migrate.migrator import Ledger

Options = argparse.Namespace


def say_target(ledger: Ledger, console: Console) -> None:
    """Say which database is meant, before anything is done to it."""
    if ledger.target:
        where = "embedded" if ledger.target.embedded else f"named by {ledger.target.source}"
        console.note(f"PostgreSQL {ledger.server_version}, {where}\n{ledger.target.url()}\n")


def document(console: Console, options: Options, ledger: Ledger, **content: Any) -> None:
    """Print the JSON document of a command that had a database."""
    content = {"ok": True, "exit_code": DONE, "notes": console.notes, **content}
    target = ledger.target.url() if ledger.target else None
    console.document(
        options.command, target=target, server_version=ledger.server_version, **content
    )


def since(started: float) -> str:
    """Return how long it took, to end a summary with."""
    return f" · {time.monotonic() - started:.2f} s"
