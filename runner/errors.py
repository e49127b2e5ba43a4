"""Everything that can go wrong, drawn as a tree.

    RunnerError            exit 1
    ├── UsageError         exit 64  the command line or a setting makes no sense
    ├── FileError          exit 1   a file of sql/ or seeds/ cannot be used as it stands
    ├── PlanError          exit 1   files and ledger contradict each other (edited, missing, late)
    ├── SqlError           exit 1   PostgreSQL refused a statement of a file
    ├── Unreachable        exit 1   no database there, or it went away
    ├── LockTimeout        exit 3   another run holds the lock
    ├── ProofError         exit 1   the rows that a proof is tried on cannot be made
    ├── ServerError        exit 1   the embedded PostgreSQL cannot be started or stopped
    ├── Refused            exit 1   a destructive act without its second signal
    └── Interrupted        exit 130 somebody pressed Ctrl-C; exit 143 for SIGTERM

Every error has two halves: `message`, what happened, naming the thing; and `hint`, what to do and
what state things are in. Neither ever holds a password.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

DONE = 0
ERROR = 1
SOMETHING_TO_DO = 2
LOCKED = 3
PROOF_FAILED = 4
WRONG_USAGE = 64
INTERRUPTED = 130  # what a shell says of a program that SIGINT ended
TERMINATED = 143  # and SIGTERM


# In a URL, in a libpq string, in SQL: each may stand where nobody expects it, a URL as a command
# or a folder, `alter role` as what the holder of a lock runs.
_PASSWORD = re.compile(
    r"""
    (?P<before> \b [a-z][\w+.-]* :/{1,3} [^\s/@:]* : ) (?!password@) \S* (?=@)
    | (?P<word> password \s* = \s* ) (?: '[^']*' | [^\s&'"]+ )
    | (?P<sql> password \s+ E? ) '[^']*+'?
    """,
    re.IGNORECASE | re.VERBOSE,
)


def masked(text: str) -> str:
    """Return a text with *** for what looks like a password in it."""
    return _PASSWORD.sub(
        lambda match: f"{match['before'] or match['word'] or match['sql']}***", text
    )


@dataclass(frozen=True)
class Place:
    """Where in a file: path as the user would type it, line and column counted from 1."""

    file: str
    line: int | None = None
    column: int | None = None
    text: str = ""

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


class RunnerError(Exception):
    """What every room raises; cli and yoyo_backend turn it into words and an exit code."""

    exit_code = ERROR
    code = "error"

    def __init__(self, message: str, *, hint: str = "", place: Place | None = None) -> None:
        self.message = masked(message)
        self.hint = masked(hint)
        super().__init__(self.message)
        self.place = place


class UsageError(RunnerError):
    """The command line or a setting makes no sense."""

    exit_code = WRONG_USAGE
    code = "usage"


class FileError(RunnerError):
    """A file of sql/ or seeds/ cannot be used as it stands."""

    code = "file"


class PlanError(RunnerError):
    """Files and ledger contradict each other."""

    code = "plan"


class SqlError(RunnerError):
    """PostgreSQL refused a statement of a file."""

    code = "sql"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        place: Place | None = None,
        sqlstate: str = "",
        detail: str = "",
        server_hint: str = "",
        context: str = "",
    ) -> None:
        super().__init__(message, hint=hint, place=place)
        self.sqlstate = sqlstate
        self.detail = masked(detail)
        self.server_hint = masked(server_hint)
        self.context = masked(context)


class DatabaseUnreachable(RunnerError):  # noqa: N818 - it reads better where it is raised
    """No database there, or it went away."""

    code = "connection"


class LockTimeout(RunnerError):  # noqa: N818
    """Another run holds the lock."""

    exit_code = LOCKED
    code = "locked"


class ProofError(RunnerError):
    """The rows that a proof is tried on cannot be made."""

    code = "proof"


class ServerError(RunnerError):
    """The embedded PostgreSQL cannot be started or stopped."""

    code = "server"


class ConfirmationRequired(RunnerError):  # noqa: N818
    """A destructive act without its second signal."""

    code = "refused"


class Interrupted(RunnerError):  # noqa: N818
    """Somebody pressed Ctrl-C, or SIGTERM asked the program to end; `hint` is what stays."""

    exit_code = INTERRUPTED
    code = "interrupted"

    def __init__(
        self,
        number: int = signal.SIGINT,
        *,
        hint: str = "What was reported as done stays; the same command again does the rest.",
    ) -> None:
        terminated = number == signal.SIGTERM
        super().__init__("Ended by SIGTERM." if terminated else "Interrupted.", hint=hint)
        if terminated:
            self.exit_code = TERMINATED
