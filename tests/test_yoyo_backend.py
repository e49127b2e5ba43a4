"""yoyo's own commands in a folder with our yoyo.ini: the same files, records and guarantees.

The facts about yoyo 9.0.0 that we rely on or guard are named in the docstrings, here and in the
rooms that guard them (grep for "yoyo:").
"""

from __future__ import annotations

import re
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database
from psycopg.conninfo import conninfo_to_dict
from yoyo import migrations as yoyo_migrations
from yoyo.migrations import get_migration_hash, parse_metadata_from_sql_comments

from runner.postgres.target import Target

one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)
RECORDS = """
    select migration_hash, migration_id, content_sha256, code_sha256, content, applied_by
    from yoyo._yoyo_migration order by 2
    """


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    checkout = Checkout(tmp_path, empty_database)
    for number, letter in enumerate("abc", 1):
        checkout.file(f"sql/000{number}_{letter}.sql", f"create table {letter} ();\n")
        checkout.file(f"sql/000{number}_{letter}.rollback.sql", f"drop table {letter};\n")
    return checkout


def tables(checkout: Checkout) -> list[str]:
    rows = checkout.rows("select tablename from pg_tables where schemaname = 'public' order by 1")
    return [name for (name,) in rows]


def test_the_version_of_yoyo_is_the_one_these_facts_were_tested_with() -> None:
    assert version("yoyo-migrations").startswith("9.0.")


def test_yoyo_finds_the_backend_by_its_entry_point() -> None:
    (found,) = entry_points(group="yoyo.backends", name="runner")
    assert found.value == "runner.yoyo_backend:Backend"


# --- the same as the runner ---------------------------------------------------------------------


def test_yoyo_apply_makes_the_records_that_the_runner_makes(checkout: Checkout) -> None:
    said = checkout.yoyo("apply")
    assert said.code == 0, said.err
    assert re.findall(r"^  applied +(\S+)", said.out, re.MULTILINE) == [
        "0001_a",
        "0002_b",
        "0003_c",
    ]
    assert "3 applied" in said.out
    by_yoyo = checkout.rows(RECORDS)
    assert [row[1] for row in by_yoyo] == ["0001_a", "0002_b", "0003_c"]
    assert [row[0] for row in by_yoyo] == [get_migration_hash(row[1]) for row in by_yoyo]
    assert checkout.runner("status").code == 0
    checkout.runner("rollback", "--steps", "3")
    checkout.runner("apply")
    assert checkout.rows(RECORDS) == by_yoyo
    assert "nothing to be applied" in checkout.yoyo("apply").out
    assert [line["operation"] for line in checkout.log_lines()].count("apply") == 6


def test_yoyo_list_shows_what_is_applied_and_writes_nothing(checkout: Checkout) -> None:
    """yoyo: `yoyo list` creates four tables."""
    said = checkout.yoyo("list")
    assert said.code == 0
    assert re.findall(r"^(\w) +(\w+)", said.out, re.MULTILINE) == [
        ("U", "0001_a"),
        ("U", "0002_b"),
        ("U", "0003_c"),
    ]
    assert checkout.value("select to_regnamespace('yoyo')") is None
    assert tables(checkout) == []
    checkout.runner("apply", "--to", "2")
    said = checkout.yoyo("list")
    assert "".join(re.findall(r"^(\w) +\d", said.out, re.MULTILINE)) == "AAU"


@one_server
def test_yoyo_rollback_takes_one_back_or_all(checkout: Checkout) -> None:
    checkout.apply()
    said = checkout.yoyo("rollback")
    assert said.code == 0
    assert "rolled back  0003_c" in said.out
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert checkout.yoyo("rollback", "--all").code == 0
    assert tables(checkout) == []
    assert checkout.applied() == []


@one_server
def test_yoyo_mark_and_unmark_touch_only_the_records(checkout: Checkout) -> None:
    assert checkout.yoyo("mark", "-r", "0001_a").code == 0
    assert checkout.applied() == ["0001_a"]
    assert tables(checkout) == []
    (record,) = checkout.rows(RECORDS)
    assert record[2] == checkout.migrations()[0].sha256
    assert checkout.yoyo("unmark").code == 0
    assert checkout.applied() == []
    assert checkout.rows("select operation from yoyo._yoyo_log order by created_at_utc") == [
        ("mark",),
        ("unmark",),
    ]


