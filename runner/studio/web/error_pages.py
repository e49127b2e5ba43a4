"""Pages for errors: what happened and what to do. Never a traceback."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg_pool import PoolTimeout

from runner.errors import RunnerError
from runner.studio.data.viewer import TIMEOUT, CannotViewAs, connection_failed


@dataclass(frozen=True)
class Problem:
    """An error page, returned in place of the requested one."""

    status: int  # HTTP status code
    title: str
    lines: tuple[str, ...]
    command: str = ""  # to be copied and run


NOT_FOUND = Problem(404, "Page not found", ("The studio has no page at this address.",))
METHOD_NOT_ALLOWED = Problem(
    405,
    "Method not allowed",
    ("The studio is read-only. Change records through your application or in psql.",),
)
_TIMEOUT = Problem(
    503,
    f"The query took longer than {TIMEOUT}",
    ("Narrow it down: filter on an indexed column; those come first in the list.",),
)
_LOCKED = Problem(
    503, "The table is locked", ("Another session is changing it. Try again in a moment.",)
)
_UNREACHABLE = Problem(
    503,
    "The database is not responding",
    ("The connection was lost, or no connection is free. Check that the server is running:",),
    "python -m runner status",
)
# The first match counts.
_BY_TYPE: tuple[tuple[type[Exception], Problem], ...] = (
    (psycopg.errors.QueryCanceled, _TIMEOUT),
    (psycopg.errors.LockNotAvailable, _LOCKED),
    (PoolTimeout, _UNREACHABLE),
)


def problem_for(error: Exception) -> Problem:
    """Return the error page for an exception raised while reading a page."""
    known = _UNREACHABLE if connection_failed(error) else None
    known = next((problem for type_, problem in _BY_TYPE if isinstance(error, type_)), known)
    if known:
        return known
    if isinstance(error, CannotViewAs):
        return Problem(403, error.message, (f"{error.advice}:",), error.command)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        message = error.diag.message_primary or str(error)
        return Problem(403, "Permission denied", (f"PostgreSQL reported: {message}.",))
    if isinstance(error, RunnerError):
        return Problem(500, error.message, tuple(error.hint.splitlines()))
    if isinstance(error, psycopg.Error):
        message = error.diag.message_primary or str(error)
        return Problem(500, "PostgreSQL reported an error", (message,))
    message = f"{type(error).__name__}: {error}"
    return Problem(500, "Internal error in the studio", (message, "Please report it."))
