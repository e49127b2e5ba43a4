"""What a difference of two catalogs means: a rename, or wider access. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from runner.preflight.diff import Difference, difference
from runner.preflight.fix import OPEN
from runner.schema.snapshot import Fact, Snapshot

_PRIVILEGE = re.compile(r"[a-z ]+ to .+")  # the trait of a fact in schema/queries/catalog.sql
_ROLE_MAY = re.compile(r"(superuser|bypassrls|createrole|replication)$|member of ")
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


def with_widening(
    found: Sequence[Difference], code: str, before: Snapshot, after: Snapshot
) -> list[tuple[Difference, str]]:
    """Return the differences, with renames, each with what `widening` says of it.

    Of created and renamed objects, which count as a whole, what widens access is added.
    """
    shown = with_renames(found, code)
    return [(d, widening(d, before)) for d in shown] + _within(found, shown, before, after)


def _within(
    found: Sequence[Difference], shown: Sequence[Difference], before: Snapshot, after: Snapshot
) -> list[tuple[Difference, str]]:
    old_names = {(d.kind, d.of, d.after): d.name for d in shown if d.trait == "name"}
    new = {
        d.name: "" if d in shown else old_names.get((d.kind, d.of, _bare(d.name)), "")
        for d in found
        if d.is_whole and d.before is None
    }
    if not new:
        return []
    renamed = {old: name for name, old in new.items() if old}
    had = [_moved(fact, renamed) for fact in before.facts if {fact.name, fact.of} & renamed.keys()]
    known = {(fact.kind, fact.name) for fact in had}
    has = [fact for fact in after.facts if {fact.name, fact.of} & new.keys()]
    had += [f for f in has if (f.kind, f.name) not in known and not _gives_access(f)]
    old = replace(before, facts=tuple(sorted(had)))
    within = difference(old, replace(after, facts=tuple(has)))
    return [(d, word) for d in within if d not in shown and (word := widening(d, old))]


def _gives_access(fact: Fact) -> bool:
    """Whether a fact of a new object gives access that PUBLIC does not have by default."""
    by_default = fact.kind in OPEN and fact.trait.endswith(" to public")
    is_privilege = _PRIVILEGE.fullmatch(fact.trait) is not None
    is_role = fact.kind == "role" and _ROLE_MAY.match(fact.trait) is not None
    return fact.kind == "policy" or is_role or (is_privilege and not by_default)


def _moved(fact: Fact, renamed: dict[str, str]) -> Fact:
    """Return a fact of a renamed object, or of a part of it, under the new name."""
    if fact.name in renamed:
        return replace(fact, name=renamed[fact.name])
    old = fact.of or ""
    return replace(fact, name=renamed[old] + fact.name.removeprefix(old), of=renamed[old])


def widening(d: Difference, before: Snapshot) -> str:
    """Return whether a change lets a role reach more than `before`, in words; "" if not."""
    if _PRIVILEGE.fullmatch(d.trait) or (d.kind == "role" and _ROLE_MAY.match(d.trait)):
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