@one_server
def test_yoyo_reapply_rolls_back_and_applies_again(checkout: Checkout) -> None:
    checkout.apply()
    checkout.do("alter table c add column changed int")
    assert checkout.yoyo("reapply", "-r", "0003_c").code == 0
    assert checkout.value("select count(*) from pg_attribute where attname = 'changed'") == 0
    assert checkout.applied() == ["0001_a", "0002_b", "0003_c"]


@one_server
def test_yoyo_develop_applies_and_then_reapplies_the_last(checkout: Checkout) -> None:
    assert checkout.yoyo("develop").code == 0
    assert tables(checkout) == ["a", "b", "c"]
    before = checkout.value("select 'c'::regclass::oid")
    assert checkout.yoyo("develop").code == 0
    assert checkout.value("select 'c'::regclass::oid") != before


@one_server
def test_yoyo_break_lock_says_that_there_is_none(checkout: Checkout) -> None:
    """yoyo: the lock is a table row that outlives a crash."""
    with checkout.migrator():
        said = checkout.yoyo("break-lock")
    assert said.code == 0
    assert "There is no lock to break" in said.out


@one_server
def test_yoyo_waits_for_the_same_lock(checkout: Checkout) -> None:
    with checkout.migrator():
        said = checkout.yoyo("apply", RUNNER_LOCK_WAIT="0")
    assert said.code == 3
    assert "Another run holds the lock: pid " in said.err
    assert tables(checkout) == []


@one_server
def test_yoyo_goes_to_the_database_named_after_runner(checkout: Checkout) -> None:
    """yoyo: `postgresql://` means psycopg2; only `postgresql+psycopg://` means psycopg 3."""
    assert checkout.database
    parts = {
        key: str(value) for key, value in conninfo_to_dict(checkout.database.conninfo()).items()
    }
    url = Target(parts, "", embedded=False).url(show_password=True)
    checkout.environ["DATABASE_URL"] = "postgresql://nowhere.invalid/db"
    said = checkout.yoyo("apply", "-d", url.replace("postgresql://", "runner://"))
    assert said.code == 0, said.err
    assert tables(checkout) == ["a", "b", "c"]


def test_yoyo_understands_a_whole_address(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="select 1;")
    said = checkout.yoyo("list", "-d", "runner://me:p%40ss@nowhere.invalid:5433/db?sslmode=require")
    assert said.code == 1
    assert "postgresql://me:***@nowhere.invalid:5433/db?sslmode=require" in said.err
    assert "Traceback" not in said.err
    said = checkout.yoyo("list", "-d", "runner://me:p%40ss@h/db?nonsense=1")
    assert said.code == 1
    assert "error: " in said.err
    assert "Traceback" not in said.err
    assert "p@ss" not in said.err


# --- errors are words ---------------------------------------------------------------------------


@one_server
def test_an_sql_error_has_its_place_and_keeps_what_was_done(checkout: Checkout) -> None:
    """yoyo: sends each statement by itself, with a savepoint; an error is a traceback."""
    checkout.file("sql/0003_c.sql", "create table c ();\nselect oops;\n")
    said = checkout.yoyo("apply")
    assert said.code == 1
    assert "sql/0003_c.sql:2:8" in said.err
    assert "0001_a to 0002_b stay applied. Nothing of 0003_c was kept." in said.err
    assert "Traceback" not in said.err
    assert checkout.applied() == ["0001_a", "0002_b"]


