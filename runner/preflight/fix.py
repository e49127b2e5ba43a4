"""The statements that turn an object of one catalog into that of another. No I/O.

What is made again gets its privileges, comments and indexes in the same fix. Where this is run as
one transaction, nothing is open in between.
"""

from __future__ import annotations

import re

from runner.schema.snapshot import Fact, Snapshot

Facts = dict[str, Fact]  # of one object, by trait

# Kinds that cannot be changed in place: they are dropped and created again.
_RECREATED = ("constraint", "index", "materialized view", "policy", "rule", "statistics", "view")
# Kinds that anyone may use once they are created, unless that is revoked.
OPEN = ("function", "procedure", "aggregate", "type")
# How default privileges and GRANT call a kind.
_CLASSES = {
    **dict.fromkeys(("materialized view", "view"), ("tables", "")),
    **dict.fromkeys(("aggregate", "function"), ("functions", "function ")),
    "procedure": ("functions", "procedure "),
    "type": ("types", "type "),
}
# Facts that `add column` includes.
_ADDED_WITH_A_COLUMN = ("default", "generated", "identity", "not null", "type")
_BASE = ("", "definition", "function", "runs")  # traits that every object of a kind has


def base_of(facts: Facts) -> Fact | None:
    """Return the fact that states that the object exists."""
    return next((facts[trait] for trait in _BASE if trait in facts), None)


def of_trait(trait: str, old: Facts, new: Facts, here: Snapshot) -> str:
    """Return the statements that change one trait of an object on both sides."""
    before, after = old.get(trait), new.get(trait)
    if trait in ("counts", "identity") and not before:
        return ""  # it would count from 1, whatever the rows have
    fact, base = after or old[trait], base_of(new if after else old)
    if base and fact.make and fact.make == base.make:  # part of the statement that creates it
        return _policy_altered(old, new) if base.kind == "policy" else _recreated(new, here)
    if before and after and trait.endswith("options") and after.make and before.unmake:
        had, wanted = (re.findall("([^ ,]+)=", each.value) for each in (before, after))
        gone = ", ".join(name for name in had if name not in wanted)
        head = before.unmake.rpartition(" (")[0]
        return statements(after.make, f"{head} ({gone})" if gone else None)
    if before and after and trait == "labels":
        return _labels_added(before.value, after)
    text = fact.make if after else fact.unmake
    return statements(text if base is None or text != base.unmake else "")  # not the whole object


def created(facts: Facts, here: Snapshot) -> str:
    """Return the statements that create an object with its privileges; '' where uncertain."""
    base = base_of(facts)
    if base is None or not base.make:
        return ""
    said = _ADDED_WITH_A_COLUMN if base.kind == "column" else ()
    makes = (fact.make for fact in facts.values() if fact.trait not in said)
    return statements(base.make, *_revoked(base, facts, here), *makes)


def _revoked(base: Fact, facts: Facts, here: Snapshot) -> list[str]:
    """Return the statements that revoke what a new object has here by default, unless wanted."""
    if base.kind not in _CLASSES:
        return []
    objects, word = _CLASSES[base.kind]
    schema = base.name.partition(".")[0]
    given = {
        trait
        for name in (objects, f"{objects} in {schema}")
        for trait in here.by_object.get(("default privileges", name), ())
    }
    if base.kind in OPEN:
        given.add("usage to public" if base.kind == "type" else "execute to public")
    split = (trait.split(" to ", 1) for trait in sorted(given - facts.keys()))
    return [f"revoke {right} on {word}{base.name} from {role}" for right, role in split]


def _recreated(facts: Facts, here: Snapshot) -> str:
    """Return the statements that create an object again, dropping it first without `or replace`."""
    base = base_of(facts)
    if base is None or not base.make:
        return ""
    if base.kind == "view" and "definition" in base.trait:
        return statements(base.make.replace("create view", "create or replace view", 1))
    if base.kind == "constraint" and (base.unmake or "").startswith("alter table"):
        added = base.make.removeprefix(f"alter table {base.of} ")
        makes = (fact.make for fact in facts.values() if fact is not base)
        return statements(f"{base.unmake}, {added}", *makes)  # one statement: never without
    if base.kind not in _RECREATED and not base.make.startswith("CREATE CONSTRAINT"):
        return statements(base.make)
    return statements(base.unmake, created(facts, here))


def _policy_altered(old: Facts, new: Facts) -> str:
    """Return the statements that change a policy, so that no rows are open in between."""
    base = new[""]
    head, _, rest = (base.make or "").partition(f" for {new['for'].value} to ")
    name = head.removeprefix("create policy ").partition(f" on {base.of}")[0]
    comments = [fact.make for fact in new.values() if fact.trait == "comment"]
    if all(old[t].value == new[t].value for t in ("as", "for")) and {*old} - {"comment"} <= {*new}:
        return statements(f"alter policy {name} on {base.of} to {rest}")
    other = f'"old {name.strip(chr(34))}"'
    return statements(
        f"alter policy {name} on {base.of} rename to {other}",
        base.make,
        *comments,
        f"drop policy {other} on {base.of}",
    )


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
    return statements(*added)


def statements(*statements: str | None) -> str:
    """Return the statements in order, without duplicates, each with a semicolon."""
    return "\n".join(f"{s.rstrip().rstrip(';')};" for s in dict.fromkeys(statements) if s)
