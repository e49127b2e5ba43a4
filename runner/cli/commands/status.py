"""Show which migrations are applied, pending, edited, missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.cli.context import Context
from runner.errors import DONE, SOMETHING_TO_DO

if TYPE_CHECKING:
    from runner.migrate.plan import Plan
    from runner.schema.fingerprint import Changed

EXAMPLE = "status --json"
EXIT_CODES = "2 there is something to do, "


def run(context: Context) -> int:
    """Show the state of every migration. Writes nothing."""
    from runner.migrate.plan import State, compare
    from runner.preflight.distribution import undistributed
    from runner.preflight.notes import as_json, notes
    from runner.schema import fingerprint

    files = context.files()
    with context.migrator(create=False, log=False, write=False) as migrator:
        plan = compare(files, migrator.records())
        changed = fingerprint.changed_since(migrator.connection, context.report)
        said = notes(migrator.connection, plan)
        missed = undistributed(migrator.connection)
        code = DONE if plan.clean and not changed and not missed else SOMETHING_TO_DO
        said |= {one.table: f"{one.advice}\n{one.statements}" for one in missed}
        _show(context, plan, changed, said)
        return context.document(
            code,
            clean=code == DONE,
            changed_since=f"{changed.since.isoformat()}Z" if changed else None,
            counts={state.value: len(plan.of(state)) for state in State},
            undistributed=missed,
            migrations=[as_json(entry, said) for entry in plan.entries],
        )


def _show(context: Context, plan: Plan, changed: Changed | None, said: dict[str, str]) -> None:
    from runner.migrate.plan import ADVICE
    from runner.preflight.notes import advice, lines, table

    console = context.console
    rows, actors = table(plan, console.paint)
    console.table(("state", "migration", "applied (UTC)", "took"), rows)
    if actors:
        console.say(f"applied by {'; '.join(actors)}")
    for state in ADVICE:
        if entries := plan.of(state):
            console.say(f"{len(entries)} {state.label}: {advice(state, said)}")
    if changed:
        console.say(f"{changed}\nwhat changed: python -m runner verify --only drift")
    elif plan.clean and not said:
        console.say(f"{len(plan.applied())} applied, nothing to do")
    console.say(*lines(said))
