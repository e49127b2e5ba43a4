"""The findings of a check as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runner.preflight.checks.finding import CHECKS, Finding, Findings

Paint = Callable[[str, str], str]  # text and color

_WIDTH = 36  # of an id; a line has at most 80 columns
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}


def lines(found: Findings, paint: Paint) -> Iterator[str]:
    """Yield a line for each file, each overall check, each finding, and a summary."""
    longest = max((len(file.id) for file in found.files), default=0)
    width = min(max(longest, 20), _WIDTH)
    if found.files:
        yield " " * (width + 2) + "  ".join(CHECKS)
    for file in found.files:
        marks = (_mark(file.checks[name], len(name), paint) for name in CHECKS)
        yield f"{_cut(file.id, width)}  {'  '.join(marks)}  {file.ms:>8,.0f} ms"
    yield from [""] if found.files else []
    about = {note.partition(":")[0]: note for note in found.notes}
    for name, passed in found.overall.items():
        yield f"{_mark(passed, 1, paint)} {about.get(name, name)}"
    for finding in found.failed:
        yield from _finding(finding, paint)
    for reason, ids in found.not_tried.items():
        yield paint(f"– {_from_to(ids)}: {reason}", "yellow")
    for note in found.notes:
        if note.partition(":")[0] not in found.overall:
            yield paint(f"note: {note}", "yellow")
    if left := found.not_checked:
        files = [*found.planned[len(found.files) :]]
        which = ", ".join([*([_from_to(files)] if files else []), *left[len(files) :]])
        yield paint(f"ended at {left[0]}; not checked: {which}", "yellow")
    yield paint(found.summary, "red" if found.fails or left else "green")


def document(found: Findings, notes: Sequence[str]) -> dict[str, Any]:
    """Return the same for JSON, with the `notes` of the console."""
    names = ("server_version", "files", "overall", "failed", "not_checked")
    content = {name: getattr(found, name) for name in names}
    return {**content, "notes": [*notes, *found.notes], "ms": round(found.seconds * 1000)}


def _finding(finding: Finding, paint: Paint) -> Iterator[str]:
    title = f"{finding.check}: " + " ".join(filter(None, (finding.file, finding.summary)))
    yield paint(f"\n✗ {title}", "red")
    if finding.place:
        yield f"  at {finding.place}"
        if finding.place.text:
            yield f"  | {finding.place.text}"
    for detail in finding.details:
        yield f"  {detail}"


def _from_to(ids: Sequence[str]) -> str:
    return f"{ids[0]} to {ids[-1]}" if len(ids) > 1 else ids[0]


def _mark(passed: bool | None, width: int, paint: Paint) -> str:
    mark, color = _MARKS[passed]
    return paint(mark.center(width), color)


def _cut(text: str, width: int) -> str:
    return f"{text:<{width}}" if len(text) <= width else f"{text[: width - 1]}…"
