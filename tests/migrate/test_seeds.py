"""Seed files: loaded in one transaction, idempotent, and counted per table."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server

from runner.errors import FileError, RunnerError, SqlError, UsageError
from runner.migrate import seeds
from runner.migrate.seeds import TableCount

UPSERT = """\
    insert into public.people (id, name) values
        (1, '{}'),
        (2, 'Bo')
    on conflict (id) do update set name = excluded.name
    where people.name is distinct from excluded.name;
    """
PETS = "insert into public.pets values (1) on conflict do nothing;\n"


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    checkout = Checkout(tmp_path, empty_database)
    checkout.do("create table people (id int primary key, name text)")
    checkout.do("create table pets (id int primary key)")
    checkout.do("create table others (id int)")
    checkout.seed(_01_people=UPSERT.format("Ann"), _02_pets=PETS)
    return checkout


def load(checkout: Checkout) -> list[TableCount]:
    with checkout.migrator() as migrator:
        return seeds.load(migrator, seeds.read(checkout.folder / "seeds"))


def failed(checkout: Checkout) -> RunnerError:
    """Load the seed files, and return the error that must roll all of them back."""
    with pytest.raises(RunnerError) as caught:
        load(checkout)
    assert checkout.rows("select * from people") == []
    assert "No changes were made." in caught.value.state
    return caught.value


def test_loading_twice_changes_nothing_the_second_time(checkout: Checkout) -> None:
    assert load(checkout) == [
        TableCount("public.people", 2, 0, 0, 0),
        TableCount("public.pets", 1, 0, 0, 0),
    ]
    rows = "select xmin::text, ctid::text, id, name from people order by id"
    before = checkout.rows(rows)
    assert load(checkout) == [
        TableCount("public.people", 0, 0, 0, 2),
        TableCount("public.pets", 0, 0, 0, 1),
    ]
    assert checkout.rows(rows) == before


def test_only_the_edited_row_changes(checkout: Checkout) -> None:
    load(checkout)
    rows = "select xmin::text, id from people where id = 2"
    before = checkout.rows(rows)
    checkout.seed(_01_people=UPSERT.format("Anna"))
    assert load(checkout)[0] == TableCount("public.people", 0, 1, 0, 1)
    assert checkout.rows("select name from people order by id") == [("Anna",), ("Bo",)]
    assert checkout.rows(rows) == before


def test_existing_rows_count_as_unchanged(checkout: Checkout) -> None:
    checkout.do("insert into people select n, 'x' from generate_series(10, 14) as n")
    assert load(checkout)[0] == TableCount("public.people", 2, 0, 0, 5)


def test_rows_written_by_triggers_are_counted(checkout: Checkout) -> None:
    checkout.do("""
        create function note() returns trigger language plpgsql as
        $$ begin insert into others values (new.id); return new; end $$
        """)
    checkout.do("create trigger note after insert on people for each row execute function note()")
    assert TableCount("public.others", 2, 0, 0, 0) in load(checkout)


def test_deleted_rows_are_counted(checkout: Checkout) -> None:
    checkout.do("insert into others values (1), (2), (3)")
    checkout.seed(_00_first="delete from others where id < 3;")
    assert TableCount("public.others", 0, 0, 2, 1) in load(checkout)


def test_quoted_names_and_dynamic_sql_do_not_break_counts(checkout: Checkout) -> None:
    checkout.do('create table "Odd ""Name""" (id int)')
    checkout.seed(
        _03_odd="do $$ begin execute format('insert into \"%s\" values (1)', 'others'); end $$;\n"
        'insert into public."Odd ""Name""" values (1);'
    )
    assert TableCount('public.Odd "Name"', 1, 0, 0, 0) in load(checkout)


def test_failure_of_last_file_rolls_back_all_files(checkout: Checkout) -> None:
    checkout.seed(_02_pets="-- pets\ninsert into public.pets\nvalues (oops);")
    error = failed(checkout)
    assert isinstance(error, SqlError)
    assert error.place
    assert error.place.file.endswith("02_pets.sql")
    assert (error.place.line, error.place.column) == (3, 9)


def test_constraint_failure_at_commit_rolls_back_all_files(checkout: Checkout) -> None:
    checkout.do(
        "alter table people add column chief int references people deferrable initially deferred"
    )
    checkout.seed(_03_late="update people set chief = 7 where id = 1;")
    error = failed(checkout)
    assert isinstance(error, SqlError)
    assert error.sqlstate == "23503"
    assert error.detail == 'Key (chief)=(7) is not present in table "people".'
    (line,) = checkout.log_lines()
    assert (line["id"], line["outcome"], line["sqlstate"]) == ("03_late", "failed", "23503")


def test_messages_at_the_commit_of_the_seeds_are_shown(checkout: Checkout) -> None:
    """A deferred trigger raises them, for rows of any file. With --json, in the document only."""
    checkout.do(
        "create function late() returns trigger language plpgsql as $$ begin"
        " raise warning 'late %', new.id; return null; end $$;"
        " create constraint trigger late after insert on people initially deferred"
        " for each row execute function late()"
    )
    checkout.seed(_03_late="insert into people (id) values (7);")
    result = checkout.runner("seed", "--json")
    said = "the seeds, at their commit: WARNING: late 7"
    assert (said in result.document["notes"], result.err) == (True, "")


def test_non_transactional_seed_file_is_refused(checkout: Checkout) -> None:
    checkout.seed(_03_late="-- transactional: false\nselect 1;")
    error = failed(checkout)
    assert isinstance(error, FileError)
    assert "seeds are loaded in one" in error.message


def test_transaction_control_in_seed_file_is_refused(checkout: Checkout) -> None:
    checkout.seed(_03_late="select 1;\ncommit;")
    with pytest.raises(FileError) as caught:
        load(checkout)
    assert caught.value.place
    assert caught.value.place.line == 2


def test_session_state_does_not_leak_into_next_seed_file(checkout: Checkout) -> None:
    checkout.seed(_00_first="set role pg_monitor; set search_path = pg_catalog;")
    assert len(load(checkout)) == 2


def test_seed_files_run_in_name_order(checkout: Checkout) -> None:
    checkout.seed(_00_z="create table first (n int);", _01_a="insert into first values (1);")
    load(checkout)
    assert checkout.rows("select n from first") == [(1,)]


def test_missing_or_empty_seeds_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        seeds.read(tmp_path / "none")
    with pytest.raises(UsageError, match=r"contains no \.sql file"):
        seeds.read(tmp_path)


@one_server
def test_up_needs_no_seeds(checkout: Checkout) -> None:
    checkout.write(_0001_first="create table first (n int);")
    folder = (checkout.folder / "seeds").rename(checkout.folder / "kept")
    for options, name in (((), "seeds"), ((), "seeds"), (("--seeds-dir", "others"), "others")):
        result = checkout.runner("up", *options)
        assert (result.code, f"no seeds: {name} has no .sql file" in result.out) == (0, True)
        (folder.parent / "seeds").mkdir(exist_ok=True)
        (folder.parent / "others").mkdir(exist_ok=True)
    assert checkout.runner("up", "--seeds-dir", "none").code == 64
    assert checkout.runner("seed").code == 64


def test_seeding_creates_no_migration_tables(checkout: Checkout) -> None:
    load(checkout)
    assert checkout.value("select to_regnamespace('yoyo')") is None
