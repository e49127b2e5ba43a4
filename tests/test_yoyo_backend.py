"""yoyo's own commands with our yoyo.ini: the same files, records and guarantees as the runner.

Docstrings that begin with "yoyo:", here and in other tests, state the facts about yoyo 9.0.0 that
we rely on or guard against.
"""

from __future__ import annotations

import re
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server
from psycopg.conninfo import conninfo_to_dict
from yoyo import migrations as yoyo_migrations
from yoyo.migrations import get_migration_hash, parse_metadata_from_sql_comments

from runner.postgres.target import Target

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


def test_yoyo_version_is_the_tested_one() -> None:
    assert version("yoyo-migrations").startswith("9.0.")


def test_yoyo_finds_the_backend_by_its_entry_point() -> None:
    (found,) = entry_points(group="yoyo.backends", name="runner")
    assert found.value == "runner.yoyo_backend:Backend"


# --- same results as the runner -----------------------------------------------------------------


def test_yoyo_apply_writes_the_same_records_as_the_runner(checkout: Checkout) -> None:
    result = checkout.yoyo("apply")
    assert result.code == 0, result.err
    assert re.findall(r"^  applied +(\S+)", result.out, re.MULTILINE) == [
        "0001_a",
        "0002_b",
        "0003_c",
    ]
    assert "3 applied" in result.out
    by_yoyo = checkout.rows(RECORDS)
    assert [row[1] for row in by_yoyo] == ["0001_a", "0002_b", "0003_c"]
    assert [row[0] for row in by_yoyo] == [get_migration_hash(row[1]) for row in by_yoyo]
    assert checkout.runner("status").code == 0
    checkout.runner("rollback", "--steps", "3")
    checkout.runner("apply")
    assert checkout.rows(RECORDS) == by_yoyo
    assert "nothing to be applied" in checkout.yoyo("apply").out
    assert [line["operation"] for line in checkout.log_lines()].count("apply") == 6


@one_server
def test_yoyo_list_shows_what_is_applied_and_writes_nothing(checkout: Checkout) -> None:
    """yoyo: stock `yoyo list` creates four tables."""
    result = checkout.yoyo("list")
    assert result.code == 0
    assert re.findall(r"^(\w) +(\w+)", result.out, re.MULTILINE) == [
        ("U", "0001_a"),
        ("U", "0002_b"),
        ("U", "0003_c"),
    ]
    assert checkout.value("select to_regnamespace('yoyo')") is None
    assert tables(checkout) == []
    checkout.runner("apply", "--to", "2")
    result = checkout.yoyo("list")
    assert "".join(re.findall(r"^(\w) +\d", result.out, re.MULTILINE)) == "AAU"


@one_server
def test_yoyo_rollback_rolls_back_one_or_all(checkout: Checkout) -> None:
    checkout.apply()
    result = checkout.yoyo("rollback")
    assert result.code == 0
    assert "rolled back  0003_c" in result.out
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert checkout.database
    for verb in ("rollback", "reapply"):  # all of a database that is not the embedded one
        result = checkout.yoyo(verb, "--all")
        assert result.code == 1
        confirmed = f"python -m runner rollback --all --yes-delete {checkout.database.name}"
        assert f"To confirm, type its name: {confirmed}" in result.err
    assert tables(checkout) == ["a", "b"]
    result = checkout.runner("rollback", "--all", "--yes-delete", checkout.database.name)
    assert result.code == 0, result.err
    assert checkout.applied() == []


@one_server
def test_yoyo_mark_and_unmark_change_only_the_records(checkout: Checkout) -> None:
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
def test_yoyo_develop_applies_then_reapplies_the_last(checkout: Checkout) -> None:
    assert checkout.yoyo("develop").code == 0
    assert tables(checkout) == ["a", "b", "c"]
    before = checkout.value("select 'c'::regclass::oid")
    assert checkout.yoyo("develop").code == 0
    assert checkout.value("select 'c'::regclass::oid") != before


@one_server
def test_yoyo_break_lock_reports_no_lock_to_break(checkout: Checkout) -> None:
    """yoyo: the lock is a table row that outlives a crash."""
    with checkout.migrator():
        result = checkout.yoyo("break-lock")
    assert result.code == 0
    assert "There is no lock to break" in result.out


@one_server
def test_yoyo_waits_for_the_same_lock(checkout: Checkout) -> None:
    with checkout.migrator():
        result = checkout.yoyo("apply", RUNNER_LOCK_WAIT="0")
    assert result.code == 3
    assert "Another run holds the lock: pid " in result.err
    assert tables(checkout) == []


@one_server
def test_yoyo_accepts_runner_url_scheme(checkout: Checkout) -> None:
    """yoyo: `postgresql://` means psycopg2; only `postgresql+psycopg://` means psycopg 3."""
    assert checkout.database
    parts = {
        key: str(value) for key, value in conninfo_to_dict(checkout.database.conninfo()).items()
    }
    url = Target(parts, "", embedded=False).url(show_password=True)
    checkout.environ["DATABASE_URL"] = "postgresql://nowhere.invalid/db"
    result = checkout.yoyo("apply", "-d", url.replace("postgresql://", "runner://"))
    assert result.code == 0, result.err
    assert tables(checkout) == ["a", "b", "c"]


