"""What a run has done: reported once the disk has it, and said when it ends early."""

from __future__ import annotations

import time

from runner.errors import RunnerError
from runner.events import Done, Report
from runner.migrate.run_log import RunLog

_DEEDS = {"apply": "applied", "rollback": "rolled back"}


class RunState:
    """Kept by the ledger, of one run after the other."""

    def __init__(self, report: Report, log: RunLog | None) -> None:
        self.finished: list[str] = []  # ids
        self.unreported: list[Done] = []
        self.under_way = ""  # what is to be said of the file in hand, if the run ends now
        self.last_durable = time.monotonic()
        self._operation = ""
        self._report = report
        self._log = log

    def begin(self, operation: str) -> None:
        """Begin with a new run."""
        self.finished, self.under_way, self._operation = [], "", _DEEDS[operation]

    def note(self, done: Done) -> None:
        """Note what is committed; the disk may still lose it."""
        self.under_way = ""
        self.unreported.append(done)
        self.finished.append(done.id)

    def deliver(self) -> None:
        """Report what is done, now that the disk has it."""
        self.last_durable = time.monotonic()
        for done in self.unreported:
            if self._log:
                self._log.write(**vars(done), outcome="done")
            self._report(done)
        self.unreported = []

    def failed(self, attempt: Done, error: RunnerError) -> None:
        """Keep in the run log what failed, and why."""
        if self._log:
            sqlstate = getattr(error, "sqlstate", "")
            self._log.write(
                **vars(attempt), outcome="failed", error=error.message, sqlstate=sqlstate
            )

    def state(self, failing: str = "") -> str:
        """Say what the database holds if a file fails: half of every error.

        `failing` is the id of one of which nothing is kept.
        """
        said = []
        if self.finished:
            first, last = self.finished[0], self.finished[-1]
            which = f"{first} stays" if first == last else f"{first} to {last} stay"
            said.append(f"{which} {self._operation}.")
        if failing:
            said.append(f"Nothing of {failing} was kept.")
        return " ".join(said)

    def what_stays(self) -> str:
        """Say what the database holds if the run ends now."""
        return f"{self.state()} {self.under_way}".strip() or "Nothing was changed."
