"""Write the pages of the studio as files, for a CI artifact."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli.context import Context
from runner.errors import UsageError

EXAMPLE = "report --out report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="the folder; a report in it is replaced")
    parser.add_argument(
        "--attach", metavar="FILE", action="append", help="show this text beside the run log"
    )


def run(context: Context) -> int:
    from runner.studio import launch

    if not context.options.out:
        raise UsageError("report needs a folder", hint="Name it: --out DIR")
    launch.require_packages()
    from runner.studio.actions import Actions
    from runner.studio.web import static_export

    folder = Path(context.options.out)
    with context.migrator(create=False, log=False, write=False):
        sql_dir, note = context.settings.sql_dir, context.console.note
        with launch.source(context.target, sql_dir, note) as source:
            written = static_export.write(
                source,
                context.target,
                Actions(context.settings),
                folder,
                attached=[Path(name) for name in context.options.attach or ()],
                report=context.report,
            )
        isolation = "proven" if written.proven else context.console.paint("not proven", "red")
        context.say(
            f"{written.files} pages: {len(written.tables)} tables as {len(written.people)} "
            f"people; isolation {isolation}"
        )
        context.say(f"written: {folder / 'index.html'}")
        return context.document(folder=folder, **vars(written))
