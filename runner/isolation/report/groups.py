"""Group breaches by their cause: those with the same fix, and what an open question explains."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from runner.isolation import drift, surface
from runner.isolation.verdict import Breach
from runner.preflight.order import is_sql, joined, parts

_OPEN = ("rows.", "undecided.", "undeclared.")  # begin the proofs that others follow from
# How the fix begins that names the one object at fault.
_FAULT = re.compile(
    r"-- (?:change|compare) ((?:policy|function|constraint) .+?)"
    r"(?:, in a new migration; | with .+, which changed it |: it is )"
)
_IN_WORDS = (drift.NAME, surface.NAME)  # what differs, after what it makes possible
Kinds = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Group:
    """The breaches of one cause: what was shown to be possible first."""

    breaches: tuple[Breach, ...]

    @property
    def first(self) -> Breach:
        """The breach to be shown in full."""
        return self.breaches[0]

    @property
    def object(self) -> str:
        """What is to be changed: what differs, else what the first breach names."""
        if fault := _FAULT.match(self.fix):
            return fault[1]
        differing = [b for b in self.breaches if b.proof in _IN_WORDS]
        return (differing or self.breaches)[0].subject

    @property
    def causes(self) -> list[str]:
        """What the breaches name as their cause; what was found to differ replaces the rest."""
        differing = [b.summary for b in self.breaches if b.proof == drift.NAME]
        differing = differing or [b.summary for b in self.breaches if b.proof == surface.NAME]
        found = differing or [self.first.cause]
        return list(dict.fromkeys(filter(None, found)))

    @property
    def fix(self) -> str:
        """All that is to be done, each statement once."""
        return joined(breach.fix for breach in self.breaches)

    @property
    def intended(self) -> str:
        """What to do if it is; nothing where that would not end a leak."""
        is_open = self.first.proof.startswith(_OPEN)
        if not is_open and any(breach.sql and not breach.intended for breach in self.breaches):
            return ""
        lines = (line for breach in self.breaches for line in breach.intended.splitlines())
        return "\n".join(dict.fromkeys(lines))


def of(breaches: Sequence[Breach]) -> list[Group]:
    """Return one group per cause, in the order of the first breach of each."""
    found: dict[tuple[str, ...], list[Breach]] = {}
    is_open = {_table(b): b for b in reversed(breaches) if b.proof.startswith(_OPEN)}
    for breach in breaches:
        cause = breach
        if not breach.sql or "could not be tried" in breach.summary:
            cause = is_open.get(_table(breach), breach)
        found.setdefault(_key(cause), []).append(breach)
    return [Group(tuple(sorted(group, key=_place))) for group in found.values()]


def _key(breach: Breach) -> tuple[str, ...]:
    statements = parts(breach.fix)[0]
    revokes = all(statement.startswith(("revoke ", "grant ")) for statement in statements)
    if breach.intended.startswith("# ") and statements and revokes:  # what one table lacks
        return (breach.intended.partition("\npython ")[0],)
    is_cause = is_sql(breach.fix) or _FAULT.match(breach.fix)
    return (breach.fix,) if is_cause else (breach.subject, breach.cause, breach.fix)


def _place(breach: Breach) -> int:
    """Return the place in a group: an open question, what was shown, a rule, a difference."""
    if breach.proof in _IN_WORDS:
        return 3
    if breach.proof.startswith(_OPEN):
        return 0
    return 1 if breach.sql else 2


def _table(breach: Breach) -> str:
    return breach.subject.rpartition(" ")[2]


def counted(group: Group) -> str:
    """Return what a group explains, in words: `12 cells, 1 rule`."""
    kinds = Counter(
        breach.proof
        if breach.proof in _IN_WORDS
        else "cell"
        if " org" in breach.proof and " as " in breach.proof
        else "finding"
        for breach in group.breaches
    )
    return ", ".join(
        kind if kind in _IN_WORDS else f"{count} {kind}{'' if count == 1 else 's'}"
        for kind, count in kinds.items()
    )
