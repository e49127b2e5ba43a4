"""Busy tables: lock timeout, report of the blocking session, retry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import TIMEOUT, Checkout, until
from conftest import Database, one_server
from psycopg import Connection

from runner.errors import SqlError
from runner.events import Event, Note, Working
from runner.execution import lock_waits, transactional
from runner.files.sql_file import Header

OUTSIDE = "-- transactional: false\n"


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A migration that creates a table, applied, and one that needs an exclusive lock on it."""
    monkeypatch.setattr(lock_waits, "_PAUSES", (0.01, 0.1))
    checkout = Checkout(tmp_path, empty_database)
    checkout.environ["RUNNER_LOCK_TIMEOUT"] = "0.4"
    checkout.write(_0001_a="create table projects (n int); create table tries (n int);")
    checkout.apply()
    checkout.write(_0002_b="insert into tries values (1); alter table projects add column b int;")
    return checkout


@pytest.fixture
def reader(checkout: Checkout) -> Iterator[Connection[Any]]:
    """A session that has read the table and stays in its transaction."""
    assert checkout.database
    with checkout.database.connect(application_name="a long read") as reader:
        reader.execute("select * from projects")
        yield reader


class Progress:
    """Collects the progress messages of a run; `on` acts on the first one that contains a text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._actions: list[tuple[str, Callable[[], object]]] = []

    def on(self, text: str, action: Callable[[], object]) -> None:
        self._actions.append((text, action))

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Working | Note):
            return
        self.lines.append(event.text)
        for text, action in list(self._actions):
            if text in event.text:
                self._actions.remove((text, action))
                action()

    @property
    def waiting(self) -> list[str]:
        return [line for line in self.lines if line.startswith("waiting")]


def apply_and_fail(
    checkout: Checkout, progress: Progress | None = None, wait: str = "1"
) -> SqlError:
    checkout.environ["RUNNER_BUSY_WAIT"] = wait
    with checkout.migrator(progress or Progress()) as migrator, pytest.raises(SqlError) as caught:
        known = migrator.records()
        migrator.apply([file for file in checkout.migrations() if file.id not in known])
    return caught.value


def apply_rest(checkout: Checkout, progress: Progress) -> None:
    with checkout.migrator(progress) as migrator:
        known = migrator.records()
        migrator.apply([file for file in checkout.migrations() if file.id not in known])


def sessions_of_runner(checkout: Checkout) -> int:
    count = checkout.value("""
        select count(*) from pg_stat_activity
        where application_name = 'runner' and datname = current_database()
        """)
    assert isinstance(count, int)
    return count


# --- lock timeouts and retries ----------------------------------------------------------------


def test_a_busy_table_is_waited_for_and_its_blocker_is_named(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    progress = Progress()
    progress.on("next attempt", reader.rollback)
    file = checkout.folder / "sql" / "0002_b.sql"
    file.write_text(f"do $$ begin raise notice 'tried'; end $$; {file.read_text()}")
    apply_rest(checkout, progress)
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert checkout.rows("select * from tries") == [(1,)], "a failed attempt left a row"
    said = [line for line in progress.lines if "NOTICE: tried" in line]
    assert said == [f"{file}:1: NOTICE: tried"], "a second attempt repeats nothing"
    pid = reader.info.backend_pid
    assert progress.waiting[0].startswith(
        f"waiting for projects: held by pid {pid} (a long read as "
    )
    assert "), idle in transaction for 00:00:0" in progress.waiting[0]
    assert progress.waiting[0].endswith(": select * from projects")
    assert "next attempt in 0.01 s" in progress.waiting[1]


@one_server
def test_a_waiting_migration_does_not_block_other_sessions(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    """Without a lock timeout, these readers would wait as long as the first one does."""
    assert checkout.database
    served: list[threading.Thread] = []

    def arrive() -> None:
        thread = threading.Thread(target=checkout.value, args=["select count(*) from projects"])
        thread.start()
        served.append(thread)

    def all_served() -> None:
        for thread in served:
            thread.join(TIMEOUT)
            assert not thread.is_alive()
        assert reader.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        reader.rollback()

    progress = Progress()
    progress.on("waiting for projects", arrive)  # while the migration waits for its lock
    progress.on("next attempt in 0.01 s", arrive)
    progress.on("next attempt in 0.02 s", all_served)
    apply_rest(checkout, progress)
    assert len(served) == 2
    assert checkout.applied() == ["0001_a", "0002_b"]


@one_server
def test_an_exhausted_wait_names_the_blocker_and_rolls_back(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    error = apply_and_fail(checkout)
    pid = reader.info.backend_pid
    assert error.message.startswith(f"Lock timeout on projects: held by pid {pid} (a long read")
    assert error.sqlstate == "55P03"
    assert error.place
    assert (error.place.line, error.place.column) == (1, 31)
    assert "attempts in 1 s; to wait longer: --busy-wait SECONDS." in error.hint
    assert f"select pg_terminate_backend({pid})" in error.hint
    assert "No changes of 0002_b were kept." in error.state
    assert checkout.rows("select * from tries") == []
    assert checkout.applied() == ["0001_a"]
    assert [line["outcome"] for line in checkout.log_lines()] == ["done", "failed"]


@one_server
def test_the_command_line_names_the_blocker_and_exits_with_one(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    result = checkout.runner("apply", "--lock-timeout", "0.5", "--busy-wait", "1")
    assert result.code == 1
    pid = reader.info.backend_pid
    assert f"waiting for projects: held by pid {pid} (a long read as postgres" in result.err
    assert f"error: Lock timeout on projects: held by pid {pid}" in result.err
    assert "  at sql/0002_b.sql:1:31" in result.err
    result = checkout.runner("apply", "--json", RUNNER_BUSY_WAIT="0")
    assert result.code == 1
    assert result.document["error"]["sqlstate"] == "55P03"
    assert "1 attempt in 0 s" in result.document["error"]["hint"]


@one_server
def test_earlier_files_are_committed_before_the_wait(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    checkout.write(_0002_b="create table b ();", _0003_c="alter table projects add column b int;")
    durable: list[list[str]] = []
    progress = Progress()
    progress.on("next attempt", lambda: durable.append(checkout.applied()))
    error = apply_and_fail(checkout, progress)
    assert "0002_b stays applied. No changes of 0003_c were kept." in error.state
    assert durable == [["0001_a", "0002_b"]]


@one_server
def test_a_rollback_file_is_retried_on_a_busy_table(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    checkout.write(_0001_a__rollback="drop table tries; drop table projects;")
    progress = Progress()
    progress.on("next attempt", reader.rollback)
    with checkout.migrator(progress) as migrator:
        migrator.roll_back(checkout.migrations()[:1])
    assert progress.waiting[0].startswith("waiting for projects: held by pid ")
    assert checkout.applied() == []


def test_a_deadlock_is_retried(checkout: Checkout) -> None:
    """The other session locks `tries` and then `projects`; we lock `projects` and then `tries`."""
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

        def deadlock() -> None:
            until(lambda: bool(checkout.value(f"select {held.format('projects', 'granted')}")))
            other.execute("lock table projects")
            other.rollback()

        thread = threading.Thread(target=deadlock)
        thread.start()
        progress = Progress()
        apply_rest(checkout, progress)
        thread.join(TIMEOUT)
    assert any("next attempt" in line for line in progress.waiting)
    assert checkout.applied() == ["0001_a", "0002_b"]


@one_server
def test_other_errors_are_not_retried(checkout: Checkout) -> None:
    checkout.write(_0002_b="select 1 / 0;")
    progress = Progress()
    assert apply_and_fail(checkout, progress, wait="60").message == "division by zero"
    assert progress.waiting == []


# --- outside a transaction --------------------------------------------------------------------


@one_server
def test_outside_a_transaction_only_the_failed_statement_is_retried(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    checkout.write(
        _0002_b=f"{OUTSIDE}insert into tries values (1); alter table projects add b int;"
    )
    error = apply_and_fail(checkout)
    assert "Its first statement is done." in error.state
    assert error.place
    assert (error.place.line, error.place.column) == (2, 31)
    progress = Progress()
    progress.on("next attempt", reader.rollback)
    apply_rest(checkout, progress)
    assert checkout.rows("select * from tries") == [(1,)]
    assert checkout.applied() == ["0001_a", "0002_b"]


INDEX = f"{OUTSIDE}create index concurrently if not exists n_idx on projects (n);"


@pytest.fixture
def writer(checkout: Checkout) -> Iterator[Connection[Any]]:
    """A session whose transaction every concurrent index build has to wait for."""
    assert checkout.database
    with checkout.database.connect(application_name="a long write") as writer:
        writer.execute("insert into projects values (1)")
        yield writer


def test_a_concurrent_index_build_waits_for_old_transactions_and_names_them(
    checkout: Checkout, writer: Connection[Any]
) -> None:
    """A lock timeout would leave the index invalid after each attempt."""
    checkout.write(_0002_b=INDEX)
    progress = Progress()
    progress.on("waiting for", writer.commit)
    apply_rest(checkout, progress)
    (line,) = progress.waiting
    assert f"held by pid {writer.info.backend_pid} (a long write as " in line
    assert "in a transaction of 00:00:0" in line
    assert line.endswith(": insert into projects values (1)")
    assert checkout.value("select indisvalid from pg_index where indexrelid = 'n_idx'::regclass")


@one_server
def test_an_invalid_index_is_dropped_without_a_lock_timeout(
    checkout: Checkout, writer: Connection[Any]
) -> None:
    writer.execute("insert into projects values (1)")
    writer.commit()
    checkout.write(_0002_b=INDEX.replace("index", "unique index", 1))
    assert apply_and_fail(checkout).sqlstate == "23505"
    checkout.do("delete from projects")
    writer.execute("insert into projects values (1)")
    progress = Progress()
    progress.on("waiting for", writer.commit)
    apply_rest(checkout, progress)
    assert len(progress.waiting) == 1
    assert checkout.value("select indisvalid from pg_index where indexrelid = 'n_idx'::regclass")


@pytest.mark.parametrize(
    ("statement", "unlimited"),
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
def test_only_concurrent_statements_wait_without_a_timeout(statement: str, unlimited: bool) -> None:
    lock_wait = lock_waits.LockWaits(None, Progress()).for_file(Header())  # type: ignore[arg-type]
    assert (
        lock_wait.statement_settings(statement) == f"set lock_timeout = {0 if unlimited else 2000}"
    )


# --- timeouts of a file -----------------------------------------------------------------------

SEEN = """
    insert into seen select current_setting('lock_timeout'), current_setting('statement_timeout'),
        current_setting('idle_in_transaction_session_timeout');
    """


@one_server
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
def test_timeouts_of_a_file_apply_to_the_file_and_not_to_its_record(
    checkout: Checkout, header: str, seen: tuple[str, str, str]
) -> None:
    """The session's statement_timeout applies unless the file sets one."""
    assert checkout.database
    checkout.do(f"alter database {checkout.database.name} set statement_timeout = '7s'")
    checkout.do(f"""
        create table seen (lock text, statement text, idle text);
        create function seen() returns trigger language plpgsql as $$ begin {SEEN}
            return null; end $$;
        create trigger seen after insert on yoyo._yoyo_migration execute function seen();
        """)
    checkout.write(_0002_b=header + SEEN)
    apply_rest(checkout, Progress())
    assert checkout.rows("select * from seen") == [seen, ("0", "7s", "0")]


