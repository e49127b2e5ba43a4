"""The run log: one JSON line for every file that was applied, rolled back or seeded, or failed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.errors import UsageError
from runner.events import Note, Report, silent


class RunLog:
    """Appends to a file that only its owner can read.

    A log that was asked for must be writable at the start (UsageError). The default one must not
    stand in the way of a migration, for instance in a read-only checkout, and neither may later,
    on a disk that fills up: why it is not kept is reported.
    """

    def __init__(
        self, path: Path, *, chosen: bool, facts: dict[str, str], report: Report = silent
    ) -> None:
        self._path = path
        self._facts = facts
        self._report = report
        self._file: int | None = None
        try:
            if not path.parent.exists():
                path.parent.mkdir(mode=0o700, parents=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            if chosen:
                raise UsageError(
                    self._problem(error), hint="Choose another file: --log FILE. Nothing was done."
                ) from None
            report(Note(self._problem(error)))

    def write(self, **what: Any) -> None:
        """Append one line; several runs may do so at once."""
        if self._file is None:
            return
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **what, **self._facts}
        # One write in append mode: lines of two runs do not mix.
        text = json.dumps(line, ensure_ascii=False) + "\n"
        try:
            os.write(self._file, text.encode("utf-8", "backslashreplace"))  # names may be any
        except OSError as error:
            self._report(Note(self._problem(error)))
            self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _problem(self, error: OSError) -> str:
        return f"The run log {self._path} cannot be written: {error.strerror}"
