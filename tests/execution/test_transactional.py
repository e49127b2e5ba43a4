"""Execution of one file: error positions and hints, and files outside a transaction."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server

from runner import embedded
from runner.errors import DatabaseUnreachable, FileError, RunnerError, SqlError
from runner.execution import transactional


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    return Checkout(tmp_path, empty_database)


def failed(checkout: Checkout) -> RunnerError:
    """Apply what is pending, and return the error that it must raise."""
    with pytest.raises(RunnerError) as caught:
        checkout.apply_rest()
    return caught.value


def sql_error(checkout: Checkout) -> SqlError:
    error = failed(checkout)
    assert isinstance(error, SqlError)
    return error


# --- error positions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "column"),
    [("select ", 8), ("select 'äöü😀漢', ", 17), ("\tselect\t", 9), ("select /* ж */ ", 16)],
)
@pytest.mark.parametrize("header", ["", "-- ü\r\n\r\n", "\ufeff-- x\n"])
def test_sql_error_has_line_and_column_after_wide_characters(
    checkout: Checkout, header: str, before: str, column: int
) -> None:
    path = checkout.folder / "sql" / "0001_a.sql"
    path.parent.mkdir()
    end = "\r\n" if "\r" in header else "\n"
    lines = ["create table a ();", f"{before}nothing_here;", "select 1;"]
    path.write_bytes((header + end.join(lines)).encode())
    error = sql_error(checkout)
    assert error.sqlstate == "42703"
    assert error.message == 'column "nothing_here" does not exist'
    assert error.place
    assert error.place.file == str(path)
    assert error.place.line == 2 + header.count("\n")
    assert error.place.column == column
    assert error.place.text == lines[1]
    assert checkout.value("select to_regclass('a')") is None


def test_error_without_position_points_at_its_statement(checkout: Checkout) -> None:
    checkout.write(
        _0001_a="""\
        create table a (n int primary key);
        insert into a values (1);

        -- a duplicate
          insert into a values (2), (1);
        select 1;
        """
    )
    error = sql_error(checkout)
    assert error.sqlstate == "23505"
    assert error.place
    assert (error.place.line, error.place.column) == (5, 3)
    assert error.detail == "Key (n)=(1) already exists."


@one_server
def test_messages_of_the_server_have_the_line_that_raised_them(checkout: Checkout) -> None:
    """Warnings, and what a file raises; not what guards say, nor what the runner's own SQL does."""
    checkout.write(
        _0001_a="""\
        create function f(n int) returns int language plpgsql as $$ begin
            raise notice 'f %', n; return n; end $$;
        create table a (n int);
        create view v as select n from a;
        grant select on a to pg_monitor; set role pg_monitor; revoke insert on a from public;
        reset role; do $$ begin
            raise info 'one';
            perform f(2);
            raise warning 'two' using detail = 'more', hint = 'password = hunter2';
        end $$; do $$ begin raise notice 'three'; raise log 'not shown'; end $$;
        set role pg_monitor; select n from a; revoke all on a from pg_monitor; reset role;
        select f(4);
        select 1; do $$ begin for i in 1..3 loop raise notice 'five'; end loop; end $$;
        drop table if exists nowhere; create table if not exists a ();
        drop table a cascade;
        create table b (n int);
        create function g() returns trigger language plpgsql as $$ begin
            raise warning 'late'; return null; end $$;
        create constraint trigger t after insert on b initially deferred
            for each row execute function g();
        insert into b values (1);
        """,
        _0002_b="""\
        -- transactional: false
        do $$ begin raise warning 'first'; end $$;

        select f(6);
        vacuum (verbose, truncate off) b;
        select 1 / 0;
        """,
    )
    result = checkout.runner("apply", "--json")
    notes = [note.removeprefix("sql/") for note in result.document["notes"]]
    of_n = 'could be revoked for column "n" of relation "a"'
    first = [
        '0001_a.sql:5: WARNING: no privileges could be revoked for "a"',
        f"0001_a.sql:5: WARNING: no privileges {of_n}",
        "0001_a.sql:7: INFO: one",
        "0001_a.sql:8: NOTICE: f 2",
        "0001_a.sql:9: WARNING: two\n  more\n  password = ***",
        "0001_a.sql:10: NOTICE: three",
        '0001_a.sql:11: WARNING: no privileges could be revoked for "a"',
        f"0001_a.sql:11: WARNING: no privileges {of_n}",
        "0001_a.sql:12: NOTICE: f 4",
        "0001_a.sql:13: NOTICE: five",
        "0001_a.sql:15: NOTICE: drop cascades to view v",
        "0001_a.sql: WARNING: late",
    ]
    second = ["0002_b.sql:2: WARNING: first", "0002_b.sql:4: NOTICE: f 6"]
    assert notes[: len(first)] == first
    assert notes[len(first) : len(first) + 2] == second
    assert notes[len(first) + 2].startswith("0002_b.sql:5: INFO: vacuuming")
    logged = [[n.removeprefix("sql/") for n in line["notes"]] for line in checkout.log_lines()]
    assert logged == [first, notes[len(first) :]]
    assert [one["notes"] for one in result.document["done"]] == [
        result.document["notes"][: len(first)]
    ]


