"""Settings: which of flag, environment, .env file and default a value comes from."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from operator import attrgetter
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


# Path of the field in Settings: flag, variable, pattern of its text, type when read, default.
VALUES: dict[str, tuple[str | None, str, Any, Any, Any]] = {
    "database_url": ("database_url", "DATABASE_URL", "postgresql://{}/db", str, None),
    "sql_dir": ("sql_dir", "RUNNER_SQL_DIR", "{}/sql", Path, Path("sql")),
    "seeds_dir": ("seeds_dir", "RUNNER_SEEDS_DIR", "{}/seeds", Path, Path("seeds")),
    "log": ("log", "RUNNER_LOG", "{}.jsonl", Path, Path(".runner/runs.jsonl")),
    "timeouts.connect": ("wait", "RUNNER_WAIT", "{}", float, 0.0),
    "timeouts.run_lock": ("lock_wait", "RUNNER_LOCK_WAIT", "{}", float, 60.0),
    "timeouts.table_lock": ("lock_timeout", "RUNNER_LOCK_TIMEOUT", "{}", float, 2.0),
    "timeouts.busy": ("busy_wait", "RUNNER_BUSY_WAIT", "{}", float, 60.0),
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
def test_precedence_is_flag_environment_env_file_default(
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
    found = attrgetter(name)(load(environ, **flags))
    assert found == expected
    assert type(found) is not str or kind is str


def test_embedded_server_is_the_default() -> None:
    found = load()
    assert found.embedded
    assert found.database_source == "the embedded PostgreSQL"
    assert found.data_dir == Path(".runner/postgres")
    assert not found.log_chosen


def test_database_source_names_where_the_url_came_from(folder: Path) -> None:
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
def test_env_file_does_not_expand_dollar_signs(folder: Path, line: str) -> None:
    (folder / ".env").write_text(f"# ours\n\n{line}\nOTHER=1\n")
    assert load().database_url == "postgresql://u:pa$HOMEss${USER}@h/db"


def test_env_file_option_replaces_default_env_file(folder: Path) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://here/db\n")
    (folder / "ci.env").write_text("RUNNER_LOCK_WAIT=3\n")
    found = load(env_file="ci.env")
    assert found.timeouts.run_lock == 3
    assert found.embedded


def test_missing_env_file_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"nowhere\.env does not exist"):
        load(env_file="nowhere.env")


def test_env_file_that_is_not_text_is_a_usage_error(folder: Path) -> None:
    (folder / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(UsageError, match=r"\.env cannot be read"):
        load()


@pytest.mark.parametrize("name", ["PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE"])
def test_libpq_variable_that_selects_a_server_replaces_the_embedded_one(name: str) -> None:
    found = load({name: "5433"})
    assert not found.embedded
    assert found.database_url == ""


@pytest.mark.parametrize("name", ["PGUSER", "PGPASSWORD", "PGPASSFILE", "PGAPPNAME", "PGSSLMODE"])
def test_libpq_variable_that_selects_no_server_keeps_the_embedded_one(name: str) -> None:
    assert load({name: "x"}).embedded


def test_migrations_use_direct_url_and_applications_database_url(
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


def test_url_in_environment_overrides_direct_url_in_env_file(folder: Path) -> None:
    """A CI job's DATABASE_URL must not be replaced by a DIRECT_URL left in .env."""
    (folder / ".env").write_text("DIRECT_URL=postgresql://production/db\n")
    scratch = {"DATABASE_URL": "postgresql://scratch/db"}
    assert load(scratch).database_url == "postgresql://scratch/db"
    assert load(scratch).database_source == "DATABASE_URL in the environment"


def test_empty_database_url_counts_as_unset(folder: Path) -> None:
    assert load({"DATABASE_URL": ""}).embedded
    assert load({"DATABASE_URL": "", "PGHOST": "h"}).database_source == "libpq's PG* variables"
    (folder / ".env").write_text("DATABASE_URL=\nRUNNER_SQL_DIR=\n")
    assert load().embedded
    assert load().sql_dir == Path("sql")


def test_empty_database_url_flag_is_a_usage_error() -> None:
    for empty in ("", " "):
        with pytest.raises(UsageError, match="--database-url is empty"):
            load({"DATABASE_URL": "postgresql://h/db"}, database_url=empty)


def test_empty_environ_argument_does_not_read_os_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/db")
    assert settings.load().database_url == "postgresql://h/db"
    assert settings.load(environ={}).embedded


def test_database_url_overrides_libpq_variables() -> None:
    found = load({"DATABASE_URL": "postgresql://h/db", "PGHOST": "other"})
    assert found.database_url == "postgresql://h/db"


def test_log_chosen_is_set_by_flag_or_variable() -> None:
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
def test_invalid_value_is_a_usage_error(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        load({name: value})


def test_repr_of_settings_hides_passwords() -> None:
    url = "postgresql://u:hunter2@h/db"
    assert "hunter2" not in repr(load({"DATABASE_URL": url, "PGPASSWORD": "hunter2"}))
    assert "hunter2" not in repr(load(database_url=url))


@pytest.mark.parametrize(
    ("environ", "terminal", "colored"),
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
def test_color_depends_on_terminal_and_environment(
    environ: dict[str, str], terminal: bool, colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert settings.wants_color(terminal=terminal) is colored


def test_only_settings_reads_the_environment() -> None:
    """Indirect readers such as `shutil.which` and `tempfile` are allowed everywhere."""
    readers = set()
    for path in (ROOT / "runner").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                owner = node.value
                if isinstance(owner, ast.Name) and owner.id == "os":
                    readers.add(path.name)
    assert readers == {"settings.py"}
