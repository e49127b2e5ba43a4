"""Simplify a policy's condition, given what its helper functions returned. Text to text. Pure.

Understands the few forms in which PostgreSQL prints a condition, and leaves anything else as is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_HELPER = "( SELECT "
_ALIAS = re.compile(r" AS (\w+|\"(?:[^\"]|\"\")+\")\s*\)\Z")
_NEVER_TRUE = re.compile(r".* = \(*null\)*\Z", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


def helpers(condition: str) -> list[str]:
    """Return the sub-selects that read no table: `( SELECT app.me() AS me)`.

    PostgreSQL prints them in this form, however they were written in the file.
    """
    found = []
    depths = _depths(condition)
    start = condition.find(_HELPER)
    while start >= 0:
        inside = range(start + 1, len(condition))
        end = next((n for n in inside if depths[n] < depths[start]), len(condition) - 1)
        text = condition[start : end + 1]
        if " FROM " not in text and _ALIAS.search(text):
            found.append(text)
        start = condition.find(_HELPER, end)
    return found


def simplify(condition: str, results: Mapping[str, str | None]) -> str | None:
    """Return a condition with each helper replaced by its result; None if no row can fulfill it.

    A comparison with a helper that returned null is never true, because null equals nothing.
    Alternatives (`OR`) that are never true are left out.
    """
    text = _without_outer_parentheses(condition)
    if text.lower() == "false":
        return None
    alternatives = _split(text, " OR ")
    if len(alternatives) > 1:
        possible = [one for part in alternatives if (one := simplify(part, results)) is not None]
        return " OR ".join(dict.fromkeys(possible)) or None
    parts = _split(text, " AND ")
    if len(parts) > 1:
        simplified = [simplify(part, results) for part in parts]
        if None in simplified:
            return None
        kept = dict.fromkeys(one for one in simplified if one)
        return " AND ".join(f"({one})" if len(_split(one, " OR ")) > 1 else one for one in kept)
    for helper, result in results.items():
        literal = "null" if result is None else "'" + result.replace("'", "''") + "'"
        text = text.replace(f"({helper})", literal).replace(helper, literal)
    return None if _NEVER_TRUE.match(text) else text


def _split(text: str, operator: str) -> list[str]:
    """Split at an operator outside of parentheses and quotes; a CASE is not split."""
    if "CASE " in text:
        return [text]
    depths = _depths(text)
    found = re.finditer(operator, text)
    positions = [match.start() for match in found if depths[match.start()] == 0]
    starts = [0, *(position + len(operator) for position in positions)]
    ends = [*positions, len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def _without_outer_parentheses(text: str) -> str:
    text = text.strip()
    while text.startswith("(") and not text.startswith(_HELPER):
        depths = _depths(text)
        if 0 in depths[1:-1] or depths[-1] != 0:
            return text
        text = text[1:-1].strip()
    return text


def _depths(text: str) -> list[int]:
    """Return for each character how many parentheses are open after it; quoted ones don't count."""
    quoted = {n for match in _QUOTED.finditer(text) for n in range(*match.span())}
    depths, depth = [], 0
    for n, character in enumerate(text):
        if n not in quoted:
            depth += {"(": 1, ")": -1}.get(character, 0)
        depths.append(depth)
    return depths
