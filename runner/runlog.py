"""The run log: one JSON line for every file that was applied, rolled back or seeded, or failed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.errors import UsageError


class RunLog:
    """Appends to a file that only its owner can read.

    A log that was asked for must be writable (UsageError); the default one must not stand in the
    way of a migration, so `problem` tells why it is not kept, for instance in a read-only checkout.
    """

    def __init__(self, path: Path, *, chosen: bool, facts: dict[str, str]) -> None:
        self.problem = ""
        self._facts = facts
        self._file: int | None = None
        try:
            if not path.parent.exists():
                path.parent.mkdir(mode=0o700, parents=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            self.problem = f"The run log {path} cannot be written: {error.strerror}"
            if chosen:
                raise UsageError(
                    self.problem, hint="Choose another file: --log FILE. Nothing was done."
                ) from None

    def write(self, **what: Any) -> None:
        """Append one line; several runs may do so at once."""
        if self._file is None:
            return
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **what, **self._facts}
        # One write in append mode: lines of two runs do not mix.
        os.write(self._file, (json.dumps(line, ensure_ascii=False) + "\n").encode())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
