"""Draw the tables and their references."""

from __future__ import annotations

import argparse

from runner.cli import arguments
from runner.cli.context import Context

EXAMPLE = "diagram --out diagram.svg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_output(parser, "--format", ("svg", "mermaid"))


def run(context: Context) -> int:
    from runner.cli.commands.types import deliver
    from runner.generate import diagram

    options = context.options
    with context.migrator(create=False, log=False) as migrator:
        text = diagram.FORMATS[options.format](migrator.connection, options.schema)
        _, document = deliver(context, text)
        return context.document(schema=options.schema, format=options.format, **document)
