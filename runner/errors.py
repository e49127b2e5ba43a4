"""Every error the runner raises, and the exit codes.

    RunnerError                  exit 1
    ├── UsageError               exit 64   invalid command line or setting; nothing is changed yet
    ├── FileError                exit 1    a file of sql/ or seeds/ cannot be used; nothing ran yet
    ├── PlanError                exit 1    files and recorded migrations contradict each other
    ├── SqlError                 exit 1    PostgreSQL rejected a statement
    ├── DatabaseUnreachable      exit 1    no connection, or the connection was lost
    ├── LockTimeout              exit 3    another run, or another session, holds a lock
    ├── ProofError               exit 1    the fixture rows of a proof cannot be made
    ├── ServerError              exit 1    the embedded PostgreSQL cannot be started or stopped
    ├── ConfirmationRequired     exit 1    a destructive command without its confirmation
    └── Interrupted              exit 130  Ctrl-C; exit 143 for SIGTERM

An error has three parts: `message`, what happened, naming the object; `state`, what the database
and files contain now; `hint`, what to do. None of them ever contains a password.
"""

from __future__ import annotations

import re
import signal
from typing import NamedTuple

DONE = 0
ERROR = 1
SOMETHING_TO_DO = 2
LOCKED = 3
PROOF_FAILED = 4
WRONG_USAGE = 64
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
TERMINATED = 143  # 128 + SIGTERM

NO_CHANGES = "No changes were made."

# In a URL, in a libpq string, in SQL. Any text may contain one: a URL typed as a command, or
# `alter role … password` as the current statement of a session that holds a lock.
# The quotes of a literal within a literal are doubled. No quantifier reads a text again and again.
_QUOTES = r"'{4}(?=(?:'{8})*+[^'])|''(?=(?:'{4})*+[^'])|'"
# The first word of prose, if another one follows: `invalid password: too short`.
_PROSE = (
    "(?:too|must|should|is|are|was|has|have|cannot|can|could|may|not|no|does|did|needs|it|at"
    "|contains|expected|unexpected|unknown|unrecognized|unsupported|invalid|missing|required"
    r"|wrong|expired|empty|only|use|see|please)\s++[a-z]"
)
_PASSWORD = re.compile(
    rf"""
    (?P<before> \b [a-z][\w+.-]{{0,31}} :/{{1,3}} [^\s/@:]{{0,255}} : ) (?!password@)
      \S{{0,4096}} (?=@)
    | (?: (?P<word> (?:pass(?:word|wd|phrase)\d*+|\bpwd)
          \\*+["']?\s*+(?:=>|:?=|:(?!:)(?!\s*+{_PROSE}))\s*+ )
        | (?P<sql> password\s++ (?=(?:E|U&)?'|\$\w*\$)
          | (?:set_config|jsonb?_build_object)\s*+\([^()]{{0,200}}?
            '{{1,2}}[\w.]{{0,99}}?pass(?:word|wd|phrase)\w{{0,9}}'{{1,2}}\s*+,\s*+ ) )
      (?: \$(?P<tag>\w*)\$ (?s:.*?) (?:\$(?P=tag)\$|\Z)
        | (?(word)E?|E)(?P<p>{_QUOTES}) (?:[^'\\]|\\(?:(?P=p)|(?s:.))|(?P=p){{2}})*+ (?P=p)?+
        | (?:U&)?(?P<q>{_QUOTES}) (?:[^']|(?P=q){{2}})*+ (?P=q)?+
        | \\++"[^"\\]*+ | "(?:[^"\\]|\\(?s:.)|"")*+"?+ | [^\s&'"]+ )
    """,
    re.IGNORECASE | re.VERBOSE,
)


def masked(text: str) -> str:
    """Return the text with *** in place of anything that looks like a password."""
    return _PASSWORD.sub(lambda m: f"{m['before'] or m['word'] or m['sql']}***", text)


class Place(NamedTuple):
    """A position in a file: the path as the user typed it, line and column counted from 1."""

    file: str
    line: int | None = None
    column: int | None = None
    text: str = ""  # the line itself

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


class RunnerError(Exception):
    """Base class; only cli and yoyo_backend turn it into output and an exit code.

    Args:
        message: what happened, one sentence without a period at its end.
        hint: what the user can do, one or more lines.
        state: what was changed or kept; the class's own default where None.
        place: where in a file.
    """

    exit_code = ERROR
    code = "error"
    default_state = ""

    def __init__(
        self, message: str, *, hint: str = "", state: str | None = None, place: Place | None = None
    ) -> None:
        self.message = masked(message)
        self.hint = masked(hint)
        self.state = masked(self.default_state if state is None else state)
        super().__init__(self.message)
        self.place = place


class UsageError(RunnerError):
    exit_code = WRONG_USAGE
    code = "usage"
    default_state = NO_CHANGES


class FileError(RunnerError):
    code = "file"
    default_state = NO_CHANGES


class PlanError(RunnerError):
    code = "plan"
    default_state = NO_CHANGES


class SqlError(RunnerError):
    """The fields beyond RunnerError's are those of PostgreSQL's error report."""

    code = "sql"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        state: str | None = None,
        place: Place | None = None,
        sqlstate: str = "",
        detail: str = "",
        server_hint: str = "",
        context: str = "",
    ) -> None:
        super().__init__(message, hint=hint, state=state, place=place)
        self.sqlstate = sqlstate
        self.detail = masked(detail)
        self.server_hint = masked(server_hint)
        self.context = masked(context)


class DatabaseUnreachable(RunnerError):  # noqa: N818 - names what happened
    code = "connection"


class LockTimeout(RunnerError):  # noqa: N818
    exit_code = LOCKED
    code = "locked"
    default_state = NO_CHANGES


class ProofError(RunnerError):
    code = "proof"
    default_state = NO_CHANGES


class ServerError(RunnerError):
    code = "server"


class ConfirmationRequired(RunnerError):  # noqa: N818
    code = "confirmation_required"
    default_state = NO_CHANGES


class Interrupted(RunnerError):  # noqa: N818
    exit_code = INTERRUPTED
    code = "interrupted"
    default_state = "Completed work stays; run the same command again."

    def __init__(self, number: int = signal.SIGINT, *, state: str | None = None) -> None:
        terminated = number == signal.SIGTERM
        super().__init__("Terminated by SIGTERM." if terminated else "Interrupted.", state=state)
        if terminated:
            self.exit_code = TERMINATED
