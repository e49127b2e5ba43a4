"""Commands that change the schema: apply, rollback."""

from __future__ import annotations

import shlex
import time
from typing import Any

from runner.cli.commands.common import Options, document, say_target, since
from runner.cli.console import Console
from runner.errors import DONE, Refused, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate.migrator import Ledger
from runner.migrate.plan import ADVICE, Entry, State, compare
from runner.migrate.session import opened
from runner.settings import Settings


def apply(where: Settings, options: Options, console: Console) -> int:
    """Apply what is pending."""
    files = loader.read(where.sql_dir)
    edited = loader.find(files, options.accept_edit) if options.accept_edit else None
    with opened(where, console.report) as ledger:
        say_target(ledger, console)
        if edited:
            _accept(ledger, files, edited, console)
        document(console, options, ledger, **apply_pending(ledger, files, options, console))
    return DONE


def rollback(where: Settings, options: Options, console: Console) -> int:
    """Take the newest migrations back."""
    if options.steps is not None and options.steps < 1:
        raise UsageError("--steps takes a number from 1", hint="Nothing was rolled back.")
    files = loader.read(where.sql_dir)
    stop = loader.find(files, options.to) if options.to else None
    with opened(where, console.report, create=False) as ledger:
        say_target(ledger, console)
        if options.all:
            two_signals(ledger, "--yes-delete", options.yes_delete, "roll back everything in")
        with ledger.lock():
            applied = compare(files, ledger.records()).applied()
            chosen = _chosen_for_rollback(applied, options, stop)
            started = time.monotonic()
            ledger.roll_back([file_of(entry) for entry in chosen])
        left = len(applied) - len(chosen)
        console.say(f"{len(chosen)} rolled back, {left} stay applied{since(started)}")
        document(console, options, ledger, done=console.done, applied=left)
    return DONE


def apply_pending(
    ledger: Ledger, files: list[Migration], options: Options, console: Console
) -> dict[str, Any]:
    """Apply what is pending, and return what there is to say of it in JSON."""
    to = loader.find(files, options.to) if getattr(options, "to", None) else None
    late = getattr(options, "late", False)
    started = time.monotonic()
    plan = compare(files, ledger.records())
    if plan.of(State.EDITED):
        from runner.preflight import edits  # noqa: PLC0415 - not needed on any good day

        edits.refuse(ledger, plan)
    if plan.pending(to=to, late=late):
        with ledger.lock():  # another run may have been faster: look again
            plan = compare(files, ledger.records())
            ledger.apply(plan.pending(to=to, late=late))
            plan = compare(files, ledger.records())
    for state in (State.MISSING, State.REWORDED):
        if entries := plan.of(state):
            console.note(f"{', '.join(e.id for e in entries)}: {ADVICE[state]}")
    pending = len(plan.of(State.PENDING, State.LATE, State.HALFWAY))
    applied = len(plan.applied()) - len(plan.of(State.HALFWAY))
    count = len([done for done in console.done if done.operation == "apply"])
    console.say(
        f"{count} applied now, {applied} in all, {pending} pending{since(started)}"
        if count
        else f"nothing to apply: {applied} applied, {pending} pending{since(started)}"
    )
    return {"done": console.done, "applied": applied, "pending": pending}


def _accept(ledger: Ledger, files: list[Migration], edited: Migration, console: Console) -> None:
    from runner.preflight import edits  # noqa: PLC0415 - needs the embedded server

    with ledger.lock():
        states = {entry.id: entry.state for entry in compare(files, ledger.records()).entries}
        if states[edited.id] not in (State.EDITED, State.REWORDED):
            raise UsageError(
                f"{edited.id} is {states[edited.id].value}, so there is no edit to accept",
                hint="Nothing was recorded.",
            )
        edits.accept(ledger, files, edited, report=console.report)


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


def file_of(entry: Entry) -> Migration:
    """Return the file of an applied migration; a missing one has a rollback at best."""
    if entry.migration is None:
        raise UsageError(
            f"{entry.id} is applied but has no file here, so nobody knows its way back",
            hint="Check out the branch or release that has it. Nothing was rolled back.",
        )
    return entry.migration


def two_signals(ledger: Ledger, flag: str, typed: str | None, deed: str) -> None:
    """Raise Refused unless this is the embedded database, or its name was typed after the flag."""
    target = ledger.target
    if target is None or target.embedded or typed == target.name:
        return
    raise Refused(
        f"This would {deed} {target.url()}, which is not the embedded database",
        hint=f"If it is meant, type its name: {flag} {shlex.quote(target.name)}\nNothing was done.",
    )
