"""Create the next numbered file and its rollback file."""

from __future__ import annotations

import argparse

from runner.cli.context import Context
from runner.errors import UsageError

EXAMPLE = "new add_teams_to_projects"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="verb and object: add_teams")
    parser.add_argument("--table", action="store_true", help="in the shape of new_table.sql")


def run(context: Context) -> int:
    from runner.isolation import new_table
    from runner.preflight import new_migration

    folder, name, sources = context.settings.sql_dir, context.options.name, context.options.sources
    if sources and (sources[1:] or context.options.table):
        raise UsageError("new takes one --with NAME, and not with --table")
    try:
        folder, known = new_migration.prepare(folder, *(sources or ()))
        write = new_table.write if context.options.table else new_migration.write
        files = write(folder, name, known)
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be created: {error.strerror}",
            state="No other file was created.",
        ) from None
    context.say(*map(str, files))
    id_ = "/".join([*(sources or ()), files[0].stem])
    context.console.note(f"Edit them, then: python -m runner check --file {id_}")
    return context.document(files=files)
