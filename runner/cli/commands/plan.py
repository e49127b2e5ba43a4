"""The command that tells what would happen: plan."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from runner.cli.commands.common import Options, document, show_target
from runner.cli.console import Console
from runner.errors import DONE, ERROR, SOMETHING_TO_DO, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate import psql_script
from runner.migrate.migrator import Migrator
from runner.migrate.plan import State, compare
from runner.migrate.session import migrator_for
from runner.preflight import rehearsal, rehearsal_report
from runner.preflight.rehearsal_report import Rehearsal, Step
from runner.settings import Settings

_LOCK_TIMEOUT = 1.0  # seconds: a rehearsal gives way to everybody
_SHOWN = 64  # characters of a statement


def plan(where: Settings, options: Options, console: Console) -> int:
    """Tell what is pending, what it would do and whom it would keep waiting. Keeps nothing."""
    if options.hold <= 0:
        raise UsageError("--hold takes seconds, more than none", hint="Nothing was rehearsed.")
    files = loader.read(where.sql_dir)
    to = loader.find(files, options.to) if options.to else None
    with migrator_for(where, console.report, create=False, log=False) as migrator:
        if not options.sql:
            show_target(migrator, console)
        compared = compare(files, migrator.records())
        if compared.of(State.EDITED):
            from runner.preflight import edits  # noqa: PLC0415 - not needed on any good day

            edits.refuse(migrator, compared)
        pending = compared.pending(to=to, out_of_order=options.out_of_order)
        if options.sql:
            return _by_hand(migrator, pending, options, console)
        found = _rehearse(migrator, pending, options, console) if pending else []
        code = SOMETHING_TO_DO if pending else DONE
        if any(one.error for one in found):
            code = ERROR
        _show(found, len(compared.applied()), options, console)
        document(
            console,
            options,
            migrator,
            ok=code != ERROR,
            exit_code=code,
            on=options.on,
            pending=[_described(one, on_copy=options.on == "scratch") for one in found],
        )
    return code


def _by_hand(
    migrator: Migrator, pending: Sequence[Migration], options: Options, console: Console
) -> int:
    target = migrator.target.url() if migrator.target else ""
    text = (
        psql_script.script(migrator.connection, pending, target)
        if pending
        else "-- nothing pending\n"
    )
    console.text(text)
    code = SOMETHING_TO_DO if pending else DONE
    ids = [file.id for file in pending]
    document(console, options, migrator, ok=True, exit_code=code, pending=ids, sql=text)
    return code


def _rehearse(
    migrator: Migrator, pending: Sequence[Migration], options: Options, console: Console
) -> list[Rehearsal]:
    connection = migrator.connection
    if options.on == "target":
        with migrator.lock():
            return rehearsal.on_target(
                connection,
                pending,
                lock_timeout=_LOCK_TIMEOUT,
                hold=options.hold,
                report=console.report,
            )
    from runner.preflight.clone import clone  # noqa: PLC0415 - needs the embedded server
    from runner.preflight.scratch import scratch_server  # noqa: PLC0415

    sizes = {table.name: table for table in rehearsal.tables(connection).values()}
    assert migrator.target  # noqa: S101 - a session's ledger has one
    with (
        scratch_server(connection.info.server_version // 10000, console.report) as scratch,
        clone(scratch, connection, migrator.target, report=console.report) as copy,
    ):
        return rehearsal.on_copy(copy, pending, sizes, report=console.report)


def _show(found: Sequence[Rehearsal], applied: int, options: Options, console: Console) -> None:
    for one in found:
        kind = "" if one.transactional else ", outside a transaction"
        took = f"  {one.ms:,.0f} ms" if one.steps else ""
        console.say(console.paint(f"{one.id}{kind}{took}", "bold"))
        if one.not_run:
            console.say(f"  not rehearsed: {one.not_run}")
        for step in one.steps:
            _show_step(step, console, on_copy=options.on == "scratch")
        if one.error:
            console.failure(one.error)
        console.say()
    failed = [one for one in found if one.error]
    if failed:
        console.say(console.paint(f"{failed[0].id} would fail; nothing was kept", "red"))
    elif found:
        console.say(
            f"{len(found)} pending, nothing kept. To apply: python -m runner apply; "
            "by hand: python -m runner plan --sql"
        )
    else:
        console.say(f"nothing pending: {applied} applied")


def _show_step(step: Step, console: Console, *, on_copy: bool) -> None:
    text = step.text if len(step.text) <= _SHOWN else f"{step.text[: _SHOWN - 1]}…"
    console.say(f"  line {step.line}: {text}")
    for effect in step.effects:
        console.say(_wrapped(effect.as_effect(), "    "))
    for touch in step.touches:
        console.say(
            console.paint(_wrapped(rehearsal_report.said(touch, on_copy=on_copy), "    "), "yellow")
        )
    for warning in rehearsal_report.warnings(step):
        console.say(console.paint(_wrapped(f"! {warning}", "    "), "red"))


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(
        text, 79, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False
    )


def _described(one: Rehearsal, *, on_copy: bool) -> dict[str, Any]:
    return {
        "id": one.id,
        "transactional": one.transactional,
        "ms": one.ms,
        "not_rehearsed": one.not_run or None,
        "error": one.error.message if one.error else None,
        "statements": [
            {
                "line": step.line,
                "text": step.text,
                "ms": step.ms,
                "effects": [effect.as_effect() for effect in step.effects],
                "touches": [
                    {**vars(touch), "said": rehearsal_report.said(touch, on_copy=on_copy)}
                    for touch in step.touches
                ],
                "warnings": list(rehearsal_report.warnings(step)),
            }
            for step in one.steps
        ],
    }
