"""Rewrite the migrations of another tool as files here, and record what it has applied."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from runner.cli.context import Context, plural
from runner.errors import RunnerError

EXAMPLE = "import db/migrations --dry-run"
EXIT_CODES = "3 another run has the lock, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="the folder of the other tool")
    parser.add_argument("--dry-run", action="store_true", help="list the files, write nothing")


def run(context: Context) -> int:
    from runner.preflight import convert

    migrations = convert.read(Path(context.options.folder))
    with ExitStack() as stack:
        migrator, write = None, not context.options.dry_run
        if write and not context.settings.embedded:  # first, so that nothing is written without it
            migrator = stack.enter_context(context.migrator(create=False))
            stack.enter_context(migrator.lock())
        written = convert.write(migrations, context.settings.sql_dir) if write else []
        context.console.table(("there", "here"), list(convert.listed(migrations)))
        if write:
            done = f"{plural(len(written), 'file')} written to {context.settings.sql_dir}"
            context.say(done)
            if migrator:
                try:
                    last = convert.record(migrator, migrations, context.files(), context.report)
                except RunnerError as error:
                    error.state = f"{done}; nothing was recorded."
                    raise
                context.say(f"recorded as applied: up to {last}" if last else "none recorded")
            context.console.note(convert.NEXT.format(last=migrations[-1].id))
    files = [{"from": m.sources, "to": list(m.files)} for m in migrations]
    return context.document(files=files, written=written, done=context.console.done)
