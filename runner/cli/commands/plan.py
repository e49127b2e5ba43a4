"""Dry-run pending migrations and report effects and locks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import DONE, ERROR, SOMETHING_TO_DO, UsageError

if TYPE_CHECKING:
    from runner.files.loader import Migration
    from runner.migrate.migrator import Migrator
    from runner.preflight.rehearsal_report import Rehearsal

EXAMPLE = "plan --on scratch"
EXIT_CODES = "2 something is pending, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_out_of_order(parser)
    parser.add_argument("--to", metavar="ID", help="stop after this migration")
    parser.add_argument("--sql", action="store_true", help="print a psql script, records included")
    parser.add_argument(
        "--on",
        choices=("target", "scratch"),
        default="target",
        help="in a transaction on the target (default), or on a copy of its catalog",
    )
    parser.add_argument(
        "--hold", metavar="SECONDS", type=float, default=5.0, help="limit for one statement (5)"
    )


def run(context: Context) -> int:
    from runner.migrate import executor
    from runner.migrate.plan import compare
    from runner.preflight import edits, foreign
    from runner.preflight.dry_run import dry_run

    options = context.options
    if options.hold <= 0:
        raise UsageError("--hold is a number of seconds above 0")
    files = context.files()
    with context.migrator(create=False, log=False, quiet=options.sql) as migrator:
        plan = compare(files, migrator.records())
        edits.refuse(migrator, plan)
        foreign.refuse(migrator.connection, plan, report=context.report)
        to = context.find(plan.files, options.to)
        pending = plan.pending(to=to, out_of_order=options.out_of_order)
        for file in pending:
            executor.validate(file)
        if options.sql:
            return _script(context, migrator, pending)
        on_copy = options.on == "scratch"
        found = dry_run(
            migrator, pending, on_copy=on_copy, hold=options.hold, report=context.report
        )
        return _report(context, found, len(plan.applied()), on_copy=on_copy)


def _script(context: Context, migrator: Migrator, pending: Sequence[Migration]) -> int:
    from runner.preflight import psql_script

    text = "-- nothing pending\n"
    if pending:
        text = psql_script.script(migrator.lock_waits, pending, context.target.url())
    context.console.text(text)
    code = SOMETHING_TO_DO if pending else DONE
    return context.document(code, pending=[file.id for file in pending], sql=text)


def _report(context: Context, found: Sequence[Rehearsal], applied: int, *, on_copy: bool) -> int:
    from runner.preflight import rehearsal_text

    paint = context.console.paint
    for one in found:
        context.say(*rehearsal_text.lines(one, paint, on_copy=on_copy))
        if one.error:
            context.console.failure(one.error)
        context.say("")
    context.say(rehearsal_text.summary(found, applied, paint, on_copy=on_copy))
    code = ERROR if any(one.error for one in found) else SOMETHING_TO_DO if found else DONE
    pending = [rehearsal_text.as_json(one, on_copy=on_copy) for one in found]
    return context.document(code, on=context.options.on, pending=pending)
