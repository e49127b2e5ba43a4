"""Empty the database, then apply and seed."""

from __future__ import annotations

import argparse

from runner.cli import arguments
from runner.cli.context import Context

EXAMPLE = "reset"
EXIT_CODES = "3 another run has the lock, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_port(parser)
    arguments.add_confirmation(parser, "--yes-delete")


def run(context: Context) -> int:
    """Recreate the embedded database, or roll back everything in another, and fill it again."""
    from runner.cli.commands.apply import apply_pending
    from runner.cli.commands.seed import load_seeds
    from runner.cli.commands.up import start_with_port
    from runner.migrate.plan import compare
    from runner.preflight import confirmation
    from runner.preflight.rollbacks import roll_back

    files, scripts = context.files(), context.seeds()
    start_with_port(context)
    if context.settings.embedded:
        _recreate(context)
    with context.migrator() as migrator:
        confirmation.require(context.target, context.options.typed_name, "empty", "--yes-delete")
        confirmation.require_to_seed(context.target, yes=context.options.yes)
        if not context.settings.embedded:
            with migrator.lock():
                plan = compare(files, migrator.records())
                files = plan.files  # of each source that was applied
                roll_back(migrator, plan, plan.applied())
        applied = apply_pending(context, migrator, files)
        return context.document(**applied, tables=load_seeds(context, migrator, scripts))


def _recreate(context: Context) -> None:
    """Drop and create the embedded database; sessions connected to it are ended."""
    from psycopg import sql

    from runner.postgres.connection import connect
    from runner.postgres.target import locate

    target = locate(context.settings, report=context.report)
    with connect(target, dbname="postgres") as connection:
        name = sql.Identifier(target.name)
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        connection.execute(sql.SQL("create database {}").format(name))
