"""Faults: the one object of the files that lets rows of another tenant through.

Several policies, and the functions that they call, decide on a statement. At fault is a policy
whose condition uses no column of the row, else what was changed last; of the functions only one
that most tables leak with, because the others show that it is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from runner.isolation.report.places import Place, Places
from runner.isolation.verdict import Breach, Verdict
from runner.preflight import broken
from runner.schema.snapshot import Snapshot

_PART = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_POLICY = re.compile(rf"policy ({_PART}) on ({_PART}\.{_PART})")
_CALL = re.compile(rf"(?:({_PART})\.)?({_PART})\s*\(")
_REFERS = re.compile(r"\.row that refers to \S+ by (.+) as .+ in other org$")
_TELLS = re.compile(r"learns from (.+) which values of ")
_ITS_KEY = re.compile(r"row with the (.+) of another as ")
_FOREIGN = re.compile(r"FOREIGN KEY \((.+?)\) REFERENCES")
_CALLED = ("function", "procedure")
_TEXTS = ("body", "definition")
_CONDITIONS = ("using", "with check")
_WIDE = "its condition uses no column of the row, so it holds for the rows of every tenant"
_ALL = "over all tenants, which tells what another tenant has"
_ALONE = "alone, so it accepts a row of another tenant"
# What is wrong with a policy, and with a function that policies call.
LEAK = (
    "its condition holds for rows of another tenant",
    "the policies that call it let rows of another tenant through",
)
BEYOND = ("its condition holds for rows that no right allows", LEAK[1])
REFUSAL = (
    "its condition refuses what rights allow",
    "the policies that call it refuse what rights allow",
)


@dataclass(frozen=True)
class Fault:
    """An object, where it was changed last, and what is wrong with it."""

    object: str  # "policy own on public.tickets"
    place: Place | None
    wrong: str

    def fix(self, *, made_by_files: bool) -> str:
        """Return the comment that says what to change."""
        if self.place is None:
            return f"-- change {self.object}: {self.wrong}"
        line = f":{self.place.line}" if self.place.line else ""
        where = f"{self.place.path}{line}"
        if made_by_files:
            return (
                f"-- change {self.object}, in a new migration; {where} changed it last: "
                f"{self.wrong}"
            )
        return f"-- compare {self.object} with {where}, which changed it last: {self.wrong}"


def is_leak(breach: Breach, attacks: Iterable[str] = ()) -> bool:
    """Whether a breach shows that a tenant reaches another one's rows; `attacks`: their names."""
    if not breach.sql or "could not be tried" in breach.summary:
        return False
    crosses = " in other org" in breach.proof and " may " not in breach.summary
    return crosses or "another tenant" in breach.summary or breach.proof in attacks


def is_refusal(breach: Breach) -> bool:
    """Whether policies refused what a right allows."""
    refused = " in own org" in breach.proof and ", but got " in breach.summary
    return refused and "; there is " in breach.cause and _POLICY.search(breach.cause) is not None


