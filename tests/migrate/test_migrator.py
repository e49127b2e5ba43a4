"""The migrator: a migration's effect and its record are committed together or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import Checkout
from conftest import Database, one_server
from yoyo import internalmigrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import get_migration_hash

from runner.errors import DatabaseUnreachable, FileError, SqlError
from runner.events import Done, Event
from runner.execution import transactional
from runner.postgres.target import Target

TABLES = ["_yoyo_log", "_yoyo_migration", "_yoyo_version"]
COLUMNS = """
    select table_name, column_name, data_type, character_maximum_length, is_nullable
    from information_schema.columns
    where table_schema = '{}'
    order by table_name, ordinal_position
    """


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    return Checkout(tmp_path, empty_database)


def stock_yoyo(checkout: Checkout, schema: str) -> PostgresqlPsycopgBackend:
    """Return yoyo's own backend, with the tables that yoyo itself creates."""
    assert checkout.database
    info = psycopg.conninfo.conninfo_to_dict(checkout.database.conninfo())
    checkout.do(f"create schema if not exists {schema}")
    target = Target({key: str(value) for key, value in info.items()}, "", embedded=False)
    url = target.url(show_password=True).replace("postgresql://", "postgresql+psycopg://")
    separator = "&" if "?" in url else "?"
    backend = PostgresqlPsycopgBackend(
        parse_uri(f"{url}{separator}schema={schema}"), "_yoyo_migration"
    )
    internalmigrations.upgrade(backend)
    return backend


# --- the tables ---------------------------------------------------------------------------------


def test_migration_tables_extend_those_of_stock_yoyo(checkout: Checkout) -> None:
    stock_yoyo(checkout, "stock").connection.close()
    checkout.write(_0001_a="select 1;")
    checkout.apply()
    stock = checkout.rows(COLUMNS.format("stock"))
    ours = checkout.rows(COLUMNS.format("yoyo"))
    assert [row for row in stock if row not in ours] == []
    assert {row[:2] for row in ours} - {row[:2] for row in stock} == {
        ("_yoyo_migration", "content_sha256"),
        ("_yoyo_migration", "code_sha256"),
        ("_yoyo_migration", "content"),
        ("_yoyo_migration", "duration_ms"),
        ("_yoyo_migration", "applied_by"),
        ("_yoyo_log", "fingerprint"),
        ("progress", "migration_id"),
        ("progress", "statement_number"),
        ("progress", "statement_sha256"),
    }
    keys = """
        select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint
        where contype = 'p' and connamespace = '{}'::regnamespace order by 1
        """
    found = [(name.split(".")[-1], key) for name, key in checkout.rows(keys.format("stock"))]
    assert found == [
        (name.split(".")[-1], key)
        for name, key in checkout.rows(keys.format("yoyo"))
        if "progress" not in name
    ]


def test_stock_yoyo_reads_our_migration_tables(checkout: Checkout) -> None:
    checkout.write(_0001_a="select 1;")
    checkout.apply()
    backend = stock_yoyo(checkout, "yoyo")  # needs no upgrade
    assert backend.get_applied_migration_hashes() == [get_migration_hash("0001_a")]
    backend.connection.close()


def test_migration_tables_of_stock_yoyo_are_adopted(checkout: Checkout) -> None:
    checkout.write(_0001_a="create table a ();", _0002_b="create table b ();")
    backend = stock_yoyo(checkout, "yoyo")
    backend.execute(
        "insert into _yoyo_migration values (:h, '0001_a', now())",
        {"h": get_migration_hash("0001_a")},
    )
    backend.connection.close()
    with checkout.migrator() as migrator:
        records = migrator.records()
        assert list(records) == ["0001_a"]
        assert records["0001_a"].sha256 is None
    checkout.apply_rest()
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert checkout.value("select to_regclass('a')") is None


def test_first_run_creates_schema_without_grants(checkout: Checkout) -> None:
    """yoyo: its tables land in the first schema of search_path: on Supabase, `public`."""
    checkout.do("create role api_guest")
    checkout.do("alter default privileges in schema public grant all on tables to api_guest")
    checkout.write(_0001_a="select 1;")
    checkout.apply()
    assert (
        checkout.rows("""
        select relname, relacl from pg_class
        where relnamespace = 'yoyo'::regnamespace and relacl is not null
        """)
        == []
    )
    assert checkout.value("select nspacl from pg_namespace where nspname = 'yoyo'") is None
    assert checkout.rows("select tablename from pg_tables where schemaname = 'public'") == []
    checkout.do("drop owned by api_guest; drop role api_guest")


