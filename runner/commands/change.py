"""Commands that change the database: up, apply, rollback, seed, reset."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import Any

from psycopg import sql

from runner import database, migrations, reach, seeds
from runner.commands.common import Options, document, say_target, since
from runner.console import Console
from runner.errors import DONE, Refused, UsageError
from runner.ledger import Ledger
from runner.migrations import Migration
from runner.plan import ADVICE, Entry, State, compare
from runner.script import Script
from runner.session import opened
from runner.settings import Settings

_MOST = 100_000  # organizations that --scale makes


def up(where: Settings, options: Options, console: Console) -> int:
    """Start, apply, seed, and say what to do next."""
    files, scripts = migrations.read(where.sql_dir), seeds.read(where.seeds_dir)
    _start_with_port(where, options, console)
    with opened(where, console.report) as ledger:
        _refuse_to_seed_elsewhere(ledger, options)
        say_target(ledger, console)
        counted = _apply(ledger, files, options, console)
        seeded = _seed(ledger, scripts, console)
        document(console, options, ledger, **counted, tables=seeded)
    console.note(
        "\nNext:\n"
        "  python -m runner status   what is applied\n"
        "  python -m runner psql     look around; try: table public.projects;\n"
        "  python -m runner url      the URL for your application\n"
        "  python -m runner down     stop the server; the data stay"
        if where.embedded
        else "\nNext:\n  python -m runner status"
    )
    return DONE


def apply(where: Settings, options: Options, console: Console) -> int:
    """Apply what is pending."""
    files = migrations.read(where.sql_dir)
    edited = migrations.find(files, options.accept_edit) if options.accept_edit else None
    with opened(where, console.report) as ledger:
        say_target(ledger, console)
        if edited:
            _accept(ledger, files, edited, console)
        document(console, options, ledger, **_apply(ledger, files, options, console))
    return DONE


def rollback(where: Settings, options: Options, console: Console) -> int:
    """Take the newest migrations back."""
    if options.steps is not None and options.steps < 1:
        raise UsageError("--steps takes a number from 1", hint="Nothing was rolled back.")
    files = migrations.read(where.sql_dir)
    stop = migrations.find(files, options.to) if options.to else None
    with opened(where, console.report, create=False) as ledger:
        say_target(ledger, console)
        if options.all:
            _two_signals(ledger, "--yes-delete", options.yes_delete, "roll back everything in")
        with ledger.lock():
            applied = compare(files, ledger.records()).applied()
            chosen = _chosen_for_rollback(applied, options, stop)
            started = time.monotonic()
            ledger.roll_back([_file_of(entry) for entry in chosen])
        left = len(applied) - len(chosen)
        console.say(f"{len(chosen)} rolled back, {left} stay applied{since(started)}")
        document(console, options, ledger, done=console.done, applied=left)
    return DONE


def seed(where: Settings, options: Options, console: Console) -> int:
    """Pour seeds/*.sql in, or so many made-up organizations."""
    orgs = _scale(options)
    scripts = seeds.read(where.seeds_dir / "scale" if orgs else where.seeds_dir)
    with opened(where, console.report) as ledger:
        if orgs:
            deed = f"pour {orgs:,} made-up organizations into"
            _two_signals(ledger, "--yes-fill", options.yes_fill, deed)
        else:
            _refuse_to_seed_elsewhere(ledger, options)
        say_target(ledger, console)
        counts = _seed(ledger, scripts, console, settings={"seed.orgs": orgs} if orgs else None)
        document(console, options, ledger, tables=counts)
    return DONE


def reset(where: Settings, options: Options, console: Console) -> int:
    """Empty the database, then apply and seed."""
    files, scripts = migrations.read(where.sql_dir), seeds.read(where.seeds_dir)
    _start_with_port(where, options, console)
    if where.embedded:
        _recreate(where, console)
    with opened(where, console.report) as ledger:
        say_target(ledger, console)
        _two_signals(ledger, "--yes-delete", options.yes_delete, "empty")
        _refuse_to_seed_elsewhere(ledger, options)
        if not where.embedded:
            with ledger.lock():
                applied = compare(files, ledger.records()).applied()
                ledger.roll_back([_file_of(entry) for entry in applied])
        counted = _apply(ledger, files, options, console)
        seeded = _seed(ledger, scripts, console)
        document(console, options, ledger, **counted, tables=seeded)
    return DONE


def _apply(
    ledger: Ledger, files: list[Migration], options: Options, console: Console
) -> dict[str, Any]:
    to = migrations.find(files, options.to) if getattr(options, "to", None) else None
    late = getattr(options, "late", False)
    started = time.monotonic()
    plan = compare(files, ledger.records())
    if plan.of(State.EDITED):
        from runner import edits  # noqa: PLC0415 - not needed on any good day

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
    from runner import edits  # noqa: PLC0415 - needs the embedded server

    with ledger.lock():
        states = {entry.id: entry.state for entry in compare(files, ledger.records()).entries}
        if states[edited.id] not in (State.EDITED, State.REWORDED):
            raise UsageError(
                f"{edited.id} is {states[edited.id].value}, so there is no edit to accept",
                hint="Nothing was recorded.",
            )
        edits.accept(ledger, files, edited, report=console.report)


def _scale(options: Options) -> int:
    """Return how many organizations are asked for, 0 where --scale is not."""
    if options.scale is None:
        return 0
    if not options.scale.isdecimal() or not 1 <= int(options.scale) <= _MOST:
        raise UsageError(
            f"--scale takes a number of organizations from 1 to {_MOST}, not {options.scale!r}",
            hint="Nothing was seeded.",
        )
    return int(options.scale)


def _seed(
    ledger: Ledger,
    scripts: list[Script],
    console: Console,
    settings: Mapping[str, int] | None = None,
) -> list[seeds.TableCount]:
    started = time.monotonic()
    with ledger.lock():
        counts = seeds.pour(ledger, scripts, settings)
    console.say()
    console.table(
        ("seeded", "inserted", "updated", "unchanged"),
        [(count.table, count.inserted, count.updated, count.unchanged) for count in counts],
        colalign=("left", "right", "right", "right"),
    )
    changed = sum(count.inserted + count.updated + count.deleted for count in counts)
    files = f"{len(scripts)} file{'s' if len(scripts) != 1 else ''}"
    console.say(
        f"{files} poured in, {changed or 'no'} row{'' if changed == 1 else 's'} changed"
        + since(started)
    )
    return counts


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


def _file_of(entry: Entry) -> Migration:
    """Return the file of an applied migration; a missing one has a rollback at best."""
    if entry.migration is None:
        raise UsageError(
            f"{entry.id} is applied but has no file here, so nobody knows its way back",
            hint="Check out the branch or release that has it. Nothing was rolled back.",
        )
    return entry.migration


def _start_with_port(where: Settings, options: Options, console: Console) -> None:
    if options.port is None:
        return
    from runner import embedded  # noqa: PLC0415 - only where a port is asked for

    if not where.embedded:
        raise UsageError(
            f"--port is for the embedded server, but {where.database_source} names the database",
            hint="Nothing was done.",
        )
    embedded.start(
        where.data_dir, version=where.embedded_version, port=options.port, report=console.note
    )


def _recreate(where: Settings, console: Console) -> None:
    """Drop and make the embedded database; those who are connected to it are thrown out."""
    target = database.target(where, report=console.report)
    with reach.connect(target, dbname="postgres") as connection:
        name = sql.Identifier(target.name)
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        connection.execute(sql.SQL("create database {}").format(name))


def _refuse_to_seed_elsewhere(ledger: Ledger, options: Options) -> None:
    if ledger.target and not ledger.target.is_local and not options.yes:
        raise Refused(
            f"Seeds are made-up data for development, and {ledger.target.url()} is not local",
            hint="If it is meant: --yes. To migrate only: python -m runner apply. "
            "Nothing was done.",
        )


def _two_signals(ledger: Ledger, flag: str, typed: str | None, deed: str) -> None:
    target = ledger.target
    if target is None or target.embedded or typed == target.name:
        return
    raise Refused(
        f"This would {deed} {target.url()}, which is not the embedded database",
        hint=f"If it is meant, type its name: {flag} {shlex.quote(target.name)}\nNothing was done.",
    )
