"""docs/settings.md lists the variables that the runner reads, with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT, section, table_rows, text

from runner import settings

PAGE = ROOT / "docs" / "settings.md"


def variables() -> set[str]:
    """Return the RUNNER_* variables of settings.py; those of seconds are named like their flag."""
    source = (ROOT / "runner" / "settings.py").read_text(encoding="utf-8")
    seconds = re.findall(r'_seconds\("([\w-]+)"', source)
    names = {f"RUNNER_{flag.upper().replace('-', '_')}" for flag in seconds}
    return names | set(re.findall(r'"(RUNNER_\w+)"', source))


def test_settings_page_lists_every_variable() -> None:
    rows = table_rows(section(PAGE, "The runner"))
    listed = [name for row in rows for name in re.findall(r"RUNNER_\w+", row[0])]
    assert sorted(listed) == sorted(variables())


def test_no_page_names_a_variable_that_is_not_read() -> None:
    named = {name for page in PAGES for name in re.findall(r"\bRUNNER_[A-Z_]+\b", text(page))}
    assert named <= variables()


def test_defaults_are_those_of_the_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = settings.load(environ={})
    expected = {
        "RUNNER_SQL_DIR": found.sql_dir,
        "RUNNER_WITH": " ".join(found.sources),
        "RUNNER_SEEDS_DIR": found.seeds_dir,
        "RUNNER_LOG": found.log,
        "RUNNER_WAIT": f"{found.timeouts.connect:g}",
        "RUNNER_LOCK_WAIT": f"{found.timeouts.run_lock:g}",
        "RUNNER_LOCK_TIMEOUT": f"{found.timeouts.table_lock:g}",
        "RUNNER_BUSY_WAIT": f"{found.timeouts.busy:g}",
        "RUNNER_HOME": found.home,
        "RUNNER_POSTGRES": found.embedded_version,
        "RUNNER_SCRATCH_URL": "",
    }
    rows = table_rows(section(PAGE, "The runner"))
    documented = {row[0].strip("`"): row[2].strip("`") for row in rows if "RUNNER_" in row[0]}
    assert documented == {name: str(value) for name, value in expected.items()}


def test_options_belong_to_their_variable() -> None:
    for row in table_rows(section(PAGE, "The runner")):
        if "RUNNER_" in row[0] and row[1]:
            assert row[1].strip("`-").upper().replace("-", "_") == row[0].strip("`")[7:]
