"""What a self-test finds: of each mutant, whether verify saw it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from runner.isolation.verdict import Breach, Check


@dataclass(frozen=True)
class Mutant:
    """One way to weaken the schema."""

    kind: str
    name: str
    object: str  # what a breach has to name
    sql: str
    undo: str = ""  # only for what outlives the database
    equivalent: str = ""  # the layer that still holds, where nothing is reached by it


@dataclass(frozen=True)
class Trial:
    """What verify said of a mutant."""

    mutant: Mutant
    verdict: str  # "killed", "equivalent", "misnamed", "survived"
    killed_by: tuple[str, ...] = ()  # the proofs whose breaches name the object
    note: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Score:
    """What came of a self-test."""

    server: str
    breaches: tuple[Breach, ...]  # of the sound copy: when there are any, nothing else is tried
    races: tuple[Check, ...]
    trials: tuple[Trial, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the sound copy is proven and every mutant is seen, or known to reach nothing."""
        return (
            not self.breaches
            and bool(self.trials)
            and not self.survivors
            and all(check.passed for check in self.races)
        )

    @property
    def killed(self) -> int:
        """How many mutants failed, for the right reason."""
        return sum(trial.verdict == "killed" for trial in self.trials)

    @property
    def all(self) -> int:
        """How many should: all that are not equivalent."""
        return len(self.trials) - len(self.equivalents)

    @cached_property
    def equivalents(self) -> tuple[Trial, ...]:
        """Mutants that verify passes because another layer holds; the note names it."""
        return tuple(trial for trial in self.trials if trial.verdict == "equivalent")

    @cached_property
    def survivors(self) -> tuple[Trial, ...]:
        """Mutants that verify passed, or blamed on something else: bugs of verify."""
        return tuple(trial for trial in self.trials if trial.verdict in ("survived", "misnamed"))

    @property
    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Killed, and all that are not equivalent, of each kind."""
        scores: dict[str, tuple[int, int]] = {}
        for trial in self.trials:
            killed, of = scores.get(trial.mutant.kind, (0, 0))
            scores[trial.mutant.kind] = (
                killed + (trial.verdict == "killed"),
                of + (trial.verdict != "equivalent"),
            )
        return scores
