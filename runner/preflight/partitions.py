"""Recognize partitions that a job made: no difference where they are like the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from runner.preflight.diff import Difference
from runner.schema.snapshot import Fact, Snapshot

# Traits that each partition has another value of.
_OF_ITS_OWN = ("partition", "inherits", "partitioned")
_SECURED = ("row security", "force")
# Traits that a new partition has from its table, of these kinds.
_INHERITED = ("", "default", "definition", "generated", "not null", "storage", "type")
_KINDS = ("column", "constraint", "index")
_INDEX = re.compile(r"(CREATE (?:UNIQUE )?INDEX ).*? USING ")
_Common = tuple[str, str, str, str]


def at_run_time(
    found: Sequence[Difference], here: Snapshot, there: Snapshot
) -> tuple[list[Difference], list[str]]:
    """Return the differences, and the partitions of tables of the files that no file makes.

    Such a partition has to have what all partitions of its table in the files have in common, and
    no more; where there are none, what PostgreSQL gives a new one. What differs remains.
    """
    kept: list[Difference] = []
    names: list[str] = []
    for d in found:
        odd = _odd(d.name, here, there) if d.is_whole and d.after is None else None
        if odd is None:
            kept.append(d)
            continue
        names.append(d.name)
        kept += _differences(*odd)
    return kept, names


def without(facts: Sequence[Fact], others: Sequence[Fact]) -> tuple[Fact, ...]:
    """Return facts without what such partitions have in common with those in `others`.

    One that lacks something remains as a whole.
    """
    here, there = Snapshot(tuple(sorted(facts)), 0), Snapshot(tuple(sorted(others)), 0)
    made = {f.name for f in facts if f.trait == "partition" and not _of(f.name, there)}
    odd = {name: found for name in made if (found := _odd(name, here, there)) is not None}
    left = {name: more for name, (more, lacking) in odd.items() if not lacking}
    whole = {fact: name for name in left for fact in _facts(here, name)}
    return tuple(f for f in facts if f not in whole or f in left[whole[f]])


def _odd(name: str, here: Snapshot, there: Snapshot) -> tuple[list[Fact], list[Fact]] | None:
    """Return what a partition of a table of `there` has alone, and lacks; None for anything else.

    What it lacks has its name.
    """
    above = _above(name, here)
    if not above or "partitioned" not in _of(above[-1], there):
        return None
    others = [_by_common(other, there) for other in _alike(above, there)]
    shared = {k: f for k, f in others[0].items() if all(k in o for o in others)} if others else {}
    parent = above[0]
    now = {k: f for k, f in _by_common(parent, here).items() if _is_inherited(f)}
    by_files = {k: f for k, f in _by_common(parent, there).items() if _is_inherited(f)}
    by_files = by_files or now  # its table too was made at run time
    own = _by_common(name, here)
    is_open = any(" to " in trait for _, _, trait, _ in (*own, *shared))
    on, owner = ("table", "", "row security", "on"), ("table", "", "owner")
    allowed = {*shared, *now, *by_files}
    for known in (_by_common(above[-1], there), *([] if is_open else others)):
        allowed |= {key for key in known if key == on or key[:3] == owner}
    wanted = {
        k: f for k, f in by_files.items() if not others or any(k in o for o in others)
    } | shared
    more = [
        fact
        for key, fact in own.items()
        if key not in allowed
        and fact.trait not in _OF_ITS_OWN
        and (is_open or (fact.trait, fact.value) != ("row security", "off"))
        and (is_open or fact.trait != "force")
        and key[:3] != ("table", "", "")
    ]
    lacking = [
        _as_of(name, fact)
        for key, fact in wanted.items()
        if key not in own
        and (key in now or key not in by_files)  # else its table lacks it too
        and fact.trait not in _OF_ITS_OWN
        and (fact.trait not in _SECURED or (is_open and fact.value != "off"))
    ]
    return more, lacking


def _differences(more: Sequence[Fact], lacking: Sequence[Fact]) -> list[Difference]:
    """Return a difference for each trait, but one for a policy, trigger or index as a whole."""
    here = {(f.kind, f.name, f.trait): f for f in more}
    there = {(f.kind, f.name, f.trait): f for f in lacking}
    whole = {k[:2] for k in here.keys() ^ there.keys() if k[2] in ("", "definition")}
    made = []
    for key in [*here, *(key for key in there if key not in here)]:
        if key[:2] in whole and key[2] not in ("", "definition") and " to " not in key[2]:
            continue
        old, new = here.get(key), there.get(key)
        before, after = (one.value if one else None for one in (old, new))
        fix = new.make if new else old.unmake if old else None
        if key[0] == "policy" and key[:2] not in whole:
            fix = None  # of one trait: the statement that creates all of it
        of = (new or old or more[0]).of
        made.append(Difference(*key, before, after, of, f"{fix};" if fix else ""))
    return made


def made_at_run_time(names: Sequence[str]) -> str:
    return f"{', '.join(names)}: partitions made at run time, by no file"


def _above(name: str, side: Snapshot) -> list[str]:
    """Return the tables above a partition, the nearest first; [] for what is no partition."""
    found: list[str] = []
    while (facts := _of(name, side)) and "partition" in facts and "inherits" in facts:
        name = facts["inherits"].value
        found.append(name)
    return found


def _alike(above: Sequence[str], there: Snapshot) -> list[str]:
    """Return the partitions of the same table; of the same level if the files do not make it."""
    known = {
        fact.name: _above(fact.name, there) for fact in there.facts if fact.trait == "partition"
    }
    if _of(above[0], there):
        return [name for name, its in known.items() if its[:1] == [above[0]]]
    return [n for n, its in known.items() if its[-1:] == [above[-1]] and len(its) == len(above)]


def _is_inherited(fact: Fact) -> bool:
    return fact.kind in _KINDS and fact.trait in _INHERITED


def _of(name: str, side: Snapshot) -> dict[str, Fact]:
    kinds = ("table", "foreign table")
    return next((side.by_object[k, name] for k in kinds if (k, name) in side.by_object), {})


def _facts(side: Snapshot, whole: str) -> list[Fact]:
    return [fact for fact in side.facts if whole in (fact.of, fact.name)]


def _by_common(whole: str, side: Snapshot) -> dict[_Common, Fact]:
    return {_common(fact, whole): fact for fact in _facts(side, whole)}


def _common(fact: Fact, whole: str) -> _Common:
    """Return a fact without the name of the partition; indexes and constraints have their own."""
    named = fact.kind not in ("constraint", "index")
    value = _INDEX.sub(r"\1", fact.value) if fact.kind == "index" else fact.value
    if fact.trait in ("clustered on", "replica identity") and value not in ("full", "nothing"):
        value = "index"
    value = _renamed(value, whole, "")
    return fact.kind, fact.name.removeprefix(whole) if named else "", fact.trait, value


def _as_of(name: str, fact: Fact) -> Fact:
    """Return a fact of another partition as this one would have it."""
    whole = fact.of or fact.name
    is_named = fact.kind not in ("constraint", "index")  # else after the other partition
    make = _renamed(fact.make, whole, name) if fact.make and is_named else None
    called = name + fact.name.removeprefix(whole) if fact.name.startswith(whole) else fact.name
    of = name if fact.of else None
    return replace(fact, name=called, of=of, make=make)


def _renamed(text: str, whole: str, name: str) -> str:
    return re.sub(rf"(?<![\w.\"]){re.escape(whole)}(?![\w\"])", lambda _: name, text)
