"""What differs from the files or from the review, and which breaches each difference explains.

A difference explains a breach that names its object, or an object that leads to it: a policy that
calls a changed function, a trigger that runs it, a column of a changed type. Of several the nearest
one is its cause. What was added on top of another addition has the same cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runner.isolation import drift, surface
from runner.isolation.verdict import Breach
from runner.preflight.order import parts
from runner.schema.snapshot import Snapshot

_PART = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_NAME = rf"{_PART}(?:\.{_PART})+"
_ON_TABLE = re.compile(rf"\b(policy|trigger|rule|constraint) ({_PART}) on (?:table )?({_NAME})")
_IN_TABLES = ("column", "constraint", "index", "policy", "rule", "trigger")
_FIRST = ("trigger", "policy", "constraint", "rule", "index", "column")  # on a table, if unnamed
_CALLED = ("aggregate", "function", "procedure")
_KINDS = re.compile(
    r"((?:default privileges|foreign table|foreign data wrapper|user mapping|event trigger"
    r"|materialized view|large objects|(?:system|extension) \w+|\w+)(?: of another role)?) (.+)"
)
_READ = ("materialized view", "table", "type", "view", *_CALLED)  # kinds that others may depend on


@dataclass(eq=False)
class Difference:
    """One object that differs, with all breaches of drift and surface about it."""

    kind: str
    name: str
    breaches: list[Breach]
    leading: set[str] = field(default_factory=set)  # it, and the objects that depend on it
    tables: set[str] = field(default_factory=set)  # that it belongs to, or that depend on it
    readers: set[str] = field(default_factory=set)  # the functions and views that use these tables

    @property
    def fix(self) -> str:
        """The statement of drift, which is complete; of the surface where there is none."""
        return next((breach.fix for breach in self.breaches if breach.fix), "")

    def refuses_row(self, cause: str) -> bool:
        """Whether the reason why no row could be made names it."""
        return _names(cause, re.findall(_PART, self.name)[-1])

    def lets_through(self, breach: Breach) -> bool:
        """Whether it may let rows of another tenant through, as this breach says.

        What a table lacks does not; a column or a constraint of it only if the breach is about it.
        """
        plain = re.findall(_PART, self.name)[-1]
        if self.kind == "column":
            is_about = re.search(rf"\.{re.escape(plain)}[ ,]", breach.proof)
            return self.fix.startswith("revoke ") and is_about is not None
        if self.kind in ("constraint", "index"):
            return breach.cause.startswith(f"constraint {plain} on ")
        statements = parts(self.fix)[0]
        return self.kind != "table" or not all(s.startswith("grant ") for s in statements)

    @property
    def is_new(self) -> bool:
        """Whether the review has nothing of the object."""
        return any(" was added since the review" in breach.summary for breach in self.breaches)

    @property
    def is_added(self) -> bool:
        """Whether the object is to be dropped."""
        return self.fix.startswith("drop ")


def differences(breaches: Iterable[Breach], now: Snapshot) -> list[Difference]:
    """Return the objects that drift and surface name, with what depends on each of them."""
    by_object: dict[str, list[Breach]] = {}
    for breach in breaches:
        if breach.proof in (drift.NAME, surface.NAME) and _KINDS.fullmatch(breach.subject):
            by_object.setdefault(breach.subject, []).append(breach)
    found = []
    for subject, about in by_object.items():
        match = _KINDS.fullmatch(subject)
        assert match  # noqa: S101 - see above
        found.append(_with_dependents(Difference(match[1], match[2], about), now))
    return found


def _with_dependents(difference: Difference, now: Snapshot) -> Difference:
    kind, name = difference.kind, difference.name
    waiting = [(kind, name)]
    while waiting:
        each = waiting.pop()
        if each[1] in difference.leading:
            continue
        difference.leading.add(each[1])
        if each[0] in _IN_TABLES:
            difference.tables.add(each[1].rpartition(".")[0])
        elif each[0] in ("foreign table", "materialized view", "table", "view"):
            difference.tables.add(each[1])
        if each[0] in _READ and not (each[0] == "table" and each != (kind, name)):
            mentioned = _mention(*each)
            waiting += {(f.kind, f.name) for f in now.facts if mentioned.search(f.value)}
    plain = [re.escape(re.findall(_PART, table)[-1]) for table in difference.tables]
    used = re.compile(rf"(?<![\w$])(?:{'|'.join(plain)})(?![\w$(])")
    difference.readers = {
        f.name.partition("(")[0]
        for f in now.facts
        if plain and f.trait in ("body", "definition") and used.search(f.value)
    }
    return difference


def _mention(kind: str, name: str) -> re.Pattern[str]:
    """Return a pattern for a use of an object: a function is called without its schema, too."""
    if kind in _CALLED:
        plain = re.findall(_PART, name.partition("(")[0])[-1]
        return re.compile(rf"(?<![\w$]){re.escape(plain)}\s*\(", re.IGNORECASE)
    return re.compile(rf'(?<![\w$."]){re.escape(name)}(?![\w$"(])')


def cause_of(
    breach: Breach, found: Sequence[Difference], *, leaking: bool = False
) -> Difference | None:
    """Return the difference that explains a breach: what it names, else what is on its table.

    `leaking`: the breach shows rows of another tenant.
    """
    text = _ON_TABLE.sub(r"\3.\2", f"{breach.subject}\n{breach.cause}")
    subject = text.partition("\n")[0]
    words = set(re.findall(_PART, f"{breach.proof} {breach.cause}"))

    def distance(difference: Difference) -> tuple[int, int, int] | None:
        inside, is_table = difference.kind in _IN_TABLES, difference.kind == "table"
        on_table = any(_names(subject, table) for table in difference.tables)
        is_column = on_table and difference.kind == "column"
        places = (
            (f"{difference.kind} {difference.name}" == breach.subject, 0),
            (inside and _names(text, difference.name), 1),
            (is_column and re.findall(_PART, difference.name)[-1] in words, 1),
            (not inside and any(_names(text, n) for n in difference.leading), 2 + is_table),
            (on_table, 4 if inside else 5),
            (subject.partition("(")[0] in difference.readers, 6 if inside else 7),
        )
        place = next((place for is_so, place in places if is_so), None)
        order = _FIRST.index(difference.kind) if inside else 0
        return None if place is None else (place, order, len(difference.leading))

    possible = [d for d in found if not leaking or d.lets_through(breach)]
    placed = [(place, d) for d in possible if (place := distance(d))]
    return min(placed, key=lambda each: each[0])[1] if placed else None


def _names(text: str, name: str) -> bool:
    """Whether a text names an object; a function without its arguments, too."""
    name, is_function, _ = name.partition("(")
    start = text.find(name)
    while start >= 0:
        before, after = text[start - 1 : start], text[start + len(name) :][:1]
        if not re.match(r'[\w$."]', before) and not re.match(r'[\w$"]', after):
            return not is_function or after in ("(", "", " ", ";", ",")
        start = text.find(name, start + 1)
    return False


def components(found: Sequence[Difference]) -> list[list[Difference]]:
    """Return the differences, those together that were added with each other."""
    group = {id(d): [d] for d in found}
    for one in found:
        for other in found:
            inside = one.kind == "schema" and other.name.startswith(f"{one.name}.")
            added = one.is_added and other.is_added and other.name in one.leading
            first, second = group[id(one)], group[id(other)]
            if first is not second and (inside or added):
                first += second
                group.update((id(d), first) for d in second)
    return list({id(members): members for members in group.values()}.values())
