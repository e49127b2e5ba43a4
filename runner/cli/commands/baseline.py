"""Record an existing schema as applied, if it is proven to match the files."""

from __future__ import annotations

import argparse

from runner.cli.context import Context

EXAMPLE = "baseline --to 0009"
EXIT_CODES = "3 another run has the lock, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="ID", help="the last migration it has (default: all)")


def run(context: Context) -> int:
    from runner.migrate.plan import State, compare
    from runner.preflight.baseline import baseline

    files = context.files()
    with context.migrator(create=False) as migrator:
        with migrator.lock():
            files = compare(files, migrator.records()).files
            to = context.find(files, context.options.to)
            recorded = baseline(migrator, files, to, report=context.report)
            plan = compare(files, migrator.records())
        left = len(plan.of(State.PENDING, State.OUT_OF_ORDER))
        context.say(f"{len(recorded)} recorded as applied, {left} pending")
        return context.document(done=context.console.done, pending=left)
