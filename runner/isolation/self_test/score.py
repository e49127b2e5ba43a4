"""The result of a self-test: for each mutant, whether verify detected it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from runner.isolation import surface
from runner.isolation.verdict import Breach, Check


@dataclass(frozen=True)
class Mutant:
    """One way to weaken the schema."""

    kind: str
    name: str
    object: str  # what a breach must name
    sql: str
    undo: str = ""  # only for changes that outlive the database
    equivalent: str = ""  # for a mutant that exposes nothing: the layer that still holds


@dataclass(frozen=True)
class Trial:
    """The verdict of verify on one mutant."""

    mutant: Mutant
    verdict: str  # "killed", "equivalent", "misattributed", "survived"
    killed_by: tuple[str, ...] = ()  # the proofs whose breaches name the object
    note: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Score:
    """The result of a self-test."""

    server: str  # name and version
    owner: str  # the kind of role that applied the files and ran verify
    breaches: tuple[Breach, ...]  # of the unmodified schema; if there are any, no mutant is tried
    races: tuple[Check, ...]
    trials: tuple[Trial, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the unmodified schema passes and every mutant is killed or equivalent."""
        return (
            not self.breaches
            and bool(self.trials)
            and not self.survivors
            and all(check.passed for check in self.races)
        )

    @property
    def killed(self) -> int:
        """The number of mutants that verify detected and attributed to the right object."""
        return sum(trial.verdict == "killed" for trial in self.trials)

    @property
    def by_surface(self) -> int:
        """Of the killed ones, how many only the reviewed surface named."""
        return sum(trial.killed_by == (surface.NAME,) for trial in self.trials)

    @property
    def all(self) -> int:
        """The number of mutants that are not equivalent."""
        return len(self.trials) - len(self.equivalents)

    @cached_property
    def equivalents(self) -> tuple[Trial, ...]:
        """Mutants that pass because another layer holds; the note names the layer."""
        return tuple(trial for trial in self.trials if trial.verdict == "equivalent")

    @cached_property
    def survivors(self) -> tuple[Trial, ...]:
        """Mutants that verify missed or attributed to another object: bugs in verify."""
        return tuple(
            trial for trial in self.trials if trial.verdict in ("survived", "misattributed")
        )

    @property
    def by_kind(self) -> dict[str, tuple[int, int]]:
        """The number killed and the number not equivalent, by kind."""
        scores: dict[str, tuple[int, int]] = {}
        for trial in self.trials:
            killed, of = scores.get(trial.mutant.kind, (0, 0))
            scores[trial.mutant.kind] = (
                killed + (trial.verdict == "killed"),
                of + (trial.verdict != "equivalent"),
            )
        return scores
