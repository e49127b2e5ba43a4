"""Full disks and missing privileges: a clear error, nothing partly done, the rerun completes it."""

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
from conftest import Database, one_server

ROOT = os.geteuid() == 0
FULL = "The disk is full or almost full: free some space, then run the same command again."


@dataclass(frozen=True)
class Disk:
    """A small file system of its own, in memory."""

    path: Path

    def fill(self, free: int) -> None:
        """Leave `free` bytes of space."""
        status = os.statvfs(self.path)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        self.mount("-o", f"remount,size={used + free}")

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


def test_a_full_disk_leaves_nothing_partly_done_and_the_next_run_continues(disk: Disk) -> None:
    checkout = Checkout(disk.path)
    checkout.write(_0001_a="create table a (n int);")
    checkout.seed(a="select 1;")
    try:
        assert checkout.runner("up").code == 0
        disk.fill(500_000)

        checkout.write(_0002_b="create table b as select g from generate_series(1, 500000) as g;")
        result = checkout.runner("apply", "--json")
        assert result.code == 1
        error = result.document["error"]
        assert (error["code"], error["sqlstate"]) == ("sql", "53100")
        assert "The server's disk is full: free some space" in error["hint"]
        assert "No changes of 0002_b were kept." in error["state"]

        # Without space for WAL, PostgreSQL stops and cannot start until there is more.
        checkout.write(_0003_c="select pg_switch_wal(); create table c (); select pg_switch_wal();")
        checkout.write(_0002_b="create table b ();")
        result = checkout.runner("apply")
        assert result.code == 1
        assert "error: The connection was lost: could not write to file" in result.err
        assert "The server's disk is full: free some space" in result.err
        result = checkout.runner("apply")
        assert result.code == 1
        # It may accept connections for a moment before it stops.
        assert re.search(
            r"error: The embedded PostgreSQL (did not start\.|is running, but)", result.err
        )
        assert FULL in result.err
        assert "Traceback" not in result.err

        disk.enlarge()
        result = checkout.runner("apply")
        assert result.code == 0, result.err
        result = checkout.runner("status", "--json")
        assert result.code == 0
        assert result.document["counts"]["applied"] == 3
    finally:
        checkout.runner("down")


def test_initdb_on_a_full_disk_leaves_no_files_and_works_once_there_is_space(disk: Disk) -> None:
    checkout = Checkout(disk.path)
    checkout.write(_0001_a="create table a (n int);")
    disk.fill(8_000_000)
    result = checkout.runner("apply")
    assert result.code == 1
    assert "could not be created" in result.err
    assert "No space left on device" in result.err
    assert FULL in result.err
    assert "No changes were made." in result.err
    assert [path.name for path in (disk.path / ".runner").iterdir()] == ["postgres.lock"]
    disk.enlarge()
    try:
        assert checkout.runner("apply").code == 0
    finally:
        checkout.runner("down")


@one_server
def test_a_run_log_on_a_full_disk_is_reported_once_and_stops_no_migration(
    tmp_path: Path, empty_database: Database
) -> None:
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(_0001_a="create table a ();", _0002_b="create table b ();")
    result = checkout.runner("apply", "--json", RUNNER_LOG="/dev/full")
    assert result.code == 0
    assert [done["id"] for done in result.document["done"]] == ["0001_a", "0002_b"]
    assert result.document["notes"] == [
        "The run log /dev/full cannot be written: No space left on device"
    ]
    assert checkout.applied() == ["0001_a", "0002_b"]


# --- read-only checkouts ------------------------------------------------------------------------


