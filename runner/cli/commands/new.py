"""Create the next numbered migration and its rollback file."""

from __future__ import annotations

import argparse

from runner.cli.context import Context
from runner.errors import DONE, UsageError

SUMMARY = "create the next numbered file and its rollback file"
EXAMPLE = "new add_teams_to_projects"
EXIT_CODES = ""

_HEADER = """\
-- {id}
-- Say in one sentence what this is for.
{depends}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("name", metavar="NAME", help="verb and object: add_teams")


def run(context: Context) -> int:
    """Create both files; they have to be filled in."""
    from runner.files import loader

    folder = context.settings.sql_dir
    try:
        folder.mkdir(exist_ok=True)
        known = context.files() if any(folder.glob("*.sql")) else []
        id_ = loader.next_name(folder, context.options.name)
        depends = f"-- depends: {known[-1].id}\n" if known else ""
        forward, rollback = folder / f"{id_}.sql", folder / f"{id_}.rollback.sql"
        with forward.open("x", encoding="utf-8") as file:
            file.write(_HEADER.format(id=id_, depends=depends))
        with rollback.open("x", encoding="utf-8") as file:
            file.write(_HEADER.format(id=f"{id_}: rollback", depends=""))
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be created: {error.strerror}",
            state="No other file was created.",
        ) from None
    context.say(f"{forward}\n{rollback}")
    context.document(files=[forward, rollback])
    context.console.note("Fill in both, then: python -m runner check")
    return DONE