class Faults:
    """Finds the faults of the leaks and refusals of one verdict."""

    def __init__(
        self, verdict: Verdict, leaks: Iterable[Breach], now: Snapshot, files: Places
    ) -> None:
        self._verdict, self._now, self._files = verdict, now, files
        self._known: dict[str, Fault | None] = {}
        refusals = filter(is_refusal, verdict.breaches)
        self._failing = {
            kind: {table for breach in breaches for _, table in _POLICY.findall(breach.cause)}
            for kind, breaches in ((LEAK, leaks), (REFUSAL, refusals))
        }
        for leak in leaks:
            self.of(leak)  # what is wrong with an object is said of what it leaks

    def of(self, breach: Breach, kind: tuple[str, str] = LEAK) -> Fault | None:
        """Return what is at fault; None where no file made it. `kind`: what is wrong with it."""
        if found := self.constraint(breach):
            return self._fault(*found)
        policies = dict.fromkeys(_POLICY.findall(breach.cause))
        for name, table in policies if kind != REFUSAL else ():
            if self._is_permissive(name, table) and not self._uses_columns(name, table):
                return self._fault(f"policy {name} on {table}", _WIDE)
        candidates = [(f"policy {name} on {table}", kind[0]) for name, table in policies]
        for function in self._called(policies):
            failing, others = self._tables(function, self._failing.get(kind, self._failing[LEAK]))
            if len(failing) > len(others):
                candidates.append((f"function {function}", kind[1]))
        placed = [(f[0], *c) for c in candidates if (f := self._files.last(c[0]))]
        return self._fault(*max(placed)[1:]) if placed else None

    def broken(self, breach: Breach) -> Fault | None:
        """Return the function that lacks something that it uses, if a breach says so."""
        told = broken.function(f"{breach.cause}\n{breach.exposed}")
        if told is None:
            return None
        missing, function = told
        plain = re.findall(_PART, function.partition("(")[0])[-1]
        known = [*self._functions.get(plain, {function: ""})]
        name = f"function {function if function in known else known[0]}"
        wrong = f"it is broken: {missing}"
        found = self._files.last(name)
        return self._known.setdefault(name, Fault(name, found[1] if found else None, wrong))

    def constraint(self, leak: Breach) -> tuple[str, str] | None:
        """Return the constraint that a leak is about, if it is, and what is wrong with it."""
        if match := _TELLS.search(leak.summary):
            columns = _ITS_KEY.search(leak.proof)
            of = f" ({columns[1]})" if columns else ""
            return f"constraint {match[1]} on {leak.subject}", f"its values{of} are unique {_ALL}"
        match = _REFERS.search(leak.proof)
        for fact in self._now.facts if match else ():
            if fact.kind == "constraint" and fact.of == leak.subject and match:
                foreign = _FOREIGN.match(fact.value)
                if foreign and foreign[1].replace('"', "") == match[1]:
                    name = fact.name.removeprefix(f"{fact.of}.")
                    return f"constraint {name} on {fact.of}", f"it compares {match[1]} {_ALONE}"
        return None

    def _fault(self, name: str, wrong: str) -> Fault | None:
        if name not in self._known:
            found = self._files.last(name)
            self._known[name] = Fault(name, found[1], wrong) if found else None
        return self._known[name]

    def _tables(self, function: str, failing: set[str]) -> tuple[set[str], set[str]]:
        """Return the tables whose policies call a function: those that fail, and others tried."""
        tables = {table for name, table in self._policies if function in self._reach[name, table]}
        tried = {cell.table for cell in self._verdict.cells}
        return tables & failing, (tables & tried) - failing

    @cached_property
    def _policies(self) -> dict[tuple[str, str], str]:
        """The conditions of each policy, by name and table."""
        found: dict[tuple[str, str], str] = {}
        for fact in self._now.facts:
            if fact.kind == "policy" and fact.of and fact.trait in _CONDITIONS:
                key = fact.name.removeprefix(f"{fact.of}."), fact.of
                found[key] = f"{found.get(key, '')} {fact.value}"
        return found

    @cached_property
    def _reach(self) -> dict[tuple[str, str], set[str]]:
        """The functions that each policy calls, directly or not."""
        return {key: set(self._callees(text)) for key, text in self._policies.items()}

    def _called(self, policies: Iterable[tuple[str, str]]) -> set[str]:
        return {name for policy in policies for name in self._reach.get(policy, ())}

    @cached_property
    def _functions(self) -> dict[str, dict[str, str]]:
        """The text of each function, by its name without schema and with arguments."""
        found: dict[str, dict[str, str]] = {}
        for fact in self._now.facts:
            if fact.kind in _CALLED and fact.trait in _TEXTS:
                plain = re.findall(_PART, fact.name.partition("(")[0])[-1]
                found.setdefault(plain, {})[fact.name] = fact.value
        return found

    def _callees(self, text: str) -> Iterator[str]:
        waiting, seen = [text], set[str]()
        while waiting:
            for schema, plain in _CALL.findall(waiting.pop()):
                for name, body in self._functions.get(plain, {}).items():
                    if name not in seen and (not schema or name.startswith(f"{schema}.")):
                        seen.add(name)
                        waiting.append(body)
                        yield name

    def _is_permissive(self, name: str, table: str) -> bool:
        facts = self._now.by_object.get(("policy", f"{table}.{name}"), {})
        return "as" in facts and facts["as"].value == "permissive"

    def _uses_columns(self, name: str, table: str) -> bool:
        """Whether a condition of a policy uses the row, or one of its columns."""
        text = self._policies.get((name, table), "")
        names = [f.name for f in self._now.facts if (f.kind, f.of) == ("column", table)]
        words = [re.escape(re.findall(_PART, name)[-1]) for name in {*names, table}]
        return re.search(rf'(?<![\w$.\'"])(?:{"|".join(words)})(?![\w$"(])', text) is not None
