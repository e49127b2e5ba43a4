"""What a difference of two catalogs means: a rename, or wider access. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.preflight.diff import Difference
from runner.schema.snapshot import Snapshot

_PRIVILEGE = re.compile(r"[a-z ]+ to .+")  # the trait of a fact in schema/queries/catalog.sql
_POLICY = ("as", "for", "to", "using", "with check")
_WIDER, _MAYBE = "widens access", "may widen access"


def with_renames(found: Sequence[Difference], code: str) -> list[Difference]:
    """Return the differences, with a rename in place of a drop and a creation.

    `code`: the statements that made them. Both names have to be in one that renames.
    """
    if not re.search(r"(?i)\brename\b", code):
        return list(found)
    result = list(found)
    for old in [d for d in found if d.is_whole and d.after is None]:
        for new in [d for d in result if d.is_whole and d.before is None]:
            was, now = _bare(old.name), _bare(new.name)
            if (old.kind, old.of) == (new.kind, new.of) and was in code and now in code:
                renamed = Difference(old.kind, old.name, "name", was, now, old.of)
                result[result.index(old)] = renamed
                result.remove(new)
                break
    return result


def widening(d: Difference, before: Snapshot) -> str:
    """Return whether a change lets a role reach more than `before`, in words; "" if not."""
    if _PRIVILEGE.fullmatch(d.trait):
        return _WIDER if d.before is None else ""
    facts = before.by_object.get((d.kind, d.name), {})
    if d.trait in ("row security", "force"):
        was_on = "row security" in facts and facts["row security"].value == "on"
        return _WIDER if was_on and (d.after or "").startswith("off") else ""
    if d.kind != "policy":
        return ""
    if d.is_whole and d.after is not None:
        return "" if "as restrictive" in d.fix else _WIDER
    if d.is_whole:
        return _WIDER if "as" in facts and facts["as"].value == "restrictive" else ""
    return _MAYBE if d.trait in _POLICY else ""


def _bare(name: str) -> str:
    """Return the last part of a name, without the arguments of a function."""
    return name.partition("(")[0].rpartition(".")[2].strip('"')