@pytest.fixture
def sealed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Checkout]:
    """A checkout in which no file can be created: for root, on a read-only file system."""
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
def test_migrations_run_from_a_read_only_checkout(
    sealed: Checkout, empty_database: Database
) -> None:
    sealed.database = empty_database
    sealed.environ["DATABASE_URL"] = empty_database.conninfo()
    reason = "Read-only file system" if ROOT else "Permission denied"
    problem = f"The run log .runner/runs.jsonl cannot be written: {reason}"
    for words in (["status"], ["apply"], ["seed"]):
        result = sealed.runner(*words, "--json")
        assert result.code == (2 if words == ["status"] else 0), result
        assert result.document["notes"] == ([] if words == ["status"] else [problem])
    assert sealed.applied() == ["0001_a"]

    # Commands that must write are refused before they change anything.
    result = sealed.runner("rollback", "--log", "mine.jsonl")
    assert result.code == 64
    assert f"error: The run log mine.jsonl cannot be written: {reason}" in result.err
    assert sealed.applied() == ["0001_a"]
    result = sealed.runner("new", "add_b")
    assert result.code == 64
    assert f"cannot be created: {reason}" in result.err


def test_a_read_only_checkout_without_a_database_gets_a_hint(
    sealed: Checkout,
) -> None:
    result = sealed.runner("up")
    assert result.code == 1
    if ROOT:
        assert "/.runner: Read-only file system." in result.err
        assert "Set RUNNER_HOME to a folder that can be written to" in result.err
    else:
        assert "is not allowed to use" in result.err
    assert "No changes were made." in result.err


# --- missing privileges -------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Iterator[Checkout]:
    """A checkout whose DATABASE_URL names a role that has no privilege but to connect."""
    checkout = Checkout(tmp_path, empty_database)
    role = f"limited_{checkout.value('select pg_backend_pid()')}"
    checkout.do(f"create role {role} login")
    checkout.environ["DATABASE_URL"] = empty_database.conninfo(user=role)
    checkout.environ["ROLE"] = role
    checkout.write(_0001_a="select 1;", _0001_a__rollback="select 1;")
    yield checkout
    checkout.do(f"drop owned by {role} cascade; drop role {role}")


def test_a_missing_create_privilege_is_named_and_nothing_is_created(
    checkout: Checkout,
) -> None:
    result = checkout.runner("apply", "--json")
    assert result.code == 1
    error = result.document["error"]
    assert error["sqlstate"] == "42501"
    assert error["message"].startswith("permission denied for database ")
    assert "The role that is connected, or that the file sets, lacks" in error["hint"]
    assert "requires the CREATE privilege on the database" in error["hint"]
    assert error["state"] == "No changes were made."
    assert checkout.value("select to_regnamespace('yoyo')") is None
    assert checkout.database
    checkout.do(f"grant create on database {checkout.database.name} to {checkout.environ['ROLE']}")
    assert checkout.runner("apply").code == 0
    assert checkout.applied() == ["0001_a"]


@one_server
def test_a_role_that_cannot_read_the_migration_tables_changes_nothing(checkout: Checkout) -> None:
    assert checkout.database
    owner = checkout.database.conninfo()
    assert checkout.runner("apply", DATABASE_URL=owner).code == 0
    checkout.write(_0002_b="create table public.b ();")
    for words in (["status"], ["apply"], ["rollback"]):
        result = checkout.runner(*words)
        assert result.code == 1
        assert (
            "error: The migration records cannot be read: permission denied for schema yoyo"
            in result.err
        )
        assert "Connect as the role that applied the migrations." in result.err
    assert checkout.applied() == ["0001_a"]


@one_server
def test_a_role_that_cannot_write_the_migration_tables_leaves_no_effect_without_a_record(
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
    result = checkout.runner("apply")
    assert result.code == 1
    assert "permission denied for table _yoyo_migration (at the commit of sql/0002_b" in result.err
    assert "No changes of 0002_b were kept." in result.err
    assert checkout.value("select to_regclass('public.b')") is None
    result = checkout.runner("rollback")
    assert result.code == 1
    assert "No changes of 0001_a were kept." in result.err
    assert checkout.applied() == ["0001_a"]