def test_reading_records_creates_no_migration_tables(checkout: Checkout) -> None:
    with checkout.migrator() as migrator:
        assert migrator.records() == {}
        migrator.apply([])
        migrator.roll_back([])
    assert checkout.value("select to_regnamespace('yoyo')") is None


def test_unreadable_migration_tables_are_reported(checkout: Checkout) -> None:
    checkout.write(_0001_a="select 1;")
    checkout.apply()
    role = f"no_access_{checkout.value('select pg_backend_pid()')}"
    checkout.do(f"create role {role} login")
    try:
        assert checkout.database
        checkout.environ["DATABASE_URL"] = checkout.database.conninfo(user=role)
        with checkout.migrator() as migrator, pytest.raises(SqlError, match="cannot be read"):
            migrator.records()
    finally:
        checkout.do(f"drop role {role}")


@pytest.mark.parametrize("command", ["status", "apply", "baseline", "rollback --steps 1"])
def test_locked_migration_tables_are_reported_with_who_has_locked_them(
    checkout: Checkout, command: str
) -> None:
    checkout.write(_0001_a="select 1;")
    checkout.apply()
    with psycopg.connect(checkout.environ["DATABASE_URL"]) as other:
        other.execute("lock table yoyo._yoyo_migration")
        result = checkout.runner(*command.split())
        said = f"cannot be read: yoyo._yoyo_migration is locked by pid {other.info.backend_pid} ("
    assert (result.code, said in result.err) == (3, True), result.err


# --- content of a record ------------------------------------------------------------------------


def test_record_has_hashes_content_duration_time_and_user(checkout: Checkout) -> None:
    """yoyo: a migration's hash is of its name; an edited applied file is never noticed."""
    checkout.write(_0001_a="-- a\nselect '%s', 1;\n")
    checkout.apply()
    (migration,) = checkout.migrations()
    ((hash_, sha, code, content, ms, by, recent),) = checkout.rows("""
        select migration_hash, content_sha256, code_sha256, content, duration_ms, applied_by,
            applied_at_utc between (now() at time zone 'utc') - interval '1 hour'
                and now() at time zone 'utc'
        from yoyo._yoyo_migration
        """)
    assert hash_ == get_migration_hash("0001_a")
    assert (sha, code) == (migration.sha256, migration.code_sha256)
    assert content == "-- a\nselect '%s', 1;\n"
    assert ms > 0
    assert by.endswith(" as postgres") or " as " in by
    assert recent


@one_server
@pytest.mark.parametrize("header", ["", "-- transactional: false\n"])
def test_record_has_duration_of_its_own_file(checkout: Checkout, header: str) -> None:
    checkout.write(
        _0001_a="select 1;", _0002_b=f"{header}select pg_sleep(0.1);", _0003_c="select 1;"
    )
    checkout.apply()
    slow = "select duration_ms >= 100 from yoyo._yoyo_migration order by migration_id"
    assert checkout.rows(slow) == [(False,), (True,), (False,)]


@one_server
def test_large_file_is_recorded_without_content(checkout: Checkout) -> None:
    checkout.write(_0001_a="-- " + "x" * 300_000 + "\nselect 1;")
    checkout.apply()
    assert checkout.rows("select content, content_sha256 is null from yoyo._yoyo_migration") == [
        (None, False)
    ]


@one_server
def test_every_operation_is_in_the_yoyo_log(checkout: Checkout) -> None:
    checkout.write(_0001_a="select 1;", _0001_a__rollback="select 2;")
    (migration,) = checkout.migrations()
    with checkout.migrator() as migrator:
        migrator.apply([migration])
        migrator.roll_back([migration])
        migrator.record(migration, "mark")
        migrator.record(migration, "unmark")
    assert checkout.rows("""
        select operation, migration_hash from yoyo._yoyo_log order by created_at_utc
        """) == [
        (op, get_migration_hash("0001_a")) for op in ("apply", "rollback", "mark", "unmark")
    ]


