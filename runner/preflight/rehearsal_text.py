"""A dry run as lines of text, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runner.preflight.diff import Difference
from runner.preflight.rehearsal_report import Rehearsal, Step, describe, warnings

Paint = Callable[[str, str], str]  # text and color

_TOGETHER = "(not split, so that other sessions wait less):"
_SHOWN = 64  # characters of a statement


def lines(one: Rehearsal, paint: Paint, *, on_copy: bool) -> Iterator[str]:
    """Yield what the dry run of one file found, without its error."""
    kind = "" if one.transactional else ", outside a transaction"
    took = f"  {one.ms:,.0f} ms" if one.steps else ""
    yield paint(f"{one.id}{kind}{took}", "bold")
    if one.not_run:
        yield f"  not run: {one.not_run}"
    for step in one.steps:
        yield from _step(step, paint, on_copy=on_copy)


def summary(found: Sequence[Rehearsal], applied: int, paint: Paint, *, on_copy: bool) -> str:
    """Return the last line, with what to do; `applied`: the number of migrations."""
    failed = [one.id for one in found if one.error]
    if failed:
        end = " on a copy" if on_copy else "; rolled back"
        return paint(f"{failed[0]} failed in the dry run{end}", "red")
    if not found:
        return f"nothing pending: {applied} applied"
    end = "ran on a copy" if on_copy else "was rolled back"
    return (
        f"{len(found)} pending; the dry run {end}. To apply: python -m runner apply; "
        "as a script for psql: python -m runner plan --sql"
    )


def as_json(one: Rehearsal, *, on_copy: bool) -> dict[str, Any]:
    """Return the JSON object of one file, see docs/json.md."""
    return {
        "id": one.id,
        "transactional": one.transactional,
        "ms": one.ms,
        "not_run": one.not_run or None,
        "error": one.error.message if one.error else None,
        "statements": [
            {
                "line": step.line,
                "text": step.text,
                "ms": step.ms,
                "effects": [effect.as_effect() for effect in step.effects],
                "effects_from_line": step.effects_from or step.line,
                "widens": [d.as_effect() for d, word in _effects(step) if word],
                "impacts": [
                    {**vars(impact), "summary": describe(impact, on_copy=on_copy)}
                    for impact in step.impacts
                ],
                "warnings": list(warnings(step, on_copy=on_copy)),
            }
            for step in one.steps
        ],
    }


def _step(step: Step, paint: Paint, *, on_copy: bool) -> Iterator[str]:
    text = step.text if len(step.text) <= _SHOWN else f"{step.text[: _SHOWN - 1]}…"
    yield f"  line {step.line}: {text}"
    if step.effects and step.effects_from != step.line:
        yield f"    effects of lines {step.effects_from} to {step.line} together {_TOGETHER}"
    for effect, word in _effects(step):
        text = _wrapped(f"! {word}: {effect.as_effect()}" if word else effect.as_effect())
        yield paint(text, "red") if word else text
    for impact in step.impacts:
        yield paint(_wrapped(describe(impact, on_copy=on_copy)), "yellow")
    for warning in warnings(step, on_copy=on_copy):
        yield paint(_wrapped(f"! {warning}"), "red")


def _effects(step: Step) -> Iterator[tuple[Difference, str]]:
    return zip(step.effects, step.widens, strict=True)


def _wrapped(text: str) -> str:
    return textwrap.fill(
        text, 79, initial_indent="    ", subsequent_indent="      ", break_long_words=False
    )
