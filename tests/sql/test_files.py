"""The migration files: idempotency, rollback, and equal results from psql and the runner."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SQL_DIR, Database, apply_schema, migration_files

from runner import embedded
from runner.files import statements

CATALOG_QUERY = (Path(__file__).parent / "catalog.sql").read_text(encoding="utf-8")
OVERLAYS = sorted(f for f in SQL_DIR.glob("citus/*.sql") if not f.match("*.rollback.sql"))
ALL_FILES = [*migration_files(), *OVERLAYS]


def catalog_lines(database: Database) -> list[str]:
    """All user-defined objects in the catalog of the database, one fact per line."""
    with database.connect() as conn:
        return [line for (line,) in conn.execute(CATALOG_QUERY)]


def psql(database: Database, *arguments: str | Path) -> str:
    """Run psql and return its output; an error fails the test."""
    done = subprocess.run(
        [
            *(embedded.program("psql"), "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"),
            *("-d", database.conninfo(), *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def noise(output: str) -> list[str]:
    """The lines of output other than notices."""
    return [line for line in output.splitlines() if ": NOTICE: " not in line]


def rollback_of(file: Path) -> Path:
    return file.with_suffix("").with_suffix(".rollback.sql")


def apply(database: Database) -> None:
    """Apply with the runner. Not a clone, because cloning does not copy database privileges."""
    apply_schema(database)


def test_every_migration_has_a_rollback_file() -> None:
    assert migration_files()
    assert OVERLAYS
    assert [f.name for f in ALL_FILES if not rollback_of(f).is_file()] == []


def test_every_file_runs_twice_and_changes_nothing_the_second_time(
    empty_database: Database,
) -> None:
    """Statement by statement with `psql -f`, which records nothing."""
    for file in migration_files():
        assert noise(psql(empty_database, "-f", file)) == []
        once = catalog_lines(empty_database)
        assert noise(psql(empty_database, "-f", file)) == []
        assert catalog_lines(empty_database) == once, file.name


def test_rollback_of_an_overlay_creates_what_the_last_migration_of_it_created() -> None:
    """Without Citus: a change of a function, policy or trigger is to be made in both."""
    latest = {_object(text): text for file in migration_files() for text in _creations(file)}
    for file in OVERLAYS:
        for text in _creations(rollback_of(file)):
            assert text == latest[_object(text)], f"{rollback_of(file).name} is out of date"


def _creations(file: Path) -> list[str]:
    found = [one.text for one in statements.split(file.read_text(encoding="utf-8"))]
    return [text for text in found if text.startswith("create ")]


def _object(text: str) -> str:
    """What a statement creates, as the beginning of its text: kind, name and table."""
    return " ".join(text.split("\n", 2)[:2]) if " trigger " in text[:30] else text.split("\n", 1)[0]


def test_every_rollback_restores_the_state_before_its_migration(empty_database: Database) -> None:
    """Each rollback file runs twice, newest first, down to the empty database."""
    states = [catalog_lines(empty_database)]
    for file in migration_files():
        psql(empty_database, "-f", file)
        states.append(catalog_lines(empty_database))
    for file in reversed(migration_files()):
        states.pop()
        assert noise(psql(empty_database, "-f", rollback_of(file))) == []
        assert catalog_lines(empty_database) == states[-1], file.name
        assert noise(psql(empty_database, "-f", rollback_of(file))) == []
        assert catalog_lines(empty_database) == states[-1], f"{file.name}, rolled back twice"


def test_migrations_can_be_reapplied_after_rollback(empty_database: Database) -> None:
    apply(empty_database)
    finished = catalog_lines(empty_database)
    for file in reversed(migration_files()):
        psql(empty_database, "--single-transaction", "-f", rollback_of(file))
    for file in migration_files():
        psql(empty_database, "--single-transaction", "-f", file)
    assert catalog_lines(empty_database) == finished


def test_rollback_succeeds_with_rows_in_the_tables(own_database: Database) -> None:
    for file in reversed(migration_files()):
        psql(own_database, "-f", rollback_of(file))
    assert not [
        line for line in catalog_lines(own_database) if line.startswith("relation | public.")
    ]


def test_psql_and_runner_create_the_same_schema(
    new_database: Callable[..., Database], template: str
) -> None:
    """psql per statement, per file and in one transaction; and the runner."""
    by_statement, by_file, at_once, by_runner = (new_database() for _ in range(4))
    files = migration_files()
    for file in files:
        psql(by_statement, "-f", file)
        psql(by_file, "--single-transaction", "-f", file)
    arguments = [part for file in files for part in ("-f", file)]
    psql(at_once, "--single-transaction", *arguments)
    apply(by_runner)
    expected = catalog_lines(by_runner)
    for database in (by_statement, by_file, at_once):
        assert catalog_lines(database) == expected


@pytest.mark.parametrize("file", ALL_FILES, ids=lambda file: file.stem)
def test_files_follow_the_layout_rules(file: Path) -> None:
    """The layout rules that can be checked automatically."""
    for path in (file, rollback_of(file)):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith(f"-- {file.stem}"), "the first line is the name"
        assert lines[1].startswith("-- ")
        assert "" in lines[:6], "a blank line ends the header"
        for number, line in enumerate(lines, start=1):
            assert len(line) <= 100, f"{path.name}:{number} is too long"
            assert line == line.rstrip(), f"{path.name}:{number} has trailing whitespace"
            assert "\t" not in line, f"{path.name}:{number} has a tab"
            assert not line.startswith("\\"), f"{path.name}:{number} is a psql command"
            word = line.split("--")[0].strip().lower().rstrip(";")
            assert word not in ("commit", "rollback", "start transaction")
