"""Print results: lines, tables, colors, or one JSON document. No database access."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from runner.errors import RunnerError, masked
from runner.events import Done, Event, Note
from runner.postgres import signals

_COLORS = {"red": 31, "green": 32, "yellow": 33, "dim": 2, "bold": 1}
_PARTICIPLES = {
    "apply": "applied",
    "rollback": "rolled back",
    "mark": "marked",
    "unmark": "unmarked",
    "edit": "accepted",
}
SCHEMA_VERSION = 1
# Characters that move a terminal's cursor, change its colors or reverse its text.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_OUR_COLOR = re.compile(rf"(\x1b\[(?:0|{'|'.join(map(str, _COLORS.values()))})m)")
_RUNNER = re.compile(r"python -m runner(?=(.*))")  # and the options of the command
_WIDEST = 160  # characters shown of a line of a file


class Console:
    """Results go to stdout, progress and errors to stderr; with `json_` only one document."""

    def __init__(
        self,
        *,
        json_: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        no_color: bool = False,
        repeated: Sequence[str] = (),
    ) -> None:
        self.json = json_
        self.quiet = quiet
        self.verbose = verbose
        self._no_color = no_color
        self._repeated = [_shown(option) for option in repeated]
        self._transient = False
        self._last_working = ""
        self.done: list[Done] = []
        self.notes: list[str] = []
        self.partial: dict[str, Any] = {}  # of the document, if an error ends the command

    def report(self, event: Event) -> None:
        if isinstance(event, Done):
            self.done.append(event)
            if event.operation != "seed":
                time = self.paint(f"{event.ms:>9,.1f} ms", "dim", sys.stdout)
                self.say(f"  {_PARTICIPLES[event.operation]:<11}  {event.id:<44} {time}")
        elif isinstance(event, Note):
            self.notes.append(masked(event.text))
            self.note(self.paint(masked(event.text), "yellow", sys.stderr))
        elif event.text != self._last_working and not (self.json or self.quiet):  # Working
            self._last_working = event.text
            self._work(_shown(masked(event.text)))

    def say(self, *lines: str) -> None:
        self._clear()
        if not (self.json or self.quiet):
            for line in lines:
                put(self._as_typed(_shown_in_color(line)), sys.stdout)

    def text(self, text: str) -> None:
        """Print the text of a file unchanged, so that it can be redirected to one."""
        self._clear()
        if not (self.json or self.quiet):
            put(text, sys.stdout, end="")

    def note(self, text: str) -> None:
        """Print a line for the user to stderr: the target, the next steps."""
        if not (self.json or self.quiet):
            self._err(text)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]], **how: Any) -> None:
        from tabulate import tabulate  # noqa: PLC0415 - only where there is a table to show

        shown = [[_shown_in_color(str(cell)) for cell in row] for row in rows]  # before widths
        self.say(tabulate(shown, headers, tablefmt="simple", disable_numparse=True, **how))

    def document(self, command: str, **content: Any) -> None:
        if self.json:
            signals.ignore_further()  # a second document must not follow this one
            self._clear()
            ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
            import json  # noqa: PLC0415 - only with --json

            content = {"schema_version": SCHEMA_VERSION, "command": command, **content}
            text = json.dumps(_plain(content, self._as_typed), ensure_ascii=ascii_only, indent=2)
            put(text, sys.stdout)

    def error(self, error: RunnerError, command: str) -> None:
        self.failure(error)
        found = {"done": self.done, "notes": self.notes, **self.partial, "error": _described(error)}
        self.document(command, ok=False, exit_code=error.exit_code, **found)

    def failure(self, error: RunnerError) -> None:
        """Print an error as text: message, place with its line, details, hint, state."""
        if not self.json:
            self._err(f"{self.paint('error:', 'red', sys.stderr)} {_shown(error.message)}")
            for line in _details(error):
                self._err(_shown(line))

    def paint(self, text: str, color: str, stream: TextIO | None = None) -> str:
        """Return the text in a color, where the stream gets colors."""
        from runner import settings  # noqa: PLC0415 - not needed for --help

        text, terminal = _shown(text), (stream or sys.stdout).isatty()
        if self._no_color or not settings.wants_color(terminal=terminal):
            return text
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m"

    def _work(self, text: str) -> None:
        from runner import settings  # noqa: PLC0415 - not needed for --help

        if sys.stderr.isatty() and settings.can_rewrite_lines():
            put(f"\r\x1b[2K{text[:78]}", sys.stderr, end="")
            self._transient = True
        elif self.verbose or text.startswith("waiting"):
            self._err(text)

    def _clear(self) -> None:
        if self._transient:
            put("\r\x1b[2K", sys.stderr, end="")
            self._transient = False

    def _err(self, text: str) -> None:
        self._clear()
        put(self._as_typed(_shown_in_color(text)), sys.stderr)

    def _as_typed(self, text: str) -> str:
        """Return a text whose commands work when pasted: with the options of this one."""

        def command(rest: re.Match[str]) -> str:
            return " ".join([_us(), *(o for o in self._repeated if o.split()[0] not in rest[1])])

        return _RUNNER.sub(command, text)


def put(text: str, stream: TextIO, *, end: str = "\n") -> None:
    """Print without buffering; ignore BrokenPipe, so that `| head` does not abort the run.

    Characters that the encoding of the stream lacks are written as escapes.
    """
    encoding = stream.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(text, end=end, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _shown(text: str) -> str:
    """Return a text with control characters made visible: a file or a name may contain any."""
    return _CONTROLS.sub(
        lambda match: chr(0x2400 + ord(match[0])) if match[0] < " " else "\ufffd", text
    )


def _shown_in_color(text: str) -> str:
    """Like `_shown`, but keep the colors that `paint` added."""
    pieces = _OUR_COLOR.split(text)  # every second piece is a color
    return "".join(piece if n % 2 else _shown(piece) for n, piece in enumerate(pieces))


def as_called(text: str) -> str:
    """Return a text with the name of the installed program, if that was called."""
    return _RUNNER.sub("plainsql", text) if _is_installed() else text


def _is_installed() -> bool:
    return Path(sys.argv[0]).name == "plainsql"


def _us() -> str:
    """Return how this program was called, also where .venv is not activated."""
    import shutil  # noqa: PLC0415 - only for a text with a command

    if _is_installed():
        return "plainsql"
    here, python = Path.cwd(), Path(sys.executable)
    is_found = shutil.which("python") == sys.executable or not python.is_relative_to(here)
    return f"{'python' if is_found else python.relative_to(here)} -m runner"


def _details(error: RunnerError) -> list[str]:
    lines: list[str] = []
    if error.place:
        lines.append(f"  at {error.place}")
        if error.place.text:
            text = masked(error.place.text)  # without a column, where that is of another text
            text, column = _excerpt(text, None if "***" in text else error.place.column)
            lead = "".join(_blank(character) for character in text[: (column or 1) - 1])
            lines += [f"  | {text}", *([f"  | {lead}^"] if column else [])]
    for name in ("sqlstate", "detail", "server_hint", "context"):  # of an SqlError
        if value := getattr(error, name, ""):
            value = value.replace("\n", "\n    ")
            lines.append(f"  {name.replace('server_', '')}: {value}")
    if error.hint or error.state:
        lines += ["", *error.hint.splitlines(), *error.state.splitlines()]
    return lines


def _excerpt(line: str, column: int | None) -> tuple[str, int | None]:
    """Return the part of a long line around the column, and the column in that part."""
    start = max(0, (column or 1) - _WIDEST // 2) if len(line) > _WIDEST else 0
    before, after = "…" * (start > 0), "…" * (start + _WIDEST < len(line))
    column = column - start + len(before) if column else None
    return f"{before}{line[start : start + _WIDEST]}{after}", column


def _blank(character: str) -> str:
    """Return white space as wide as a character, so that the caret lines up."""
    if character == "\t":
        return "\t"
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


def _described(error: RunnerError) -> dict[str, Any]:
    server = ("sqlstate", "detail", "server_hint")  # of an SqlError
    return {
        "code": error.code,
        "message": error.message,
        **{name: getattr(error.place, name, None) for name in ("file", "line", "column")},
        **{name: getattr(error, name, None) or None for name in server},
        "hint": error.hint,
        "state": error.state,
        "exit_code": error.exit_code,
    }


def _plain(value: Any, shown: Callable[[str], str]) -> Any:
    """Return a value in JSON's types: records become objects, times ISO 8601, `shown` text."""
    if fields := getattr(value, "_fields", None) or getattr(value, "__dataclass_fields__", None):
        value = {name: getattr(value, name) for name in fields}
    if isinstance(value, Mapping):
        return {key: _plain(item, shown) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, shown) for item in value]
    if isinstance(value, Path | str):
        return shown(str(value))
    if hasattr(value, "isoformat"):
        return value.isoformat().replace("+00:00", "Z")
    return value
