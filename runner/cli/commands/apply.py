"""Apply pending migrations."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import NO_CHANGES, RunnerError
from runner.events import Note

if TYPE_CHECKING:
    from runner.files.loader import Migration
    from runner.migrate.migrator import Migrator

EXAMPLE = "apply --to 0004"
EXIT_CODES = "3 another run has the lock, "
_CHANGED = """python -m runner verify --only drift
After a restore, to make what it lost: python -m runner apply --restored"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="ID", help="stop after this migration")
    parser.add_argument(
        "--accept-edit",
        metavar="ID",
        help="record an edited file as applied, if it is proven to produce the same schema",
    )
    parser.add_argument(
        "--renumbered", action="store_true", help="record applied files under their new numbers"
    )
    parser.add_argument(
        "--restored", action="store_true", help="first make what a restored dump lacks, as roles"
    )
    parser.add_argument(
        "--ignore-records", action="store_true", help="apply what another tool's table records"
    )
    arguments.add_out_of_order(parser)


def run(context: Context) -> int:
    from runner.migrate.plan import compare

    files = context.files()
    with context.migrator() as migrator:
        if context.options.accept_edit:
            from runner.preflight import edits

            with migrator.lock():
                files = compare(files, migrator.records()).files
                edits.accept(migrator, files, context.options.accept_edit, report=context.report)
        if context.options.renumbered:
            from runner.preflight import renumbered

            with migrator.lock():
                renumbered.accept(migrator, compare(files, migrator.records()))
        changed = [one.id for one in context.console.done if one.operation in ("edit", "mark")]
        try:
            restored: dict[str, Any] = {}
            if context.options.restored:
                from runner.isolation.restored import heal

                with migrator.lock():
                    lines, restored = heal(migrator, files, verbose=context.console.verbose)
                context.say(*lines)
            return context.document(**restored, **apply_pending(context, migrator, files))
        except RunnerError as error:
            if changed:
                kept = f"The records of {', '.join(changed)} were changed."
                state = error.state.replace(NO_CHANGES, "Nothing else was.")
                error.state = f"{kept} {state}".strip()
            raise


def apply_pending(context: Context, migrator: Migrator, files: list[Migration]) -> dict[str, Any]:
    """Apply what is pending, print a summary, and return its JSON keys."""
    from runner.migrate.plan import ADVICE, State, compare
    from runner.schema import fingerprint

    out_of_order = getattr(context.options, "out_of_order", False)
    plan = compare(files, migrator.records())
    to = context.find(plan.files, getattr(context.options, "to", None))
    if plan.of(State.EDITED, State.MISSING):
        from runner.preflight import edits

        edits.refuse(migrator, plan)
    if plan.pending(to=to, out_of_order=out_of_order):
        from runner.preflight import distribution, foreign

        with migrator.lock():  # another run may have applied them by now
            plan = compare(files, migrator.records())
            if not getattr(context.options, "ignore_records", False):
                foreign.refuse(migrator.connection, plan, report=context.report)
            migrator.apply(plan.pending(to=to, out_of_order=out_of_order))
            distribution.require(migrator.connection)
            plan = compare(files, migrator.records())
    elif changed := fingerprint.changed_since(migrator.connection, context.report):
        context.report(Note(f"{changed}: {_CHANGED}"))
    for state in (State.MISSING, State.COSMETIC):
        if entries := plan.of(state):
            context.console.note(f"{', '.join(e.id for e in entries)}: {ADVICE[state]}")
    pending = len(plan.of(State.PENDING, State.OUT_OF_ORDER, State.PARTIAL))
    applied = len(plan.applied()) - len(plan.of(State.PARTIAL))
    done = context.console.done
    count = len([one for one in done if one.operation == "apply"])
    summary = f"{count} applied now, {applied} in total"
    summary = summary if count else f"nothing to apply: {applied} applied"
    context.say(f"{summary}, {pending} pending{context.elapsed}")
    return {"done": done, "applied": applied, "pending": pending}
