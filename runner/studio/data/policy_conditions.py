"""What a policy's condition comes to once its helpers have answered. Text in, text out. Pure.

It knows the few forms in which PostgreSQL writes a condition; whatever else is left as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_HELPER = "( SELECT "
_ALIAS = re.compile(r" AS (\w+|\"[^\"]+\")\s*\)\Z")
_CLOSED = re.compile(r".* = \(*null\)*\Z", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


def helpers(condition: str) -> list[str]:
    """Return the sub-selects that read no table: `( SELECT app.caller_org() AS caller_org)`.

    PostgreSQL writes them like that, whatever they looked like in the file.
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


def answered(condition: str, answers: Mapping[str, str | None]) -> str | None:
    """Return a condition with the helpers' answers in it; None where it is true of no row.

    A helper that answers null closes what compares with it, for null equals nothing. Of several
    ways only those that are open are left.
    """
    text = _bare(condition)
    if text.lower() == "false":
        return None
    ways = _split(text, " OR ")
    if len(ways) > 1:
        open_ones = [way for one in ways if (way := answered(one, answers)) is not None]
        return " OR ".join(dict.fromkeys(open_ones)) or None
    parts = _split(text, " AND ")
    if len(parts) > 1:
        found = [answered(one, answers) for one in parts]
        if None in found:
            return None
        kept = dict.fromkeys(one for one in found if one)
        return " AND ".join(f"({one})" if len(_split(one, " OR ")) > 1 else one for one in kept)
    for helper, answer in answers.items():
        literal = "null" if answer is None else "'" + answer.replace("'", "''") + "'"
        text = text.replace(f"({helper})", literal).replace(helper, literal)
    return None if _CLOSED.match(text) else text


def _split(text: str, word: str) -> list[str]:
    """Split where a word stands outside of parentheses and quotes; a CASE is left whole."""
    if "CASE " in text:
        return [text]
    depths = _depths(text)
    places = [match.start() for match in re.finditer(word, text) if depths[match.start()] == 0]
    starts = [0, *(place + len(word) for place in places)]
    ends = [*places, len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def _bare(text: str) -> str:
    """Take off the parentheses around the whole."""
    text = text.strip()
    while text.startswith("(") and not text.startswith(_HELPER):
        depths = _depths(text)
        if 0 in depths[1:-1] or depths[-1] != 0:
            return text
        text = text[1:-1].strip()
    return text


def _depths(text: str) -> list[int]:
    """Return for each character how many parentheses are open after it; quoted ones are none."""
    quoted = {n for match in _QUOTED.finditer(text) for n in range(*match.span())}
    depths, depth = [], 0
    for n, character in enumerate(text):
        if n not in quoted:
            depth += {"(": 1, ")": -1}.get(character, 0)
        depths.append(depth)
    return depths
