"""Print the database's URL for other programs."""

from __future__ import annotations

import argparse

from runner.cli.context import Context

EXAMPLE = "url --show-password"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--show-password", action="store_true", help="do not mask the password")


def run(context: Context) -> int:
    """Print the URL; the embedded server is started for that."""
    from runner.postgres.target import locate

    target = locate(context.settings, create=False, report=context.report)
    url = target.url(show_password=context.options.show_password)
    context.say(url)
    return context.document(url=url)
