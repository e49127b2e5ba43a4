"""What a proof finds: cells of the matrix, checks, and for each failure a breach. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field

_ONE = {
    "cells": "cell",
    "files": "file",
    "attacks": "attack",
    "invariants": "invariant",
    "rules": "rule",
    "breaches": "breach",
}


@dataclass(frozen=True)
class Breach:
    """Something got through, or could; with what a person needs to close it."""

    proof: str  # the cell, rule, attack, invariant or drift that failed, by its name
    subject: str  # the object at fault, or the table that was reached
    what: str  # one sentence
    who: str = ""  # as whom it was done
    sql: str = ""  # the exact statement
    reached: str = ""  # rows, or what it changed
    fault: str = ""  # the policy, grant or attribute that let it through
    fix: str = ""  # a statement, or what to do


@dataclass(frozen=True)
class Cell:
    """One right of the permission table, tried by one person on one organization."""

    table: str
    command: str
    what: str
    who: str
    where: str  # "own" or "other"
    allowed: bool
    outcome: str  # "3 rows", "0 rows", or the SQLSTATE
    passed: bool
    sql: str

    @property
    def title(self) -> str:
        """The cell in a line; a breach of it is called the same."""
        return f"{self.table}.{self.command}.{self.what} as {self.who} in {self.where} org"


@dataclass(frozen=True)
class Check:
    """One rule, attack or invariant that was looked at."""

    kind: str  # "file", "rule", "attack", "invariant"
    name: str
    title: str
    source: str
    outcome: str
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """All that one run of verify found."""

    cells: tuple[Cell, ...] = ()
    checks: tuple[Check, ...] = ()
    breaches: tuple[Breach, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)  # server, target, at, role, …
    seconds: float = 0.0

    def with_more(self, other: Verdict) -> Verdict:
        """Return the verdict on both, the later one's facts over the earlier one's."""
        return Verdict(
            cells=self.cells + other.cells,
            checks=self.checks + other.checks,
            breaches=self.breaches + other.breaches,
            warnings=self.warnings + other.warnings,
            facts={**self.facts, **other.facts},
            seconds=self.seconds + other.seconds,
        )

    @property
    def proven(self) -> bool:
        """Whether everything held."""
        return not self.breaches

    @property
    def counts(self) -> dict[str, int]:
        """How much was tried, by kind, and how much of it failed."""
        kinds = ("file", "attack", "invariant", "rule")
        return {
            "cells": len(self.cells),
            **{f"{kind}s": sum(check.kind == kind for check in self.checks) for kind in kinds},
            "breaches": len(self.breaches),
        }

    @property
    def summary(self) -> str:
        """The line that a run ends with."""
        counted = [
            f"{count} {name if count != 1 else _ONE[name]}" for name, count in self.counts.items()
        ]
        return f"{', '.join(counted)}, in {self.seconds:.1f} s"
