"""Where each value comes from: flag, environment, .env, default."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT

from runner import settings
from runner.errors import UsageError
from runner.settings import Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    return settings.load(environ=environ or {}, **flags)


# value of Settings: its flag, its variable, what to write there, what is read, the default
VALUES: dict[str, tuple[str | None, str, Any, Any, Any]] = {
    "database_url": ("database_url", "DATABASE_URL", "postgresql://{}/db", str, None),
    "sql_dir": ("sql_dir", "RUNNER_SQL_DIR", "{}/sql", Path, Path("sql")),
    "seeds_dir": ("seeds_dir", "RUNNER_SEEDS_DIR", "{}/seeds", Path, Path("seeds")),
    "log": ("log", "RUNNER_LOG", "{}.jsonl", Path, Path(".runner/runs.jsonl")),
    "wait": ("wait", "RUNNER_WAIT", "{}", float, 0.0),
    "lock_wait": ("lock_wait", "RUNNER_LOCK_WAIT", "{}", float, 60.0),
    "lock_timeout": ("lock_timeout", "RUNNER_LOCK_TIMEOUT", "{}", float, 2.0),
    "busy_wait": ("busy_wait", "RUNNER_BUSY_WAIT", "{}", float, 60.0),
    "home": (None, "RUNNER_HOME", "{}", Path, Path(".runner")),
    "embedded_version": (None, "RUNNER_POSTGRES", "16", int, 18),
}
SOURCES = {"flag": "1", "environment": "2", "file": "3"}
CASES = [
    (name, best)
    for name, (flag, *_) in VALUES.items()
    for best in (*SOURCES, "default")
    if flag or best != "flag"
]


@pytest.mark.parametrize(("name", "best"), CASES)
def test_the_flag_wins_over_the_environment_over_the_file_over_the_default(
    name: str, best: str, folder: Path
) -> None:
    flag, variable, pattern, kind, default = VALUES[name]
    given = {source: pattern.format(mark) for source, mark in SOURCES.items()}
    worse = [*SOURCES, "default"]
    worse = worse[worse.index(best) :]
    if "file" in worse:
        (folder / ".env").write_text(f"{variable}={given['file']}\n")
    environ = {variable: given["environment"]} if "environment" in worse else {}
    flags = {flag: kind(given["flag"])} if "flag" in worse and flag else {}
    expected = default if best == "default" else kind(given[best])
    found = getattr(load(environ, **flags), name)
    assert found == expected
    assert type(found) is not str or kind is str


def test_nothing_given_means_the_embedded_server() -> None:
    found = load()
    assert found.embedded
    assert found.database_source == "the embedded PostgreSQL"
    assert found.data_dir == Path(".runner/postgres")
    assert not found.log_chosen


def test_the_source_of_the_database_is_told(folder: Path) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://a/b\n")
    assert load().database_source == "DATABASE_URL in .env"
    assert load({"DATABASE_URL": "x"}).database_source == "DATABASE_URL in the environment"
    assert load(database_url="x").database_source == "--database-url"
    (folder / ".env").unlink()
    assert load({"PGHOST": "x"}).database_source == "libpq's PG* variables"


@pytest.mark.parametrize(
    "line",
    [
        "DATABASE_URL=postgresql://u:pa$HOMEss${USER}@h/db",
        "DATABASE_URL='postgresql://u:pa$HOMEss${USER}@h/db'",
        'DATABASE_URL="postgresql://u:pa$HOMEss${USER}@h/db"  # the database',
        "export DATABASE_URL=postgresql://u:pa$HOMEss${USER}@h/db",
    ],
)
def test_a_password_in_the_file_keeps_its_dollar_signs(folder: Path, line: str) -> None:
    (folder / ".env").write_text(f"# ours\n\n{line}\nOTHER=1\n")
    assert load().database_url == "postgresql://u:pa$HOMEss${USER}@h/db"


def test_another_file_is_read_instead_when_named(folder: Path) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://here/db\n")
    (folder / "ci.env").write_text("RUNNER_LOCK_WAIT=3\n")
    found = load(env_file="ci.env")
    assert found.lock_wait == 3
    assert found.embedded


def test_a_named_file_that_is_missing_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"nowhere\.env does not exist"):
        load(env_file="nowhere.env")


def test_a_file_that_is_no_text_is_wrong_usage(folder: Path) -> None:
    (folder / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(UsageError, match=r"\.env cannot be read"):
        load()


@pytest.mark.parametrize("name", ["PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE"])
def test_a_variable_of_libpq_that_names_a_server_is_enough(name: str) -> None:
    found = load({name: "5433"})
    assert not found.embedded
    assert found.database_url == ""


@pytest.mark.parametrize("name", ["PGUSER", "PGPASSWORD", "PGPASSFILE", "PGAPPNAME", "PGSSLMODE"])
def test_a_variable_of_libpq_that_names_no_server_is_not(name: str) -> None:
    assert load({name: "x"}).embedded


def test_what_migrates_takes_the_direct_url_and_the_application_takes_the_other(
    folder: Path,
) -> None:
    both = {"DATABASE_URL": "postgresql://pooler/db", "DIRECT_URL": "postgresql://server/db"}
    found = load(both)
    assert (found.database_url, found.database_source) == (
        "postgresql://server/db",
        "DIRECT_URL in the environment",
    )
    assert load(both, direct=False).database_url == "postgresql://pooler/db"
    assert load(both, database_url="postgresql://flag/db").database_url == "postgresql://flag/db"
    assert load({"DIRECT_URL": "x"}, direct=False).database_url == "x"
    assert load({**both, "DIRECT_URL": ""}).database_url == "postgresql://pooler/db"
    (folder / ".env").write_text("DATABASE_URL=postgresql://a/b\nDIRECT_URL=postgresql://c/d\n")
    assert load().database_source == "DIRECT_URL in .env"


def test_the_environment_wins_over_the_file_whichever_url_it_names(folder: Path) -> None:
    """A scratch database that a CI job names must not be swapped for what lies in .env."""
    (folder / ".env").write_text("DIRECT_URL=postgresql://production/db\n")
    scratch = {"DATABASE_URL": "postgresql://scratch/db"}
    assert load(scratch).database_url == "postgresql://scratch/db"
    assert load(scratch).database_source == "DATABASE_URL in the environment"


def test_an_empty_database_url_counts_as_unset(folder: Path) -> None:
    assert load({"DATABASE_URL": ""}).embedded
    assert load({"DATABASE_URL": "", "PGHOST": "h"}).database_source == "libpq's PG* variables"
    (folder / ".env").write_text("DATABASE_URL=\nRUNNER_SQL_DIR=\n")
    assert load().embedded
    assert load().sql_dir == Path("sql")


def test_an_empty_flag_is_a_mistake_and_falls_back_on_nothing() -> None:
    for empty in ("", " "):
        with pytest.raises(UsageError, match="--database-url is empty"):
            load({"DATABASE_URL": "postgresql://h/db"}, database_url=empty)


def test_an_empty_environment_is_not_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/db")
    assert settings.load().database_url == "postgresql://h/db"
    assert settings.load(environ={}).embedded


def test_a_url_wins_over_the_variables_of_libpq() -> None:
    found = load({"DATABASE_URL": "postgresql://h/db", "PGHOST": "other"})
    assert found.database_url == "postgresql://h/db"


def test_a_log_that_was_asked_for_is_known_as_such() -> None:
    assert load(log="a.jsonl").log_chosen
    assert load({"RUNNER_LOG": "a.jsonl"}).log_chosen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNNER_LOCK_WAIT", "soon"),
        ("RUNNER_LOCK_TIMEOUT", "-1"),
        ("RUNNER_BUSY_WAIT", "nan"),
        ("RUNNER_BUSY_WAIT", "inf"),
        ("RUNNER_POSTGRES", "17"),
        ("RUNNER_POSTGRES", "x"),
    ],
)
def test_a_value_that_makes_no_sense_is_wrong_usage(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        load({name: value})


def test_a_password_is_not_in_what_settings_look_like() -> None:
    url = "postgresql://u:hunter2@h/db"
    assert "hunter2" not in repr(load({"DATABASE_URL": url, "PGPASSWORD": "hunter2"}))
    assert "hunter2" not in repr(load(database_url=url))


@pytest.mark.parametrize(
    ("environ", "terminal", "coloured"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colours_are_for_terminals_and_for_those_who_ask(
    environ: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert settings.wants_colour(terminal=terminal) is coloured


def test_only_this_room_reads_the_environment() -> None:
    """The embedded server's rooms may look where programs and temporary folders lie."""
    readers = set()
    for path in (ROOT / "runner").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                owner = node.value
                if isinstance(owner, ast.Name) and owner.id == "os":
                    readers.add(path.name)
    assert readers == {"settings.py"}
