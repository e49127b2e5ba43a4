"""The result of verify: cells of the matrix, checks, and a breach for each failure. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from runner.errors import UsageError, masked

COMMANDS = ("select", "insert", "update", "delete", "truncate")  # in the order of a grid
SINGLE = ("catalog", "surface")  # the kinds of which there is one check
FORGED = " with forged "  # in the name of an actor, between the actor and the setting
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
    """A failed proof, with what is needed to reproduce and fix it."""

    proof: str  # the name of the cell, rule, attack, invariant or drift check that failed
    subject: str  # the faulty object, or the table that was exposed
    summary: str  # one sentence
    actor: str = ""  # the role and claims used
    sql: str = ""  # the exact statement
    exposed: str = ""  # the rows seen or changed, or why this matters
    cause: str = ""  # the policy, grant or attribute that allowed it
    intended: str = ""  # if it is: the lines for isolation.toml, or the command that accepts it
    fix: str = ""  # SQL to run as it is; what is to be done otherwise is a comment in it

    def __post_init__(self) -> None:
        """Mask passwords; a fix that has one is a comment, because it would write the mask."""
        for of in fields(self):
            text = getattr(self, of.name)
            if (safe := masked(text)) != text:
                if of.name == "fix":
                    lines = (f"-- {line}" for line in safe.splitlines())
                    safe = "\n".join(("-- with the password, which is not shown:", *lines))
                object.__setattr__(self, of.name, safe)


@dataclass(frozen=True)
class Cell:
    """One right of the permission table, tried as one actor in one organization."""

    table: str
    command: str
    what: str  # the right's name within its table and command
    actor: str  # of [actors]
    where: str  # "own" or "other" organization
    allowed: bool  # whether a right says so, on some rows at least; in `where`, not just anywhere
    outcome: str  # "3 rows", "0 of the other's rows", or the SQLSTATE
    passed: bool | None  # None: not tried, which is a breach
    sql: str

    @property
    def title(self) -> str:
        """The cell in one line; also the `proof` of its breach."""
        return f"{self.table}.{self.command}.{self.what} as {self.actor} in {self.where} org"


@dataclass(frozen=True)
class Check:
    """The outcome of one rule, attack, invariant or migration file."""

    kind: str  # "file", "rule", "attack", "invariant"; "catalog" and "surface": one check each
    name: str
    title: str
    source: str
    outcome: str
    passed: bool | None  # None: not tried, for the reason that `outcome` gives


@dataclass(frozen=True)
class Verdict:
    """The result of one run of verify."""

    cells: tuple[Cell, ...] = ()
    checks: tuple[Check, ...] = ()
    breaches: tuple[Breach, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)  # server, database, at, role, …
    compared: int = 0  # facts of the surface, with those reviewed
    seconds: float = 0.0  # elapsed

    def with_more(self, other: Verdict) -> Verdict:
        """Return both verdicts combined; on conflict, the facts of `other` win."""
        return Verdict(
            cells=self.cells + other.cells,
            checks=self.checks + other.checks,
            breaches=self.breaches + other.breaches,
            warnings=self.warnings + other.warnings,
            facts={**self.facts, **other.facts},
            compared=self.compared + other.compared,
            seconds=self.seconds + other.seconds,
        )

    def only(self, name: str | None) -> Verdict:
        """Return what concerns one object, or everything for None; raise UsageError for neither."""
        if name is None:
            return self
        cells = tuple(c for c in self.cells if name in (c.table, c.table.rpartition(".")[2]))
        breaches = tuple(
            b
            for b in self.breaches
            if b.subject == name or b.proof.startswith(name) or b.proof in {c.title for c in cells}
        )
        if not cells and not breaches:
            known = sorted({cell.table for cell in self.cells})
            raise UsageError(f"There is no proof called {name!r}", hint=", ".join(known))
        return replace(self, cells=cells, breaches=breaches)

    @property
    def proven(self) -> bool:
        """Whether there is no breach."""
        return not self.breaches

    @property
    def counts(self) -> dict[str, int]:
        """The number of cells, of checks by kind, of those not tried, of facts, and of breaches."""
        kinds = ("file", "attack", "invariant", "rule")
        return {
            "cells": len(self.cells),
            **{f"{kind}s": sum(check.kind == kind for check in self.checks) for kind in kinds},
            "not_tried": sum(cell.passed is None for cell in self.cells)
            + sum(check.passed is None for check in self.checks),
            "facts": self.compared,
            "breaches": len(self.breaches),
        }

    @property
    def summary(self) -> str:
        """The closing line of a run: counts and elapsed time. The surface has a line of its own."""
        counts = self.counts
        counted = [
            f"{count} {name if count != 1 else _ONE[name]}"
            for name, count in counts.items()
            if name in _ONE
        ]
        if untried := counts["not_tried"]:
            counted.insert(-1, f"{untried} not tried")
        return f"{', '.join(counted)}, in {self.seconds:.1f} s"
