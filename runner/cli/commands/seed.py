"""Load seeds/*.sql in one transaction; idempotent."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from runner.cli import arguments
from runner.cli.context import Context, plural
from runner.errors import SqlError, UsageError

if TYPE_CHECKING:
    from runner.files.sql_file import SqlFile
    from runner.migrate.migrator import Migrator
    from runner.migrate.seeds import TableCount

EXAMPLE = "seed"
EXIT_CODES = "3 another run has the lock, "

_MAX_SCALE = 100_000  # organizations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scale", metavar="ORGS", help="instead, so many made-up organizations for load tests"
    )
    arguments.add_confirmation(parser, "--yes-fill")


def run(context: Context) -> int:
    from runner.migrate import seeds
    from runner.preflight import confirmation

    orgs = _scale(context.options.scale)
    folder = context.settings.seeds_dir
    scripts = seeds.read(folder / "scale" if orgs else folder)
    with context.migrator() as migrator:
        if orgs:
            action = f"load {orgs:,} made-up organizations into"
            confirmation.require(context.target, context.options.typed_name, action, "--yes-fill")
        else:
            confirmation.require_to_seed(context.target, yes=context.options.yes)
        return context.document(tables=load_seeds(context, migrator, scripts, orgs))


def load_seeds(
    context: Context, migrator: Migrator, scripts: list[SqlFile], orgs: int = 0
) -> list[TableCount]:
    from runner.migrate import seeds

    if not scripts:
        context.say(f"\nno seeds: {context.settings.seeds_dir} has no .sql file")
        return []
    try:
        with migrator.lock():
            counts = seeds.load(migrator, scripts, {"seed.orgs": orgs} if orgs else None)
    except SqlError as error:
        if error.sqlstate == "42P01":  # no such table
            error.hint = "Are the migrations applied? See: python -m runner status"
        raise
    context.say("")
    context.console.table(
        ("seeded", "inserted", "updated", "unchanged"),
        [(count.table, count.inserted, count.updated, count.unchanged) for count in counts],
        colalign=("left", "right", "right", "right"),
    )
    changed = sum(count.inserted + count.updated + count.deleted for count in counts)
    rows = plural(changed, "row") if changed else "no rows"
    context.say(f"{plural(len(scripts), 'seed file')} applied, {rows} changed{context.elapsed}")
    return counts


def _scale(text: str | None) -> int:
    """Return the number of organizations asked for, 0 without --scale."""
    if text is None:
        return 0
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_SCALE:
        raise UsageError(
            f"--scale is a number of organizations from 1 to {_MAX_SCALE}, not {text!r}"
        )
    return int(text)
