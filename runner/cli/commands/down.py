"""Stop the embedded server."""

from __future__ import annotations

import argparse

from runner.cli.context import Context
from runner.errors import DONE, UsageError

SUMMARY = "stop the embedded server; its data stays"
EXAMPLE = "down"
EXIT_CODES = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the global options are enough."""


def run(context: Context) -> int:
    """Stop the server, if it is running."""
    from runner.postgres import embedded

    if not context.settings.embedded:
        raise UsageError(
            f"There is nothing to stop: {context.settings.database_source} names the database",
            hint="`down` stops only the embedded server; unset that setting to use it.",
        )
    stopped = embedded.stop(context.settings.data_dir)
    context.say("stopped; the data stays" if stopped else "was not running")
    context.document(stopped=stopped)
    return DONE
