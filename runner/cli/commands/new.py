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
    parser.add_argument(
        "--table", action="store_true", help="a table in the shape of isolation/new_table.sql"
    )


def run(context: Context) -> int:
    from runner.files import loader

    folder, name = context.settings.sql_dir, context.options.name
    try:
        folder.mkdir(exist_ok=True)
        known = context.files() if any(folder.glob("*.sql")) else []
        if context.options.table:
            from runner.isolation import new_table

            files = new_table.write(folder, name, known)
        else:
            id_ = loader.next_name(folder, name)
            depends = f"-- depends: {known[-1].id}\n" if known else ""
            files = [folder / f"{id_}.sql", folder / f"{id_}.rollback.sql"]
            heads = (id_, depends), (f"{id_}: rollback", "")
            for path, (title, line) in zip(files, heads, strict=True):
                with path.open("x", encoding="utf-8") as file:
                    file.write(_HEADER.format(id=title, depends=line))
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be created: {error.strerror}",
            state="No other file was created.",
        ) from None
    context.say(*map(str, files))
    context.console.note(f"Edit them, then: python -m runner check --file {files[0].stem}")
    return context.document(files=files)
