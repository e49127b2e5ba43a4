"""Check migrations on a scratch server: idempotency, rollback, existing data, plain psql."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from runner.cli.context import Context
from runner.errors import DONE, PROOF_FAILED

if TYPE_CHECKING:
    from runner.preflight.checks.finding import Findings

EXAMPLE = "check --base origin/main"
EXIT_CODES = "4 a proof failed, "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--file", metavar="ID", help="one migration alone")
    some.add_argument(
        "--after", metavar="ID", help="the migrations after this one; those before are applied"
    )
    parser.add_argument("--strict", action="store_true", help="fail if a check was not tried")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--base", metavar="GITREF", help="what is deployed: check the files it lacks out of order"
    )
    which.add_argument(
        "--out-of-order",
        metavar="ID",
        action="append",
        help="check this one applied after all others; repeatable",
    )


def run(context: Context) -> int:
    """Run every check. Asks a database that is named only for what the scratch server lacks."""
    from runner.files import loader
    from runner.isolation.surface import lock_file, stale
    from runner.migrate import executor, seeds
    from runner.preflight import checks, lookup
    from runner.preflight.checks import out_of_order
    from runner.preflight.checks.finding import Findings

    settings, options = context.settings, context.options
    scripts = seeds.read(settings.seeds_dir, optional=True)
    with ExitStack() as stack:
        if options.base:
            against = out_of_order.against(settings.sql_dir, options.base)
            files, moved = stack.enter_context(against)
        else:
            files = loader.read(settings.sql_dir, options.sources or ())
            moved = [lookup.find(files, name) for name in options.out_of_order or ()]
        only = context.find(files, options.file)
        after = context.find(files, options.after)
        first = files.index(after) + 1 if after else 0
        for file in files if only is None else files[: files.index(only) + 1]:
            executor.validate(file)
        chosen = files[first:] if only is None else [only]
        scratch = stack.enter_context(
            checks.server(settings.embedded_version, chosen, context.report)
        )
        lock = settings.sql_dir / lock_file.FILE
        more = [out_of_order.NAME] * bool(moved) + [lock.name] * (only is None and lock.exists())
        found = Findings(scratch.server.version, planned_after=more, strict=options.strict)
        stack.callback(_show, context, found)
        run_checks = partial(
            checks.check,
            scratch,
            files,
            scripts,
            only=only,
            first=first,
            found=found,
            report=context.report,
        )
        scratch.supplying(run_checks, context.other)
        if not chosen:
            found.notes.append(f"no migration comes after {options.after}: none was checked")
        if moved:
            note, failed = out_of_order.check(scratch, files, moved)
            found.add_overall(out_of_order.NAME, failed, note)
        elif options.base:
            found.notes.append(f"{out_of_order.NAME}: none")
        if lock.name in more:
            found.add_overall(lock.name, stale.findings(scratch, settings.sql_dir, lock))
    return context.document(PROOF_FAILED if found.fails else DONE, **context.console.partial)


def _show(context: Context, found: Findings) -> None:
    """Print what was found, also when an error ends the command."""
    from runner.preflight.checks import text

    found.seconds = time.monotonic() - context.started
    context.console.partial = text.document(found, context.console.notes)
    if found.planned or found.notes or found.overall:
        context.say(*text.lines(found, context.console.paint))
