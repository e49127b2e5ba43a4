"""Whether a difference lets more be reached, less, or cannot be decided by looking at it.

The rules are few and cautious. Whatever has an expression or a source is undecidable, unless it can
only take away: a restrictive policy or a check that calls no function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

from runner.schema.snapshot import OF_OTHERS, Fact, Object


class Direction(StrEnum):
    """What a difference does to what others than the owner can reach."""

    WIDER = "wider"
    UNDECIDABLE = "undecidable"
    NARROWER = "narrower"  # or it opens nothing


WIDER, UNDECIDABLE, NARROWER = Direction.WIDER, Direction.UNDECIDABLE, Direction.NARROWER
_OPPOSITE = {WIDER: NARROWER, NARROWER: WIDER, UNDECIDABLE: UNDECIDABLE}

Objects = Mapping[Object, Mapping[str, Fact]]  # their facts, by trait
Traits = Mapping[str, str]

PRIVILEGE = re.compile(r"[a-z][a-z ]* to .")
# What is always there, and has facts only where it is not as PostgreSQL makes it.
ALWAYS_THERE = re.compile(
    f"database|default privileges({OF_OTHERS})?|large objects|parameter|(server )?setting"
    "|tablespace|(system|extension) .+"
)
# What gives by being there, what is of no use until something is granted on it, and what denies.
_GRANTS = (
    *("extension", "foreign data wrapper", "membership", "publication", "role", "server"),
    "user mapping",
)
_CONTAINERS = ("foreign table", "materialized view", "schema", "sequence", "table", "type", "view")
_GUARDS = ("constraint", "index", "trigger")
_RUN_AS_OWNER = ("function", "materialized view", "procedure", "view")
_FIRES = ("never", "on a replica only", "as usual", "always")
# PostgreSQL prints a call as `name(`, and a keyword in upper case with a space after it.
_RUNS_SOMETHING = re.compile(r'[a-z0-9_"]\(|\bSELECT\b|\bOPERATOR\(')


def direction(
    object_: Object, old: Sequence[Fact], new: Sequence[Fact], *, reviewed: Objects, now: Objects
) -> Direction:
    """Return the direction of one object's difference.

    `old` are its facts that are no longer so, `new` those that were not reviewed, of what was added
    or removed together with it too. `reviewed` and `now` are all objects.
    """
    is_whole = not ALWAYS_THERE.fullmatch(object_[0])
    if is_whole and object_ not in reviewed:
        return _of_added(object_, new, now)
    if is_whole and object_ not in now:
        return _of_removed(object_[0], _traits(object_, old))
    before, after = _traits(object_, old), _traits(object_, new)
    # A column's privilege that was had for the whole table is not new.
    table = object_[1].rpartition(".")[0] if object_[0] == "column" else ""
    had = reviewed.get(("table", table), {})
    return _worst(
        _of_trait(
            object_[0],
            trait,
            before.get(trait),
            after.get(trait),
            was_had=trait in had and had[trait].value == after.get(trait),
        )
        for trait in before.keys() | after.keys()
    )


def _of_added(object_: Object, facts: Sequence[Fact], now: Objects) -> Direction:
    kind, traits = object_[0].removesuffix(OF_OTHERS), _traits(object_, facts)
    is_granted = any(PRIVILEGE.match(fact.trait) for fact in facts)
    found = UNDECIDABLE
    if kind in _GRANTS:
        found = WIDER
    elif kind in _CONTAINERS:
        alone = UNDECIDABLE if {"inherits", "owner"} & traits.keys() else NARROWER
        found = WIDER if is_granted else alone
    elif kind == "function" and is_granted and traits.get("security") == "definer":
        found = WIDER
    elif kind == "column":
        table = now.get(("table", facts[0].of or ""), {})
        runs = _if_plain(traits.get("default", ""), traits.get("generated", ""))
        alone = UNDECIDABLE if "identity" in traits else runs
        found = WIDER if is_granted or any(map(PRIVILEGE.match, table)) else alone
    elif kind == "policy" and traits["as"] == "permissive":
        found = WIDER
    elif kind == "policy":
        found = _if_plain(traits.get("using", ""), traits.get("with check", ""))
    elif kind == "constraint" and traits["definition"].startswith("CHECK"):
        found = _if_plain(traits["definition"])
    return found


def _of_removed(kind: str, traits: Traits) -> Direction:
    kind = kind.removesuffix(OF_OTHERS)
    if kind in _GUARDS or (kind == "policy" and traits["as"] == "restrictive"):
        return WIDER
    if kind in (*_GRANTS, *_CONTAINERS, "column", "policy"):
        return NARROWER
    return UNDECIDABLE


def _of_trait(
    kind: str, trait: str, before: str | None, after: str | None, *, was_had: bool = False
) -> Direction:
    """Return the direction of one property of an object; None: it does not have it."""
    rule: Callable[[str, str], Direction]
    if PRIVILEGE.match(trait):
        rule = _of_privilege
    elif kind in ("membership", "publication", "role"):
        rule = _of_gift
    else:
        rule = _RULES.get(trait, _of_source) if kind not in ("rule", "setting") else _of_source
    if was_had and before is None:
        return NARROWER
    if trait == "owner" and after is None and kind in _RUN_AS_OWNER:
        return UNDECIDABLE  # the schema's owner may do more than that role
    if before is not None and after is None and rule not in (_of_firing, _of_force):
        return _OPPOSITE[rule("", before)]
    return rule(before or "", after or "")


def _of_source(_before: str, _after: str) -> Direction:
    return UNDECIDABLE


def _of_gift(before: str, _after: str) -> Direction:
    return UNDECIDABLE if before else WIDER


def _of_privilege(before: str, after: str) -> Direction:
    """Return the direction of a privilege; `revoked` is one that PostgreSQL grants at first."""
    return NARROWER if after == "revoked" or before == "with grant option" else WIDER


def _of_firing(before: str, after: str) -> Direction:
    was, is_ = (_FIRES.index(state or "as usual") for state in (before, after))
    return WIDER if is_ < was else NARROWER


def _of_force(before: str, after: str) -> Direction:
    """Return the direction of FORCE, a property only where the owner requires the other."""
    return WIDER if after.startswith("off") or before.startswith("on") else NARROWER


_RULES: dict[str, Callable[[str, str], Direction]] = {
    "as": lambda _, after: WIDER if after == "permissive" else NARROWER,
    "fires": _of_firing,
    "force": _of_force,
    "invalid": _of_gift,
    "leakproof": _of_gift,
    "not null": lambda _, after: NARROWER,
    "owner": _of_gift,
    "row security": lambda _, after: WIDER if after == "off" else NARROWER,
    # As an invoker, a guard sees less of what it has to prevent.
    "security": lambda _, after: WIDER if after == "definer" else UNDECIDABLE,
    "template": _of_gift,
}


def _traits(object_: Object, facts: Iterable[Fact]) -> Traits:
    return {fact.trait: fact.value for fact in facts if (fact.kind, fact.name) == object_}


def _if_plain(*expressions: str) -> Direction:
    """Return narrower for expressions that only take away, undecidable where they run something."""
    return UNDECIDABLE if any(map(_RUNS_SOMETHING.search, expressions)) else NARROWER


def _worst(found: Iterable[Direction]) -> Direction:
    directions = set(found)
    return next((d for d in (WIDER, UNDECIDABLE) if d in directions), NARROWER)