def test_yoyo_parses_full_url_and_masks_its_password(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write(_0001_a="select 1;")
    result = checkout.yoyo(
        "list", "-d", "runner://me:p%40ss@nowhere.invalid:5433/db?sslmode=require"
    )
    assert result.code == 1
    assert "postgresql://me:***@nowhere.invalid:5433/db?sslmode=require" in result.err
    assert "Traceback" not in result.err
    result = checkout.yoyo("list", "-d", "runner://me:p%40ss@h/db?nonsense=1")
    assert result.code == 1
    assert "error: " in result.err
    assert "Traceback" not in result.err
    assert "p@ss" not in result.err


# --- errors are messages, not tracebacks --------------------------------------------------------


@one_server
def test_sql_error_has_position_and_keeps_earlier_migrations(checkout: Checkout) -> None:
    """yoyo: sends each statement separately, with a savepoint; an error is a traceback."""
    checkout.file("sql/0003_c.sql", "create table c ();\nselect oops;\n")
    result = checkout.yoyo("apply")
    assert result.code == 1
    assert "sql/0003_c.sql:2:8" in result.err
    assert "0001_a to 0002_b stay applied. No changes of 0003_c were kept." in result.err
    assert "Traceback" not in result.err
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
def test_invalid_file_yields_a_readable_error(
    checkout: Checkout, name: str, text: str, message: str, command: str
) -> None:
    path = checkout.folder / "sql" / f"{name}.sql"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    result = checkout.yoyo(command)
    assert "Traceback" not in result.err
    if command == "apply":
        assert result.code == 1
        assert message.lower() in result.err.lower()
        assert tables(checkout) == []


@one_server
def test_yoyo_apply_refuses_edited_file(checkout: Checkout) -> None:
    """yoyo: a migration's hash is of its name; an edited applied file is never noticed."""
    checkout.apply()
    checkout.file("sql/0001_a.sql", "create table aa ();")
    checkout.write(_0004_d="create table d ();")
    result = checkout.yoyo("apply")
    assert result.code == 1
    assert "0001_a was edited after being applied" in result.err
    assert tables(checkout) == ["a", "b", "c"]


@one_server
def test_yoyo_force_is_refused(checkout: Checkout) -> None:
    result = checkout.yoyo("apply", "--force")
    assert result.code == 1
    assert "--force would record a migration that partly failed" in result.err
    assert tables(checkout) == []


@one_server
def test_yoyo_mark_with_nothing_pending_succeeds(checkout: Checkout) -> None:
    checkout.apply()
    assert checkout.yoyo("mark").code == 0  # nothing is pending
    assert checkout.yoyo("unmark", "-r", "0003_c").code == 0
    assert checkout.applied() == ["0001_a", "0002_b"]


@one_server
def test_missing_database_yields_a_readable_error(checkout: Checkout) -> None:
    assert checkout.database
    url = checkout.environ["DATABASE_URL"].replace(checkout.database.name, "nosuchdb")
    result = checkout.yoyo("list", DATABASE_URL=url)
    assert result.code == 1
    assert 'database "nosuchdb" does not exist' in result.err
    assert "Traceback" not in result.err


# --- facts about yoyo that we work around -------------------------------------------------------


def test_yoyo_treats_missing_folder_as_empty(tmp_path: Path) -> None:
    """yoyo: a missing directory reads as "nothing to do"; `loader.read` refuses it."""
    assert list(yoyo_migrations.read_migrations(str(tmp_path / "none"))) == []


def test_yoyo_hashes_only_the_name() -> None:
    """yoyo: a migration's hash is of its *name*; so we record a SHA-256 of the content."""
    assert get_migration_hash("0001_a") == get_migration_hash("0001_a")
    one = yoyo_migrations.Migration("0001_a", "/one/0001_a.sql", "/one")
    other = yoyo_migrations.Migration("0001_a", "/other/0001_a.sql", "/other")
    assert one.hash == other.hash


def test_yoyo_reads_directives_only_in_the_leading_lines() -> None:
    """yoyo: directives count only in the leading run of `--` lines; unknown ones are comments."""
    directives, comment, _ = parse_metadata_from_sql_comments(
        "-- depends: a b\n-- indepnedent: true\nselect 1;\n-- transactional: false\n"
    )
    assert directives == {"depends": "a b"}
    assert "indepnedent" in comment


def test_yoyo_splits_statement_with_nested_comment(tmp_path: Path) -> None:
    """yoyo: sqlparse splits inside nested comments; we send a file whole."""
    path = tmp_path / "0001_a.sql"
    path.write_text("select 1 /* a /* b */ ; c */;\n")
    _, _, statements = yoyo_migrations.read_sql_migration(str(path))
    assert len(statements) == 2


def test_yoyo_sorts_file_names_as_text(tmp_path: Path) -> None:
    """yoyo: files are ordered as text; `loader.read` refuses numbers of several widths."""
    for name in ("9_a", "10_b"):
        (tmp_path / f"{name}.sql").write_text("select 1;")
    found = yoyo_migrations.topological_sort(yoyo_migrations.read_migrations(str(tmp_path)))
    assert [migration.id for migration in found] == ["10_b", "9_a"]
