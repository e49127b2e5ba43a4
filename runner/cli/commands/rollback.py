"""Roll back the latest migrations."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import ConfirmationRequired, UsageError

if TYPE_CHECKING:
    from runner.files.loader import Migration
    from runner.migrate.migrator import Migrator
    from runner.migrate.plan import Entry

EXAMPLE = "rollback --steps 2"
EXIT_CODES = "3 another run has the lock, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--steps", type=int, metavar="N", help="how many (default: 1)")
    which.add_argument("--to", metavar="ID", help="all that were applied after this one")
    which.add_argument("--all", action="store_true", help="all")
    arguments.add_confirmation(parser, "--yes-delete")


def run(context: Context) -> int:
    """Run the rollback files of the latest migrations and delete their records."""
    from runner.migrate.plan import compare

    options = context.options
    if options.steps is not None and options.steps < 1:
        raise UsageError("--steps is a number from 1")
    files = context.files()
    stop = context.find(files, options.to)
    with context.migrator(create=False) as migrator:
        if options.all:
            require_confirmation(context, "--yes-delete", "roll back everything in")
        with migrator.lock():
            applied = compare(files, migrator.records()).applied()
            chosen = applied if options.all else _chosen(applied, options.steps, stop)
            roll_back(migrator, chosen)
        left = len(applied) - len(chosen)
        context.say(f"{len(chosen)} rolled back, {left} still applied{context.elapsed}")
        return context.document(done=context.console.done, applied=left)


def roll_back(migrator: Migrator, entries: list[Entry]) -> None:
    """Roll back applied migrations. Raises UsageError where the file of one is missing."""
    for entry in entries:
        if entry.migration is None:
            raise UsageError(
                f"{entry.id} is applied but has no file here, so it cannot be rolled back from "
                "this checkout",
                hint="Check out the branch or release that has it.",
            )
    migrator.roll_back([entry.migration for entry in entries if entry.migration])


def require_confirmation(context: Context, flag: str, action: str) -> None:
    """Raise ConfirmationRequired unless the database is embedded or its name follows the flag."""
    target = context.target
    if target.embedded or context.options.typed_name == target.name:
        return
    raise ConfirmationRequired(
        f"This would {action} {target.url()}, which is not the embedded database",
        hint=f"To confirm, type its name: {flag} {shlex.quote(target.name)}",
    )


def _chosen(applied: list[Entry], steps: int | None, stop: Migration | None) -> list[Entry]:
    if not stop:
        return applied[: steps or 1]
    ids = [entry.id for entry in applied]
    if stop.id not in ids:
        raise UsageError(
            f"{stop.id} is not applied, so nothing can be rolled back to it",
            hint=f"Applied: {', '.join(reversed(ids)) or 'none'}",
        )
    return applied[: ids.index(stop.id)]
