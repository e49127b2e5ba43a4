"""Start, apply, seed, and print the next steps."""

from __future__ import annotations

import argparse

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import UsageError

EXAMPLE = "up --port 5433"
EXIT_CODES = "3 another run has the lock, "

_NEXT = """
Next:
  python -m runner status   what is applied
  python -m runner psql     look around; \\d lists the tables
  python -m runner url      the URL for your application
  python -m runner down     stop the server; the data stays"""
_NEXT_ELSEWHERE = "\nNext:\n  python -m runner status"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_port(parser)
    arguments.add_out_of_order(parser)


def run(context: Context) -> int:
    """Apply what is pending, and load the seeds. Safe to run again."""
    from runner.cli.commands.apply import apply_pending
    from runner.cli.commands.seed import load_seeds
    from runner.isolation import application_login
    from runner.preflight import confirmation

    files, scripts = context.files(), context.seeds()
    roles = application_login.wanted(context.settings)
    start_with_port(context)
    with context.migrator() as migrator:
        confirmation.require_to_seed(context.target, yes=context.options.yes)
        applied = apply_pending(context, migrator, files)
        tables = load_seeds(context, migrator, scripts)
        application_login.create(migrator.connection, context.target, roles)
        context.console.note(_NEXT if context.settings.embedded else _NEXT_ELSEWHERE)
        return context.document(**applied, tables=tables)


def start_with_port(context: Context) -> None:
    settings, port = context.settings, context.options.port
    if port is None:
        return
    from runner import embedded

    if not settings.embedded:
        raise UsageError(
            f"--port is for the embedded server, but {settings.database_source} names the database"
        )
    embedded.start(
        settings.data_dir, version=settings.embedded_version, port=port, report=context.console.note
    )
