"""Commands that change the schema: apply, rollback."""

from __future__ import annotations

import shlex
import time
from typing import Any

from runner.cli.commands.common import Options, document, show_target, since
from runner.cli.console import Console
from runner.errors import DONE, ConfirmationRequired, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate.migrator import Migrator
from runner.migrate.plan import ADVICE, Entry, State, compare
from runner.migrate.session import migrator_for
from runner.settings import Settings


def apply(where: Settings, options: Options, console: Console) -> int:
    """Apply what is pending."""
    files = loader.read(where.sql_dir)
    edited = loader.find(files, options.accept_edit) if options.accept_edit else None
    with migrator_for(where, console.report) as migrator:
        show_target(migrator, console)
        if edited:
            _accept(migrator, files, edited, console)
        document(console, options, migrator, **apply_pending(migrator, files, options, console))
    return DONE


def rollback(where: Settings, options: Options, console: Console) -> int:
    """Take the newest migrations back."""
    if options.steps is not None and options.steps < 1:
        raise UsageError("--steps takes a number from 1", hint="Nothing was rolled back.")
    files = loader.read(where.sql_dir)
    stop = loader.find(files, options.to) if options.to else None
    with migrator_for(where, console.report, create=False) as migrator:
        show_target(migrator, console)
        if options.all:
            require_confirmation(
                migrator, "--yes-delete", options.yes_delete, "roll back everything in"
            )
        with migrator.lock():
            applied = compare(files, migrator.records()).applied()
            chosen = _chosen_for_rollback(applied, options, stop)
            started = time.monotonic()
            migrator.roll_back([migration_of(entry) for entry in chosen])
        left = len(applied) - len(chosen)
        console.say(f"{len(chosen)} rolled back, {left} stay applied{since(started)}")
        document(console, options, migrator, done=console.done, applied=left)
    return DONE


def apply_pending(
    migrator: Migrator, files: list[Migration], options: Options, console: Console
) -> dict[str, Any]:
    """Apply what is pending, and return what there is to say of it in JSON."""
    to = loader.find(files, options.to) if getattr(options, "to", None) else None
    out_of_order = getattr(options, "late", False)
    started = time.monotonic()
    plan = compare(files, migrator.records())
    if plan.of(State.EDITED):
        from runner.preflight import edits  # noqa: PLC0415 - not needed on any good day

        edits.refuse(migrator, plan)
    if plan.pending(to=to, out_of_order=out_of_order):
        with migrator.lock():  # another run may have been faster: look again
            plan = compare(files, migrator.records())
            migrator.apply(plan.pending(to=to, out_of_order=out_of_order))
            plan = compare(files, migrator.records())
    for state in (State.MISSING, State.COSMETIC):
        if entries := plan.of(state):
            console.note(f"{', '.join(e.id for e in entries)}: {ADVICE[state]}")
    pending = len(plan.of(State.PENDING, State.OUT_OF_ORDER, State.PARTIAL))
    applied = len(plan.applied()) - len(plan.of(State.PARTIAL))
    count = len([done for done in console.done if done.operation == "apply"])
    console.say(
        f"{count} applied now, {applied} in all, {pending} pending{since(started)}"
        if count
        else f"nothing to apply: {applied} applied, {pending} pending{since(started)}"
    )
    return {"done": console.done, "applied": applied, "pending": pending}


def _accept(
    migrator: Migrator, files: list[Migration], edited: Migration, console: Console
) -> None:
    from runner.preflight import edits  # noqa: PLC0415 - needs the embedded server

    with migrator.lock():
        states = {entry.id: entry.state for entry in compare(files, migrator.records()).entries}
        if states[edited.id] not in (State.EDITED, State.COSMETIC):
            raise UsageError(
                f"{edited.id} is {states[edited.id].value}, so there is no edit to accept",
                hint="Nothing was recorded.",
            )
        edits.accept(migrator, files, edited, report=console.report)


def _chosen_for_rollback(
    applied: list[Entry], options: Options, stop: Migration | None
) -> list[Entry]:
    if options.all:
        return applied
    if stop:
        ids = [entry.id for entry in applied]
        if stop.id not in ids:
            raise UsageError(
                f"{stop.id} is not applied, so nothing can be rolled back to it",
                hint=f"Applied are: {', '.join(reversed(ids)) or 'none'}",
            )
        return applied[: ids.index(stop.id)]
    return applied[: options.steps or 1]


def migration_of(entry: Entry) -> Migration:
    """Return the file of an applied migration; a missing one has a rollback at best."""
    if entry.migration is None:
        raise UsageError(
            f"{entry.id} is applied but has no file here, so nobody knows its way back",
            hint="Check out the branch or release that has it. Nothing was rolled back.",
        )
    return entry.migration


def require_confirmation(migrator: Migrator, flag: str, typed: str | None, operation: str) -> None:
    """Raise Refused unless this is the embedded database, or its name was typed after the flag."""
    target = migrator.target
    if target is None or target.embedded or typed == target.name:
        return
    raise ConfirmationRequired(
        f"This would {operation} {target.url()}, which is not the embedded database",
        hint=f"If it is meant, type its name: {flag} {shlex.quote(target.name)}\nNothing was done.",
    )
