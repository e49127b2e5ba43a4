"""One module per command.

`--help` imports every module, so they import what a command needs inside `run`: it must load
neither the database driver nor the other packages.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from keyword import iskeyword
from typing import Protocol, cast

from runner.cli.context import Context

NAMES = (
    *("up", "apply", "rollback", "seed", "status", "plan", "check", "verify", "studio", "report"),
    *("types", "diagram", "init", "new", "psql", "url", "down", "baseline", "import", "reset"),
    "tenant",
)


class Command(Protocol):
    """What a command's module contains; EXIT_CODES and `add_arguments` only where needed."""

    __doc__: str  # its summary in --help, a sentence of one line: `python -OO` is not supported
    EXAMPLE: str  # after `python -m runner`
    EXIT_CODES: str  # other than 0, 1 and 64, each with a comma at its end

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add the command's own arguments."""

    @staticmethod
    def run(context: Context) -> int:
        """Run the command; return its exit code. Raises RunnerError."""


def load(name: str) -> Command:
    return cast("Command", import_module(f"runner.cli.commands.{name}{'_' * iskeyword(name)}"))