# --- effect and record are atomic ---------------------------------------------------------------


def test_terminated_backend_leaves_neither_effect_nor_record(
    checkout: Checkout,
) -> None:
    """yoyo: the record is written on a second connection, after the migration's own commit."""
    checkout.write(
        _0001_a="create table a ();",
        _0002_b="create table b (); select pg_terminate_backend(pg_backend_pid());",
    )
    with pytest.raises(
        DatabaseUnreachable, match="terminating connection due to administrator command"
    ):
        checkout.apply()
    assert checkout.rows("select to_regclass('a')::text, to_regclass('b')::text") == [("a", None)]
    assert checkout.applied() == ["0001_a"]


@one_server
def test_constraint_failure_at_commit_leaves_neither_effect_nor_record(
    checkout: Checkout,
) -> None:
    checkout.write(
        _0001_a="create table a (n int unique deferrable initially deferred);",
        _0002_b="create table b (); insert into a values (1), (1);",
    )
    with pytest.raises(SqlError) as caught:
        checkout.apply()
    assert caught.value.sqlstate == "23505"
    assert "at the commit of" in caught.value.message
    assert "0002_b.sql" in caught.value.message
    assert caught.value.detail == "Key (n)=(1) already exists."
    assert caught.value.state == "0001_a stays applied. No changes of 0002_b were kept."
    assert checkout.value("select to_regclass('b')") is None
    assert checkout.rows("select * from a") == []
    assert checkout.applied() == ["0001_a"]


@one_server
def test_failure_to_write_record_rolls_back_the_effect(checkout: Checkout) -> None:
    checkout.write(_0001_a="select 1;", _0002_b="create table b ();")
    checkout.apply_rest(1)
    checkout.do("alter table yoyo._yoyo_log add check (migration_id <> '0002_b')")
    with pytest.raises(SqlError):
        checkout.apply_rest()
    assert checkout.value("select to_regclass('b')") is None
    assert checkout.applied() == ["0001_a"]


@one_server
def test_failed_file_keeps_and_reports_the_files_before_it(checkout: Checkout) -> None:
    checkout.write(
        _0001_a="create table a ();",
        _0002_b="create table b ();",
        _0003_c="create table c ();\nselect oops;",
        _0004_d="create table d ();",
    )
    events: list[Event] = []
    with pytest.raises(SqlError) as caught:
        checkout.apply(events.append)
    assert caught.value.state.startswith(
        "0001_a to 0002_b stay applied. No changes of 0003_c were kept"
    )
    done = [event for event in events if isinstance(event, Done)]
    assert [(event.operation, event.id) for event in done] == [
        ("apply", "0001_a"),
        ("apply", "0002_b"),
    ]
    assert checkout.applied() == ["0001_a", "0002_b"]
    assert checkout.value("select to_regclass('c')") is None
    assert checkout.value("select to_regclass('d')") is None


# --- rollback files -----------------------------------------------------------------------------


def test_rollback_runs_the_file_and_deletes_the_record(checkout: Checkout) -> None:
    checkout.write(_0001_a="create table a ();", _0001_a__rollback="drop table a;")
    checkout.apply()
    with checkout.migrator() as migrator:
        migrator.roll_back(checkout.migrations())
    assert checkout.value("select to_regclass('a')") is None
    assert checkout.applied() == []
    checkout.apply()
    assert checkout.applied() == ["0001_a"]


@one_server
def test_failed_rollback_keeps_effect_and_record(checkout: Checkout) -> None:
    checkout.write(
        _0001_a="create table a ();",
        _0001_a__rollback="drop table a; select 1 / 0;",
        _0002_b="create table b ();",
        _0002_b__rollback="drop table b;",
    )
    checkout.apply()
    with checkout.migrator() as migrator, pytest.raises(SqlError) as caught:
        migrator.roll_back(list(reversed(checkout.migrations())))
    assert "0002_b stays rolled back. No changes of 0001_a were kept." in caught.value.state
    assert caught.value.place
    assert caught.value.place.file.endswith("0001_a.rollback.sql")
    assert checkout.value("select to_regclass('a')") == "a"
    assert checkout.applied() == ["0001_a"]


