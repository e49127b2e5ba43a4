"""Export, erase or import every row of one tenant."""

from __future__ import annotations

import argparse

from runner.cli.context import Context

EXAMPLE = "tenant export coddloaf00000000000000000 --out odd-loaf"
EXIT_CODES = "3 another run has the lock, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("export", "erase", "import"))
    parser.add_argument("tenant", metavar="TENANT", help="its id; for import, the folder")
    parser.add_argument("--out", metavar="PATH", help="export: a new folder; erase: the receipt")
    parser.add_argument("--yes-erase", metavar="NAME", help="the tenant's name, to confirm")


def run(context: Context) -> int:
    from runner.tenant import command

    given = {name: getattr(context.options, name) for name in command.OPTIONS}
    with context.migrator(create=False, log=False, write=given["action"] != "export") as migrator:
        lines, content = command.run(migrator, context.settings, **given)
        context.say(*lines)
        return context.document(**content)
