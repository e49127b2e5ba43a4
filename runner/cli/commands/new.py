"""Create the next numbered file and its rollback file."""

from __future__ import annotations

import argparse

from runner.cli.context import Context
from runner.errors import UsageError

EXAMPLE = "new add_teams_to_projects"

_HEADER = """\
-- {id}
-- Say in one sentence what this is for.
{depends}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="verb and object: add_teams")


def run(context: Context) -> int:
    from runner.files import loader

    folder = context.settings.sql_dir
    try:
        folder.mkdir(exist_ok=True)
        known = context.files() if any(folder.glob("*.sql")) else []
        id_ = loader.next_name(folder, context.options.name)
        depends = f"-- depends: {known[-1].id}\n" if known else ""
        forward, rollback = folder / f"{id_}.sql", folder / f"{id_}.rollback.sql"
        for path, title, line in ((forward, id_, depends), (rollback, f"{id_}: rollback", "")):
            with path.open("x", encoding="utf-8") as file:
                file.write(_HEADER.format(id=title, depends=line))
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be created: {error.strerror}",
            state="No other file was created.",
        ) from None
    context.say(f"{forward}\n{rollback}")
    context.console.note("Fill in both, then: python -m runner check")
    return context.document(files=[forward, rollback])
