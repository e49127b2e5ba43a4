"""Start a project in a folder of its own: settings, a first migration, what verify proves."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli.context import Context

EXAMPLE = "init shop"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="FOLDER", help="a new one, or . for this one")


def run(context: Context) -> int:
    from runner.preflight import new_project

    files = new_project.write(Path(context.options.name))
    context.say(*map(str, files))
    context.console.note(new_project.next_steps(context.options.name))
    return context.document(files=files)
