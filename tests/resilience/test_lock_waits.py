"""Busy tables: a migration gives way, names who is in the way, and comes again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import PATIENCE, Checkout, until
from conftest import Database
from psycopg import Connection

from runner.errors import SqlError
from runner.events import Event, Working
from runner.execution import lock_waits, transactional
from runner.files.sql_file import Header

one_server = pytest.mark.parametrize("server", ["pg18"], indirect=True)
OUTSIDE = "-- transactional: false\n"


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A table that is applied, and a migration that needs it for itself."""
    monkeypatch.setattr(lock_waits, "_PAUSES", (0.01, 0.1))
    checkout = Checkout(tmp_path, empty_database)
    checkout.environ["RUNNER_LOCK_TIMEOUT"] = "0.4"
    checkout.write(_0001_a="create table projects (n int); create table tries (n int);")
    checkout.apply()
    checkout.write(_0002_b="insert into tries values (1); alter table projects add column b int;")
    return checkout


@pytest.fixture
def reader(checkout: Checkout) -> Iterator[Connection[Any]]:
    """Somebody who looked at the table and went to lunch."""
    assert checkout.database
    with checkout.database.connect(application_name="a long lunch") as reader:
        reader.execute("select * from projects")
        yield reader


class Told:
    """What a run says while it works; `then` acts on the first line that holds a text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._acts: list[tuple[str, Callable[[], object]]] = []

    def then(self, text: str, act: Callable[[], object]) -> None:
        self._acts.append((text, act))

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Working):
            return
        self.lines.append(event.text)
        for text, act in list(self._acts):
            if text in event.text:
                self._acts.remove((text, act))
                act()

    @property
    def waiting(self) -> list[str]:
        return [line for line in self.lines if line.startswith("waiting")]


def in_vain(checkout: Checkout, told: Told | None = None, wait: str = "1") -> SqlError:
    checkout.environ["RUNNER_BUSY_WAIT"] = wait
    with checkout.migrator(told or Told()) as migrator, pytest.raises(SqlError) as caught:
        known = migrator.records()
        migrator.apply([file for file in checkout.migrations() if file.id not in known])
    return caught.value


def apply_rest(checkout: Checkout, told: Told) -> None:
    with checkout.migrator(told) as migrator:
        known = migrator.records()
        migrator.apply([file for file in checkout.migrations() if file.id not in known])


def sessions_of_runner(checkout: Checkout) -> int:
    count = checkout.value("""
        select count(*) from pg_stat_activity
        where application_name = 'runner' and datname = current_database()
        """)
    assert isinstance(count, int)
    return count


# --- giving way and coming again ----------------------------------------------------------------


def test_a_busy_table_is_waited_for_and_its_holder_named(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    told = Told()
    told.then("next try", reader.rollback)
    apply_rest(checkout, told)
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert checkout.rows("select * from tries") == [(1,)], "a try that gave way left something"
    pid = reader.info.backend_pid
    assert told.waiting[0].startswith(f"waiting for projects: held by pid {pid} (a long lunch as ")
    assert "), idle in transaction for 00:00:0" in told.waiting[0]
    assert told.waiting[0].endswith(": select * from projects")
    assert "next try in 0.01 s" in told.waiting[1]


def test_nobody_stays_behind_a_migration_that_waits(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    """Without a lock timeout each of these readers would wait as long as the first one eats."""
    assert checkout.database
    served: list[threading.Thread] = []

    def arrive() -> None:
        thread = threading.Thread(target=checkout.value, args=["select count(*) from projects"])
        thread.start()
        served.append(thread)

    def all_served() -> None:
        for thread in served:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert reader.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        reader.rollback()

    told = Told()
    told.then("waiting for projects", arrive)  # while the migration stands in the queue
    told.then("next try in 0.01 s", arrive)
    told.then("next try in 0.02 s", all_served)
    apply_rest(checkout, told)
    assert len(served) == 2
    assert checkout.applied() == ["0001_a", "0002_b"]


def test_patience_ends_with_the_name_of_the_holder_and_nothing_kept(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    error = in_vain(checkout)
    pid = reader.info.backend_pid
    assert error.message.startswith(f"Waited in vain for projects: held by pid {pid} (a long lunch")
    assert error.sqlstate == "55P03"
    assert error.place
    assert (error.place.line, error.place.column) == (1, 31)
    assert "times in 1 s; wait longer: --busy-wait SECONDS." in error.hint
    assert f"select pg_terminate_backend({pid})" in error.hint
    assert "Nothing of 0002_b was kept." in error.hint
    assert checkout.rows("select * from tries") == []
    assert checkout.applied() == ["0001_a"]
    assert [line["outcome"] for line in checkout.log_lines()] == ["done", "failed"]


@one_server
def test_the_command_line_says_who_is_in_the_way_and_exits_with_one(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    said = checkout.runner("apply", "--lock-timeout", "0.5", "--busy-wait", "1")
    assert said.code == 1
    pid = reader.info.backend_pid
    assert f"waiting for projects: held by pid {pid} (a long lunch as postgres" in said.err
    assert f"error: Waited in vain for projects: held by pid {pid}" in said.err
    assert "  at sql/0002_b.sql:1:31" in said.err
    said = checkout.runner("apply", "--json", RUNNER_BUSY_WAIT="0")
    assert said.code == 1
    assert said.document["error"]["sqlstate"] == "55P03"
    assert "Tried 1 times in 0 s" in said.document["error"]["hint"]


def test_what_was_done_before_is_safe_and_told_before_the_wait(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    checkout.write(_0002_b="create table b ();", _0003_c="alter table projects add column b int;")
    durable: list[list[str]] = []
    told = Told()
    told.then("next try", lambda: durable.append(checkout.applied()))
    error = in_vain(checkout, told)
    assert "0002_b stays applied. Nothing of 0003_c was kept." in error.hint
    assert durable == [["0001_a", "0002_b"]]


def test_a_way_back_gives_way_too(checkout: Checkout, reader: Connection[Any]) -> None:
    checkout.write(_0001_a__rollback="drop table tries; drop table projects;")
    told = Told()
    told.then("next try", reader.rollback)
    with checkout.migrator(told) as migrator:
        migrator.roll_back(checkout.migrations()[:1])
    assert told.waiting[0].startswith("waiting for projects: held by pid ")
    assert checkout.applied() == []


def test_a_deadlock_is_tried_again(checkout: Checkout) -> None:
    """The other one holds `tries` and asks for `projects`; we hold `projects`, ask for `tries`."""
    held = "exists (select from pg_locks where relation = '{}'::regclass and {})"
    checkout.write(
        _0002_b=f"""\
        -- lock_timeout: off
        set local deadlock_timeout = '1ms';
        lock table projects;
        do $$ begin
            while {held.format("tries", "pid <> pg_backend_pid()")}
                and not {held.format("projects", "not granted")}
            loop
                perform pg_sleep(0.01);
            end loop;
        end $$;
        lock table tries;
        """
    )
    assert checkout.database
    with checkout.database.connect() as other:
        other.execute("set local deadlock_timeout = '1h'")
        other.execute("lock table tries")

        def cross() -> None:
            until(lambda: bool(checkout.value(f"select {held.format('projects', 'granted')}")))
            other.execute("lock table projects")
            other.rollback()

        thread = threading.Thread(target=cross)
        thread.start()
        told = Told()
        apply_rest(checkout, told)
        thread.join(PATIENCE)
    assert any("next try" in line for line in told.waiting)
    assert checkout.applied() == ["0001_a", "0002_b"]


def test_another_error_is_not_tried_again(checkout: Checkout) -> None:
    checkout.write(_0002_b="select 1 / 0;")
    told = Told()
    assert in_vain(checkout, told, wait="60").message == "division by zero"
    assert told.waiting == []


# --- outside a transaction ----------------------------------------------------------------------


def test_outside_a_transaction_the_one_statement_is_tried_again(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    checkout.write(
        _0002_b=f"{OUTSIDE}insert into tries values (1); alter table projects add b int;"
    )
    error = in_vain(checkout)
    assert "Its first statement is done and stays." in error.hint
    assert error.place
    assert (error.place.line, error.place.column) == (2, 31)
    told = Told()
    told.then("next try", reader.rollback)
    apply_rest(checkout, told)
    assert checkout.rows("select * from tries") == [(1,)]
    assert checkout.applied() == ["0001_a", "0002_b"]


INDEX = f"{OUTSIDE}create index concurrently if not exists n_idx on projects (n);"


@pytest.fixture
def writer(checkout: Checkout) -> Iterator[Connection[Any]]:
    """Somebody whose transaction every concurrent index has to wait for."""
    assert checkout.database
    with checkout.database.connect(application_name="a long write") as writer:
        writer.execute("insert into projects values (1)")
        yield writer


def test_a_concurrent_index_waits_for_old_transactions_and_names_them(
    checkout: Checkout, writer: Connection[Any]
) -> None:
    """A lock timeout would break it, and leave it invalid, again and again."""
    checkout.write(_0002_b=INDEX)
    told = Told()
    told.then("waiting for", writer.commit)
    apply_rest(checkout, told)
    (line,) = told.waiting
    assert f"held by pid {writer.info.backend_pid} (a long write as " in line
    assert "in a transaction of 00:00:0" in line
    assert line.endswith(": insert into projects values (1)")
    assert checkout.value("select indisvalid from pg_index where indexrelid = 'n_idx'::regclass")


def test_a_broken_index_is_dropped_without_a_lock_timeout_too(
    checkout: Checkout, writer: Connection[Any]
) -> None:
    writer.execute("insert into projects values (1)")
    writer.commit()
    checkout.write(_0002_b=INDEX.replace("index", "unique index", 1))
    assert in_vain(checkout).sqlstate == "23505"
    checkout.do("delete from projects")
    writer.execute("insert into projects values (1)")
    told = Told()
    told.then("waiting for", writer.commit)
    apply_rest(checkout, told)
    assert len(told.waiting) == 1
    assert checkout.value("select indisvalid from pg_index where indexrelid = 'n_idx'::regclass")


@pytest.mark.parametrize(
    ("statement", "patient"),
    [
        ("create index concurrently a on b (c)", True),
        ("reindex (verbose, CONCURRENTLY) table a", True),
        ("drop index/**/concurrently a", True),
        ("alter table a detach partition b concurrently", True),
        ("create index a on b (c)", False),
        ("comment on table a is 'built concurrently'", False),
        ("alter table a add concurrently_built bool -- concurrently", False),
    ],
)
def test_only_what_runs_concurrently_waits_without_end(statement: str, patient: bool) -> None:
    lock_wait = lock_waits.LockWaits(None, Told()).of(Header())  # type: ignore[arg-type]
    assert lock_wait.of_statement(statement) == f"set lock_timeout = {0 if patient else 2000}"


# --- limits of a file's own ---------------------------------------------------------------------

SEEN = """
    insert into seen select current_setting('lock_timeout'), current_setting('statement_timeout'),
        current_setting('idle_in_transaction_session_timeout');
    """


@pytest.mark.parametrize(
    ("header", "seen"),
    [
        ("", ("400ms", "7s", "1min")),
        ("-- lock_timeout: 5s\n", ("5s", "7s", "1min")),
        ("-- lock_timeout: off\n-- statement_timeout: 10min\n", ("0", "10min", "1min")),
        ("-- statement_timeout: 0\n", ("400ms", "0", "1min")),
        ("-- idle_in_transaction_session_timeout: 5min\n", ("400ms", "7s", "5min")),
        (f"{OUTSIDE}-- lock_timeout: 1500ms\n", ("1500ms", "7s", "0")),
        (f"{OUTSIDE}-- statement_timeout: 1h\n", ("400ms", "1h", "0")),
    ],
)
def test_a_file_has_the_limits_that_it_asks_for_and_its_record_has_none_of_them(
    checkout: Checkout, header: str, seen: tuple[str, str, str]
) -> None:
    """The session's own statement_timeout stays unless the file has one."""
    assert checkout.database
    checkout.do(f"alter database {checkout.database.name} set statement_timeout = '7s'")
    checkout.do(f"""
        create table seen (lock text, statement text, idle text);
        create function seen() returns trigger language plpgsql as $$ begin {SEEN}
            return null; end $$;
        create trigger seen after insert on yoyo._yoyo_migration execute function seen();
        """)
    checkout.write(_0002_b=header + SEEN)
    apply_rest(checkout, Told())
    assert checkout.rows("select * from seen") == [seen, ("0", "7s", "0")]