def test_error_in_function_has_context(checkout: Checkout) -> None:
    checkout.write(
        _0001_a="""\
        create table a ();
        do $$ begin
            raise exception 'not today' using hint = 'tomorrow', errcode = 'P0042';
        end $$;
        """
    )
    error = sql_error(checkout)
    assert (error.message, error.sqlstate, error.server_hint) == ("not today", "P0042", "tomorrow")
    assert "PL/pgSQL function inline_code_block line 2 at RAISE" in error.context
    assert error.place
    assert (error.place.line, error.place.column) == (3, 5)


@one_server
def test_empty_statements_and_comments_do_not_shift_the_position(checkout: Checkout) -> None:
    checkout.write(_0001_a=";; -- nothing\nselect 1;;\n/* ; */;\nselect 1 / 0;\nselect 2;")
    error = sql_error(checkout)
    assert error.place
    assert error.place.line == 4


@one_server
@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("vacuum;", "-- transactional: false"),
        (
            "create type t as enum ('a'); alter type t add value 'b'; select 'b'::t;",
            "",
        ),
        ("create table x (); set role no_such_role; ", ""),
    ],
)
def test_sql_error_hint_has_advice_for_known_causes(
    checkout: Checkout, text: str, advice: str
) -> None:
    checkout.write(_0001_a="create type u as enum ('a');", _0002_b=text)
    if "alter type" in text:
        checkout.write(_0002_b="alter type u add value 'b'; select 'b'::u;")
        advice = "only after it is committed"
    error = sql_error(checkout)
    assert advice in error.hint
    assert "0001_a stays applied. No changes of 0002_b were kept." in error.state


@one_server
@pytest.mark.parametrize("text", ["-- nothing yet\n", ""])
def test_file_without_statements_is_refused(checkout: Checkout, text: str) -> None:
    checkout.write(_0001_a=text)
    with pytest.raises(FileError, match="contains no statements"):
        checkout.apply()
    assert checkout.applied() == []


@one_server
def test_percent_signs_and_colons_are_not_placeholders(checkout: Checkout) -> None:
    checkout.write(_0001_a="create table a as select '%s %(a)s :name %%' as text, 7 % 4 as n;")
    checkout.apply()
    assert checkout.rows("select * from a") == [("%s %(a)s :name %%", 3)]


@one_server
def test_transactional_file_is_sent_as_one_query(checkout: Checkout) -> None:
    """yoyo: a savepoint per statement, and sqlparse over every file."""
    checkout.write(
        _0001_a="""\
        create table seen (query text, savepoint bool);
        insert into seen select query, false from pg_stat_activity where pid = pg_backend_pid();
        select 1;
        """
    )
    checkout.apply()
    ((query, _),) = checkout.rows("select * from seen")
    assert query.startswith("/* apply 0001_a */ begin; set local ")
    assert "; create table seen" in query
    assert "select 1;" in query


# --- statements that would end the transaction --------------------------------------------------


@one_server
@pytest.mark.parametrize(
    "text", ["select 1; commit; select 2;", "copy pg_class from stdin;\n1\n\\.\n", "\\d\n"]
)
def test_unsupported_statement_is_refused_before_any_file_runs(
    checkout: Checkout, text: str
) -> None:
    checkout.write(_0001_a="create table a ();", _0002_b=text)
    assert isinstance(failed(checkout), FileError)
    assert checkout.value("select to_regclass('a')") is None
    assert checkout.applied() == []


def test_copy_missed_by_the_splitter_stops_the_run(checkout: Checkout) -> None:
    """If the splitter misses a COPY, the run stops and nothing of the file is kept."""
    with checkout.migrator() as migrator, pytest.raises(FileError, match="COPY FROM STDIN"):
        transactional.send(
            migrator.connection, "create table a (n int); copy a from stdin; select 1"
        )
    assert checkout.value("select to_regclass('a')") is None


def test_commit_missed_by_the_splitter_is_detected(checkout: Checkout) -> None:
    """If the splitter misses a COMMIT, the run stops."""
    checkout.write(_0001_a="select 1; commit; select 2;")
    (migration,) = checkout.migrations()
    vars(migration)["statements"] = []
    with checkout.migrator() as migrator:
        transactional.send(migrator.connection, "begin")
        with pytest.raises(FileError, match="ended the transaction"):
            transactional.run_whole(migrator.connection, migration, state="")


