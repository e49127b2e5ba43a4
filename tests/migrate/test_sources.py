"""A further source of migrations, a folder in sql/, through both command lines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkout import CLEARED_PREFIXES, Checkout
from conftest import Database, one_server

from runner import settings
from runner.cli.main import main

BOTH = ("sql", "sql/more")


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    checkout = Checkout(tmp_path, empty_database)
    for name, depends in (("0001_a", ""), ("0002_b", ""), ("more/0001_x", "-- depends: 0001_a\n")):
        table = name[-1]
        checkout.file(f"sql/{name}.sql", f"-- {name}\n{depends}create table {table} ();\n")
        checkout.file(f"sql/{name}.rollback.sql", f"drop table {table};\n")
    return checkout


@pytest.fixture
def run(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """Run a command in this process, and return its JSON document."""
    monkeypatch.chdir(checkout.folder)
    for name in os.environ:
        if name.startswith(CLEARED_PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", checkout.environ["DATABASE_URL"])

    def run(*args: str) -> dict[str, Any]:
        main([*args, "--json"])
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return run


def done(document: dict[str, Any]) -> list[str]:
    assert document["ok"], document
    return [one["id"] for one in document["done"]]


def listed(checkout: Checkout, *sources: str) -> list[str]:
    """What `yoyo list` says of each file: A for applied, U for not."""
    result = checkout.yoyo("list", *sources)
    assert result.code == 0, result.err
    lines = [" ".join(line.split()[:2]) for line in result.out.splitlines() if line[:1] in "AU"]
    return sorted(lines, key=lambda line: line[-1])


@one_server
def test_further_source_is_applied_known_and_rolled_back(
    checkout: Checkout, run: Callable[..., dict[str, Any]]
) -> None:
    assert done(run("apply")) == ["0001_a", "0002_b"]
    assert done(run("apply", "--with", "more")) == ["more/0001_x"]
    assert done(run("apply", "--with", "more")) == []
    checkout.write(_0003_c="create table c ();\n", _0003_c__rollback="drop table c;\n")
    assert [(m["id"], m["source"], m["state"]) for m in run("status")["migrations"]] == [
        ("0001_a", None, "applied"),
        ("more/0001_x", "more", "applied"),
        ("0002_b", None, "applied"),
        ("0003_c", None, "pending"),
    ]
    assert [one["id"] for one in run("plan")["pending"]] == ["0003_c"]
    assert done(run("apply")) == ["0003_c"]
    assert listed(checkout, *BOTH) == ["A 0001_a", "A 0002_b", "A 0003_c", "A 0001_x"]
    assert listed(checkout, "sql") == ["A 0001_a", "A 0002_b", "A 0003_c"]
    assert run("verify", "--only", "drift")["ok"]
    checkout.do("alter table x add column by_hand int")
    drift = run("verify", "--only", "drift")
    assert [breach["subject"] for breach in drift["breaches"]] == ["column public.x.by_hand"]
    checkout.do("alter table x drop column by_hand")

    # The newest first; and a file that another source needs only together with that.
    refused = checkout.yoyo("rollback", "--batch", "-r", "0001_a", "sql")
    assert refused.code == 1
    assert "0001_a cannot be rolled back: more/0001_x is applied and depends on it" in refused.err
    assert done(run("rollback", "--steps", "2")) == ["0003_c", "more/0001_x"]
    assert [line["id"] for line in checkout.log_lines()][-2:] == ["0003_c", "more/0001_x"]
    assert done(run("apply", "--to", "more/0001", "--with", "more")) == ["more/0001_x"]
    name = checkout.database.name if checkout.database else ""
    everything = done(run("rollback", "--all", "--yes-delete", name))
    assert everything == ["more/0001_x", "0002_b", "0001_a"]


@one_server
def test_yoyo_applies_a_further_source_as_the_runner_does(
    checkout: Checkout, run: Callable[..., dict[str, Any]]
) -> None:
    records = (
        "select migration_hash, migration_id, code_sha256 from yoyo._yoyo_migration order by 2"
    )
    applied = checkout.yoyo("apply", "--batch", *BOTH)
    assert applied.code == 0, applied.err
    by_yoyo = checkout.rows(records)
    assert checkout.applied() == ["0001_a", "0002_b", "more/0001_x"]
    rolled_back = checkout.yoyo("rollback", "--batch", "-r", "0001_x", *BOTH)
    assert rolled_back.code == 0, rolled_back.err
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert done(run("apply", "--with", "more")) == ["more/0001_x"]
    assert checkout.rows(records) == by_yoyo


@one_server
def test_a_recorded_source_whose_folder_has_no_file_is_missing(
    checkout: Checkout, run: Callable[..., dict[str, Any]]
) -> None:
    assert len(done(run("apply", "--with", "more"))) == 3
    more = checkout.folder / "sql" / "more"
    (more / "isolation").mkdir()
    checkout.file("sql/more/README.md", "none")
    for ending in (".sql", ".rollback.sql"):
        (more / f"0001_x{ending}").rename(checkout.folder / "sql" / f"0003_x{ending}")
    states = {one["id"]: one["state"] for one in run("status")["migrations"]}
    assert states["more/0001_x"] == "missing"
    checkout.file("sql/0003_x.sql", "-- 0001_x\n-- depends: 0001_a\ncreate table x ();\n")
    checkout.file("sql/0004_y.sql", "select 1 / 0;\n")
    document = run("apply", "--renumbered")
    assert "division by zero" in document["error"]["message"]
    assert checkout.applied() == ["0001_a", "0002_b", "0003_x"]
    assert document["error"]["state"].startswith("The records of 0003_x were changed.")
    checkout.file("sql/0004_y.sql", "copy a from stdin;\n")
    for name in ("0003_x", "0005_x"):
        for ending in (".sql", ".rollback.sql"):
            path = checkout.folder / "sql" / f"{name}{ending}"
            if path.exists():
                path.rename(checkout.folder / "sql" / f"0005_x{ending}")
    error = run("apply", "--renumbered", "--to", "0005_x", "--out-of-order")["error"]
    assert checkout.applied() == ["0001_a", "0002_b", "0005_x"]
    assert error["state"].startswith("The records of 0005_x were changed.")
    assert "No changes" not in error["state"]


@one_server
def test_the_folder_of_isolation_tests_is_no_source(
    checkout: Checkout, run: Callable[..., dict[str, Any]]
) -> None:
    checkout.file("sql/isolation/0001_x.sql", "select 1;\n")
    before = sorted(checkout.folder.rglob("*"))
    for words in (["apply"], ["status"], ["new", "foo"]):
        error = run(*words, "--with", "isolation")["error"]
        assert error["exit_code"] == 64
        assert "sql/isolation is for the SQL tests of verify" in error["message"]
    assert [path for path in sorted(checkout.folder.rglob("*.sql")) if path not in before] == []


@one_server
def test_other_commands_take_a_further_source(
    checkout: Checkout, run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.do("create table a (); create table b (); create table x ()")
    assert done(run("baseline", "--with", "more")) == ["0001_a", "more/0001_x", "0002_b"]
    made = run("new", "add_y", "--with", "more")["files"]
    assert made == ["sql/more/0002_add_y.sql", "sql/more/0002_add_y.rollback.sql"]
    text = (checkout.folder / made[0]).read_text(encoding="utf-8")
    assert "-- depends: 0002_b 0001_x\n" in text
    assert run("new", "first", "--with", "third")["files"][0] == "sql/third/0001_first.sql"
    monkeypatch.setenv("RUNNER_WITH", "more")
    assert run("new", "add_z")["files"][0] == "sql/0003_add_z.sql"
    monkeypatch.delenv("RUNNER_WITH")
    (checkout.folder / "sql" / "more").rename(checkout.folder / "sql" / "moved")
    assert "more/0001_x is moved/0001_x" in run("apply", "--with", "moved")["error"]["message"]
    for name in ("0003_add_z", "moved/0002_add_y", "third/0001_first"):
        for ending in (".sql", ".rollback.sql"):
            (checkout.folder / "sql" / f"{name}{ending}").unlink()
    assert done(run("apply", "--with", "moved", "--renumbered")) == ["moved/0001_x"]
    assert checkout.applied() == ["0001_a", "0002_b", "moved/0001_x"]
    assert run("new", "x", "--with", "../up")["exit_code"] == 64
    assert not (checkout.folder / "up").exists()
    error = run("apply", "--with", "nowhere")["error"]
    assert error["exit_code"] == 64
    assert "sql/nowhere does not exist" in error["message"]


def test_sources_come_from_flag_environment_or_yoyo_ini(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.load(environ={}).sources == ()
    ini = "[DEFAULT]\nsources = sql sql/citus\n    sql/more elsewhere/other\ndatabase = runner://\n"
    Path("yoyo.ini").write_text(ini, encoding="utf-8")
    assert settings.load(environ={}).sources == ("citus", "more")
    assert settings.load(environ={"RUNNER_WITH": "a b"}).sources == ("a", "b")
    assert settings.load(environ={"RUNNER_WITH": "a"}, sources=["c"]).sources == ("c",)
