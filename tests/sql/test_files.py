"""The files themselves: read by psql, run twice, taken back, in two ways, to one result."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, apply_schema, migration_files

from runner.postgres import embedded

CATALOGUE = (Path(__file__).parent / "catalogue.sql").read_text(encoding="utf-8")


def catalogue(database: Database) -> list[str]:
    """Everything the database's catalogue says, one line per fact."""
    with database.connect() as conn:
        return [line for (line,) in conn.execute(CATALOGUE)]


def psql(database: Database, *arguments: str | Path) -> str:
    """Run psql as a reader would, and return what it says; an error fails the test."""
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


def noise(said: str) -> list[str]:
    """The lines beyond NOTICEs."""
    return [line for line in said.splitlines() if ": NOTICE: " not in line]


def rollback_of(file: Path) -> Path:
    return file.with_suffix("").with_suffix(".rollback.sql")


def apply(database: Database) -> None:
    """Our own apply. Not a clone: what is granted on a database is not cloned with it."""
    server = database.server
    apply_schema(
        host=server.host,
        port=server.port,
        user=server.user,
        dbname=database.name,
        password=server.password,
    )


def test_every_file_has_its_way_back() -> None:
    files = migration_files()
    assert len(files) >= 1
    assert [f.name for f in files if not rollback_of(f).is_file()] == []


def test_every_file_runs_twice_and_changes_nothing_the_second_time(
    empty_database: Database,
) -> None:
    """Statement by statement, as `psql -f` does it where nothing is tracked."""
    for file in migration_files():
        assert noise(psql(empty_database, "-f", file)) == []
        once = catalogue(empty_database)
        assert noise(psql(empty_database, "-f", file)) == []
        assert catalogue(empty_database) == once, file.name


def test_all_files_run_again_over_the_finished_schema_and_change_nothing(
    empty_database: Database,
) -> None:
    apply(empty_database)
    finished = catalogue(empty_database)
    for file in migration_files():
        assert noise(psql(empty_database, "-f", file)) == []
        assert catalogue(empty_database) == finished, file.name


def test_every_rollback_returns_to_the_state_before_its_file(empty_database: Database) -> None:
    """Each alone, and so all of them, newest first, to the empty database."""
    states = [catalogue(empty_database)]
    for file in migration_files():
        psql(empty_database, "-f", file)
        states.append(catalogue(empty_database))
    for file in reversed(migration_files()):
        states.pop()
        assert noise(psql(empty_database, "-f", rollback_of(file))) == []
        assert catalogue(empty_database) == states[-1], file.name
        assert noise(psql(empty_database, "-f", rollback_of(file))) == []
        assert catalogue(empty_database) == states[-1], f"{file.name}, taken back twice"


def test_what_was_taken_back_can_be_applied_again(empty_database: Database) -> None:
    apply(empty_database)
    finished = catalogue(empty_database)
    for file in reversed(migration_files()):
        psql(empty_database, "--single-transaction", "-f", rollback_of(file))
    for file in migration_files():
        psql(empty_database, "--single-transaction", "-f", file)
    assert catalogue(empty_database) == finished


def test_a_rollback_goes_through_with_rows_in_the_tables(own_world: Database) -> None:
    for file in reversed(migration_files()):
        psql(own_world, "-f", rollback_of(file))
    assert not [line for line in catalogue(own_world) if line.startswith("relation | public.")]


def test_every_road_leads_to_the_same_schema(
    new_database: Callable[..., Database], template: str
) -> None:
    """psql statement by statement, each file a transaction, all one transaction, our own apply."""
    by_statement, by_file, at_once, ours = (new_database() for _ in range(4))
    files = migration_files()
    for file in files:
        psql(by_statement, "-f", file)
        psql(by_file, "--single-transaction", "-f", file)
    arguments = [part for file in files for part in ("-f", file)]
    psql(at_once, "--single-transaction", *arguments)
    apply(ours)
    expected = catalogue(ours)
    for road in (by_statement, by_file, at_once):
        assert catalogue(road) == expected


@pytest.mark.parametrize("file", migration_files(), ids=lambda file: file.stem)
def test_a_page_is_in_order(file: Path) -> None:
    """The way SQL is written here, as far as a machine can read it."""
    for page in (file, rollback_of(file)):
        lines = page.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith(f"-- {file.stem}"), "the first line is the name"
        assert lines[1].startswith("-- ")
        assert "" in lines[:6], "a blank line ends the header"
        for number, line in enumerate(lines, start=1):
            assert len(line) <= 100, f"{page.name}:{number} is too long"
            assert line == line.rstrip(), f"{page.name}:{number} ends in a blank"
            assert "\t" not in line, f"{page.name}:{number} has a tab"
            assert not line.startswith("\\"), f"{page.name}:{number} is for psql alone"
            word = line.split("--")[0].strip().lower().rstrip(";")
            assert word not in ("commit", "rollback", "start transaction")
