"""The run log: a JSON line for every file that was applied, rolled back, seeded, or that failed."""

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

    A log named by the user has to be writable at the start (UsageError). The default one must not
    prevent a migration, for example in a read-only checkout or on a full disk: a note says why it
    is not written.
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
            # Another user may have put a symbolic link where the default one is to be.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (0 if chosen else os.O_NOFOLLOW)
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            if chosen:
                raise UsageError(
                    self._problem(error), hint="Choose another file: --log FILE."
                ) from None
            report(Note(self._problem(error)))

    def write(self, **what: Any) -> None:
        """Append one line; concurrent runs may do so."""
        if self._file is None:
            return
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **what, **self._facts}
        # One write in append mode, so that lines of two runs do not mix.
        text = json.dumps(line, ensure_ascii=False) + "\n"
        try:
            os.write(self._file, text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._report(Note(self._problem(error)))
            self.close()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _problem(self, error: OSError) -> str:
        return f"The run log {self._path} cannot be written: {error.strerror}"
