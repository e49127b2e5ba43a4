"""Compare two catalogs object by object, and generate the statements that fix a difference."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from runner.errors import masked
from runner.preflight.fix import base_of, created, of_trait, statements
from runner.schema.snapshot import OF_OTHERS, Fact, Object, Snapshot

# Traits whose values name other objects.
_USES = ("calls", "default", "definition", "function", "runs", "server", "type")
_SHORT = 72  # characters of a value shown within a sentence
NOT_SHOWN = "(only a password differs, which is not shown)"


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

    @property
    def is_not_dumped(self) -> bool:
        """Whether pg_dump leaves it out: what is set for the columns of a constraint's index."""
        return (self.kind, self.trait) == ("constraint", "statistics")

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
        """Return the line diff of values that are too long for a sentence, passwords masked."""
        old, new = self.before or "", self.after or ""
        if not (old and new) or max(len(old), len(new)) <= _SHORT:
            return []
        compared = difflib.ndiff(lines_of(old), lines_of(new))
        found = [line for line in compared if line[0] in "+-"]
        return found or [NOT_SHOWN] * (old.splitlines() != new.splitlines())

    def _shown(self, value: str | None) -> str:
        words = masked(" ".join((value or "").split()))
        words = words if len(words) <= _SHORT else f"{words[: _SHORT - 1]}…"
        return f"“{words}”" if self.trait == "comment" else words

    def _along(self) -> str:
        counted = Counter(self.with_it)
        words = [f"{n} {kind if n == 1 else _many(kind)}" for kind, n in counted.items()]
        return f", with {', '.join(words)}" if words else ""


def lines_of(text: str) -> list[str]:
    """Return the lines to compare: a password is masked first, because it may span lines."""
    return masked(text).splitlines()


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
        if object_[0] == "database":
            new = _for_database(before.database, new, after.database)
        if bool(base_of(old)) is bool(base_of(new)):
            found += _within(object_, old, new, before)
        else:
            found.append(_whole(object_, old, new, before))
    found = _with_parts(found, after)
    kept = _without_inherited(found, {**_parents(before), **_parents(after)})
    with_parent = {(d.kind, d.name) for d in found if d not in kept}
    return _certain(_folded(_renamed(kept)), before, with_parent)


def _for_database(name: str, facts: dict[str, Fact], other: str) -> dict[str, Fact]:
    """Let the statements about a database itself name the one that they are to change."""
    if not (name and other):
        return facts
    return {
        trait: replace(
            f, make=f.make and f.make.replace(f" database {other} ", f" database {name} ", 1)
        )
        for trait, f in facts.items()
    }


def _within(
    object_: Object, old: dict[str, Fact], new: dict[str, Fact], here: Snapshot
) -> Iterator[Difference]:
    for trait in sorted(old.keys() | new.keys()):
        before, after = (side[trait].value if trait in side else None for side in (old, new))
        if before != after:
            of = (new.get(trait) or old[trait]).of
            yield Difference(*object_, trait, before, after, of, of_trait(trait, old, new, here))


def _with_parts(found: list[Difference], after: Snapshot) -> list[Difference]:
    """Make the indexes of a materialized view again in the fix that makes it again."""
    made: dict[str, list[str | None]] = {
        d.name: [] for d in found if d.fix.startswith(f"drop materialized view {d.name};\n")
    }
    for fact in after.facts:
        if fact.of in made:
            made[fact.of].append(fact.make)
    kept = [replace(d, fix="") if d.of in made else d for d in found]
    return [
        replace(d, fix=statements(d.fix, *made[d.name])) if made.get(d.name) and d.fix else d
        for d in kept
    ]


def _whole(
    object_: Object, old: dict[str, Fact], new: dict[str, Fact], here: Snapshot
) -> Difference:
    base = base_of(new or old)
    assert base  # noqa: S101 - else it would not be whole
    before, after = (None, base.value) if new else (base.value, None)
    text = created(new, here) if new else statements(base.unmake)
    return Difference(*object_, "", before, after, base.of, text)


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
            fix=statements(*"\n".join(fixes[d.name]).split(";\n")) if d.name in fixes else d.fix,
        )
        if d.is_whole and d.of is None
        else d
        for d in kept
    ]


def _many(kind: str) -> str:
    if kind == "index":
        return "indexes"
    return f"{kind[:-1]}ies" if kind.endswith("y") else kind if kind.endswith("s") else f"{kind}s"
