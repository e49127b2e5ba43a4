"""Names that are SQL, shell and terminal codes: quoted everywhere, shown as they are, harmless."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cli_harness import Desk
from conftest import Database, Server
from psycopg import sql

from runner.cli.main import COMMANDS
from runner.preflight.checks import out_of_order

one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)

EVIL = "x\"'; drop table w; --%s%(a)s\\$$$1`touch own`;touch own#ä\x1b[2J"
NAME = '"' + EVIL.replace('"', '""') + '"'
TEXT = "'" + EVIL.replace("'", "''") + "'"
SHOWN = EVIL.replace("\x1b", "␛")

# What is typed, the exit code, and a part of what is said.
DAY: list[tuple[list[str], int, str]] = [
    (["status"], 2, "2 pending"),
    (["plan"], 2, "makes schema"),
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
    (["verify"], 1, "This is not the schema of sql/"),
    (["url"], 0, "/x%22%27%3B%20drop"),
    (["rollback"], 0, "1 rolled back, 1 stay"),
    (["rollback", "--all"], 1, "type its name: --yes-delete 'x\"'\"'\"'; drop"),
    (["rollback", "--all", "--yes-delete", EVIL], 0, "1 rolled back, 0 stay"),
    (["apply"], 0, "2 applied now"),
    (["reset", "--yes-delete", EVIL], 0, "2 applied now"),
]
ARGUMENTS = [
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
    ["rollback", "--all", "--yes-delete", f"{EVIL} "],
    [EVIL],
    ["apply", EVIL],
]


@pytest.fixture(scope="module")
def evil(server: Server) -> Iterator[Database]:
    """A database by that name."""
    name = sql.Identifier(EVIL)
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(name))
        try:
            yield Database(server, EVIL)
        finally:
            conn.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
def desk(tmp_path: Path, evil: Database) -> Desk:
    """Schemas, tables, types, functions of that name, and a table that must stay."""
    desk = Desk(tmp_path, evil)
    desk.clear()
    desk.do("create table public.w as select 1 as n")
    desk.lay(
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
    desk.lay(
        "sql/0001_a.rollback.sql",
        f"drop schema {NAME} cascade; drop table public.{NAME}; drop function public.{NAME};",
    )
    desk.lay("sql/0002_b.sql", f"alter table {NAME}.{NAME} add b int;")
    desk.lay("sql/0002_b.rollback.sql", f"alter table {NAME}.{NAME} drop b;")
    desk.lay(
        "seeds/a.sql",
        f"insert into {NAME}.{NAME} values (1);\nINSERT into\n public.{NAME} values ('o', {TEXT});",
    )
    return desk


def assert_harmless(desk: Desk, *texts: str) -> None:
    assert desk.rows("select n from public.w") == [(1,)]
    assert not (desk.folder / "own").exists()
    for text in texts:
        assert "\x1b" not in text
        assert "Traceback" not in text


@one_server
def test_a_day_with_a_database_schemas_and_tables_of_that_name(desk: Desk) -> None:
    for words, code, says in DAY:
        said = desk.main(*words)
        assert said.code == code, (words, said)
        assert says in said.out + said.err, (words, said)
        to_the_letter = "--sql" in words  # for psql to read
        assert_harmless(desk, *([] if to_the_letter else [said.out]), said.err)
    assert desk.rows(f"select * from public.{NAME}") == [("o", EVIL)]
    compiled = subprocess.run(
        [sys.executable, "-m", "py_compile", desk.folder / "rows.py"], check=False
    )
    assert compiled.returncode == 0
    said = desk.runner("psql", "--", "-XAtc", "select current_database()")
    assert said.out == f"{EVIL}\n"
    assert_harmless(desk)


@one_server
def test_arguments_of_that_text_name_nothing(desk: Desk) -> None:
    assert desk.main("apply").code == 0
    for words in ARGUMENTS:
        said = desk.main(*words)
        assert said.code in (1, 64), (words, said)
        assert_harmless(desk, said.out, said.err)
    assert desk.applied() == ["0001_a", "0002_b"]
    tried = {words[0] for words, *_ in DAY} | {words[0] for words in ARGUMENTS}
    assert set(COMMANDS) - tried == {"new", "psql", "down"}, "a new command has to be tried, too"


@one_server
def test_a_new_file_has_a_name_of_letters_only(desk: Desk) -> None:
    said = desk.main("new", EVIL)
    assert said.code == 0
    words = "x_drop_table_w_s_a_s_1_touch_own_touch_own_2j"
    assert said.out.split() == [f"sql/0003_{words}.sql", f"sql/0003_{words}.rollback.sql"]
    assert_harmless(desk, said.err)


@one_server
def test_a_record_of_that_name_is_shown_as_it_is(desk: Desk) -> None:
    """Whoever may write to the ledger may not reach whoever reads it."""
    assert desk.main("apply").code == 0
    with psycopg.connect(desk.environ["DATABASE_URL"], autocommit=True) as conn:
        conn.execute(
            "insert into yoyo._yoyo_migration (migration_hash, migration_id, applied_by)"
            " values ('x', %s, %s)",
            [EVIL, EVIL],
        )
    said = desk.main("status")
    assert (said.code, said.out.count(SHOWN)) == (2, 2), said
    assert_harmless(desk, said.out, said.err)
    lines = desk.main("status", "--json").document["migrations"]
    assert [line["id"] for line in lines if line["state"] == "missing"] == [EVIL]
    for words in (["apply"], ["rollback"], ["baseline"], ["plan"], ["up", "-v"]):
        said = desk.main(*words)
        assert said.code in (0, 1, 64), said
        assert_harmless(desk, said.out, said.err)


@one_server
def test_what_a_file_raises_reaches_no_terminal(desk: Desk) -> None:
    desk.lay(
        "sql/0003_c.sql",
        f"do $q$ begin raise exception using message = {TEXT}, detail = {TEXT}, hint = {TEXT}; "
        "end $q$;",
    )
    said = desk.main("apply")
    assert said.code == 1
    for label in ("error", "detail", "hint"):
        assert f"{label}: {SHOWN}\n" in said.err
    assert_harmless(desk, said.out, said.err)
    assert desk.log_lines()[-1]["error"] == EVIL


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_names_beyond_ascii_are_found_in_git(tmp_path: Path) -> None:
    """git quotes them, unless asked not to."""
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "0001_a.sql").write_text("select 1;")
    (folder / "0003_ünï.sql").write_bytes(b"select 'caf\xe9';")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True, env={**os.environ, "HOME": "/"})
    (folder / "0002_b.sql").write_text("select 1;")
    with out_of_order.against(folder, "HEAD") as (files, late_ones):
        assert [file.id for file in files] == ["0001_a", "0002_b", "0003_ünï"]
        assert [file.id for file in late_ones] == ["0002_b"]
