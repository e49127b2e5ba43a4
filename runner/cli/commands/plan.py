"""The command that tells what would happen: plan."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from runner.cli.commands.common import Options, document, say_target
from runner.cli.console import Console
from runner.errors import DONE, ERROR, SOMETHING_TO_DO, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate import psql_script
from runner.migrate.migrator import Ledger
from runner.migrate.plan import State, compare
from runner.migrate.session import opened
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
    with opened(where, console.report, create=False, log=False) as ledger:
        if not options.sql:
            say_target(ledger, console)
        compared = compare(files, ledger.records())
        if compared.of(State.EDITED):
            from runner.preflight import edits  # noqa: PLC0415 - not needed on any good day

            edits.refuse(ledger, compared)
        pending = compared.pending(to=to, late=options.late)
        if options.sql:
            return _by_hand(ledger, pending, options, console)
        found = _rehearse(ledger, pending, options, console) if pending else []
        code = SOMETHING_TO_DO if pending else DONE
        if any(one.error for one in found):
            code = ERROR
        _show(found, len(compared.applied()), options, console)
        document(
            console,
            options,
            ledger,
            ok=code != ERROR,
            exit_code=code,
            on=options.on,
            pending=[_described(one, on_copy=options.on == "scratch") for one in found],
        )
    return code


def _by_hand(
    ledger: Ledger, pending: Sequence[Migration], options: Options, console: Console
) -> int:
    target = ledger.target.url() if ledger.target else ""
    text = (
        psql_script.script(ledger.connection, pending, target)
        if pending
        else "-- nothing pending\n"
    )
    console.text(text)
    code = SOMETHING_TO_DO if pending else DONE
    ids = [file.id for file in pending]
    document(console, options, ledger, ok=True, exit_code=code, pending=ids, sql=text)
    return code


def _rehearse(
    ledger: Ledger, pending: Sequence[Migration], options: Options, console: Console
) -> list[Rehearsal]:
    connection = ledger.connection
    if options.on == "target":
        with ledger.lock():
            return rehearsal.on_target(
                connection,
                pending,
                lock_timeout=_LOCK_TIMEOUT,
                hold=options.hold,
                report=console.report,
            )
    from runner.preflight.clone import duplicate  # noqa: PLC0415 - needs the embedded server
    from runner.preflight.scratch import workshop  # noqa: PLC0415

    sizes = {table.name: table for table in rehearsal.tables(connection).values()}
    assert ledger.target  # noqa: S101 - a session's ledger has one
    with (
        workshop(connection.info.server_version // 10000, console.report) as shop,
        duplicate(shop, connection, ledger.target, report=console.report) as copy,
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