@one_server
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("0004_d", "-- depends: 0009_z\nselect 1;", "0009_z"),
        ("0004_d", "-- depends: 0004_d\nselect 1;", "0004_d"),
        ("0004_d", "-- transactional: maybe\nselect 1;", "maybe"),
        ("0004_d", "select 'caf\udce9';", "UTF-8"),
        ("0003_d", "select 1;", "have the number 3"),
        ("0004_d", "commit;", "transaction control"),
        ("post-apply", "select 1;", "post-apply"),
    ],
)
@pytest.mark.parametrize("command", ["apply", "list"])
def test_a_file_that_cannot_be_used_is_told_in_words(
    checkout: Checkout, name: str, text: str, message: str, command: str
) -> None:
    path = checkout.folder / "sql" / f"{name}.sql"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    said = checkout.yoyo(command)
    assert "Traceback" not in said.err
    if command == "apply":
        assert said.code == 1
        assert message.lower() in said.err.lower()
        assert tables(checkout) == []


@one_server
def test_an_edited_file_stops_yoyo_as_it_stops_the_runner(checkout: Checkout) -> None:
    """yoyo: a migration's hash is of its name; an edited applied file is never noticed."""
    checkout.apply()
    checkout.file("sql/0001_a.sql", "create table aa ();")
    checkout.write(_0004_d="create table d ();")
    said = checkout.yoyo("apply")
    assert said.code == 1
    assert "0001_a was edited after being applied" in said.err
    assert tables(checkout) == ["a", "b", "c"]


@one_server
def test_force_is_refused(checkout: Checkout) -> None:
    said = checkout.yoyo("apply", "--force")
    assert said.code == 1
    assert "--force would record a migration of which a part failed" in said.err
    assert tables(checkout) == []


@one_server
def test_marking_twice_is_refused(checkout: Checkout) -> None:
    checkout.apply()
    assert checkout.yoyo("mark").code == 0  # nothing is pending
    assert checkout.yoyo("unmark", "-r", "0003_c").code == 0
    assert checkout.applied() == ["0001_a", "0002_b"]


@one_server
def test_a_missing_database_is_told_in_words(checkout: Checkout) -> None:
    assert checkout.database
    url = checkout.environ["DATABASE_URL"].replace(checkout.database.name, "nosuchdb")
    said = checkout.yoyo("list", DATABASE_URL=url)
    assert said.code == 1
    assert 'database "nosuchdb" does not exist' in said.err
    assert "Traceback" not in said.err


# --- facts about yoyo that the design answers ----------------------------------------------------


def test_yoyo_reads_a_missing_folder_as_nothing_to_do(tmp_path: Path) -> None:
    """yoyo: a missing directory reads as "nothing to do"; `migrations.read` refuses it."""
    assert list(yoyo_migrations.read_migrations(str(tmp_path / "none"))) == []


def test_yoyo_hashes_only_the_name() -> None:
    """yoyo: a migration's hash is of its *name*; so the SHA-256 of the content is ours."""
    assert get_migration_hash("0001_a") == get_migration_hash("0001_a")
    one = yoyo_migrations.Migration("0001_a", "/one/0001_a.sql", "/one")
    other = yoyo_migrations.Migration("0001_a", "/other/0001_a.sql", "/other")
    assert one.hash == other.hash


def test_yoyo_reads_directives_only_in_the_leading_lines() -> None:
    """yoyo: directives count only in the leading run of `--` lines; unknown ones are prose."""
    directives, comment, _ = parse_metadata_from_sql_comments(
        "-- depends: a b\n-- indepnedent: true\nselect 1;\n-- transactional: false\n"
    )
    assert directives == {"depends": "a b"}
    assert "indepnedent" in comment


def test_yoyo_splits_what_is_one_statement(tmp_path: Path) -> None:
    """yoyo: sqlparse mis-splits nested comments; files here are sent whole."""
    path = tmp_path / "0001_a.sql"
    path.write_text("select 1 /* a /* b */ ; c */;\n")
    _, _, statements = yoyo_migrations.read_sql_migration(str(path))
    assert len(statements) == 2


def test_yoyo_sorts_by_text(tmp_path: Path) -> None:
    """yoyo: order is string order; `migrations.read` refuses numbers of several widths."""
    for name in ("9_a", "10_b"):
        (tmp_path / f"{name}.sql").write_text("select 1;")
    found = yoyo_migrations.topological_sort(yoyo_migrations.read_migrations(str(tmp_path)))
    assert [migration.id for migration in found] == ["10_b", "9_a"]
