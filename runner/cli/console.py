"""How results look: lines, tables, colours, one JSON document. Knows no database."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from runner import settings, signals
from runner.errors import RunnerError, SqlError, masked
from runner.events import Done, Event, Note, Working

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "dim": 2, "bold": 1}
_DEEDS = {
    "apply": "applied",
    "rollback": "rolled back",
    "mark": "marked",
    "unmark": "unmarked",
    "edit": "accepted",
    "seed": "seeded",
}
SCHEMA_VERSION = 1
# What would move a terminal's cursor, change its colours or turn its text around.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_OUR_COLOUR = re.compile(rf"(\x1b\[(?:0|{'|'.join(map(str, _COLOURS.values()))})m)")
_WIDEST = 160  # characters of a line of a file that are shown


class Console:
    """Results go to stdout, progress and errors to stderr; with `json_` one document is all."""

    def __init__(
        self,
        *,
        json_: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        no_color: bool = False,
    ) -> None:
        self.json = json_
        self.quiet = quiet
        self.verbose = verbose
        self._no_color = no_color
        self._transient = False
        self._last_working = ""
        self.done: list[Done] = []
        self.notes: list[str] = []

    def report(self, event: Event) -> None:
        """Show what a room says while it works."""
        if isinstance(event, Done):
            self.done.append(event)
            if event.operation != "seed":
                time = self.paint(f"{event.ms:>9,.1f} ms", "dim", sys.stdout)
                self.say(f"  {_DEEDS[event.operation]:<11}  {event.id:<44} {time}")
        elif isinstance(event, Note):
            self.notes.append(masked(event.text))
            self._err(self.paint(masked(event.text), "yellow", sys.stderr))
        elif isinstance(event, Working) and event.text != self._last_working:
            self._last_working = event.text
            self._work(_shown(masked(event.text)))

    def say(self, text: str = "") -> None:
        """Print a line of the result."""
        self._clear()
        if not (self.json or self.quiet):
            put(_as_typed(_shown_in_colour(text)), sys.stdout)

    def text(self, text: str) -> None:
        """Print the text of a file to the letter, so that it can be piped into one."""
        self._clear()
        if not (self.json or self.quiet):
            put(text, sys.stdout, end="")

    def note(self, text: str) -> None:
        """Print a line for the person at the terminal: what is about to happen, what to do next."""
        if not (self.json or self.quiet):
            self._err(text)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]], **how: Any) -> None:
        """Print rows in columns."""
        from tabulate import tabulate  # noqa: PLC0415 - only where there is a table to show

        shown = [[_shown_in_colour(str(cell)) for cell in row] for row in rows]  # before widths
        self.say(tabulate(shown, headers, tablefmt="simple", disable_numparse=True, **how))

    def document(self, command: str, **content: Any) -> None:
        """Print the one JSON document of this run, if JSON was asked for."""
        if self.json:
            signals.ignore_further()  # or a second document would stand behind this one
            self._clear()
            head = {"schema_version": SCHEMA_VERSION, "command": command}
            ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
            text = json.dumps(
                {**head, **content}, default=_plain, ensure_ascii=ascii_only, indent=2
            )
            put(text, sys.stdout)

    def error(self, error: RunnerError, command: str) -> None:
        """Show what went wrong: the thing, the place with its line, then what to do."""
        if self.json:
            self.document(
                command,
                ok=False,
                exit_code=error.exit_code,
                done=self.done,
                notes=self.notes,
                error=_described(error),
            )
            return
        self.failure(error)

    def failure(self, error: RunnerError) -> None:
        """Show an error for a person to read."""
        if not self.json:
            self._err(f"{self.paint('error:', 'red', sys.stderr)} {_shown(error.message)}")
            for line in _details(error):
                self._err(_shown(line))

    def paint(self, text: str, colour: str, stream: TextIO | None = None) -> str:
        """Return the text in a colour where colours are wanted."""
        text = _shown(text)
        if not self._colours(stream or sys.stdout):
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"

    def _colours(self, stream: TextIO) -> bool:
        return not self._no_color and settings.wants_colour(terminal=stream.isatty())

    def _work(self, text: str) -> None:
        if self.quiet or self.json:
            return
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
        put(_as_typed(_shown_in_colour(text)), sys.stderr)


def put(text: str, stream: TextIO, *, end: str = "\n") -> None:
    """Print at once. When the reader has left, as `| head` does, the work goes on unheard.

    What the stream's encoding lacks is written as an escape.
    """
    encoding = stream.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(text, end=end, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _shown(text: str) -> str:
    """Return a text with its control characters as pictures: a file or a name may hold any."""
    return _CONTROLS.sub(
        lambda match: chr(0x2400 + ord(match[0])) if match[0] < " " else "\ufffd", text
    )


def _shown_in_colour(text: str) -> str:
    """As `_shown`, and the colours that `paint` put in stay."""
    pieces = _OUR_COLOUR.split(text)  # every second one is a colour
    return "".join(piece if n % 2 else _shown(piece) for n, piece in enumerate(pieces))


def _as_typed(text: str) -> str:
    """Name the commands in a text so that they work when pasted: the .venv need not be active."""
    if "python -m runner" not in text:
        return text
    here, python = Path.cwd(), Path(sys.executable)
    if not python.is_relative_to(here):
        return text
    if shutil.which("python") == sys.executable:
        return text
    return text.replace("python -m runner", f"{python.relative_to(here)} -m runner")


def _details(error: RunnerError) -> list[str]:
    lines: list[str] = []
    if error.place:
        lines.append(f"  at {error.place}")
        if error.place.text:
            text, column = error.place.text, error.place.column
            if masked(text) != text:  # a role's password in the file itself: say where, not what
                text, column = masked(text), None
            text, column = _excerpt(text, column)
            lead = "".join(_blank(character) for character in text[: (column or 1) - 1])
            lines += [f"  | {text}", *([f"  | {lead}^"] if column else [])]
    if isinstance(error, SqlError):
        for name in ("sqlstate", "detail", "server_hint", "context"):
            if value := getattr(error, name):
                value = value.replace("\n", "\n    ")
                lines.append(f"  {name.replace('server_', '')}: {value}")
    if error.hint:
        lines += ["", *error.hint.splitlines()]
    return lines


def _excerpt(line: str, column: int | None) -> tuple[str, int | None]:
    """Return what is around the column of a long line, and where the column is in that."""
    start = max(0, (column or 1) - _WIDEST // 2) if len(line) > _WIDEST else 0
    before, after = "…" * (start > 0), "…" * (start + _WIDEST < len(line))
    column = column - start + len(before) if column else None
    return f"{before}{line[start : start + _WIDEST]}{after}", column


def _blank(character: str) -> str:
    """Return white space as wide as a character, so that a caret below stands under its column."""
    if character == "\t":
        return "\t"
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


def _described(error: RunnerError) -> dict[str, Any]:
    place = error.place
    return {
        "code": error.code,
        "message": error.message,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "sqlstate": getattr(error, "sqlstate", None) or None,
        "detail": getattr(error, "detail", None) or None,
        "server_hint": getattr(error, "server_hint", None) or None,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    fields = getattr(value, "__dataclass_fields__", None)
    if fields:
        return {name: getattr(value, name) for name in fields}
    raise TypeError(f"no JSON for {type(value).__name__}")