def test_terminated_backend_is_reported_as_lost_connection(checkout: Checkout) -> None:
    with (
        checkout.migrator() as migrator,
        pytest.raises(DatabaseUnreachable, match="connection was lost"),
    ):
        transactional.send(migrator.connection, "select pg_terminate_backend(pg_backend_pid())")


# --- outside a transaction ----------------------------------------------------------------------

NON_TRANSACTIONAL = "-- transactional: false\n\n"


def test_non_transactional_statements_commit_one_by_one(checkout: Checkout) -> None:
    checkout.write(
        _0001_a=NON_TRANSACTIONAL + "create table a (); vacuum a; create table b (); select 1/0;"
    )
    error = sql_error(checkout)
    assert error.place
    assert (error.place.line, error.place.column) == (3, 49)
    assert "Its statements 1–3 are done." in error.state
    assert checkout.value("select to_regclass('b')") == "b"
    assert checkout.applied() == []


@one_server
def test_non_transactional_file_resumes_where_it_stopped(checkout: Checkout) -> None:
    checkout.write(
        _0001_a=f"""{NON_TRANSACTIONAL}
        create table a (n int);
        insert into a values (1);
        insert into b values (1);
        insert into a values (2);
        """
    )
    assert "statements 1–2 are done" in sql_error(checkout).state
    checkout.do("create table b (n int)")
    checkout.apply()
    assert checkout.rows("select n from a order by n") == [(1,), (2,)]
    assert checkout.rows("select n from b") == [(1,)]
    assert checkout.applied() == ["0001_a"]
    assert checkout.rows("select * from yoyo.progress") == []


# What a session keeps from one statement to the next, with a statement that runs alone in between.
KEEPS_SESSION = """-- transactional: false
create schema s;
grant all on schema s to pg_monitor;
create table s.seen (id serial, who text default current_user, path text, n bigint);
grant all on all tables in schema s to pg_monitor;
grant all on all sequences in schema s to pg_monitor;
create temp table aside as select 7 as n;
select set_config('search_path', 's, pg_catalog', false), set_config('my.n', '8', false);
prepare see (bigint) as insert into seen (path, n) values (current_setting('search_path'), $1);
execute see (1);
vacuum seen;
execute see (currval('seen_id_seq'));
insert into seen (n) select n from aside;
set role pg_monitor;
execute see (current_setting('my.n')::int);
create table of_monitor ();
reset role;
set default_transaction_read_only = on;
select 1;
reset all;
deallocate see;
insert into s.seen (path, n) select current_setting('search_path'), (tableowner = 'pg_monitor')::int
from pg_tables where tablename = 'of_monitor';
"""


def test_session_outside_a_transaction_is_that_of_psql(
    checkout: Checkout, new_database: Callable[..., Database]
) -> None:
    checkout.write(_0001_a=KEEPS_SESSION)
    by_psql = new_database()
    psql = [str(embedded.program("psql")), "-Xq", "-v", "ON_ERROR_STOP=1", "-d", by_psql.conninfo()]
    file = checkout.folder / "sql/0001_a.sql"
    subprocess.run([*psql, "-f", file], check=True, capture_output=True)
    checkout.apply()
    seen = "select id, who = current_user, path, n from s.seen order by id"
    with by_psql.connect() as conn:
        assert checkout.rows(seen) == conn.execute(seen).fetchall()
    assert [row[3] for row in checkout.rows(seen)] == [1, 1, 7, 8, 1]


@one_server
def test_session_of_an_interrupted_file_is_restored(checkout: Checkout) -> None:
    text = f"""{NON_TRANSACTIONAL}
        create table public.seen (who text default current_user, path text, n int);
        grant all on public.seen to pg_monitor;
        select set_config('search_path', 'pg_catalog', false);
        prepare see (int) as insert into public.seen values (default, 'x', $1);
        set role pg_monitor;
        {{}}
        execute see (1);
        """
    checkout.write(_0001_a=text.format("select 1/0;"))
    sql_error(checkout)
    checkout.write(_0001_a=text.format("select 1;"))
    checkout.apply()
    assert checkout.rows("select * from public.seen") == [("pg_monitor", "x", 1)]
    checkout.write(_0002_b=NON_TRANSACTIONAL + "create temp table t (n int);\nselect 1/0;")
    sql_error(checkout)
    error = failed(checkout)
    assert "the temporary table that it made is gone" in error.message
    assert "Its first statement is done." in error.state


