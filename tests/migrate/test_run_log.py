"""The run log: one line of JSON for every file applied, rolled back, seeded or failed."""

from __future__ import annotations

import json
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server

from runner.errors import UsageError
from runner.events import Event, Note
from runner.migrate.run_log import RunLog
from runner.studio.data import run_log

FIELDS = {
    "at",
    "operation",
    "id",
    "sha256",
    "ms",
    "notes",
    "outcome",
    "server_version",
    "target",
    "by",
}


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    return Checkout(tmp_path, empty_database)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@one_server
def test_log_has_a_line_for_every_operation(
    checkout: Checkout,
) -> None:
    checkout.environ["DATABASE_URL"] += " password=hunter2"
    checkout.write(_0001_a="create table a (n int);", _0001_a__rollback="drop table a;")
    checkout.seed(a="insert into a values (1);", b="insert into a values (2);")
    assert checkout.runner("up").code == 0
    assert checkout.runner("rollback").code == 0
    checkout.write(_0002_b="select oops;")
    assert checkout.runner("apply").code == 1
    checkout.seed(b="select oops;")
    assert checkout.runner("seed").code == 1
    lines = checkout.log_lines()
    assert [(line["operation"], line["id"], line["outcome"]) for line in lines] == [
        ("apply", "0001_a", "done"),
        ("seed", "a", "done"),
        ("seed", "b", "done"),
        ("rollback", "0001_a", "done"),
        ("apply", "0001_a", "done"),
        ("apply", "0002_b", "failed"),
        ("seed", "b", "failed"),
    ]
    for line in lines:
        failed = line["outcome"] == "failed"
        assert set(line) == FIELDS | ({"error", "sqlstate"} if failed else set())
        assert datetime.fromisoformat(line["at"]).utcoffset() == timedelta(0)
        assert len(line["sha256"]) == 64
        assert line["ms"] >= 0
        assert line["server_version"].startswith("18")
        assert line["target"].startswith("postgresql://postgres:***@/")
        assert "@" in line["by"]
    assert lines[5]["sqlstate"] == "42703"
    assert lines[5]["error"] == 'column "oops" does not exist'
    assert lines[0]["sha256"] == checkout.migrations()[0].sha256
    assert lines[3]["sha256"] != lines[0]["sha256"]
    log = checkout.folder / ".runner" / "runs.jsonl"
    assert "hunter2" not in log.read_text()
    assert mode(log) == 0o600
    assert mode(log.parent) == 0o700


@one_server
def test_status_writes_no_log(checkout: Checkout) -> None:
    checkout.write(_0001_a="select 1;")
    assert checkout.runner("status").code == 2
    assert not (checkout.folder / ".runner").exists()


@one_server
def test_chosen_log_is_appended_to(checkout: Checkout) -> None:
    log = checkout.folder / "mine" / "runs.jsonl"
    checkout.write(_0001_a="select 1;")
    assert checkout.runner("apply", "--log", str(log)).code == 0
    checkout.write(_0002_a="select 1;")
    assert checkout.runner("apply", RUNNER_LOG=str(log)).code == 0
    assert [json.loads(line)["id"] for line in log.read_text().splitlines()] == ["0001_a", "0002_a"]
    assert mode(log) == 0o600
    assert mode(log.parent) == 0o700
    assert not (checkout.folder / ".runner").exists()


@one_server
def test_unwritable_default_log_does_not_stop_apply(checkout: Checkout) -> None:
    checkout.file(".runner", "a file where the folder should be")
    checkout.write(_0001_a="create table a ();")
    result = checkout.runner("apply")
    assert result.code == 0
    assert "The run log .runner/runs.jsonl cannot be written: Not a directory" in result.err
    assert checkout.applied() == ["0001_a"]
    result = checkout.runner("apply", "--json")
    assert result.document["notes"] == [
        "The run log .runner/runs.jsonl cannot be written: Not a directory"
    ]


@one_server
def test_unwritable_chosen_log_stops_apply(checkout: Checkout) -> None:
    blocked = checkout.file("file", "") / "runs.jsonl"
    checkout.write(_0001_a="create table a ();")
    result = checkout.runner("apply", "--log", str(blocked))
    assert result.code == 64
    assert f"The run log {blocked} cannot be written: Not a directory" in result.err
    assert checkout.value("select to_regclass('a')") is None


def test_unwritable_log_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    events: list[Event] = []
    log = RunLog(tmp_path / "file" / "x", chosen=False, facts={}, report=events.append)
    log.write(id="a")
    log.close()
    assert events == [Note(f"The run log {tmp_path}/file/x cannot be written: Not a directory")]
    with pytest.raises(UsageError, match="cannot be written"):
        RunLog(tmp_path / "file" / "x", chosen=True, facts={})


def test_log_accepts_any_id(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl", chosen=True, facts={})
    log.write(id="0001_\udcff", error="ü")
    log.close()
    line = json.loads((tmp_path / "runs.jsonl").read_text(encoding="utf-8"))
    assert (line["id"], line["error"]) == ("0001_\udcff", "ü")


def test_two_runs_can_write_to_one_log(tmp_path: Path) -> None:
    path = tmp_path / "new" / "runs.jsonl"
    one = RunLog(path, chosen=True, facts={"by": "one"})
    two = RunLog(path, chosen=True, facts={"by": "two"})
    for number in range(3):
        one.write(n=number)
        two.write(n=number, text="ü\n")
    one.close()
    two.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["by"], line["n"]) for line in lines] == [
        (by, n) for n in range(3) for by in ("one", "two")
    ]


def test_existing_log_folder_keeps_its_permissions(tmp_path: Path) -> None:
    before = mode(tmp_path)
    tmp_path.chmod(0o755)
    RunLog(tmp_path / "runs.jsonl", chosen=True, facts={}).close()
    assert mode(tmp_path) == 0o755
    tmp_path.chmod(before)


def test_read_returns_lines_newest_first_and_skips_malformed_ones(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    log = RunLog(path, chosen=True, facts={"by": "a user"})
    log.write(operation="apply", id="0001_a", ms=1.5, outcome="done")
    log.write(operation="seed", id="b", ms=None, outcome="failed", error="no such table")
    log.close()
    with path.open("a", encoding="utf-8") as file:
        file.write('not JSON\n[]\n{"at": "now"}\n\n')
    newest, oldest = run_log.read(path)
    assert (newest.operation, newest.id, newest.ms) == ("seed", "b", None)
    assert (newest.outcome, newest.error) == ("failed", "no such table")
    assert (oldest.id, oldest.ms, oldest.outcome, oldest.by) == ("0001_a", 1.5, "done", "a user")
    assert run_log.read(tmp_path / "missing.jsonl") == []


def test_default_log_does_not_follow_a_symbolic_link(tmp_path: Path) -> None:
    """Of another user, for example. A log that is named may be one, such as /dev/stdout."""
    target, link = tmp_path / "target", tmp_path / "run.log"
    target.touch()
    link.symlink_to(target)
    said: list[Event] = []
    for chosen, written in ((False, 0), (True, 1)):
        log = RunLog(link, chosen=chosen, facts={}, report=said.append)
        log.write(operation="apply")
        log.close()
        assert len(target.read_text().splitlines()) == written
    (note,) = said
    assert isinstance(note, Note)
    assert "run.log cannot be written" in note.text
