"""Roll back the latest migrations."""

from __future__ import annotations

import argparse

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import UsageError

EXAMPLE = "rollback --steps 2"
EXIT_CODES = "3 another run has the lock, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--steps", type=int, metavar="N", help="how many (default: 1)")
    which.add_argument("--to", metavar="ID", help="all that were applied after this one")
    which.add_argument("--all", action="store_true", help="all")
    arguments.add_confirmation(parser, "--yes-delete")


def run(context: Context) -> int:
    from runner.migrate.plan import compare
    from runner.preflight import rollbacks
    from runner.preflight.confirmation import require_to_roll_back

    options = context.options
    if options.steps is not None and options.steps < 1:
        raise UsageError("--steps is a number from 1")
    files = context.files()
    with context.migrator(create=False) as migrator:
        require_to_roll_back(context.target, options.typed_name, everything=options.all, command="")
        with migrator.lock():
            plan = compare(files, migrator.records())
            applied, stop = plan.applied(), context.find(plan.files, options.to)
            steps = None if options.all else options.steps or 1
            chosen = rollbacks.chosen(applied, steps, stop, context.report)
            rollbacks.roll_back(migrator, plan, chosen)
        left = len(applied) - len(chosen)
        context.say(f"{len(chosen)} rolled back, {left} still applied{context.elapsed}")
        return context.document(done=context.console.done, applied=left)
