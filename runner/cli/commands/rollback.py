"""Roll back the latest migrations."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import UsageError

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
    from runner.preflight.confirmation import require_to_roll_back

    options = context.options
    if options.steps is not None and options.steps < 1:
        raise UsageError("--steps is a number from 1")
    files = context.files()
    stop = context.find(files, options.to)
    with context.migrator(create=False) as migrator:
        require_to_roll_back(context.target, options.typed_name, everything=options.all, command="")
        with migrator.lock():
            applied = compare(files, migrator.records()).applied()
            chosen = applied if options.all else _chosen(context, applied, options.steps, stop)
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


def _chosen(
    context: Context, applied: list[Entry], steps: int | None, stop: Migration | None
) -> list[Entry]:
    if not stop:
        chosen = [entry for entry in applied if entry.migration][: steps or 1]
        for entry in applied[: applied.index(chosen[-1])] if chosen else applied:
            if not entry.migration:
                context.console.note(f"{entry.id} stays applied: its file is not here")
        return chosen
    ids = [entry.id for entry in applied]
    if stop.id not in ids:
        raise UsageError(
            f"{stop.id} is not applied, so nothing can be rolled back to it",
            hint=f"Applied: {', '.join(reversed(ids)) or 'none'}",
        )
    return applied[: ids.index(stop.id)]
