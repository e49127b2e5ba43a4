"""Compare two catalogs object by object, and generate the statements that fix a difference."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from runner.schema.snapshot import OF_OTHERS, Fact, Object, Snapshot

# Kinds that cannot be changed in place: they are dropped and created again.
_RECREATED = ("constraint", "index", "materialized view", "policy", "rule", "statistics", "view")
# Kinds that anyone may use once they are created, unless that is revoked.
OPEN = ("function", "procedure", "aggregate", "type")
# Facts that `add column` includes.
_ADDED_WITH_A_COLUMN = ("default", "generated", "identity", "not null", "type")
_BASE = ("", "definition", "function", "runs")  # traits that every object of a kind has
# Traits whose values name other objects.
_USES = ("calls", "default", "definition", "function", "runs", "server", "type")
_SHORT = 72  # characters of a value shown within a sentence


@dataclass(frozen=True)
class Difference:
    """One object that differs between two catalogs: in a trait, or in existing at all."""

    kind: str
    name: str
    trait: str  # "" for the whole object
    before: str | None  # None: does not exist
    after: str | None
    of: str | None = None  # the table it belongs to
    fix: str = ""  # turns `before` into `after`; empty where uncertain or losing data
    with_it: tuple[str, ...] = ()  # kinds of the objects added or dropped with a table

    @property
    def object(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def is_whole(self) -> bool:
        """Whether the object exists on one side only."""
        return not self.trait

    def as_drift(self, here: str = "here", there: str = "in the files") -> str:
        """Describe it for two databases: `here` is the one before, `there` the one after."""
        old, new = self._shown(self.before), self._shown(self.after)
        text = f"{self.trait} {old} {here}, {new} {there}"
        if self.is_whole:
            one, other = (there, here) if self.before is None else (here, there)
            text = f"{one} and not {other}{self._along()}"
        elif not self.before and not self.after:  # a privilege or NOT NULL: exists or not
            text = f"{self.trait} {here if self.after is None else there} only"
        elif self.lines():
            text = f"another {self.trait} {here} than {there}"
        elif self.before is None:
            text = f"no {self.trait} {here}, {new} {there}"
        elif self.after is None:
            text = f"{self.trait} {old} {here}, not {there}"
        return f"{self.object}: {text}"

    def as_effect(self) -> str:
        """Describe it for one database, before and after a change."""
        if self.is_whole:
            return f"{'creates' if self.before is None else 'drops'} {self.object}{self._along()}"
        old, new = self._shown(self.before), self._shown(self.after)
        text = f"{self.trait} {old} → {new}"
        if self.before is None:
            text = f"adds {self.trait} {new}".rstrip()
        elif self.after is None:
            text = f"removes {self.trait} {old}".rstrip()
        elif self.lines():
            text = f"another {self.trait}"
        return f"{self.object}: {text}"

    def lines(self) -> list[str]:
        """Return the line diff of values that are too long for a sentence."""
        old, new = self.before or "", self.after or ""
        if not (old and new) or max(len(old), len(new)) <= _SHORT:
            return []
        compared = difflib.ndiff(old.splitlines(), new.splitlines())
        return [line for line in compared if line[0] in "+-"]

    def _shown(self, value: str | None) -> str:
        words = " ".join((value or "").split())
        words = words if len(words) <= _SHORT else f"{words[: _SHORT - 1]}…"
        return f"“{words}”" if self.trait == "comment" else words

    def _along(self) -> str:
        counted = Counter(self.with_it)
        words = [f"{n} {kind if n == 1 else _many(kind)}" for kind, n in counted.items()]
        return f", with {', '.join(words)}" if words else ""


def difference(before: Snapshot, after: Snapshot) -> list[Difference]:
    """Return the differences; a table on one side only counts once, with all that belongs to it.

    Between major versions, what only the newer one has is ignored. So is what belongs to no schema
    and to another role than the schemas' owner.
    """
    if before.facts == after.facts:
        return []
    platform = before.platform | after.platform
    before, after = before.without(platform), after.without(platform)
    found: list[Difference] = []
    for object_ in sorted(before.by_object.keys() | after.by_object.keys()):
        if object_[0].endswith(OF_OTHERS):
            continue
        old, new = (side.by_object.get(object_, {}) for side in (before, after))
        if before.version != after.version:  # MAINTAIN came with 17
            old, new = (
                {k: v for k, v in side.items() if not k.startswith("maintain to ")}
                for side in (old, new)
            )
        if bool(_base(old)) is bool(_base(new)):
            found += _within(object_, old, new)
        else:
            found.append(_whole(object_, old, new))
    kept = _without_inherited(found, {**_parents(before), **_parents(after)})
    with_parent = {(d.kind, d.name) for d in found if d not in kept}
    return _certain(_folded(_renamed(kept)), before, with_parent)


def _base(facts: dict[str, Fact]) -> Fact | None:
    """Return the fact that states that the object exists."""
    return next((facts[trait] for trait in _BASE if trait in facts), None)


def _within(object_: Object, old: dict[str, Fact], new: dict[str, Fact]) -> Iterator[Difference]:
    for trait in sorted(old.keys() | new.keys()):
        before, after = (side[trait].value if trait in side else None for side in (old, new))
        if before != after:
            of = (new.get(trait) or old[trait]).of
            yield Difference(*object_, trait, before, after, of, _fix_of(trait, old, new))


def _fix_of(trait: str, old: dict[str, Fact], new: dict[str, Fact]) -> str:
    """Return the statements that change one trait of an object on both sides."""
    before, after = old.get(trait), new.get(trait)
    fact, base = after or old[trait], _base(new if after else old)
    if base and fact.make and fact.make == base.make:  # part of the statement that creates it
        return _recreated(new)
    if before and after and trait == "labels":
        return _labels_added(before.value, after)
    return _statements(fact.make if after else fact.unmake)


def _recreated(facts: dict[str, Fact]) -> str:
    """Return the statements that create an object again, dropping it first without `or replace`."""
    base = _base(facts)
    if base is None or not base.make:
        return ""
    if base.kind == "view" and "definition" in base.trait:
        return _statements(base.make.replace("create view", "create or replace view", 1))
    if base.kind not in _RECREATED and not base.make.startswith("CREATE CONSTRAINT"):
        return _statements(base.make)
    return _statements(base.unmake, base.make, *(fact.make for fact in facts.values()))


def _labels_added(labels: str, after: Fact) -> str:
    """Return the statements that add labels to an enum; '' where one is missing or moved."""
    had, wanted = labels.split(", "), after.value.split(", ")
    if [label for label in wanted if label in had] != had:
        return ""
    added = []
    for number, label in enumerate(wanted):
        if label not in had:
            place = f"after {wanted[number - 1]}" if number else f"before {had[0]}"
            added.append(f"alter type {after.name} add value {label} {place}")
    return _statements(*added)


def _whole(object_: Object, old: dict[str, Fact], new: dict[str, Fact]) -> Difference:
    facts = new or old
    base = _base(facts)
    assert base  # noqa: S101 - else it would not be whole
    if old:
        fix = _statements(base.unmake)
    else:
        said = _ADDED_WITH_A_COLUMN if base.kind == "column" else ()
        makes = [base.make, *(f.make for f in new.values() if f.trait not in said)]
        if base.kind in OPEN and not any(trait.endswith(" to public") for trait in new):
            right = "usage on type" if base.kind == "type" else "execute on function"
            right = right.replace(
                "function", "procedure" if base.kind == "procedure" else "function"
            )
            makes.insert(1, f"revoke {right} {base.name} from public")
        fix = _statements(*makes) if base.make else ""
    before, after = (None, base.value) if new else (base.value, None)
    return Difference(*object_, "", before, after, base.of, fix)


def _parents(side: Snapshot) -> dict[str, list[str]]:
    """Return the tables that each partition or child inherits from."""
    return {f.name: f.value.split(", ") for f in side.facts if f.trait == "inherits"}


def _without_inherited(found: list[Difference], parents: dict[str, list[str]]) -> list[Difference]:
    """Leave out what a partition or child has from its parent, and is changed with it."""

    def key(d: Difference, of: str | None) -> tuple[object, ...]:
        name = d.name.removeprefix(f"{d.of}.")
        values = [d.before, d.after]
        if d.kind in ("constraint", "index"):  # a partition's has a name of its own
            name = ""
            values = [v and (v.partition(" USING ")[2] or v) for v in values]
        return of, d.kind, d.trait, name, *values

    known = {key(d, d.of) for d in found if d.of}
    return [
        d
        for d in found
        if not any(key(d, parent) in known for parent in parents.get(d.of or "", ()))
    ]


def _renamed(found: list[Difference]) -> list[Difference]:
    """Fix a constraint that has another name by a rename: references may depend on it."""
    kept = list(found)
    for n, d in enumerate(found):
        if d.kind != "constraint" or not d.is_whole or d.before is not None or not d.of:
            continue
        same = [
            o
            for o in found
            if (o.kind, o.of, o.before, o.after) == (d.kind, d.of, d.after, None) and o.is_whole
        ]
        if len(same) == 1 and d.fix.startswith("alter table"):
            old, new = (one.name.removeprefix(f"{d.of}.") for one in (same[0], d))
            kept[n] = replace(d, fix=f"alter table {d.of} rename constraint {old} to {new};")
            kept[found.index(same[0])] = replace(same[0], fix="")
    return kept


def _certain(found: list[Difference], here: Snapshot, with_parent: set[Object]) -> list[Difference]:
    """Leave out fixes that need what is missing here, or drop what other objects here use."""
    missing = [d.name for d in found if _is_added(d) and not d.fix]
    missing += [d.name for d in found if _is_added(d) and any(_names(m, d.fix) for m in missing)]
    columns = {d.of for d in found if d.kind == "column" and d.is_whole}
    changed = with_parent | {(d.kind, d.name) for d in found if d.fix}
    facts = [f for f in here.facts if f.trait in _USES and (f.kind, f.name) not in changed]

    def is_refused(d: Difference) -> bool:
        if d.kind == "view" and d.trait and d.name in columns:
            return True  # a view cannot lose or rename a column
        own = d.name.partition("(")[0]
        uses = (f for f in facts if d.name not in (f.name, f.of) and _names(own, f.value))
        dropped = re.match("drop (?:materialized )?(?:view|server|function|type) ", d.fix)
        return any(_names(name, d.fix) for name in missing) or bool(dropped and any(uses))

    return [replace(d, fix="") if d.fix and is_refused(d) else d for d in found]


def _is_added(d: Difference) -> bool:
    return d.is_whole and d.before is None


def _names(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}\b", text) is not None


def _folded(found: list[Difference]) -> list[Difference]:
    """Fold objects into the table, view or domain that they are added or dropped with."""
    tables = {d.name: d for d in found if d.is_whole and d.of is None}
    kinds: dict[str, list[str]] = {}
    fixes: dict[str, list[str]] = {}
    kept = []
    for d in found:
        table = tables.get(d.of or "")
        if table and (d.before is None) is (table.before is None):
            if d.is_whole:
                kinds.setdefault(table.name, []).append(d.kind)
            if table.fix and d.before is None:
                fixes.setdefault(table.name, [table.fix]).append(d.fix)
        else:
            kept.append(d)
    return [
        replace(
            d,
            with_it=tuple(kinds.get(d.name, ())),
            fix=_statements(*"\n".join(fixes[d.name]).split(";\n")) if d.name in fixes else d.fix,
        )
        if d.is_whole and d.of is None
        else d
        for d in kept
    ]


def _statements(*statements: str | None) -> str:
    """Return the statements in order, without duplicates, each with a semicolon."""
    return "\n".join(f"{s.rstrip().rstrip(';')};" for s in dict.fromkeys(statements) if s)


def _many(kind: str) -> str:
    if kind == "index":
        return "indexes"
    return f"{kind[:-1]}ies" if kind.endswith("y") else kind if kind.endswith("s") else f"{kind}s"
