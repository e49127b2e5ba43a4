"""docs/commands.md agrees with --help: commands, options, examples, exit codes."""

from __future__ import annotations

import re

import pytest
from pages import ROOT, blocks, headings, section, table_rows, text

from runner import errors
from runner.cli.commands import NAMES
from runner.cli.main import main

PAGE = ROOT / "docs" / "commands.md"
_ALWAYS = {errors.DONE, errors.ERROR, errors.WRONG_USAGE}


def _help(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main([*command, "--help"]) == 0
    return capsys.readouterr().out


def _options(help_: str) -> set[str]:
    """Return the options of a help text, one name for each: `--database-url`."""
    lines = re.findall(r"^  (-\S.*?)(?:  |$)", help_, re.MULTILINE)
    return {re.findall(r"--[\w-]+", line)[0] for line in lines}


def _documented_options(markdown: str) -> set[str]:
    cells = [row[0] for row in table_rows(markdown) if row[0].startswith("`-")]
    return {re.findall(r"--[\w-]+", cell)[0] for cell in cells}


def _parts(help_: str) -> tuple[str, str]:
    """Return the command's own options and the global ones."""
    own, _, rest = help_.partition("\nglobal options:\n")
    return own, rest.split("\n\n")[0]


def test_every_command_has_a_section_in_the_order_of_help() -> None:
    found = [heading for heading in headings(PAGE) if re.fullmatch(r"[a-z]+", heading)]
    assert found == list(NAMES)


def test_overview_lists_every_command_once() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\]\(#(\w+)\) \|", text(PAGE), re.MULTILINE)
    assert listed == [(name, name) for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_options_are_those_of_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    own, _ = _parts(_help(capsys, name))
    assert _documented_options(section(PAGE, name)) == _options(own) - {"--help"}


@pytest.mark.parametrize("name", NAMES)
def test_example_is_that_of_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = re.search(r"^Example:\n  (.*)$", _help(capsys, name), re.MULTILINE)
    assert example
    assert example[1] in "".join(blocks(section(PAGE, name), "sh"))


@pytest.mark.parametrize("name", NAMES)
def test_exit_codes_are_those_of_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = re.search(r"^Exit codes: (.*)$", _help(capsys, name), re.MULTILINE)
    assert line
    codes = {int(code) for code in re.findall(r"\b\d+\b", line[1])} - _ALWAYS
    documented = re.search(r"^Exit codes: (.*)$", section(PAGE, name), re.MULTILINE)
    found = re.match(r"[\d, ]*", documented[1]) if documented else None
    assert {int(code) for code in re.findall(r"\d+", found[0] if found else "")} == codes


def test_global_options_are_those_of_help(capsys: pytest.CaptureFixture[str]) -> None:
    _, common = _parts(_help(capsys))
    documented = _documented_options(section(PAGE, "Options of every command"))
    assert documented == _options(common) | {"--help"}


def test_every_exit_code_is_explained() -> None:
    constants = (
        *(errors.DONE, errors.ERROR, errors.SOMETHING_TO_DO, errors.LOCKED, errors.PROOF_FAILED),
        *(errors.WRONG_USAGE, errors.INTERRUPTED, errors.TERMINATED),
    )
    rows = table_rows(section(PAGE, "Exit codes"))
    assert [int(code) for code, _ in rows] == list(constants)
