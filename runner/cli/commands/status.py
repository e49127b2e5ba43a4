"""Commands that look and change nothing: status, url, psql."""

from __future__ import annotations

import os
import shutil
from typing import Any

from runner.cli.commands.common import Options, document, show_target
from runner.cli.console import Console
from runner.errors import DONE, SOMETHING_TO_DO
from runner.files import loader
from runner.migrate.plan import ADVICE, Entry, Plan, State, compare
from runner.migrate.session import migrator_for
from runner.postgres.target import resolve
from runner.schema import fingerprint
from runner.settings import Settings

_STATE_COLOURS = {
    State.APPLIED: "green",
    State.COSMETIC: "green",
    State.PENDING: "yellow",
    State.OUT_OF_ORDER: "red",
    State.EDITED: "red",
    State.MISSING: "red",
    State.PARTIAL: "red",
}


def status(where: Settings, options: Options, console: Console) -> int:
    """Show what is applied, pending, edited, missing, late, halfway. Writes nothing."""
    files = loader.read(where.sql_dir)
    with migrator_for(where, console.report, create=False, log=False, write=False) as migrator:
        show_target(migrator, console)
        plan = compare(files, migrator.records())
        changed = fingerprint.changed_since(migrator.connection)
        code = DONE if plan.clean and not changed else SOMETHING_TO_DO
        _show(plan, changed, console)
        document(
            console,
            options,
            migrator,
            exit_code=code,
            clean=code == DONE,
            changed_since=f"{changed.since.isoformat()}Z" if changed else None,
            counts={state.value: len(plan.of(state)) for state in State},
            migrations=[_line(entry) for entry in plan.entries],
        )
    return code


def url(where: Settings, options: Options, console: Console) -> int:
    """Print the database's URL."""
    target = resolve(where, create=False, report=console.report)
    text = target.url(show_password=options.show_password)
    console.say(text)
    console.document(options.command, ok=True, exit_code=DONE, url=text)
    return DONE


def psql(where: Settings, options: Options, console: Console) -> int:
    """Become psql on the configured database."""
    target = resolve(where, create=False, report=console.report)
    from runner.postgres import embedded  # noqa: PLC0415 - only to find the psql that came with the wheel

    program = shutil.which("psql") if not target.embedded else None
    command = program or str(embedded.program("psql"))
    os.execve(command, ["psql", *options.rest], target.environ(where.environ))  # noqa: S606


def _show(plan: Plan, changed: fingerprint.Changed | None, console: Console) -> None:
    rows = [
        (
            console.paint(entry.state.label, _STATE_COLOURS[entry.state]),
            entry.id,
            f"{record.applied_at:%Y-%m-%d %H:%M}" if record and record.applied_at else "",
            f"{record.ms:,.0f} ms" if record and record.ms is not None else "",
        )
        for entry in plan.entries
        for record in (entry.record,)
    ]
    console.table(("state", "migration", "applied (UTC)", "took"), rows)
    people = sorted({e.record.applied_by for e in plan.entries if e.record and e.record.applied_by})
    if people:
        console.say(f"applied by {'; '.join(people)}")
    for state, advice in ADVICE.items():
        if entries := plan.of(state):
            console.say(f"{len(entries)} {state.label}: {advice}")
    if changed:
        console.say(f"{changed}\nwhat changed: python -m runner verify --only drift")
    elif plan.clean:
        console.say(f"{len(plan.applied())} applied, nothing to do")


def _line(entry: Entry) -> dict[str, Any]:
    record, file = entry.record, entry.migration
    return {
        "id": entry.id,
        "state": entry.state.value,
        "file": str(file.path) if file else None,
        "sha256": file.sha256 if file else None,
        "applied_sha256": record.sha256 if record else None,
        "applied_at": f"{record.applied_at.isoformat()}Z" if record and record.applied_at else None,
        "applied_by": record.applied_by if record else None,
        "ms": record.ms if record else None,
    }
