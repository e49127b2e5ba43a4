"""One run at a time: waiting, naming the holder, and release when the holder's connection ends."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

import psycopg
import pytest
from checkout import TIMEOUT, Checkout, until
from conftest import Database, one_server

from runner.errors import LockTimeout
from runner.events import Event, Note, Working, silent
from runner.migrate import advisory_lock

HELD = """
    select count(*) from pg_locks
    where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())
    """


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    return Checkout(tmp_path, empty_database)


def test_second_run_waits_and_names_the_holder(checkout: Checkout) -> None:
    waiting = threading.Event()
    messages: list[str] = []

    def report(event: Event) -> None:
        if isinstance(event, Working):
            messages.append(event.text)
            waiting.set()

    def second() -> None:
        with checkout.migrator(report):
            messages.append("in")

    thread = threading.Thread(target=second)
    with checkout.migrator() as migrator:
        pid = migrator.connection.info.backend_pid
        thread.start()
        assert waiting.wait(TIMEOUT)
        assert "in" not in messages
    thread.join(TIMEOUT)
    assert messages[-1] == "in"
    assert messages[0].startswith(f"waiting for the lock, held by pid {pid}, runner as ")


def test_lock_timeout_names_the_holder(checkout: Checkout) -> None:
    with checkout.migrator() as migrator:
        pid = migrator.connection.info.backend_pid
        migrator.connection.execute("select 'the last\n thing it did'")
        with pytest.raises(LockTimeout) as caught, checkout.migrator(lock_wait=0):
            pytest.fail("two runs at once")
    message = caught.value.message
    assert f"pid {pid}, runner as " in message
    assert "from a local socket" in message or re.search(r"from [\d.:a-f]+,", message)
    assert "select 'the last thing it did'" in message
    assert "No changes were made." in caught.value.state


@one_server
def test_lock_wait_option_limits_waiting_and_exit_code_is_3(
    checkout: Checkout,
) -> None:
    checkout.write(_0001_a="create table a ();")
    with checkout.migrator():
        result = checkout.runner("apply", "--lock-wait", "0.2")
        assert result.code == 3
        assert "error: Another run holds the lock: pid " in result.err
        assert "Waited 0.2 s." in result.err
        result = checkout.runner("apply", "--json", RUNNER_LOCK_WAIT="0")
        assert result.code == 3
        assert result.document["error"]["code"] == "locked"
        assert result.document["exit_code"] == 3
    assert checkout.value("select to_regclass('a')") is None


def test_waiting_holds_no_snapshot(checkout: Checkout) -> None:
    """A waiting statement would deadlock with `create index concurrently` in the other run."""
    checkout.write(
        _0001_a="create table a (n int);",
        _0002_b="-- transactional: false\ncreate index concurrently a_n_idx on a (n);",
    )
    with checkout.migrator() as migrator:
        second = checkout.start_runner("apply", "-v")
        assert second.stderr
        line = ""
        while "waiting for the lock" not in line:
            line = second.stderr.readline()
            assert line, "it ended without waiting"
        migrator.apply(checkout.migrations())
    out, err = second.communicate(timeout=TIMEOUT)
    assert second.returncode == 0, err
    assert "nothing to apply: 2 applied" in out or "0 applied now" in out


@one_server
def test_lock_ends_with_a_killed_process(checkout: Checkout) -> None:
    """yoyo: the lock is a table row that outlives a crash."""
    checkout.write(_0001_a="create table a (); select pg_sleep(3600);")
    process = checkout.start_runner("apply")
    until(lambda: checkout.value(HELD) == 1)
    process.kill()
    process.communicate()
    # The server notices when it next writes to the socket: end the sleep, as an operator would.
    checkout.do("""
        select pg_cancel_backend(pid) from pg_stat_activity
        where query ~ 'pg_sleep' and pid <> pg_backend_pid() and datname = current_database()
        """)
    checkout.write(_0001_a="create table a ();")
    assert checkout.runner("apply").code == 0
    assert checkout.applied() == ["0001_a"]


@one_server
def test_lock_is_per_database(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.database
    with checkout.database.server.database() as other:
        elsewhere = Checkout(tmp_path, other)
        with checkout.migrator(), elsewhere.migrator(lock_wait=0):
            assert elsewhere.value(HELD) == 1


@one_server
def test_lock_is_released_after_an_error(checkout: Checkout) -> None:
    with pytest.raises(ZeroDivisionError), checkout.migrator():
        _ = 1 / 0
    with checkout.migrator() as migrator:
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrator.connection.execute("select 1 / 0")
        with migrator.lock():  # reentrant: this has no further effect
            pass
        assert checkout.value(HELD) == 1
    assert checkout.value(HELD) == 0


@one_server
def test_lock_is_released_before_the_connection_closes(checkout: Checkout) -> None:
    assert checkout.database
    with checkout.database.connect(autocommit=True) as connection:
        with advisory_lock.hold(connection, wait=0, report=silent):
            assert checkout.value(HELD) == 1
        assert checkout.value(HELD) == 0


@one_server
def test_lock_released_by_a_file_is_reported(checkout: Checkout) -> None:
    events: list[Event] = []
    checkout.write(_0001_a="select pg_advisory_unlock_all();")
    checkout.apply(events.append)
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert "The lock was released before the end of the run" in note
    assert "pg_advisory_unlock_all()" in note


def test_lock_key_is_the_bytes_of_yoyo() -> None:
    assert advisory_lock.KEY.to_bytes(4, "big") == b"yoyo"


@one_server
@pytest.mark.parametrize("count", [2, 10])
def test_concurrent_runs_on_empty_database_apply_once(checkout: Checkout, count: int) -> None:
    checkout.write(
        _0001_a="create table a as select 1 as n;",
        _0002_b="insert into a values (2);",
        _0003_c="-- transactional: false\ncreate index concurrently a_idx on a (n);",
    )
    processes = [checkout.start_runner("apply") for _ in range(count)]
    results: list[tuple[int, str, str]] = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        results.append((process.returncode, out, err))
    assert [code for code, _, _ in results] == [0] * count, results
    assert sum("3 applied now" in out for _, out, _ in results) == 1
    assert checkout.rows("select n from a order by n") == [(1,), (2,)]
    assert checkout.value("select count(*) from yoyo._yoyo_log") == 3
