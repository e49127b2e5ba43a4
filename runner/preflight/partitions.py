"""Recognize partitions that a job made: no difference where they are like the others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.preflight.diff import Difference
from runner.schema.snapshot import Fact, Snapshot

_OF_ITS_OWN = ("partition", "inherits")  # traits that each partition has another value of
_INDEX = re.compile(r"(CREATE (?:UNIQUE )?INDEX ).*? USING ")
_Common = tuple[str, str, str, str]


def at_run_time(
    found: Sequence[Difference], here: Snapshot, there: Snapshot
) -> tuple[list[Difference], list[str]]:
    """Return the differences, and the partitions of tables of the files that no file makes.

    What such a partition has, and neither its table nor another partition in the files, remains.
    """
    kept: list[Difference] = []
    names: list[str] = []
    for d in found:
        odd = _odd(d.name, here, there) if d.is_whole and d.after is None else None
        if odd is None:
            kept.append(d)
            continue
        names.append(d.name)
        for fact in odd:
            fix = f"{fact.unmake};" if fact.unmake else ""
            more = (fact.trait, fact.value, None, fact.of, fix)
            kept.append(Difference(fact.kind, fact.name, *more))
    return kept, names


def without(facts: Sequence[Fact], others: Sequence[Fact]) -> tuple[Fact, ...]:
    """Return facts without what such partitions have in common with their tables in `others`."""
    here, there = Snapshot(tuple(sorted(facts)), 0), Snapshot(tuple(sorted(others)), 0)
    made = {f.name for f in facts if f.trait == "partition" and not _of(f.name, there)}
    odd = {name: found for name in made if (found := _odd(name, here, there)) is not None}
    whole = {fact: name for name in odd for fact in _facts(here, name)}
    return tuple(f for f in facts if f not in whole or f in odd[whole[f]])


def _odd(name: str, here: Snapshot, there: Snapshot) -> list[Fact] | None:
    """Return what a partition of a table of `there` has alone; None for anything else."""
    table = _root(name, here)
    if not table or "partitioned" not in there.by_object.get(("table", table), {}):
        return None
    others = {fact.name for fact in there.facts if fact.trait == "partition"}
    known = {
        _common(fact, whole)
        for whole in (table, *(other for other in others if _root(other, there) == table))
        for fact in _facts(there, whole)
    }
    own = _facts(here, name)
    open_to = any(" to " in fact.trait for fact in own)
    return [
        fact
        for fact in own
        if _common(fact, name) not in known
        and fact.trait not in _OF_ITS_OWN
        and ((fact.trait, fact.value) != ("row security", "off") or open_to)
    ]


def made_at_run_time(names: Sequence[str]) -> str:
    return f"{', '.join(names)}: partitions made at run time, by no file"


def _root(name: str, side: Snapshot) -> str:
    """Return the table at the top of a partition; '' for what is no partition."""
    root = ""
    while (facts := _of(name, side)) and "partition" in facts and "inherits" in facts:
        name = root = facts["inherits"].value
    return root


def _of(name: str, side: Snapshot) -> dict[str, Fact]:
    kinds = ("table", "foreign table")
    return next((side.by_object[k, name] for k in kinds if (k, name) in side.by_object), {})


def _facts(side: Snapshot, whole: str) -> list[Fact]:
    return [fact for fact in side.facts if whole in (fact.of, fact.name)]


def _common(fact: Fact, whole: str) -> _Common:
    """Return a fact without the name of the partition; indexes and constraints have their own."""
    named = fact.kind not in ("constraint", "index")
    value = _INDEX.sub(r"\1", fact.value) if fact.kind == "index" else fact.value
    return fact.kind, fact.name.removeprefix(whole) if named else "", fact.trait, value
