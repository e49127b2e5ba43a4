"""The statements that undo a change of the surface, from the facts as reviewed and as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

from runner.isolation.surface.comparison import Change
from runner.isolation.surface.direction import PRIVILEGE

Traits = Mapping[str, str]
_PARTS = re.compile(r'(.+)\.("(?:[^"]|"")+"|[^".]+)')  # of the name of what is in a table
_CLAUSES = {"to": "to {}", "using": "using ({})", "with check": "with check ({})"}
_NAME = r'(?:"[^"]*"|[\w$]+)'
_SEARCH_PATH = re.compile(f"search_path={_NAME}(?:, ?{_NAME})*")  # any text may be stored as one
_ATTRIBUTES = {
    "security": "security {}",
    "volatility": "{}",
    "parallel": "parallel {}",
    "strict": "strict",
    "leakproof": "leakproof",
}
_NOT_REVIEWED = {"leakproof": "not leakproof", "strict": "called on null input"}
_FIRING = {"as usual": "enable", "always": "enable always", "on a replica only": "enable replica"}


def undone(change: Change) -> str:
    """Return the statements that undo a change, '' where the facts have not all of them.

    The facts as reviewed have the text of policies, checks and triggers, not of functions.
    """
    own = [fact for fact in change.now if fact.kind == change.kind]
    drops = [fact.unmake for fact in own if (fact.unmake or "").startswith("drop ")][:1]
    changed = {fact.trait for fact in (*change.reviewed, *own)}
    if "row security" in changed <= {"force", "row security"} and not change.whole:
        is_on = any((fact.trait, fact.value) == ("row security", "on") for fact in own)
        word = "disable" if is_on else "enable"
        return f"alter table {change.name} {word} row level security;"
    if change.reviewed:
        return _as_reviewed(change)
    if drops and not change.whole:
        return ""
    undo = drops or [fact.unmake or "" for fact in own]
    if change.whole and not drops and change.kind != "role":
        made = [fact for fact in own if not fact.trait]
        given = [fact for fact in change.now if PRIVILEGE.match(fact.trait)]  # on columns, too
        undo = [fact.unmake or "" for fact in (*made, *given)]
    return "\n".join(f"{text};" for text in dict.fromkeys(undo)) if all(undo) else ""


def _as_reviewed(change: Change) -> str:
    """Return the statements that make one object again what it was."""
    if {fact.kind for fact in (*change.reviewed, *change.now)} != {change.kind}:
        return ""
    before = {fact.trait: fact.value for fact in change.reviewed}
    changed = before.keys() | {fact.trait for fact in change.now}
    if change.kind == "function" and not change.whole:
        return _function(change.name, before, changed)
    parts, make = _PARTS.fullmatch(change.name), _IN_TABLES.get(change.kind)
    return make(parts[1], parts[2], before, changed) if parts and make else ""


def _policy(table: str, name: str, before: Traits, changed: Set[str]) -> str:
    clauses = " ".join(
        text.format(before[trait]) for trait, text in _CLAUSES.items() if trait in before
    )
    if {"as", "for"} <= before.keys() == changed:
        kind = f"as {before['as']} for {before['for']}"
        create = f"create policy {name} on {table} {kind} {clauses};"
        return f"drop policy if exists {name} on {table};\n{create}"
    is_altered = changed == before.keys() <= _CLAUSES.keys()
    return f"alter policy {name} on {table} {clauses};" if is_altered else ""


def _trigger(table: str, name: str, before: Traits, changed: Set[str]) -> str:
    if changed == {"fires"} and before.get("fires") in _FIRING:
        return f"alter table {table} {_FIRING[before['fires']]} trigger {name};"
    if "definition" in before:
        return f"drop trigger if exists {name} on {table};\n{before['definition']};"
    return ""


def _constraint(table: str, name: str, before: Traits, changed: Set[str]) -> str:
    if before.keys() != {"definition"} or changed != before.keys():
        return ""
    add = f"add constraint {name} {before['definition']}"
    return f"alter table {table} drop constraint if exists {name}, {add};"


def _column(table: str, name: str, before: Traits, changed: Set[str]) -> str:
    alter = f"alter table {table} alter column {name} set"
    if changed == {"default"} and before:
        return f"{alter} default {before['default']};"
    return f"{alter} not null;" if changed == {"not null"} and before else ""


def _function(name: str, before: Traits, changed: Set[str]) -> str:
    """Return the statement that resets attributes; not the source, which is a hash."""
    found = []
    for trait in changed:
        if trait in before and trait in _ATTRIBUTES:
            found.append(_ATTRIBUTES[trait].format(before[trait]))
        elif trait not in before and trait in _NOT_REVIEWED:
            found.append(_NOT_REVIEWED[trait])
        elif trait == "set" and _SEARCH_PATH.fullmatch(before.get(trait, "")):
            found.append(f"set search_path = {before[trait].partition('=')[2]}")
        else:
            return ""
    return f"alter function {name} {' '.join(sorted(found))};"


_IN_TABLES = {
    "column": _column,
    "constraint": _constraint,
    "policy": _policy,
    "trigger": _trigger,
}
