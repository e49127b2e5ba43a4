"""No room and no right: told in words, nothing half done, and the same command goes on later."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database

ROOT = os.geteuid() == 0
one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)
FULL = "The disk is full, or nearly: make room, then run the same command again."


@dataclass(frozen=True)
class Disk:
    """A small file system of its own, in memory."""

    path: Path

    def fill(self, room: int) -> None:
        """Leave room for so many bytes."""
        seen = os.statvfs(self.path)
        used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
        self.mount("-o", f"remount,size={used + room}")

    def enlarge(self) -> None:
        self.mount("-o", "remount,size=500m")

    def protect(self) -> None:
        self.mount("-o", "remount,ro")

    def mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, self.path], check=True)


@pytest.fixture
def disk() -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir="/tmp"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=500m,mode=755", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


# --- no space left ------------------------------------------------------------------------------


def test_a_full_disk_keeps_nothing_half_done_and_the_same_command_goes_on(disk: Disk) -> None:
    checkout = Checkout(disk.path)
    checkout.write(_0001_a="create table a (n int);")
    checkout.seed(a="select 1;")
    try:
        assert checkout.runner("up").code == 0
        disk.fill(500_000)

        checkout.write(_0002_b="create table b as select g from generate_series(1, 500000) as g;")
        said = checkout.runner("apply", "--json")
        assert said.code == 1
        error = said.document["error"]
        assert (error["code"], error["sqlstate"]) == ("sql", "53100")
        assert "The server's disk is full: make room" in error["hint"]
        assert "Nothing of 0002_b was kept." in error["hint"]

        # Without room for its own log PostgreSQL goes down, and comes up only with more of it.
        checkout.write(_0003_c="select pg_switch_wal(); create table c (); select pg_switch_wal();")
        checkout.write(_0002_b="create table b ();")
        said = checkout.runner("apply")
        assert said.code == 1
        assert "error: The connection was lost: could not write to file" in said.err
        assert "The server's disk is full: make room" in said.err
        said = checkout.runner("apply")
        assert said.code == 1
        # It may come up for a moment before it finds that it cannot go on.
        assert re.search(r"error: The embedded PostgreSQL (did not start\.|runs, but)", said.err)
        assert FULL in said.err
        assert "Traceback" not in said.err

        disk.enlarge()
        said = checkout.runner("apply")
        assert said.code == 0, said.err
        said = checkout.runner("status", "--json")
        assert said.code == 0
        assert said.document["counts"]["applied"] == 3
    finally:
        checkout.runner("down")


def test_a_server_that_there_is_no_room_for_leaves_nothing_and_comes_up_later(disk: Disk) -> None:
    checkout = Checkout(disk.path)
    checkout.write(_0001_a="create table a (n int);")
    disk.fill(8_000_000)
    said = checkout.runner("apply")
    assert said.code == 1
    assert "could not be made" in said.err
    assert "No space left on device" in said.err
    assert FULL in said.err
    assert "Nothing was kept." in said.err
    assert [path.name for path in (disk.path / ".runner").iterdir()] == ["postgres.lock"]
    disk.enlarge()
    try:
        assert checkout.runner("apply").code == 0
    finally:
        checkout.runner("down")


@one_server
def test_a_run_log_on_a_full_disk_stops_no_migration_and_is_told_once(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(_0001_a="create table a ();", _0002_b="create table b ();")
    said = checkout.runner("apply", "--json", RUNNER_LOG="/dev/full")
    assert said.code == 0
    assert [done["id"] for done in said.document["done"]] == ["0001_a", "0002_b"]
    assert said.document["notes"] == [
        "The run log /dev/full cannot be written: No space left on device"
    ]
    assert checkout.applied() == ["0001_a", "0002_b"]


# --- a checkout that cannot be written ----------------------------------------------------------


@pytest.fixture
def sealed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Checkout]:
    """A checkout with two files, in which nothing can be made: for root a read-only disk."""
    folder: Path = request.getfixturevalue("disk").path if ROOT else tmp_path
    checkout = Checkout(folder)
    checkout.write(_0001_a="create table a ();", _0001_a__rollback="drop table a;")
    checkout.seed(a="select 1;")
    folders = (folder, folder / "sql", folder / "seeds")
    if ROOT:
        request.getfixturevalue("disk").protect()
    for each in () if ROOT else folders:
        each.chmod(0o500)
    yield checkout
    for each in () if ROOT else folders:
        each.chmod(0o700)


@one_server
def test_a_read_only_checkout_migrates_all_the_same(
    sealed: Checkout, empty_database: Database
) -> None:
    sealed.database = empty_database
    sealed.environ["DATABASE_URL"] = empty_database.conninfo()
    reason = "Read-only file system" if ROOT else "Permission denied"
    problem = f"The run log .runner/runs.jsonl cannot be written: {reason}"
    for words in (["status"], ["apply"], ["seed"]):
        said = sealed.runner(*words, "--json")
        assert said.code == (2 if words == ["status"] else 0), said
        assert said.document["notes"] == ([] if words == ["status"] else [problem])
    assert sealed.applied() == ["0001_a"]

    # What cannot be without writing is refused before anything is done.
    said = sealed.runner("rollback", "--log", "mine.jsonl")
    assert said.code == 64
    assert f"error: The run log mine.jsonl cannot be written: {reason}" in said.err
    assert sealed.applied() == ["0001_a"]
    said = sealed.runner("new", "add_b")
    assert said.code == 64
    assert f"cannot be made: {reason}" in said.err


def test_a_read_only_checkout_without_a_database_is_told_where_to_put_one(
    sealed: Checkout,
) -> None:
    said = sealed.runner("up")
    assert said.code == 1
    if ROOT:
        assert "/.runner: Read-only file system." in said.err
        assert "RUNNER_HOME, or a server, DATABASE_URL" in said.err
    else:
        assert "may not use" in said.err
    assert "Nothing was changed." in said.err


# --- rights that are missing --------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Iterator[Checkout]:
    """A checkout whose DATABASE_URL names a role that may connect and no more."""
    checkout = Checkout(tmp_path, empty_database)
    role = f"poor_{checkout.value('select pg_backend_pid()')}"
    checkout.do(f"create role {role} login")
    checkout.environ["DATABASE_URL"] = empty_database.conninfo(user=role)
    checkout.environ["ROLE"] = role
    checkout.write(_0001_a="select 1;", _0001_a__rollback="select 1;")
    yield checkout
    checkout.do(f"drop owned by {role} cascade; drop role {role}")


def test_without_the_right_to_create_nothing_is_made_and_the_right_is_named(
    checkout: Checkout,
) -> None:
    said = checkout.runner("apply", "--json")
    assert said.code == 1
    error = said.document["error"]
    assert error["sqlstate"] == "42501"
    assert error["message"].startswith("permission denied for database ")
    assert "The role you connect as, or the one that the file sets, may not" in error["hint"]
    assert "takes CREATE on the database, once. Nothing was done." in error["hint"]
    assert checkout.value("select to_regnamespace('yoyo')") is None
    assert checkout.database
    checkout.do(f"grant create on database {checkout.database.name} to {checkout.environ['ROLE']}")
    assert checkout.runner("apply").code == 0
    assert checkout.applied() == ["0001_a"]


@one_server
def test_who_may_not_read_the_ledger_does_nothing_blindly(checkout: Checkout) -> None:
    assert checkout.database
    owner = checkout.database.conninfo()
    assert checkout.runner("apply", DATABASE_URL=owner).code == 0
    checkout.write(_0002_b="create table public.b ();")
    for words in (["status"], ["apply"], ["rollback"]):
        said = checkout.runner(*words)
        assert said.code == 1
        assert "error: The ledger cannot be read: permission denied for schema yoyo" in said.err
        assert "Connect as the role that applied the migrations. Nothing was done." in said.err
    assert checkout.applied() == ["0001_a"]


@one_server
def test_who_may_read_the_ledger_and_not_write_it_leaves_no_effect_without_record(
    checkout: Checkout,
) -> None:
    assert checkout.database
    assert checkout.runner("apply", DATABASE_URL=checkout.database.conninfo()).code == 0
    role = checkout.environ["ROLE"]
    checkout.do(f"""
        grant usage on schema yoyo to {role};
        grant select on all tables in schema yoyo to {role};
        grant create on schema public to {role};
        """)
    checkout.write(_0002_b="create table public.b ();")
    assert checkout.runner("status").code == 2
    said = checkout.runner("apply")
    assert said.code == 1
    assert "permission denied for table _yoyo_migration (at the commit of sql/0002_b" in said.err
    assert "Nothing of 0002_b was kept." in said.err
    assert checkout.value("select to_regclass('public.b')") is None
    said = checkout.runner("rollback")
    assert said.code == 1
    assert "Nothing of 0001_a was kept." in said.err
    assert checkout.applied() == ["0001_a"]
