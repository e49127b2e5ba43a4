"""What stands on a page when something fails: what happened, and what to do. Never a traceback."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg_pool import PoolTimeout

from runner.errors import RunnerError
from runner.studio.data.viewer import TIMEOUT, CannotLook


@dataclass(frozen=True)
class Problem:
    """A page in place of the one that was asked for."""

    status: int
    title: str
    lines: tuple[str, ...]
    command: str = ""


NOT_FOUND = Problem(404, "There is no such page", ("The address leads nowhere.",))
READS_ONLY = Problem(
    405,
    "The studio only reads",
    ("Nothing can be sent to this page. Records are changed by your application, or in psql.",),
)
_SLOW = Problem(
    503,
    f"That took longer than {TIMEOUT}",
    ("Ask for less: a filter on org_id, or on another column with an index.",),
)
_LOCKED = Problem(503, "The table is locked", ("Somebody changes it. Try again in a moment.",))
_AWAY = Problem(
    503,
    "The database does not answer",
    ("It went away, or has no connection free. Is it running?",),
    "python -m runner status",
)
# The first that fits counts.
_KNOWN: tuple[tuple[type[Exception], Problem], ...] = (
    (psycopg.errors.QueryCanceled, _SLOW),
    (psycopg.errors.LockNotAvailable, _LOCKED),
    (PoolTimeout, _AWAY),
    (psycopg.OperationalError, _AWAY),
)


def in_words(error: Exception) -> Problem:
    """Say what went wrong."""
    known = next((problem for kind, problem in _KNOWN if isinstance(error, kind)), None)
    if known:
        return known
    if isinstance(error, CannotLook):
        line = "So the studio cannot show what they see."
        return Problem(403, error.message, (line,), error.hint)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        said = error.diag.message_primary or str(error)
        return Problem(403, "Permission denied", (f"PostgreSQL said: {said}.",))
    if isinstance(error, RunnerError):
        return Problem(500, error.message, tuple(error.hint.splitlines()))
    if isinstance(error, psycopg.Error):
        said = error.diag.message_primary or str(error)
        return Problem(500, "PostgreSQL refused", (said,))
    said = f"{type(error).__name__}: {error}"
    return Problem(500, "The studio made a mistake", (said, "Please report it."))
