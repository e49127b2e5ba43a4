"""Names made of SQL, shell code and terminal escapes are quoted and displayed safely."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cli_harness import CliHarness
from conftest import Database, Server, one_server
from psycopg import sql

from runner.cli.commands import NAMES
from runner.preflight.checks import out_of_order

EVIL = "x\"'; drop table w; --%s%(a)s\\$$$1`touch own`;touch own#ä\x1b[2J"
NAME = '"' + EVIL.replace('"', '""') + '"'
TEXT = "'" + EVIL.replace("'", "''") + "'"
SHOWN = EVIL.replace("\x1b", "␛")
SHOWN_NAME = NAME.replace("\x1b", "␛")

# The arguments, the exit code, and a part of the output.
COMMAND_LINES: list[tuple[list[str], int, str]] = [
    (["status"], 2, "2 pending"),
    (["plan"], 2, "creates schema"),
    (["plan", "--on", "scratch"], 2, "2 pending"),
    (["plan", "--sql"], 2, "%24%241%60touch"),
    (["apply", "--to", "1"], 0, "1 applied now"),
    (["up"], 0, f"{SHOWN}.{SHOWN} "),
    (["status"], 0, "2 applied, nothing to do"),
    (["types", "--schema", EVIL, "--out", "rows.py"], 0, "rows.py"),
    (["types", "--schema", EVIL, "--lang", "typescript"], 0, "export interface"),
    (["diagram", "--schema", EVIL], 0, "touch own"),
    (["diagram", "--schema", EVIL, "--format", "mermaid"], 0, "#96;touch own"),
    (["report", "--out", EVIL.replace("/", "|")], 0, "isolation not proven"),
    (["studio", "--port", "99999"], 64, "127.0.0.1:99999"),
    (["verify"], 64, "sql/isolation.toml does not exist"),
    (["url"], 0, "/x%22%27%3B%20drop"),
    (["tenant", "export", "o", "--sql-dir", "iso", "--out", "of-o"], 0, f"1  public.{SHOWN_NAME}"),
    (["tenant", "erase", "o", "--sql-dir", "iso", "--yes-erase", "o"], 0, "1  rows erased"),
    (["tenant", "import", "of-o", "--sql-dir", "iso"], 0, "1  rows imported"),
    (["rollback"], 0, "1 rolled back, 1 still applied"),
    (["rollback", "--all"], 1, "type its name: --yes-delete 'x\"'\"'\"'; drop"),
    (["rollback", "--all", "--yes-delete", EVIL], 0, "1 rolled back, 0 still applied"),
    (["apply"], 0, "2 applied now"),
    (["reset", "--yes-delete", EVIL], 0, "2 applied now"),
]
ARGUMENTS = [
    ["import", EVIL],
    ["init", f"{EVIL}/{'x' * 300}"],
    ["apply", "--to", EVIL],
    ["apply", "--accept-edit", EVIL],
    ["rollback", "--to", EVIL],
    ["baseline", "--to", EVIL],
    ["check", "--file", EVIL],
    ["check", "--out-of-order", EVIL],
    ["check", "--base", EVIL],
    ["check", "--base=--output=own"],
    ["verify", "--only", EVIL],
    ["verify", "--schema", EVIL],
    ["types", "--schema", EVIL * 2],
    ["diagram", "--schema", EVIL * 2],
    ["apply", "--sql-dir", EVIL],
    ["seed", "--seeds-dir", EVIL],
    ["status", "--env-file", EVIL],
    ["tenant", "export", EVIL, "--sql-dir", "iso", "--out", "of-o"],
    ["tenant", "erase", "o", "--sql-dir", "iso", "--yes-erase", EVIL],
    ["tenant", "import", EVIL],
    ["rollback", "--all", "--yes-delete", f"{EVIL} "],
    [EVIL],
    ["apply", EVIL],
]


@pytest.fixture(scope="module")
def evil(server: Server) -> Iterator[Database]:
    """A database with that name."""
    name = sql.Identifier(EVIL)
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(name))
        try:
            yield Database(server, EVIL)
        finally:
            conn.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
def cli(tmp_path: Path, evil: Database) -> CliHarness:
    """Schemas, tables, types and functions with that name, and a table that must survive."""
    cli = CliHarness(tmp_path, evil)
    cli.clear()
    cli.do("create table public.w as select 1 as n")
    cli.write_raw(
        "sql/0001_a.sql",
        f"""create schema {NAME};
        create type {NAME}.t as enum ({TEXT});
        create table {NAME}.{NAME} ({NAME} int primary key, t {NAME}.t default {TEXT});
        create table public.{NAME} (org_id text, {NAME} text);
        create index {NAME[:9]}i" on public.{NAME} (org_id);
        create function public.{NAME} ({NAME} int) returns int return 1;
        comment on table public.{NAME} is {TEXT};
        """,
    )
    cli.write_raw(
        "sql/0001_a.rollback.sql",
        f"drop schema {NAME} cascade; drop table public.{NAME}; drop function public.{NAME};",
    )
    cli.write_raw("iso/isolation.toml", '[tenant]\ncolumn = "org_id"\n')
    cli.write_raw("sql/0002_b.sql", f"alter table {NAME}.{NAME} add b int;")
    cli.write_raw("sql/0002_b.rollback.sql", f"alter table {NAME}.{NAME} drop b;")
    cli.write_raw(
        "seeds/a.sql",
        f"insert into {NAME}.{NAME} values (1);\nINSERT into\n public.{NAME} values ('o', {TEXT});",
    )
    return cli


def assert_harmless(cli: CliHarness, *texts: str) -> None:
    assert cli.rows("select n from public.w") == [(1,)]
    assert not (cli.folder / "own").exists()
    for text in texts:
        assert "\x1b" not in text
        assert "Traceback" not in text


@one_server
def test_all_commands_handle_a_database_schemas_and_tables_with_that_name(cli: CliHarness) -> None:
    for words, code, says in COMMAND_LINES:
        result = cli.main(*words)
        assert result.code == code, (words, result)
        assert says in result.out + result.err, (words, result)
        for_psql = "--sql" in words  # printed unescaped, because psql reads it
        assert_harmless(cli, *([] if for_psql else [result.out]), result.err)
    assert cli.rows(f"select * from public.{NAME}") == [("o", EVIL)]
    compiled = subprocess.run(
        [sys.executable, "-m", "py_compile", cli.folder / "rows.py"], check=False
    )
    assert compiled.returncode == 0
    result = cli.runner("psql", "--", "-XAtc", "select current_database()")
    assert result.out == f"{EVIL}\n"
    assert_harmless(cli)


@one_server
def test_all_arguments_handle_that_text(cli: CliHarness) -> None:
    assert cli.main("apply").code == 0
    for words in ARGUMENTS:
        result = cli.main(*words)
        assert result.code in (1, 64), (words, result)
        assert_harmless(cli, result.out, result.err)
    assert cli.applied() == ["0001_a", "0002_b"]
    tried = {words[0] for words, *_ in COMMAND_LINES} | {words[0] for words in ARGUMENTS}
    assert set(NAMES) - tried == {"new", "psql", "down"}, "add the new command to this test"


@one_server
def test_the_name_of_a_new_file_is_sanitized(cli: CliHarness) -> None:
    result = cli.main("new", EVIL)
    assert result.code == 0
    words = "x_drop_table_w_s_a_s_1_touch_own_touch_own_2j"
    assert result.out.split() == [f"sql/0003_{words}.sql", f"sql/0003_{words}.rollback.sql"]
    assert_harmless(cli, result.err)


@one_server
def test_a_record_with_that_name_is_displayed_safely(cli: CliHarness) -> None:
    """Another writer of the migration tables must not be able to attack their readers."""
    assert cli.main("apply").code == 0
    with psycopg.connect(cli.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute(
            "insert into yoyo._yoyo_migration (migration_hash, migration_id, applied_by)"
            " values ('x', %s, %s)",
            [EVIL, EVIL],
        )
    result = cli.main("status")
    assert (result.code, result.out.count(SHOWN)) == (2, 2), result
    assert_harmless(cli, result.out, result.err)
    lines = cli.main("status", "--json").document["migrations"]
    assert [line["id"] for line in lines if line["state"] == "missing"] == [EVIL]
    for words in (["apply"], ["rollback"], ["baseline"], ["plan"], ["up", "-v"]):
        result = cli.main(*words)
        assert result.code in (0, 1, 2, 64), result
        assert_harmless(cli, result.out, result.err)


@one_server
def test_errors_raised_by_a_file_are_escaped(cli: CliHarness) -> None:
    cli.write_raw(
        "sql/0003_c.sql",
        f"do $q$ begin raise exception using message = {TEXT}, detail = {TEXT}, hint = {TEXT}; "
        "end $q$;",
    )
    result = cli.main("apply")
    assert result.code == 1
    for label in ("error", "detail", "hint"):
        assert f"{label}: {SHOWN}\n" in result.err
    assert_harmless(cli, result.out, result.err)
    assert cli.log_lines()[-1]["error"] == EVIL


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_non_ascii_file_names_are_found_in_git(tmp_path: Path) -> None:
    """By default, git quotes such names in its output."""
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "0001_a.sql").write_text("select 1;")
    (folder / "0003_ünï.sql").write_bytes(b"select 'caf\xe9';")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True, env={**os.environ, "HOME": "/"})
    (folder / "0002_b.sql").write_text("select 1;")
    with out_of_order.against(folder, "HEAD") as (files, added):
        assert [file.id for file in files] == ["0001_a", "0002_b", "0003_ünï"]
        assert [file.id for file in added] == ["0002_b"]
