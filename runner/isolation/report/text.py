"""A verdict, or the score of a self-test, as lines of text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from runner.isolation.report import groups, summary
from runner.isolation.self_test.score import Score
from runner.isolation.surface import lock_file
from runner.isolation.surface.review import Accepted
from runner.isolation.verdict import SINGLE, Breach, Check, Verdict

Paint = Callable[[str, str], str]  # text and color

_WIDTH = 80
_NAMED = 5  # breaches with the same cause that are named after the one in full


def verdict_lines(verdict: Verdict, paint: Paint, *, verbose: bool = False) -> Iterator[str]:
    """Yield the report of a verdict: matrix, checks, warnings, breaches.

    `verbose` lists passed checks too, and every breach of a cause.
    """
    yield from _matrix(verdict, paint)
    yield from _checks(verdict, paint, verbose=verbose)
    for warning in verdict.warnings:
        word = "" if warning.startswith("note:") else "warning: "
        yield paint(_wrapped(f"{word}{warning}", "  "), "yellow")
    if verdict.warnings:
        yield ""
    yield from breach_lines(verdict.breaches, paint, verbose=verbose)


def breach_lines(breaches: Sequence[Breach], paint: Paint, *, verbose: bool) -> Iterator[str]:
    """Yield one group per cause: its first breach in full, the names of the others, and the fix."""
    found = groups.of(breaches)
    for number, group in enumerate(found, start=1):
        yield from _group(group, f"{number} of {len(found)}", paint, verbose=verbose)
    if len(found) > 1:
        yield f"{len(breaches)} breaches of {len(found)} causes:"
        for number, group in enumerate(found, start=1):
            text = f"{number:>3}  {group.object} ({groups.counted(group)})"
            yield paint(_wrapped(text, "     "), "red")
        yield ""


def _group(group: groups.Group, number: str, paint: Paint, *, verbose: bool) -> Iterator[str]:
    first, *others = group.breaches
    count = f" ({groups.counted(group)})" if others else ""
    yield paint(f"breach {number}: {first.proof}{count}", "red")
    for name in ("summary", "actor", "sql", "exposed"):
        if value := getattr(first, name):
            yield _field(name, value)
    times = Counter(breach.proof for breach in others)
    more = [f"{proof}{f' ({n} times)' if n > 1 else ''}" for proof, n in times.items()]
    if not verbose and len(more) > _NAMED:
        more[_NAMED:] = [f"and {len(more) - _NAMED} more, which -v or --json name"]
    fields = {
        "also affected": "\n".join(more),
        "cause": "\n".join(group.causes),
        "if intended": group.intended,
        "fix": group.fix,
    }
    for name, value in fields.items():
        if value:
            yield _field(name, value)
    yield ""


def score_lines(score: Score, paint: Paint, *, verbose: bool) -> Iterator[str]:
    """Yield what a self-test found, after the table of its kinds; `verbose` adds equivalents."""
    for check in score.races:
        yield f"{_mark(check, paint)} {check.title}: {check.outcome}"
    for trial in score.equivalents if verbose else ():
        yield f"equivalent: {trial.mutant.name}\n  {trial.note}"
    for trial in score.survivors:
        line = f"{trial.verdict}: {trial.mutant.name} ({trial.mutant.object})\n  {trial.note}"
        yield paint(line, "red")
    if score.breaches:
        yield "The unchanged schema does not pass, so no mutant was tried:\n"
        yield from breach_lines(score.breaches, paint, verbose=verbose)
    result = (
        f"{score.killed} / {score.all} killed, {score.by_surface} of them by the reviewed surface "
        f"alone, {len(score.equivalents)} equivalent (-v explains them), {len(score.survivors)} "
        f"survived, in {score.seconds:.0f} s"
    )
    yield paint(result, "green" if score.passed else "red")


def _matrix(verdict: Verdict, paint: Paint) -> Iterator[str]:
    commands, grids = summary.grids(verdict.cells)
    header = [command.upper() for command in commands]
    squares = [[str(s or "") for s in line.squares] for of in grids.values() for line in of]
    widths = [max(map(len, column)) + 2 for column in zip(header, *squares, strict=True)]
    numbered = summary.numbers(grids)
    first = max(12, _WIDTH - sum(widths))  # for the actors, who are wrapped
    for table, lines in grids.items():
        yield paint(_row([f"{table:<{first - 1}}", *header], [first, *widths]), "bold")
        for line in lines:
            actors = textwrap.wrap(summary.short(line, numbered), first - 3, break_long_words=False)
            words = [f"  {actors[0]}", *(str(square or "") for square in line.squares)]
            rest = (f"    {more}" for more in actors[1:])
            text = "\n".join((_row(words, [first, *widths]), *rest))
            yield paint(text, "green" if line.passed else "red")
    if verdict.cells:
        yield ""
        if numbered:
            named = " · ".join(f"({n}) {name}" for name, n in numbered.items())
            yield _wrapped(named, "")
        failed = not all(cell.passed for cell in verdict.cells)
        yield _wrapped(" · ".join(summary.LEGEND[: None if failed else -1]), "")
        yield ""


def _row(words: Iterable[str], widths: Iterable[int]) -> str:
    padded = (f"{word:<{width - 1}} " for word, width in zip(words, widths, strict=True))
    return "".join(padded).rstrip()


def _checks(verdict: Verdict, paint: Paint, *, verbose: bool) -> Iterator[str]:
    for kind, count in Counter(check.kind for check in verdict.checks).items():
        checks = [check for check in verdict.checks if check.kind == kind]
        failed = sum(check.passed is False for check in checks)
        untried = sum(check.passed is None for check in checks)
        worst = min(checks, key=lambda check: (check.passed is not False, check.passed is not None))
        sign = _mark(worst, paint)
        words = f"{failed} of {count} failed" if failed else f"{count - untried} passed"
        words += f", {untried} not tried" if untried else ""
        if kind in SINGLE:
            words = checks[0].outcome
        yield f"{sign} {_plural(kind):<11} {words}"
        for check in checks if kind not in SINGLE else ():
            if verbose or not check.passed:
                outcome = f": {check.outcome}" if not check.passed and check.outcome else ""
                yield f"  {_mark(check, paint)} {check.name}\n      {check.title}{outcome}"
    if verdict.checks:
        yield ""


def _plural(kind: str) -> str:
    return kind if kind in SINGLE else f"{kind}s"


def _mark(check: Check, paint: Paint) -> str:
    if check.passed is None:
        return paint("–", "yellow")
    return paint("✓", "green") if check.passed else paint("✗", "red")


def _field(name: str, value: str) -> str:
    """Return a field of a breach; statements keep their lines, so that they can be pasted."""
    lines = value.splitlines()
    if name not in ("sql", "fix", "if intended", "also affected"):
        lines = [part for line in lines for part in textwrap.wrap(line, 63, break_long_words=False)]
    return "\n".join(f"  {name if not n else '':<13} {line}" for n, line in enumerate(lines))


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, 79, subsequent_indent=indent, break_long_words=False)


def accepted_lines(accepted: Accepted, path: Path, paint: Paint) -> Iterator[str]:
    """Yield what became part of the reviewed surface, and what was kept of it."""
    for change in accepted.changes:
        color = {"wider": "red", "narrower": "green"}.get(change.direction, "yellow")
        yield paint(change.summary, color)
        yield from (f"  {line}" for line in change.diff)
        yield ""
    if accepted.kept:
        yield "kept, because this server does not have these roles:"
        yield from (f"  {lock_file.line(fact)}" for fact in accepted.kept)
        yield ""
    directions = Counter(change.direction.value for change in accepted.changes)
    counted = [f"{count} {name}" for name, count in sorted(directions.items(), reverse=True)]
    otherwise = "all to be reviewed" if accepted.is_new else "no change"
    facts = len(accepted.surface)
    count = f"{facts} fact{'' if facts == 1 else 's'}, {', '.join(counted) or otherwise}"
    yield f"{path}: {count}. Nothing was proven: run verify without --accept."


def document(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for the JSON document."""
    names = ("facts", "counts", "cells", "checks", "breaches", "warnings")
    return {**{name: getattr(verdict, name) for name in names}, "ms": round(verdict.seconds * 1000)}


def score_document(score: Score) -> dict[str, Any]:
    """Return what a self-test found for the JSON document."""
    names = ("server", "owner", "killed", "all", "races", "trials", "breaches")
    return {**{name: getattr(score, name) for name in names}, "ms": round(score.seconds * 1000)}


def accepted_document(accepted: Accepted) -> dict[str, Any]:
    """Return the same for JSON."""
    names = ("object", "direction", "summary", "diff")
    return {
        "facts": len(accepted.surface),
        "changes": [{name: getattr(c, name) for name in names} for c in accepted.changes],
        "kept": [lock_file.line(fact) for fact in accepted.kept],
    }