@one_server
def test_missing_rollback_file_is_refused_before_anything_runs(checkout: Checkout) -> None:
    checkout.write(
        _0001_a="create table a ();",
        _0002_b="create table b ();",
        _0002_b__rollback="drop table b;",
    )
    checkout.apply()
    with (
        checkout.migrator() as migrator,
        pytest.raises(FileError, match="0001_a has no rollback file"),
    ):
        migrator.roll_back(list(reversed(checkout.migrations())))
    assert checkout.applied() == ["0001_a", "0002_b"]


@one_server
def test_unsupported_rollback_file_is_refused_before_anything_runs(checkout: Checkout) -> None:
    checkout.write(
        _0001_a="create table a ();",
        _0001_a__rollback="drop table a; commit;",
        _0002_b="create table b ();",
        _0002_b__rollback="drop table b;",
    )
    checkout.apply()
    with checkout.migrator() as migrator, pytest.raises(FileError, match="transaction control"):
        migrator.roll_back(list(reversed(checkout.migrations())))
    assert checkout.applied() == ["0001_a", "0002_b"]


@one_server
def test_non_transactional_rollback_file_runs(checkout: Checkout) -> None:
    checkout.write(
        _0001_a="-- transactional: false\ncreate table a (n int); "
        "create index concurrently a_idx on a (n);",
        _0001_a__rollback="-- transactional: false\ndrop index concurrently a_idx; drop table a;",
    )
    checkout.apply()
    with checkout.migrator() as migrator:
        migrator.roll_back(checkout.migrations())
    assert checkout.value("select to_regclass('a')") is None
    assert checkout.applied() == []


# --- session state between files ----------------------------------------------------------------

LEFT_BEHIND = {
    "a role": ("set role pg_monitor;", "select current_user = session_user"),
    "a path": (
        "set search_path = pg_catalog;",
        "select current_setting('search_path') <> 'pg_catalog'",
    ),
    "an authorization": (
        "set session authorization pg_monitor;",
        "select session_user <> 'pg_monitor'",
    ),
    "a setting": ("set lock_timeout = '1h';", "select current_setting('lock_timeout') <> '1h'"),
    "a local setting": (
        "set local work_mem = '1MB';",
        "select current_setting('work_mem') <> '1MB'",
    ),
    "a temporary table": (
        "create temp table t ();",
        "select to_regclass('pg_temp.t') is null",
    ),
    "a listener": ("listen news;", "select count(*) = 0 from pg_listening_channels()"),
    "a prepared statement": (
        "prepare p as select 1;",
        "select count(*) = 0 from pg_prepared_statements",
    ),
    "a cursor": (
        "declare c cursor with hold for select 1;",
        "select count(*) = 0 from pg_cursors",
    ),
    "a read-only session": (
        "set default_transaction_read_only = on;",
        "select current_setting('default_transaction_read_only') = 'off'",
    ),
    "a sequence": ("select nextval('public.s');", ""),
}


@one_server
@pytest.mark.parametrize("what", LEFT_BEHIND)
@pytest.mark.parametrize("header", ["", "-- transactional: false\n"])
def test_session_state_does_not_leak_into_record_or_next_file(
    checkout: Checkout, what: str, header: str
) -> None:
    left, gone = LEFT_BEHIND[what]
    gone = gone or "select true"
    checkout.write(
        _0001_a="create sequence public.s; create table public.found (ok bool);",
        _0002_b=header + left,
        _0003_c=f"insert into public.found {gone};",
    )
    checkout.apply()
    assert checkout.applied() == ["0001_a", "0002_b", "0003_c"]
    assert checkout.rows("select * from public.found") == [(True,)]


@one_server
def test_lock_survives_the_session_reset_between_files(checkout: Checkout) -> None:
    checkout.write(
        _0001_a="select pg_advisory_lock(42);", _0002_b="-- transactional: false\nselect 1;"
    )
    held = "select count(*) from pg_locks where locktype = 'advisory' and objid = 2037348719"
    with checkout.migrator() as migrator:
        migrator.apply(checkout.migrations())
        assert checkout.value(held) == 1
    assert checkout.value(held) == 0


# --- durability of commits ----------------------------------------------------------------------

