"""Compare two surfaces object by object, and class each difference by what it opens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runner.isolation.surface import Surface, lock_file
from runner.isolation.surface.direction import ALWAYS_THERE, Direction, direction
from runner.preflight import partitions, supabase
from runner.schema.snapshot import OF_OTHERS, Fact, Object

_SHOWN = 12  # lines of one difference
# What others may depend on comes after them, so that the changes can be undone in order.
_DEPENDED_ON = (
    *("table", "materialized view", "view", "server", "foreign data wrapper", "aggregate"),
    *("procedure", "function", "type", "schema"),
)
_NOT_IN_A_SCHEMA = ("membership", "parameter", "role", "setting")


@dataclass(frozen=True)
class Change:
    """One object that is not as it was reviewed, with all that was added or removed with it."""

    kind: str
    name: str
    reviewed: tuple[Fact, ...]  # the facts that are no longer so
    now: tuple[Fact, ...]  # the facts that were not reviewed
    whole: bool  # the object exists on one side only
    direction: Direction

    @property
    def object(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def summary(self) -> str:
        """One sentence, without a period."""
        what = "changed since it was reviewed"
        if self.whole:
            what = "was added since the review" if self.now else "was removed since the review"
        return f"{self.object} {what}: {self.direction}"

    @property
    def diff(self) -> list[str]:
        """The lines of the file that differ: `-` as reviewed, `+` as it is now."""
        lines = [
            *(f"- {lock_file.line(fact)}" for fact in self.reviewed),
            *(f"+ {lock_file.line(fact)}" for fact in self.now),
        ]
        more = len(lines) - _SHOWN
        return lines if more <= 1 else [*lines[:_SHOWN], f"… and {more} more lines"]


def compare(reviewed: Surface, now: Surface) -> list[Change]:
    """Return what differs, a table that was added or removed with everything on it as one.

    What is in a platform's schema on one side is not compared.
    """
    schemas = platform(reviewed, now)
    reviewed, now = without(reviewed, schemas), without(now, schemas)
    if "auth" in schemas:
        reviewed, now = (
            tuple(f for f in side if not supabase.ships(f)) for side in (reviewed, now)
        )
    now = partitions.without(now, reviewed)
    before, after = _by_object(reviewed), _by_object(now)
    added, removed = after.keys() - before.keys(), before.keys() - after.keys()
    changed: dict[Object, tuple[list[Fact], list[Fact]]] = {}
    for facts, others, whole, side in (
        (reviewed, set(now), removed, 0),
        (now, set(reviewed), added, 1),
    ):
        parents = {name: (kind, name) for kind, name in whole}
        for fact in facts:
            if fact in others or (not fact.trait and (fact.kind, fact.name) not in whole):
                continue
            object_ = parents.get(fact.of or "", (fact.kind, fact.name))
            changed.setdefault(object_, ([], []))[side].append(fact)
    return [
        Change(
            *object_,
            tuple(old),
            tuple(new),
            object_ in added | removed and not ALWAYS_THERE.fullmatch(object_[0]),
            direction(object_, old, new, reviewed=before, now=after),
        )
        for object_, (old, new) in sorted(changed.items(), key=_in_order_of_undoing)
    ]


def _in_order_of_undoing(item: tuple[Object, object]) -> tuple[int, Object]:
    kind = item[0][0].removesuffix(OF_OTHERS)
    return _DEPENDED_ON.index(kind) if kind in _DEPENDED_ON else -1, item[0]


def platform(*surfaces: Surface) -> list[str]:
    """Return the schemas that are a platform's in one of the surfaces."""
    facts = (fact for surface in surfaces for fact in surface)
    return sorted({fact.name for fact in facts if fact.kind == "platform's schema"})


def without(surface: Surface, schemas: Iterable[str]) -> Surface:
    """Return a surface without some schemas and everything in them."""
    names = set(schemas)
    inside = tuple(f"{name}." for name in names)
    return tuple(
        fact
        for fact in surface
        if fact.kind in _NOT_IN_A_SCHEMA
        or not (
            fact.kind == "platform's schema"
            or (fact.kind == "schema" and fact.name in names)
            or fact.name.startswith(inside)
        )
    )


def _by_object(surface: Surface) -> dict[Object, dict[str, Fact]]:
    found: dict[Object, dict[str, Fact]] = {}
    for fact in surface:
        found.setdefault((fact.kind, fact.name), {})[fact.trait] = fact
    return found
