"""Recognize a table or type that has another name or schema here than in the files.

Its fix is a rename: a drop would lose rows, and PostgreSQL refuses it while other objects use it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.preflight.diff import Difference
from runner.schema.snapshot import Snapshot

_KINDS = ("foreign table", "sequence", "table", "type")
_PART = re.compile(r'(?:"(?:[^"]|"")+"|[^".])+')


def moved(found: Sequence[Difference], here: Snapshot, there: Snapshot) -> list[Difference]:
    """Return the differences, with a rename in place of an object made and one missing.

    What differs only because it names the renamed object is left out.
    """
    result = list(found)
    for new in [d for d in found if d.is_whole and d.before is None and d.kind in _KINDS]:
        shape = _shape(there, new)
        same = [
            old
            for old in result
            if (old.kind, old.is_whole, old.after) == (new.kind, True, None)
            and shape
            and shape == _shape(here, old)
        ]
        if len(same) == 1:
            result[result.index(same[0])] = _renamed(same[0].kind, same[0].name, new.name)
            result.remove(new)
            result = [d for d in result if not differs_by_name(d, same[0].name, new.name)]
    return result


def _shape(side: Snapshot, d: Difference) -> set[tuple[str, str, str]]:
    """Return the columns of a table with their types, or what a type or sequence consists of."""
    own = {
        ("", fact.trait, fact.value)
        for fact in side.by_object[d.kind, d.name].values()
        if fact.make is None and fact.trait and " to " not in fact.trait and fact.trait != "owner"
    }
    return own | {
        (fact.name.removeprefix(f"{d.name}."), fact.trait, fact.value)
        for fact in side.facts
        if fact.of == d.name and fact.kind == "column" and fact.trait == "type"
    }


def _renamed(kind: str, old: str, new: str) -> Difference:
    (schema, name), (to_schema, to_name) = (_PART.findall(each) for each in (old, new))
    fixes = []
    if schema != to_schema:
        fixes.append(f"alter {kind} {old} set schema {to_schema};")
    if name != to_name:
        fixes.append(f"alter {kind} {to_schema}.{name} rename to {to_name};")
    return Difference(kind, old, "name", old, new, fix="\n".join(fixes))


def differs_by_name(d: Difference, old: str, new: str) -> bool:
    """Whether both sides are equal once an object has the new name, in full or alone.

    `old`, `new`: with the schema; of a function without its arguments.
    """
    parts = [(old, new), (_PART.findall(old)[-1], _PART.findall(new)[-1])]

    def with_new(text: str | None) -> str:
        for was, now in parts:
            there = rf'(?<![\w".]){re.escape(was)}(?![\w"])'
            text = now.join(re.split(there, text or ""))
        return text or ""

    both = d.before is not None and d.after is not None  # a privilege is there or not
    return both and d.trait != "name" and with_new(d.before) == with_new(d.after)