@one_server
def test_failed_statement_may_be_edited_but_completed_one_may_not(checkout: Checkout) -> None:
    text = NON_TRANSACTIONAL + "create table a ();\nselect nothing;\n"
    checkout.write(_0001_a=text)
    assert "Its first statement is done." in sql_error(checkout).state
    checkout.write(_0001_a=text.replace("table a", "table b").replace("nothing", "1"))
    error = failed(checkout)
    assert isinstance(error, FileError)
    assert "its statement 1 was edited since" in error.message
    assert error.place
    assert error.place.line == 3
    checkout.write(_0001_a=text.replace("nothing", "1") + "create table c ();")
    checkout.apply()
    assert checkout.value("select to_regclass('c')") == "c"


@one_server
def test_setting_in_file_still_applies_after_resuming(checkout: Checkout) -> None:
    text = f"""{NON_TRANSACTIONAL}
        set lock_timeout = '7s';
        set search_path = pg_catalog;
        create table public.a as select current_setting('lock_timeout') as t, 1 as n;
        insert into public.a
        select current_setting('lock_timeout'), 1 / (select count(*) from {{}});
        """
    checkout.write(_0001_a=text.format("public.b"))
    sql_error(checkout)
    checkout.do("create table b as select 1 as n")
    checkout.apply()
    assert checkout.rows("select * from a") == [("7s", 1), ("7s", 1)]


@one_server
def test_set_role_in_file_does_not_affect_its_record(checkout: Checkout) -> None:
    checkout.write(_0001_a=NON_TRANSACTIONAL + "set role pg_monitor;\nselect 1;")
    checkout.apply()
    assert checkout.applied() == ["0001_a"]


DUPLICATES = "create table a (n int); insert into a values (1), (1);"
INDEX = (
    NON_TRANSACTIONAL + "create unique index concurrently if not exists a_n_idx on public.a (n);"
)
VALID = "select i.indisvalid from pg_index as i where i.indexrelid = to_regclass('a_n_idx')"


def test_invalid_concurrent_index_is_not_recorded_and_is_rebuilt(checkout: Checkout) -> None:
    checkout.write(_0001_a=DUPLICATES, _0002_b=INDEX)
    for _ in range(2):  # the second run must not accept the invalid index as built
        error = sql_error(checkout)
        assert error.sqlstate == "23505"
        assert error.detail == "Key (n)=(1) is duplicated."
        assert checkout.rows(VALID) == [(False,)]
        assert checkout.applied() == ["0001_a"]
    checkout.do("delete from a where ctid = '(0,1)'")
    checkout.apply_rest()
    assert checkout.rows(VALID) == [(True,)]
    assert checkout.applied() == ["0001_a", "0002_b"]


@one_server
def test_valid_existing_index_is_not_rebuilt(checkout: Checkout) -> None:
    checkout.write(_0001_a="create table a (n int); create index a_n_idx on a (n);", _0002_b=INDEX)
    checkout.apply_rest(1)
    before = checkout.value("select 'a_n_idx'::regclass::oid")
    checkout.apply_rest()
    assert checkout.value("select 'a_n_idx'::regclass::oid") == before


@one_server
def test_quoted_index_name_is_found(checkout: Checkout) -> None:
    text = INDEX.replace("a_n_idx", '"A ""n"""')
    checkout.write(_0001_a=DUPLICATES, _0002_b=text)
    sql_error(checkout)
    checkout.do("delete from a where ctid = '(0,1)'")
    checkout.apply_rest()
    assert checkout.value("select indisvalid from pg_index where indrelid = 'a'::regclass") is True


@one_server
def test_of_many_messages_of_a_file_the_first_are_reported_and_the_rest_counted(
    checkout: Checkout,
) -> None:
    many = "do $$ begin for i in 1..{} loop raise notice '%', i; end loop; end $$;\n"
    checkout.write(
        _0001_a=many.format(50) + many.format(20_000),
        _0002_b="-- transactional: false\n" + many.format(60) * 2,
        _0003_c=many.format(100),
        _0004_d=many.format(101) + "select 1 / 0;",
    )
    started = time.monotonic()
    notes = checkout.runner("apply", "--json").document["notes"]
    assert time.monotonic() - started < 10
    assert [n for n in notes if " more " in n] == [
        "sql/0001_a.sql: … and 19,950 more messages",
        "sql/0002_b.sql: … and 20 more messages",
        "sql/0004_d.sql: … and 1 more message",
    ]
    assert len(notes) == 4 * 100 + 3
    assert notes[99:101] == [
        "sql/0001_a.sql:2: NOTICE: 50",
        "sql/0001_a.sql: … and 19,950 more messages",
    ]
    assert notes[-2] == "sql/0004_d.sql:1: NOTICE: 100"