WATCH = """
    create table public.waits (id text, waits text);
    create function public.watch() returns trigger language plpgsql as $$
    begin
        insert into public.waits values (new.migration_id, current_setting('synchronous_commit'));
        return null;
    end $$;
    create constraint trigger watch after insert on yoyo._yoyo_migration
    deferrable initially deferred for each row execute function public.watch();
    """


@one_server
@pytest.mark.parametrize("server_wide", ["on", "off", "local"])
def test_only_last_commit_of_a_run_waits_for_the_disk(
    checkout: Checkout, server_wide: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.migrate.executor._REPORT_EVERY", 1e9)
    assert checkout.database
    checkout.do(f"alter database {checkout.database.name} set synchronous_commit = {server_wide}")
    checkout.write(_0001_a=WATCH)
    checkout.apply()
    checkout.write(
        _0002_b="set synchronous_commit = off;",
        _0003_c="select 1;",
        _0004_d="set local synchronous_commit = off;",
    )
    checkout.apply_rest()
    last = "on" if server_wide == "off" else server_wide
    assert checkout.rows("select id, waits from public.waits where id > '0002' order by id") == [
        ("0002_b", "off"),
        ("0003_c", "off"),
        ("0004_d", last),
    ]


@one_server
def test_success_is_reported_only_after_a_durable_commit(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = transactional.send

    def recording(connection: Any, text: str, *more: Any, **named: Any) -> Any:
        answer = send(connection, text, *more, **named)
        if "commit" in text:
            sent.append("waits" if "do $$" in text else "does not wait")
        return answer

    monkeypatch.setattr(transactional, "send", recording)
    monkeypatch.setattr("runner.migrate.executor._REPORT_EVERY", 1e9)
    checkout.write(_0001_a="select 1;", _0002_b="select 1;", _0003_c="select 1;")

    def report(event: Event) -> None:
        if isinstance(event, Done):
            sent.append(event.id)

    checkout.apply(report)
    assert sent[-6:] == ["does not wait", "does not wait", "waits", "0001_a", "0002_b", "0003_c"]


@one_server
def test_after_a_failure_completed_files_are_durable_before_being_reported(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = transactional.send

    def recording(connection: Any, text: str, *more: Any, **named: Any) -> Any:
        sent.append(text)
        return send(connection, text, *more, **named)

    monkeypatch.setattr(transactional, "send", recording)
    monkeypatch.setattr("runner.migrate.executor._REPORT_EVERY", 1e9)
    checkout.write(_0001_a="select 1;", _0002_b="select oops;")
    reported: list[str] = []

    def report(event: Event) -> None:
        if isinstance(event, Done):
            reported.append(event.id)
            assert "synchronous_commit = on" in sent[-1]
            assert "update" in sent[-1]  # a commit that writes nothing does not wait for the disk

    with pytest.raises(SqlError):
        checkout.apply(report)
    assert reported == ["0001_a"]


@one_server
def test_the_error_that_ended_a_run_is_raised_although_the_fingerprint_fails_too(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.migrate.executor._REPORT_EVERY", 1e9)
    monkeypatch.setattr("runner.schema.fingerprint.store_sql", lambda: "select 1/0")
    checkout.write(_0001_a="select 1;", _0002_b="select oops;")
    with pytest.raises(SqlError, match="oops"):
        checkout.apply()
    assert checkout.applied() == ["0001_a"]


@one_server
def test_long_run_reports_completed_files_before_it_ends(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.migrate.executor._REPORT_EVERY", -1.0)
    checkout.write(_0001_a="select 1;", _0002_b="select 1;")
    counts: list[int] = []

    def report(event: Event) -> None:
        if isinstance(event, Done):
            counts.append(len(checkout.applied()))

    checkout.apply(report)
    assert counts == [1, 2]


@one_server
def test_whole_run_uses_one_connection(checkout: Checkout) -> None:
    """yoyo: one new connection per file."""
    watch = "insert into public.pids select pg_backend_pid();"
    checkout.write(
        _0001_a="create table public.pids (pid int);" + watch,
        _0002_b=watch,
        _0003_c="-- transactional: false\n" + watch,
    )
    checkout.apply()
    assert checkout.value("select count(distinct pid) from public.pids") == 1
    assert checkout.value("select count(*) from public.pids") == 3
