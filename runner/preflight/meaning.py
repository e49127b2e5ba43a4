"""What a difference of two catalogs means: a rename, or wider access. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from runner.preflight.diff import Difference, difference
from runner.preflight.fix import OPEN
from runner.preflight.moved import differs_by_name
from runner.schema.snapshot import Fact, Snapshot

_RENAMES = re.compile(r"(?i)\brename\b|\bset\s+schema\b")
_PRIVILEGE = re.compile(r"[a-z ]+ to .+")  # the trait of a fact in schema/queries/catalog.sql
_ROLE_MAY = re.compile(r"(superuser|bypassrls|createrole|replication)$|member of ")
_POLICY = ("as", "for", "to", "using", "with check")
_WIDER, _MAYBE = "widens access", "may widen access"


def _with_renames(
    found: Sequence[Difference], code: str
) -> tuple[list[Difference], list[tuple[str, str]]]:
    """Return the differences, with a rename in place of a drop and a creation; and both names.

    `code`: the statements that made them. Both names, or the new schema, have to be in one that
    renames or moves. What differs because it shows the new name is left out.
    """
    result, pairs = list(found), []
    if not _RENAMES.search(code):
        return result, []
    for old in [d for d in found if d.is_whole and d.after is None]:
        for new in [d for d in result if d.is_whole and d.before is None]:
            if (old.kind, old.of) == (new.kind, new.of) and (names := _names(old, new, code)):
                renamed = Difference(old.kind, old.name, "name", *names, old.of)
                result[result.index(old)] = renamed
                result.remove(new)
                pairs.append((old.name.partition("(")[0], new.name.partition("(")[0]))
                break
    return [d for d in result if not _shows_a_name(d, pairs)], pairs


def _shows_a_name(d: Difference, pairs: Sequence[tuple[str, str]]) -> bool:
    return any(differs_by_name(d, was, now) for was, now in pairs)


def _names(old: Difference, new: Difference, code: str) -> tuple[str, str] | None:
    """Return the names to show for an object that has another name or schema; None if it has not.

    Both are the last part of the name, unless that is the same.
    """
    was, now = _bare(old.name), _bare(new.name)
    if was != now:
        return (was, now) if was in code and now in code else None
    schema = new.name.partition(".")[0].strip('"')
    return (old.name, new.name) if schema in code and old.name != new.name else None


def with_widening(
    found: Sequence[Difference], code: str, before: Snapshot, after: Snapshot
) -> list[tuple[Difference, str]]:
    """Return the differences, with renames, each with what `widening` says of it.

    Of created and renamed objects, which count as a whole, what widens access is added.
    """
    shown, pairs = _with_renames(found, code)
    within = _within(found, shown, before, after)
    return [(d, widening(d, before)) for d in shown] + [
        (d, word) for d, word in within if not _shows_a_name(d, pairs)
    ]


def _within(
    found: Sequence[Difference], shown: Sequence[Difference], before: Snapshot, after: Snapshot
) -> list[tuple[Difference, str]]:
    old_names = {(d.kind, d.of, d.after): d.name for d in shown if d.trait == "name"}
    new = {
        d.name: ""
        if d in shown
        else old_names.get((d.kind, d.of, _bare(d.name)))
        or old_names.get((d.kind, d.of, d.name), "")
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
