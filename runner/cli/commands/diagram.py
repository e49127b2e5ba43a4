"""Draw the tables and their references."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import DONE

SUMMARY = "draw the tables and their references"
EXAMPLE = "diagram --out diagram.svg"
EXIT_CODES = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    arguments.add_output(parser, "--format", ("svg", "mermaid"))


def run(context: Context) -> int:
    """Write the diagram to stdout or a file."""
    from runner.generate import diagram, output

    options = context.options
    path = Path(options.out) if options.out else None
    with context.migrator(create=False, log=False) as migrator:
        text = diagram.FORMATS[options.format](migrator.connection, options.schema)
        state = output.deliver(text, path).state
        if path:
            context.say(f"{state}: {path}")
        else:
            context.console.text(text)
        context.document(
            schema=options.schema, format=options.format, file=path, state=state, text=text
        )
    return DONE
