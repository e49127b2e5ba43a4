"""Show which migrations are applied, pending, edited, missing."""

from __future__ import annotations

from runner.cli.context import Context
from runner.errors import DONE, SOMETHING_TO_DO

EXAMPLE = "status --json"
EXIT_CODES = "2 there is something to do, "


def run(context: Context) -> int:
    from runner.migrate.plan import State, compare
    from runner.preflight.distribution import undistributed
    from runner.preflight.notes import as_json, lines, notes, table
    from runner.schema import fingerprint

    files = context.files()
    with context.migrator(create=False, log=False, write=False) as migrator:
        plan = compare(files, migrator.records())
        changed = fingerprint.changed_since(migrator.connection, context.report)
        said = notes(migrator.connection, plan, context.report)
        missed = undistributed(migrator.connection)
        code = DONE if plan.clean and not changed and not missed else SOMETHING_TO_DO
        said |= {one.table: f"{one.advice}\n{one.statements}" for one in missed}
        rows = table(plan, context.console.paint)
        context.console.table(("state", "migration", "applied (UTC)", "took"), rows)
        context.say(*lines(plan, changed, said))
        return context.document(
            code,
            clean=code == DONE,
            changed_since=f"{changed.since.isoformat()}Z" if changed else None,
            counts={state.value: len(plan.of(state)) for state in State},
            undistributed=missed,
            migrations=[as_json(entry, said) for entry in plan.entries],
        )
