"""What a run has completed: reported once it is durable, and described when the run ends early."""

from __future__ import annotations

import time

from runner.errors import NO_CHANGES, RunnerError, masked
from runner.events import Done, Event, Note, Report
from runner.migrate.run_log import RunLog

_PARTICIPLES = {"apply": "applied", "rollback": "rolled back"}


class RunState:
    """Completed files, and those awaiting a durable commit."""

    def __init__(self, report: Report, log: RunLog | None) -> None:
        self.finished: list[str] = []  # ids
        self.unreported: list[Done] = []
        self.current = ""  # the state sentence of the file being run, if the run ends now
        self.last_durable = time.monotonic()
        self._participle = ""
        self._notes: list[str] = []  # of the file being run
        self._report = report
        self._log = log

    def report(self, event: Event) -> None:
        """Report an event; a note of the file being run once, also if it is tried again."""
        text = masked(event.text) if isinstance(event, Note) else ""
        if text not in self._notes:
            self._notes += [text] * bool(text)
            self._report(event)

    def with_notes(self, done: Done) -> Done:
        """Return what was done with the notes since the last file, for the run log."""
        notes, self._notes = self._notes, []
        return done._replace(notes=(*done.notes, *notes))

    def begin(self, operation: str) -> None:
        self.finished, self.current, self._participle = [], "", _PARTICIPLES[operation]

    def committed(self, done: Done) -> None:
        """Record a commit that is not durable yet."""
        self.current = ""
        self.unreported.append(self.with_notes(done))
        self.finished.append(done.id)

    def durable(self) -> None:
        """Report everything committed: a later commit has waited for the disk."""
        self.last_durable = time.monotonic()
        for done in self.unreported:
            if self._log:
                self._log.write(**done._asdict(), outcome="done")
            self._report(done)
        self.unreported = []

    def failed(self, attempt: Done, error: RunnerError) -> None:
        """Write a failure to the run log."""
        if self._log:
            sqlstate = getattr(error, "sqlstate", "")
            self._log.write(
                **self.with_notes(attempt)._asdict(),
                outcome="failed",
                error=error.message,
                sqlstate=sqlstate,
            )

    def sentence(self, failing: str = "") -> str:
        """Return the state sentence: what is finished, and that `failing` (an id) left nothing."""
        sentences = []
        if self.finished:
            first, last = self.finished[0], self.finished[-1]
            which = f"{first} stays" if first == last else f"{first} to {last} stay"
            sentences.append(f"{which} {self._participle}.")
        if failing:
            sentences.append(f"No changes of {failing} were kept.")
        return " ".join(sentences)

    def if_ended_now(self) -> str:
        """Return the state sentence for a run that ends at this moment."""
        return f"{self.sentence()} {self.current}".strip() or NO_CHANGES
