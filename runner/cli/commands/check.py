"""The command that proves the files: check."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from runner.cli.commands.common import Options
from runner.cli.console import Console
from runner.errors import DONE, PROOF_FAILED, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate import seeds
from runner.preflight import checks
from runner.preflight.checks import out_of_order
from runner.preflight.checks.finding import PROOFS, Finding, Findings
from runner.preflight.scratch import scratch_server
from runner.settings import Settings

_WIDTH = 36  # of an id; 80 columns with what comes beside it


def check(where: Settings, options: Options, console: Console) -> int:
    """Prove the files on a scratch server. Touches no other database."""
    started = time.monotonic()
    with _shelf(where, options) as (shelf, those_late):
        only = loader.find(shelf, options.file) if options.file else None
        with scratch_server(where.embedded_version, console.report) as scratch:
            found = checks.check(scratch, shelf, _seeds(where), only=only, report=console.report)
            if options.base or options.out_of_order:
                found.whole(*out_of_order.check(scratch, shelf, those_late))
    found.seconds = time.monotonic() - started
    code = PROOF_FAILED if found.failed else DONE
    _show(found, console)
    console.document(
        options.command,
        ok=not found.failed,
        exit_code=code,
        server_version=where.embedded_version,
        files=found.lines,
        wholes=found.wholes,
        failed=found.failed,
        notes=[*console.notes, *found.notes],
        ms=round(found.seconds * 1000),
    )
    return code


@contextmanager
def _shelf(where: Settings, options: Options) -> Iterator[tuple[list[Migration], list[Migration]]]:
    """Yield the files to check, and those of them that come late."""
    here = loader.read(where.sql_dir)
    if options.base:
        with out_of_order.against(where.sql_dir, options.base) as both:
            yield both
    else:
        yield here, [loader.find(here, name) for name in options.out_of_order or ()]


def _seeds(where: Settings) -> list[SqlFile]:
    """Return the seeds, if there are any: other folders of migrations may have none."""
    try:
        return seeds.read(where.seeds_dir)
    except UsageError:
        return []


def _show(found: Findings, console: Console) -> None:
    longest = max(len(line.id) for line in found.lines)
    width = min(max(longest, 20), _WIDTH)
    console.say(" " * (width + 2) + "  ".join(PROOFS))
    for line in found.lines:
        marks = (_mark(line.proofs[proof], len(proof), console) for proof in PROOFS)
        console.say(f"{_cut(line.id, width)}  {'  '.join(marks)}  {line.ms:>8,.0f} ms")
    console.say()
    for proof, holds in found.wholes.items():
        console.say(f"{_mark(holds, 1, console)} {proof}")
    for finding in found.failed:
        _show_finding(finding, console)
    for note in found.notes:
        console.say(console.paint(f"note: {note}", "yellow"))
    console.say(console.paint(found.summary, "red" if found.failed else "green"))


def _show_finding(finding: Finding, console: Console) -> None:
    title = f"{finding.proof}: " + " ".join(filter(None, (finding.file, finding.what)))
    console.say(console.paint(f"\n✗ {title}", "red"))
    if finding.place:
        console.say(f"  at {finding.place}")
        if finding.place.text:
            console.say(f"  | {finding.place.text}")
    for detail in finding.details:
        console.say(f"  {detail}")


def _mark(holds: bool, width: int, console: Console) -> str:
    padded = ("✓" if holds else "✗").center(width)
    return console.paint(padded, "green" if holds else "red")


def _cut(text: str, width: int) -> str:
    return f"{text:<{width}}" if len(text) <= width else f"{text[: width - 1]}…"
