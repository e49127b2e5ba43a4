"""Console output: streams, colors, carets and JSON documents. No database."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.cli.console import Console
from runner.errors import FileError, Interrupted, LockTimeout, Place, RunnerError, SqlError
from runner.events import Done, Note, Working

Captured = pytest.CaptureFixture[str]
DONE = Done("apply", "0001_a", "ab" * 32, 12.34)


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def caret(text: str, column: int) -> tuple[str, str]:
    """Return the quoted line of an error and the line with its caret, as printed."""
    stream = io.StringIO()
    stderr, sys.stderr = sys.stderr, stream
    try:
        Console().error(SqlError("no", place=Place("a.sql", 1, column, text)), "apply")
    finally:
        sys.stderr = stderr
    _, _, line, under = stream.getvalue().splitlines()[:4]
    return line, under


@pytest.mark.parametrize(
    ("text", "column", "under"),
    [
        ("oops;", 1, "  | ^"),
        ("select oops;", 8, "  |        ^"),
        ("\tselect\toops;", 9, "  | \t      \t^"),
        ("select 'ü', oops", 13, "  |             ^"),
        ("'漢字' oops", 6, "  |        ^"),  # each is two columns wide on a terminal
        ("'e\u0301' oops", 6, "  |     ^"),  # a combining accent has no width
    ],
)
def test_caret_is_under_its_column(text: str, column: int, under: str) -> None:
    assert caret(text, column) == (f"  | {text}", under)


def test_long_line_is_cut_around_the_column() -> None:
    line, under = caret("x" * 500 + "oops" + "y" * 500, 501)
    assert line[under.index("^") :].startswith("oops")
    assert line.startswith("  | …xxx")
    assert line.endswith("yyy…")
    assert len(line) < 170


def test_control_characters_are_replaced_by_visible_symbols(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console, hostile = Console(), "a\x1b[2J\x1b[8mb\r\x07\x9b\u202e"
    console.table(("name",), [(console.paint(hostile, "red"),), (hostile,)])
    console.report(Note(hostile))
    console.report(Done("apply", hostile, "", 1.0))
    console.error(
        SqlError(hostile, hint=hostile, place=Place("a", 1, 2, hostile), detail=hostile), ""
    )
    out, err = capsys.readouterr()
    assert {*re.findall("\x1b[^m]*m", out + err)} <= {"\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"}
    assert not re.search("[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202e]", out + err)
    assert (out + err).count("a␛[2J␛[8mb␍␇\ufffd\ufffd") == 7


def test_character_missing_in_encoding_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    Console().say("ü 漢 \udcff")
    Console(json_=True).document("apply", name="😀\udcff")
    text, _, document = buffer.getvalue().decode("ascii").partition("\n")
    assert text == r"\xfc \u6f22 \udcff"
    assert json.loads(document)["name"] == "😀\udcff"


def test_text_is_printed_unchanged(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`say` rewrites commands so that they can be pasted here; `text` prints a file as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    Console().say("python -m runner types")
    Console().text("python -m runner types")
    Console(quiet=True).text("no")
    Console(json_=True).text("no")
    assert capsys.readouterr().out == ".venv/bin/python -m runner types\npython -m runner types"


def test_error_output_has_message_position_details_and_hint(capsys: Captured) -> None:
    error = SqlError(
        "column x does not exist",
        hint="Nothing was kept.\nFix it.",
        place=Place("sql/0001_a.sql", 3, 8, "select x;"),
        sqlstate="42703",
        detail="There is none.",
        server_hint="Perhaps y.",
        context="PL/pgSQL function f()",
    )
    Console().error(error, "apply")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: column x does not exist\n"
        "  at sql/0001_a.sql:3:8\n"
        "  | select x;\n"
        "  |        ^\n"
        "  sqlstate: 42703\n"
        "  detail: There is none.\n"
        "  hint: Perhaps y.\n"
        "  context: PL/pgSQL function f()\n"
        "\n"
        "Nothing was kept.\n"
        "Fix it.\n"
    )


def test_json_error_is_one_document_on_stdout(capsys: Captured) -> None:
    console = Console(json_=True)
    console.report(DONE)
    console.report(Note("mind this"))
    capsys.readouterr()
    error = FileError("bad file", hint="Fix it.", place=Place("a.sql", 2, 5, "text"))
    console.error(error, "apply")
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "schema_version": 1,
        "command": "apply",
        "ok": False,
        "exit_code": 1,
        "done": [{**DONE._asdict(), "notes": []}],
        "notes": ["mind this"],
        "error": {
            "code": "file",
            "message": "bad file",
            "file": "a.sql",
            "line": 2,
            "column": 5,
            "sqlstate": None,
            "detail": None,
            "server_hint": None,
            "hint": "Fix it.",
            "state": "No changes were made.",
            "exit_code": 1,
        },
    }


@pytest.mark.parametrize("error", [LockTimeout("held"), Interrupted(), RunnerError("x")])
def test_json_error_document_has_the_exit_code(error: RunnerError, capsys: Captured) -> None:
    Console(json_=True).error(error, "")
    assert json.loads(capsys.readouterr().out)["exit_code"] == error.exit_code


def test_results_go_to_stdout_and_progress_to_stderr(capsys: Captured) -> None:
    console = Console(verbose=True)
    console.report(Working("apply 0001_a (1 of 1)"))
    console.report(DONE)
    console.report(Note("mind this"))
    console.say("1 applied")
    console.note("next: seed")
    out, err = capsys.readouterr()
    assert out.split() == ["applied", "0001_a", "12.3", "ms", "1", "applied"]
    assert err.splitlines() == ["apply 0001_a (1 of 1)", "mind this", "next: seed"]


def test_progress_without_terminal_shows_only_waiting(capsys: Captured) -> None:
    console = Console()
    for text in ("apply 0001_a", "waiting for x", "waiting for x", "waiting for y"):
        console.report(Working(text))
    assert capsys.readouterr().err.splitlines() == ["waiting for x", "waiting for y"]


def test_quiet_suppresses_progress_and_results(capsys: Captured) -> None:
    console = Console(quiet=True)
    console.report(Working("waiting for x"))
    console.report(DONE)
    console.say("1 applied")
    console.note("next: seed")
    console.table(("a",), [("b",)])
    assert capsys.readouterr() == ("", "")
    console.error(RunnerError("bad"), "")
    assert capsys.readouterr().err == "error: bad\n"


def test_json_prints_only_the_document(capsys: Captured) -> None:
    console = Console(json_=True)
    console.report(DONE)
    console.say("1 applied")
    console.table(("a",), [("b",)])
    console.note("next")
    assert capsys.readouterr() == ("", "")
    console.document("new", at=datetime(2030, 1, 2, tzinfo=UTC), file=Path("a"), done=[DONE])
    document = json.loads(capsys.readouterr().out)
    assert document["at"] == "2030-01-02T00:00:00Z"
    assert document["file"] == "a"
    assert document["done"][0]["id"] == "0001_a"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_terminal_is_one_line_and_is_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    console = Console()
    console.report(Working("apply 0001_a"))
    assert stderr.getvalue() == "\r\x1b[2Kapply 0001_a"
    console.note("done")
    assert stderr.getvalue().endswith("\r\x1b[2Kdone\n")


@pytest.mark.parametrize(
    ("make", "environ", "colored"),
    [
        (Terminal, {"TERM": "xterm"}, True),
        (Terminal, {"TERM": "dumb"}, False),
        (Terminal, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (io.StringIO, {"TERM": "xterm"}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, True),
    ],
)
def test_color_is_used_only_on_terminals_or_when_forced(
    make: Callable[[], io.StringIO],
    environ: dict[str, str],
    colored: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", make())
    assert (Console().paint("x", "red") == "\x1b[31mx\x1b[0m") is colored
    assert Console(no_color=True).paint("x", "red") == "x"


@pytest.mark.parametrize("json_", [False, True])
def test_closed_stdout_does_not_raise(json_: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as stdout:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stdout", stdout)
        console = Console(json_=json_)
        for _ in range(2):
            console.report(DONE)
            console.document("apply", ok=True)
        assert len(console.done) == 2


def test_value_without_json_form_raises_type_error() -> None:
    thing: Any = object()
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        Console(json_=True).document("x", thing=thing)
