"""Print the database's URL."""

from __future__ import annotations

import argparse

from runner.cli.context import Context
from runner.errors import DONE

SUMMARY = "print the database's URL for other programs"
EXAMPLE = "url --show-password"
EXIT_CODES = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--show-password", action="store_true", help="do not mask the password")


def run(context: Context) -> int:
    """Print the URL; the embedded server is started for that."""
    from runner.postgres.target import locate

    target = locate(context.settings, create=False, report=context.console.report)
    url = target.url(show_password=context.options.show_password)
    context.say(url)
    context.document(url=url)
    return DONE
