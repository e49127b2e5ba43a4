"""The run log, read back: what was applied, rolled back, seeded, and what failed."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path

_LINES = 500  # the newest


@dataclass(frozen=True)
class Run:
    """One line of the run log."""

    at: str
    operation: str
    id: str
    ms: float | None
    outcome: str
    error: str
    server: str
    by: str


def read(log: Path) -> list[Run]:
    """Return the newest lines, the last one first; what is no line of ours is left out."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            lines = deque(file, _LINES)
    except OSError:
        return []
    return [run for line in reversed(lines) if (run := _run(line))]


def _run(line: str) -> Run | None:
    try:
        fields = json.loads(line)
        ms = fields.get("ms")
        return Run(
            at=str(fields["at"]),
            operation=str(fields["operation"]),
            id=str(fields["id"]),
            ms=None if ms is None else float(ms),
            outcome=str(fields.get("outcome", "")),
            error=str(fields.get("error") or ""),
            server=str(fields.get("server_version", "")),
            by=str(fields.get("by", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
