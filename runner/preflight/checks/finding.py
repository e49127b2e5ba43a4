"""Results of a check of migration files: which checks each file passes, and what failed. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.errors import Interrupted, Place, RunnerError, masked
from runner.files.loader import Migration
from runner.postgres import signals

CHECKS = ("re-run", "rollback", "data", "lint")


@dataclass(frozen=True)
class Finding:
    """A check that failed, for one file or for all together."""

    check: str
    file: str  # the migration's id; "" for all files together
    summary: str
    details: tuple[str, ...] = ()
    place: Place | None = None

    def __post_init__(self) -> None:
        """Mask passwords: the line of a place may contain one, for example."""
        object.__setattr__(self, "summary", masked(self.summary))
        object.__setattr__(self, "details", tuple(map(masked, self.details)))
        if self.place:
            object.__setattr__(self, "place", self.place._replace(text=masked(self.place.text)))


@dataclass(frozen=True)
class FileResult:
    """Which of CHECKS one file passed; None for one that was not tried."""

    id: str
    checks: dict[str, bool | None]
    not_tried: Mapping[str, str]  # why, by check
    ms: float


@dataclass
class Findings:
    """All results of one run of the command, filled while it runs."""

    server_version: int = 0  # of the scratch server, its major version
    files: list[FileResult] = field(default_factory=list)
    overall: dict[str, bool] = field(default_factory=dict)  # checks of all files together
    failed: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    planned: Sequence[str] = ()  # ids of files
    planned_overall: Sequence[str] = ()  # checks of all files together
    planned_after: Sequence[str] = ()  # and what the command adds to them
    strict: bool = False  # a check that was not tried fails
    seconds: float = 0.0

    def clear(self) -> None:
        """Begin again."""
        self.planned_overall = ()
        for each in (self.files, self.overall, self.failed, self.notes):
            each.clear()

    def add_file(
        self, id_: str, found: Sequence[Finding], not_tried: Mapping[str, str], ms: float
    ) -> None:
        """Add the results of one file; what was not tried has not passed."""
        self.failed += found
        failed = {one.check for one in found}
        not_tried = {check: why for check, why in not_tried.items() if check not in failed}
        checks = {name: None if name in not_tried else name not in failed for name in CHECKS}
        self.files.append(FileResult(id_, checks, not_tried, ms))

    def add_overall(self, check: str, found: Sequence[Finding], note: str = "") -> None:
        """Add the result of a check of all files together; it passed if nothing was found."""
        self.overall[check] = not found
        self.failed += found
        self.notes += [note] if note else []

    @property
    def not_tried(self) -> dict[str, list[str]]:
        """Return why checks were not tried, each reason with the files."""
        reasons: dict[str, list[str]] = {}
        for file in self.files:
            for check, why in file.not_tried.items():
                reasons.setdefault(f"{check} not tried: {why}", []).append(file.id)
        return reasons

    @property
    def not_checked(self) -> list[str]:
        """Return what an error or a signal left out, beginning with what it ended."""
        left = [*self.planned[len(self.files) :]]
        overall = (*self.planned_overall, *self.planned_after)
        return left + [name for name in overall if name not in self.overall]

    @property
    def fails(self) -> bool:
        """Whether the command fails."""
        return bool(self.failed) or (self.strict and self.missed)

    @property
    def missed(self) -> bool:
        """Whether a check was not tried, other than a rollback that a file says is impossible."""
        reasons = [why for file in self.files for why in file.not_tried.values()]
        return any(not why.startswith("irreversible") for why in reasons)

    @property
    def summary(self) -> str:
        """The last line of the report."""
        results = [result for file in self.files for result in file.checks.values()]
        results += self.overall.values()
        skipped = results.count(None)
        not_tried = f", {skipped} not tried" if skipped else ""
        fails = ", which fails with --strict" if self.strict and self.missed else ""
        return (
            f"{len(self.files)} file{'' if len(self.files) == 1 else 's'}, "
            f"{len(results) - skipped} checks, {results.count(False)} failed"
            f"{not_tried}{fails}{', ended early' if self.not_checked else ''}"
            f", in {self.seconds:.1f} s"
        )


def failure(check: str, file: Migration | None, summary: str, error: RunnerError) -> Finding:
    """Return the finding for a check that ended with an error; a signal ends the command.

    `file`: None for all files together.
    """
    if isinstance(error, Interrupted):
        raise error
    signals.resume()  # the run that failed has ended, the command goes on
    advice = tuple(error.hint.splitlines())
    id_ = file.id if file else ""
    return Finding(check, id_, f"{summary}: {error.message}", advice, error.place)
