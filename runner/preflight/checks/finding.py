"""What a check of the files finds: of each file which proofs hold, and what failed. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.errors import Place, RunnerError
from runner.files.loader import Migration

PROOFS = ("re-run", "rollback", "over data", "lint")


@dataclass(frozen=True)
class Finding:
    """A proof that failed, of one file or of all."""

    proof: str
    file: str  # the migration's id; "" for the files as a whole
    what: str
    details: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True)
class Line:
    """What was proved of one file."""

    id: str
    proofs: dict[str, bool]
    ms: float


@dataclass
class Findings:
    """What one check finds, as it goes on."""

    lines: list[Line] = field(default_factory=list)
    wholes: dict[str, bool] = field(default_factory=dict)  # proofs of the files as a whole
    failed: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def whole(self, proof: str, found: Sequence[Finding]) -> None:
        """Keep what came of a proof of the files as a whole."""
        self.wholes[proof] = not found
        self.failed += found

    @property
    def count(self) -> int:
        """How many proofs were made."""
        return sum(len(line.proofs) for line in self.lines) + len(self.wholes)

    @property
    def summary(self) -> str:
        """The line that a check ends with."""
        files = f"{len(self.lines)} file{'' if len(self.lines) == 1 else 's'}"
        proofs = sum(not ok for line in self.lines for ok in line.proofs.values())
        proofs += sum(not ok for ok in self.wholes.values())
        return f"{files}, {self.count} proofs, {proofs} failed, in {self.seconds:.1f} s"


def broken(proof: str, file: Migration, what: str, error: RunnerError) -> Finding:
    """Return the finding for a file that an error ended."""
    return Finding(proof, file.id, f"{what}: {error.message}", (), error.place)
