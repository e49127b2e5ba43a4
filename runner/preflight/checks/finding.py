"""Results of a check of migration files: which checks each file passes, and what failed. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.errors import Place, RunnerError
from runner.files.loader import Migration

CHECKS = ("re-run", "rollback", "data", "lint")


@dataclass(frozen=True)
class Finding:
    """A check that failed, for one file or for all together."""

    check: str
    file: str  # the migration's id; "" for all files together
    summary: str
    details: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True)
class FileResult:
    """Which of CHECKS one file passed."""

    id: str
    checks: dict[str, bool]
    ms: float


@dataclass
class Findings:
    """All results of one run of the command, filled while it runs."""

    files: list[FileResult] = field(default_factory=list)
    overall: dict[str, bool] = field(default_factory=dict)  # checks of all files together
    failed: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add_overall(self, check: str, found: Sequence[Finding]) -> None:
        """Add the result of a check of all files together; it passed if nothing was found."""
        self.overall[check] = not found
        self.failed += found

    @property
    def count(self) -> int:
        """The number of checks that were made."""
        return sum(len(file.checks) for file in self.files) + len(self.overall)

    @property
    def summary(self) -> str:
        """The last line of the report."""
        files = f"{len(self.files)} file{'' if len(self.files) == 1 else 's'}"
        failed = sum(not passed for file in self.files for passed in file.checks.values())
        failed += sum(not passed for passed in self.overall.values())
        return f"{files}, {self.count} checks, {failed} failed, in {self.seconds:.1f} s"


def failure(check: str, file: Migration, summary: str, error: RunnerError) -> Finding:
    """Return the finding for a file whose check ended with an error."""
    return Finding(check, file.id, f"{summary}: {error.message}", (), error.place)
