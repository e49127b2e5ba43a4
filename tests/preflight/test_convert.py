"""`import`: the files of other tools become files here, byte for byte, with what was applied."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server

from runner.errors import RunnerError
from runner.preflight import convert

_BOM = "\ufeff"
OUTSIDE = "-- transactional: false\n"
INDEX = "create index concurrently i on a (b);\n"
# The files of a tool, and those that they become.
FOLDERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "goose": (
        {
            "00001_a.sql": "-- Prose.\n-- +goose Up\n-- +goose StatementBegin\ncreate table a ();\n"
            "-- +goose StatementEnd\n-- +goose down\ndrop table a;",
            "00010_b.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n{INDEX}-- +goose Down\n",
        },
        {
            "0001_a.sql": "-- Prose.\ncreate table a ();\n",
            "0001_a.rollback.sql": "drop table a;",
            "0010_b.sql": OUTSIDE + INDEX,
        },
    ),
    "dbmate": (
        {
            "20240101120000_a.sql": "-- migrate:up\r\ncreate table a ();\r\n-- migrate:down\r\n"
            "drop table a;\r\n",
            "20240102120000_b.sql": f"-- migrate:up transaction:false\n{INDEX}-- migrate:down\n"
            "drop index i;\n",
        },
        {
            "20240101120000_a.sql": "create table a ();\r\n",
            "20240101120000_a.rollback.sql": "drop table a;\r\n",
            "20240102120000_b.sql": OUTSIDE + INDEX,
            "20240102120000_b.rollback.sql": "drop index i;\n",
        },
    ),
    "tern": (
        {"001_a.sql": "create table a ();\n---- create above / drop below ----\ndrop table a;\n"},
        {"0001_a.sql": "create table a ();\n", "0001_a.rollback.sql": "drop table a;\n"},
    ),
    "golang-migrate": (
        {
            "9_a.up.sql": "BEGIN;\ncreate table a ();\nCOMMIT;\n",
            "9_a.down.sql": "drop table a;\n",
            "10_b.up.sql": INDEX,
        },
        {
            "0009_a.sql": "create table a ();\n",
            "0009_a.rollback.sql": "drop table a;\n",
            "0010_b.sql": OUTSIDE + INDEX,
        },
    ),
    "sqlx": (
        {"20240101120000_a.sql": f"-- no-transaction\n{INDEX}"},
        {"20240101120000_a.sql": OUTSIDE + INDEX},
    ),
    "Prisma": (
        {
            "20240101120000_a b/migration.sql": "-- CreateTable\nCREATE TABLE a ();\n",
            "20240102120000_b/migration.sql": f"BEGIN;\n{INDEX}COMMIT;\n",
            "20240102120000_b/down.sql": "drop index i;\n",
            "migration_lock.toml": 'provider = "postgresql"\n',
        },
        {
            "20240101120000_a_b.sql": "-- CreateTable\nCREATE TABLE a ();\n",
            "20240102120000_b.sql": OUTSIDE + INDEX,
            "20240102120000_b.rollback.sql": "drop index i;\n",
        },
    ),
    "Prisma with numbers": (
        {"0_init/migration.sql": "select 0;\n", "20240101120000_a/migration.sql": "select 1;\n"},
        {"0001_init.sql": "select 0;\n", "0002_a.sql": "select 1;\n"},
    ),
    "Diesel": (
        {
            "00000000000000_setup/up.sql": "select 0;\n",
            "2024-01-01-120000_a/up.sql": "create table a ();\n",
            "2024-01-01-120000_a/down.sql": "drop table a;\n",
            "2024-01-01-120001-0000_b/up.sql": "select 1;\n",
            "2024-01-01-120001-0000_b/metadata.toml": "run_in_transaction = false\n",
            "2024-01-01-120001-000a_c/up.sql": "select 2;\n",
        },
        {
            "0001_setup.sql": "select 0;\n",
            "0002_a.sql": "create table a ();\n",
            "0002_a.rollback.sql": "drop table a;\n",
            "0003_b.sql": f"{OUTSIDE}select 1;\n",
            "0004_c.sql": "select 2;\n",
        },
    ),
    "Hasura": (
        {
            "default/1612345678901_a/up.sql": "create table a ();\n",
            "default/1612345678901_a/down.sql": "drop table a;\n",
        },
        {
            "1612345678901_a.sql": "create table a ();\n",
            "1612345678901_a.rollback.sql": "drop table a;\n",
        },
    ),
    "Flyway": (
        {
            "V1.2__b b.sql": "create table b ();\n",
            "V1.10__c.sql": "vacuum;\n",
            "V1__a.sql": "create table a ();\n",
            "V1__a.sql.conf": "executeInTransaction=false\n",
            "U1.2__b.sql": "drop table b;\n",
            "R__v.sql": "create or replace view v as select 1 as a;\n",
        },
        {
            "0001_a.sql": f"{OUTSIDE}create table a ();\n",
            "0002_b_b.sql": "create table b ();\n",
            "0002_b_b.rollback.sql": "drop table b;\n",
            "0003_c.sql": f"{OUTSIDE}vacuum;\n",
            "0004_v.sql": "create or replace view v as select 1 as a;\n",
        },
    ),
}


def folder(path: Path, files: dict[str, str]) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(text.encode())
    return path


@pytest.mark.parametrize("tool", FOLDERS)
def test_files_of_another_tool_become_files_here(tool: str, tmp_path: Path) -> None:
    theirs, ours = FOLDERS[tool]
    read = convert.read(folder(tmp_path / "theirs", theirs))
    written = convert.write(read, tmp_path / "new" / "ours")
    assert {path.name: path.read_bytes().decode() for path in written} == ours
    with pytest.raises(RunnerError, match="has files already"):
        convert.write(read, tmp_path / "new" / "ours")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("00002_b.go", "package main", "00002_b.go cannot be converted: it is not SQL"),
        ("V2__B.java", "class B {}", "V2__B.java cannot be converted: it is not SQL"),
        ("2_b.sql", "-- +goose Up\n-- +goose ENVSUB ON\nselect '${X}';", "it has variables of"),
        ("2_b.sql", "select {{.x}};\n---- create above / drop below ----\n", "a template of tern"),
        ("V2__b.sql", "create table ${name} ();", "a placeholder of Flyway: ${name}"),
        ("B2__b.sql", "create table b ();", "it does not have the name of a migration"),
        ("notes.sql", "select 1;", "it does not have the name of a migration"),
        ("notes/migration.sql", "select 1;", "it does not have the name of a migration"),
        ("1_b/migration.sql", "create table b ();", "it has the number of 1_a.sql"),
        ("1_b.sql", "create table b ();", "it has the number of 1_a.sql"),
        ("2_b.SQL", "create table b ();", "it does not have the name of a migration"),
        ("2_b.sql", "-- +goose Up\n-- +goose StatementBegin\nselect 1;\n", "without StatementEnd"),
        ("2_b.sql", "select 1;\n-- +goose Down\nselect 2;\n", "of what applies it: -- +goose Up"),
        ("2_b.sql", "select 1;\n-- migrate:down\nselect 2;\n", "applies it: -- migrate:up"),
        ("2_b.sql", "create table b ();\n-- down\ndrop table b;\n", "it would not run here"),
        ("2_b.sql", "-- +goose Up\n-- +goose Down\ndrop table b;\n", "it has no statements"),
        ("2_b.sql", "create table b (); commit;", "it would not run here: 0002_b.sql"),
        ("2_b.sql", "-- depends: x\ncreate table b ();", "would not run here: 0002_b.sql depends"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(
    name: str, text: str, why: str, tmp_path: Path
) -> None:
    theirs = folder(tmp_path / "theirs", {"1_a.sql": "create table a ();", name: text})
    with pytest.raises(RunnerError) as caught:
        convert.write(convert.read(theirs), tmp_path / "ours")
    assert why in caught.value.message, caught.value.message
    assert str(tmp_path / "theirs" / name) in caught.value.message
    assert not (tmp_path / "ours").exists()


DOWN = "\n-- Down Migration\n"  # a mark of node-pg-migrate
BODY = "create function f() returns text language sql as $$ select '\n-- +goose Down\n'\n$$;\n"
# Names and texts of theirs; what applies it and what undoes it.
MARKS: dict[str, tuple[dict[str, str], str, str]] = {
    "a down file is all of it": (
        {"1_a.up.sql": "select 1;\n", "1_a.down.sql": "-- Down migration\ndrop table t;"},
        "select 1;\n",
        "drop table t;",
    ),
    "a name has the direction": (
        {"V1__a.sql": f"select 1;{DOWN}select 2;", "U1__a.sql": "-- migrate:down\nselect 3;"},
        "select 1;\nselect 2;",
        "select 3;",
    ),
    "Postgrator": (
        {"1.do.a.sql": f"select 1;{DOWN}select 2;\n", "1.undo.a.sql": "-- +goose Up\nselect 3;"},
        "select 1;\nselect 2;\n",
        "select 3;",
    ),
    "a mark in a body": (
        {"1_a.up.sql": f"do $$ begin{DOWN}end $$;\n"},
        f"do $$ begin{DOWN}end $$;\n",
        "",
    ),
    "a mark in quotes and comments": (
        {"1_a.sql": f"{_BOM}-- +goose Up\n{BODY}/*\n-- +goose Down\n*/\n-- +goose Down\nselect 1;"},
        f"{_BOM}{BODY}/*\n-- +goose Down\n*/\n",
        "select 1;",
    ),
    "no-transaction in the middle": (
        {"1_a.sql": "select 1;\n-- no-transaction\nselect 2;\n"},
        "select 1;\n-- no-transaction\nselect 2;\n",
        "",
    ),
    "no-transaction of another tool": (
        {"1_a.sql": "-- no-transaction\n-- migrate:up\nselect 1;\n"},
        "-- no-transaction\nselect 1;\n",
        "",
    ),
    "no-transaction below prose": (
        {"1_a.up.sql": "-- Prose.\n-- no-transaction\nselect 1;\n"},
        f"{OUTSIDE}-- Prose.\nselect 1;\n",
        "",
    ),
    "one tool in a file": (
        {"1_a.sql": "-- migrate:up\nselect 1;\n---- tern: disable-tx ----\n-- migrate:down\n"},
        "select 1;\n---- tern: disable-tx ----\n",
        "",
    ),
    "commit in quotes": (
        {"1_a.up.sql": "begin work ;\nselect '\ncommit;\n';\ncommit;\n-- End.\n"},
        "select '\ncommit;\n';\n-- End.\n",
        "",
    ),
}


@pytest.mark.parametrize("case", MARKS)
def test_a_mark_counts_only_where_its_tool_reads_it(case: str, tmp_path: Path) -> None:
    theirs, up, down = MARKS[case]
    [read] = convert.read(folder(tmp_path / "theirs", theirs))
    assert (read.up, read.down) == (up, down)


@one_server
def test_a_file_that_the_tool_has_not_run_is_not_recorded(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    for name in ("V1__a", "V1_1__data", "V2__c", "V11__d"):
        checkout.file(f"theirs/{name}.sql", "insert into a values (1);\n")
        checkout.file(f"goose/{name[1:].replace('1_1_', '3')}.sql", "insert into a values (1);\n")
    checkout.file("theirs/V1__a.sql", "create table a (b int);\n")
    checkout.file("goose/1__a.sql", "create table a (b int);\n")
    history = (
        "drop table if exists flyway_schema_history; create table flyway_schema_history"
        " (installed_rank int, version text, type text, script text, success boolean);"
        "insert into flyway_schema_history values"
    )
    one, minor, two = (
        "(1, '1', 'SQL', 'V1__a.sql', true)",
        "(2, '1.1', 'SQL', 'V1_1__data.sql', true)",
        "(3, '2', 'SQL', 'V2__c.sql', true)",
    )
    undone = "(4, '2', 'UNDO_SQL', 'U2__c.sql', true)"
    with empty_database.connect(autocommit=True) as conn:
        conn.execute("create table a (b int)")
        for number, (rows, last) in enumerate(
            {
                (one,): "0001_a",
                (one, minor): "0002_data",
                (one, minor, two): "0003_c",
                (one, minor, two, undone): "0002_data",
                (one, minor, two, undone, two.replace("3", "5", 1)): "0003_c",
                ("(1, '2', 'BASELINE', '<< Flyway Baseline >>', true)",): "",
                (one, two): "",
            }.items()
        ):
            conn.execute(f"{history} {', '.join(rows)}".encode())
            conn.execute("drop schema if exists yoyo cascade")
            done = checkout.runner("import", "theirs", "--sql-dir", f"sql{number}")
            if last:
                assert f"recorded as applied: up to {last}\n" in done.out, (rows, done.err)
                continue
            assert (done.code, "has not applied V1_1__data.sql" in done.err) == (1, True), done.err
            assert "nothing was recorded." in done.err
        conn.execute(
            "drop table flyway_schema_history;"
            "create table goose_db_version (id serial, version_id bigint, is_applied boolean);"
            "insert into goose_db_version (version_id, is_applied) values (1, true), (3, true)"
        )
        done = checkout.runner("import", "goose")
        assert (done.code, "goose has not applied 2__c.sql" in done.err) == (1, True), done.err
        assert checkout.applied() == []


@one_server
def test_what_the_tool_has_applied_is_recorded(tmp_path: Path, empty_database: Database) -> None:
    checkout = Checkout(tmp_path, empty_database)
    for name, text in {
        "V1__a.sql": "create table a (b int);\n",
        "V1.1__b.sql": "create table b (b int);\n",
        "V2__c.sql": "create table c (b int);\n",
        "R__v.sql": "create or replace view v as select 1 as a;\n",
    }.items():
        checkout.file(f"theirs/{name}", text)
    with empty_database.connect(autocommit=True) as conn:
        conn.execute(
            "create table flyway_schema_history (installed_rank int, script text, success boolean);"
            "insert into flyway_schema_history values (1, 'V1__a.sql', true),"
            " (2, 'V1.1__b.sql', true), (3, 'R__v.sql', true);"
            "create table a (b int)"
        )
        listed = checkout.runner("import", "theirs", "--dry-run")
        assert "V1.1__b.sql  0002_b.sql" in listed.out
        assert not (tmp_path / "sql").exists()
        differs = checkout.runner("import", "theirs", "--sql-dir", "early")
        assert (differs.code, "table public.b: in the files and not here" in differs.err) == (1, 1)
        assert "4 files written to early; nothing was recorded." in differs.err
        assert "baseline --to 0002_b" in checkout.runner("status", "--sql-dir", "early").out
        conn.execute("create table b (b int)")
        done = checkout.runner("import", "theirs")
        assert (done.code, "recorded as applied: up to 0002_b" in done.out) == (0, True), done.err
        assert "python -m runner check --after 0004_v\n" in done.err
        again = checkout.runner("import", "theirs")
        assert (again.code, "there" in again.out) == (64, False)  # no table as if it were done
    assert "applied  0002_b" in (shown := checkout.runner("status").out)
    assert "pending  0003_c" in shown


@one_server
def test_records_name_the_folder_of_a_migration(tmp_path: Path, empty_database: Database) -> None:
    """Or its digits, or its content; a number that is the same says nothing."""
    checkout = Checkout(tmp_path, empty_database)
    text = "create table if not exists a (b int);\n"
    content = hashlib.sha256(text.encode()).hexdigest()
    for tool, first, table, column, value, recorded in (
        ("prisma", "20240101120000_a/migration.sql", "_prisma_migrations", "migration_name",
         "20240101120000_a", True),
        ("other", "20240101120000_a/migration.sql", "_prisma_migrations", "migration_name",
         "20240101120000_of_another_branch", False),
        ("diesel", "2024-01-01-120000-0000_a/up.sql", "__diesel_schema_migrations", "version",
         "202401011200000000", True),
        ("drizzle", "0001_a.sql", "__drizzle_migrations", "hash", content, True),
        ("hashes", "0001_a.sql", "__drizzle_migrations", "hash", "01" + content[2:], False),
    ):  # fmt: skip
        checkout.file(f"{tool}/{first}", text)
        schema = "drizzle" if "drizzle" in table else "public"
        with empty_database.connect(autocommit=True) as conn:
            conn.execute("create table if not exists a (b int); drop schema if exists yoyo cascade")
            conn.execute(
                f"create schema if not exists {schema}; create table {schema}.{table}"
                f" ({column} text, finished_at date, rolled_back_at date);"
                f"insert into {schema}.{table} values ('{value}', now(), null)".encode()
            )
            done = checkout.runner("import", tool, "--sql-dir", f"sql_{tool}")
            assert done.code == 0, done.err
            assert ("recorded as applied: up to" in done.out) is recorded, (tool, done.out)
            conn.execute(f"drop table {schema}.{table}".encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("0001_a.sql", "-- +goose Up\ncreate table a ();\n-- +goose Down\ndrop table a;\n"),
        ("V1__a.sql", "create table a ();\n"),
        ("0001_a.up.sql", "create table a ();\n"),
        ("001.do.a.sql", "create table a ();\n"),
        ("0001_a/migration.sql", "create table a ();\n"),
    ],
)
def test_a_refused_folder_comes_with_the_command_that_rewrites_it(
    name: str, text: str, tmp_path: Path
) -> None:
    """It can be pasted: no option is there twice, and the folder is named."""
    checkout = Checkout(tmp_path)
    checkout.file(f"the db/{name}", text)
    refused = checkout.runner("check", "--sql-dir", "the db")
    assert refused.code in (1, 64)
    assert "python -m runner import 'the db' --sql-dir NEW\n" in refused.err, refused.err
    made = checkout.runner("import", "the db", "--sql-dir", "NEW")
    assert "check --sql-dir" not in made.err
    assert (made.code, "python -m runner --sql-dir NEW check" in made.err) == (0, True), made.err