def test_a_seed_may_ask_for_limits_and_has_none_else(checkout: Checkout) -> None:
    checkout.write(_0002_b="create table seen (lock text, statement text, idle text);")
    checkout.seed(a=f"-- lock_timeout: 5s\n{SEEN}", b=SEEN)
    said = checkout.runner("up")
    assert said.code == 0, said.err
    assert checkout.rows("select * from seen") == [("5s", "0", "1min"), ("0", "0", "1min")]


def test_a_statement_that_takes_too_long_is_told_what_it_may_ask_for(checkout: Checkout) -> None:
    checkout.write(_0002_b="-- statement_timeout: 50ms\nselect pg_sleep(60);")
    error = in_vain(checkout)
    assert error.sqlstate == "57014"
    assert "`-- statement_timeout: 10min`" in error.hint
    assert "Nothing of 0002_b was kept." in error.hint


# --- what looking costs, and what it cannot do --------------------------------------------------


def test_a_run_that_meets_nobody_sends_nothing_more_and_opens_nothing(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = transactional.send

    def listening(connection: Any, text: str, *lock_wait: Any) -> Any:
        sent.append(text)
        return send(connection, text, *lock_wait)

    monkeypatch.setattr(transactional, "send", listening)
    monkeypatch.setattr(lock_waits, "another", lambda _: pytest.fail("a second connection"))
    apply_rest(checkout, Told())
    file, end = sent
    begin = file.removesuffix(checkout.migrations()[1].text)
    assert begin.startswith("/* apply 0002_b */ begin; set local ")
    assert begin.endswith("lock_timeout = 400; ")
    assert end.endswith("; commit")


def test_looking_leaves_no_connection_behind(checkout: Checkout, reader: Connection[Any]) -> None:
    assert in_vain(checkout).sqlstate == "55P03"
    until(lambda: sessions_of_runner(checkout) == 0)
    told = Told()
    told.then("next try", reader.rollback)
    with checkout.migrator(told) as migrator:
        migrator.apply(checkout.migrations()[1:])
        assert told.waiting
        until(lambda: sessions_of_runner(checkout) == 1)


@pytest.fixture
def poor(checkout: Checkout) -> Iterator[str]:
    """A role that owns everything here, has one connection and sees nobody else's state."""
    role = f"poor_{checkout.value('select pg_backend_pid()')}"
    assert checkout.database
    checkout.do(f"create role {role} login connection limit 1")
    checkout.do(f"grant create on database {checkout.database.name} to {role}")
    checkout.do(f"grant all on schema public, yoyo to {role}")
    checkout.do(f"grant all on all tables in schema yoyo to {role}")
    checkout.do(f"alter table projects owner to {role}; alter table tries owner to {role}")
    checkout.environ["DATABASE_URL"] = checkout.database.conninfo(user=role)
    yield role
    until(lambda: sessions_of_runner(checkout) == 0)
    checkout.do(f"drop owned by {role} cascade; drop role {role}")


def test_without_a_connection_to_spare_nobody_is_named_and_the_wait_is_the_same(
    checkout: Checkout, poor: str, reader: Connection[Any]
) -> None:
    told = Told()
    assert in_vain(checkout, told).message == "Waited in vain for a lock"
    assert told.waiting[0] == "waiting for a lock; next try in 0.01 s"
    told.then("next try", reader.rollback)
    until(lambda: sessions_of_runner(checkout) == 0)  # its only connection is free again
    apply_rest(checkout, told)
    assert checkout.applied() == ["0001_a", "0002_b"]


def test_a_holder_whose_state_is_hidden_has_a_pid_all_the_same(
    checkout: Checkout, poor: str, reader: Connection[Any]
) -> None:
    checkout.do(f"alter role {poor} connection limit 2")
    message = in_vain(checkout).message
    assert f"held by pid {reader.info.backend_pid} (a long lunch as " in message
    assert "state hidden from this role" in message


def test_who_interrupts_while_we_look_finds_nothing_half_done(
    checkout: Checkout, reader: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lock_waits.LockWait, "_look", interrupted)
    with checkout.migrator() as migrator:
        with pytest.raises(KeyboardInterrupt):
            migrator.apply(checkout.migrations()[1:])
        assert migrator.connection.execute("select count(*) from tries").fetchone() == (0,)
    until(lambda: sessions_of_runner(checkout) == 0)
    assert checkout.applied() == ["0001_a"]