@one_server
def test_timeouts_of_a_seed_file_apply_to_that_file_only(checkout: Checkout) -> None:
    checkout.write(_0002_b="create table seen (lock text, statement text, idle text);")
    checkout.seed(a=f"-- lock_timeout: 5s\n{SEEN}", b=SEEN)
    result = checkout.runner("up")
    assert result.code == 0, result.err
    assert checkout.rows("select * from seen") == [("5s", "0", "1min"), ("0", "0", "1min")]


@one_server
def test_a_statement_timeout_names_the_header_that_extends_it(checkout: Checkout) -> None:
    checkout.write(_0002_b="-- statement_timeout: 50ms\nselect pg_sleep(60);")
    error = apply_and_fail(checkout)
    assert error.sqlstate == "57014"
    assert "`-- statement_timeout: 10min`" in error.hint
    assert "No changes of 0002_b were kept." in error.state


# --- the second connection that looks for blockers --------------------------------------------


@one_server
def test_a_run_without_blockers_sends_no_other_statements_and_opens_no_connection(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = transactional.send

    def listening(connection: Any, text: str, *more: Any, **named: Any) -> Any:
        sent.append(text)
        return send(connection, text, *more, **named)

    monkeypatch.setattr(transactional, "send", listening)
    monkeypatch.setattr(lock_waits, "open_second", lambda _: pytest.fail("a second connection"))
    apply_rest(checkout, Progress())
    file, end = sent
    begin = file.removesuffix(checkout.migrations()[1].text)
    assert begin.startswith("/* apply 0002_b */ begin; set local ")
    assert begin.endswith("lock_timeout = 400; ")
    assert end.endswith("; commit")


@one_server
def test_the_search_for_blockers_leaves_no_connection_open(
    checkout: Checkout, reader: Connection[Any]
) -> None:
    assert apply_and_fail(checkout).sqlstate == "55P03"
    until(lambda: sessions_of_runner(checkout) == 0)
    progress = Progress()
    progress.on("next attempt", reader.rollback)
    with checkout.migrator(progress) as migrator:
        migrator.apply(checkout.migrations()[1:])
        assert progress.waiting
        until(lambda: sessions_of_runner(checkout) == 1)


@pytest.fixture
def limited_role(checkout: Checkout) -> Iterator[str]:
    """A role that owns the tables, has one connection and cannot see other sessions' state."""
    role = f"limited_{checkout.value('select pg_backend_pid()')}"
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


@one_server
def test_without_a_free_connection_no_blocker_is_named_but_the_retry_works(
    checkout: Checkout, limited_role: str, reader: Connection[Any]
) -> None:
    progress = Progress()
    assert apply_and_fail(checkout, progress).message == "Lock timeout on a lock"
    assert progress.waiting[0] == "waiting for a lock; next attempt in 0.01 s"
    progress.on("next attempt", reader.rollback)
    until(lambda: sessions_of_runner(checkout) == 0)  # its only connection is free again
    apply_rest(checkout, progress)
    assert checkout.applied() == ["0001_a", "0002_b"]


def test_a_blocker_with_hidden_state_is_named_by_its_pid(
    checkout: Checkout, limited_role: str, reader: Connection[Any]
) -> None:
    checkout.do(f"alter role {limited_role} connection limit 2")
    message = apply_and_fail(checkout).message
    assert f"held by pid {reader.info.backend_pid} (a long read as " in message
    assert "state hidden from this role" in message


@one_server
def test_an_interrupt_during_the_search_for_blockers_leaves_nothing_applied(
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
