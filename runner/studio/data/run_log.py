"""The latest lines of the run log, which the history page shows."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path

_MAX_READ = 500  # lines
_MAX_ERROR = 2_000  # characters


@dataclass(frozen=True)
class LogLine:
    """One line of a run log. `at` is ISO 8601 in UTC, `outcome` is "done" or "failed"."""

    at: str
    operation: str
    id: str
    ms: float | None
    outcome: str
    error: str
    server: str
    by: str


def read(path: Path) -> list[LogLine]:
    """Return the latest 500 lines, newest first. Lines that cannot be parsed are skipped.

    A log that does not exist or cannot be read has no lines.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            latest = deque(file, _MAX_READ)
    except OSError:
        return []
    return [parsed for line in reversed(latest) if (parsed := _parse(line))]


def _parse(line: str) -> LogLine | None:
    try:
        fields = json.loads(line)
        ms = fields.get("ms")
        return LogLine(
            at=str(fields["at"]),
            operation=str(fields["operation"]),
            id=str(fields["id"]),
            ms=None if ms is None else float(ms),
            outcome=str(fields.get("outcome", "")),
            error=str(fields.get("error") or "")[:_MAX_ERROR],
            server=str(fields.get("server_version", "")),
            by=str(fields.get("by", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
