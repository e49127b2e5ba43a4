"""One run at a time: who waits, who is named, and that nothing outlives its holder."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

import psycopg
import pytest
from checkout import PATIENCE, Checkout, until
from conftest import Database

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


def test_the_second_run_waits_for_the_first_and_says_for_whom(checkout: Checkout) -> None:
    waiting = threading.Event()
    told: list[str] = []

    def report(event: Event) -> None:
        if isinstance(event, Working):
            told.append(event.text)
            waiting.set()

    def second() -> None:
        with checkout.migrator(report):
            told.append("in")

    thread = threading.Thread(target=second)
    with checkout.migrator() as migrator:
        pid = migrator.connection.info.backend_pid
        thread.start()
        assert waiting.wait(PATIENCE)
        assert "in" not in told
    thread.join(PATIENCE)
    assert told[-1] == "in"
    assert told[0].startswith(f"waiting for the lock, held by pid {pid}, runner as ")


def test_a_run_that_waited_in_vain_names_the_holder(checkout: Checkout) -> None:
    with checkout.migrator() as migrator:
        pid = migrator.connection.info.backend_pid
        migrator.connection.execute("select 'the last\n thing it did'")
        with pytest.raises(LockTimeout) as caught, checkout.migrator(lock_wait=0):
            pytest.fail("two runs at once")
    message = caught.value.message
    assert f"pid {pid}, runner as " in message
    assert "from a local socket" in message or re.search(r"from [\d.:a-f]+,", message)
    assert "select 'the last thing it did'" in message
    assert "Nothing was done." in caught.value.hint


def test_the_command_line_waits_as_long_as_it_is_told_and_exits_with_three(
    checkout: Checkout,
) -> None:
    checkout.write(_0001_a="create table a ();")
    with checkout.migrator():
        said = checkout.runner("apply", "--lock-wait", "0.2")
        assert said.code == 3
        assert "error: Another run holds the lock: pid " in said.err
        assert "Waited 0.2 s." in said.err
        said = checkout.runner("apply", "--json", RUNNER_LOCK_WAIT="0")
        assert said.code == 3
        assert said.document["error"]["code"] == "locked"
        assert said.document["exit_code"] == 3
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
    out, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, err
    assert "nothing to apply: 2 applied" in out or "0 applied now" in out


def test_the_lock_goes_with_a_killed_process(checkout: Checkout) -> None:
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


def test_locks_of_two_databases_do_not_meet(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.database
    with checkout.database.server.database() as other:
        elsewhere = Checkout(tmp_path, other)
        with checkout.migrator(), elsewhere.migrator(lock_wait=0):
            assert elsewhere.value(HELD) == 1


def test_the_lock_is_given_back_after_a_failure(checkout: Checkout) -> None:
    with pytest.raises(ZeroDivisionError), checkout.migrator():
        _ = 1 / 0
    with checkout.migrator() as migrator:
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrator.connection.execute("select 1 / 0")
        with migrator.lock():  # inside itself it does nothing more
            pass
        assert checkout.value(HELD) == 1
    assert checkout.value(HELD) == 0


def test_the_lock_is_given_back_before_the_connection_is(checkout: Checkout) -> None:
    assert checkout.database
    with checkout.database.connect(autocommit=True) as connection:
        with advisory_lock.hold(connection, wait=0, report=silent):
            assert checkout.value(HELD) == 1
        assert checkout.value(HELD) == 0


def test_a_lock_that_a_file_released_is_told(checkout: Checkout) -> None:
    events: list[Event] = []
    checkout.write(_0001_a="select pg_advisory_unlock_all();")
    checkout.apply(events.append)
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert "The lock was gone before the end of the run" in note
    assert "pg_advisory_unlock_all()" in note


def test_the_key_spells_yoyo() -> None:
    assert advisory_lock.KEY.to_bytes(4, "big") == b"yoyo"


@pytest.mark.parametrize("count", [2, 10])
def test_many_runs_at_once_on_an_empty_database_apply_once(checkout: Checkout, count: int) -> None:
    checkout.write(
        _0001_a="create table a as select 1 as n;",
        _0002_b="insert into a values (2);",
        _0003_c="-- transactional: false\ncreate index concurrently a_idx on a (n);",
    )
    processes = [checkout.start_runner("apply") for _ in range(count)]
    said: list[tuple[int, str, str]] = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        said.append((process.returncode, out, err))
    assert [code for code, _, _ in said] == [0] * count, said
    assert sum("3 applied now" in out for _, out, _ in said) == 1
    assert checkout.rows("select n from a order by n") == [(1,), (2,)]
    assert checkout.value("select count(*) from yoyo._yoyo_log") == 3
