"""Files that did not come to their end: what is left, and who makes it whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from checkout import until
from server_harness import ALIVE, Room, Stage, Standing, stage

from runner.errors import FileError, SqlError

OUTSIDE = "-- transactional: false\n\n"
VALID = "select indisvalid from pg_index where indexrelid = to_regclass('public.t_n_idx')"
INDEX = "create unique index concurrently if not exists t_n_idx on public.t (n);"
PARTIAL = "select migration_id, statement_number from yoyo.progress order by 1, 2"


@pytest.fixture(scope="module")
def the_stage() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def room(the_stage: Stage) -> Iterator[Room]:
    with the_stage.room() as room:
        yield room


def sql_error(room: Room) -> SqlError:
    with pytest.raises(SqlError) as caught:
        room.apply_rest()
    return caught.value


# --- each statement once ------------------------------------------------------------------------

FIVE = OUTSIDE + "".join(f"insert into public.steps values ({n});\n" for n in range(1, 6))


def test_killed_at_any_point_of_five_statements_each_runs_once(room: Room) -> None:
    """None of them is guarded, and none could be run twice."""
    room.write(_0001_steps="create table public.steps (n int);")
    room.apply()
    room.write(_0002_five=FIVE)
    again = """
        truncate public.steps, yoyo.progress;
        delete from yoyo._yoyo_migration where migration_id = '0002_five'
        """
    points = room.points("apply")
    for number, point in enumerate(points, start=1):
        room.operator.execute(again)
        if "before" in point and "steps" not in points[number - 2] + point:
            continue  # nothing happens between it and the one before it
        standing = room.standing("apply", at=number)
        standing.child.send(signal.SIGKILL)
        standing.ended()
        standing.proxy.hang_up()
        standing.let_go()
        assert room.fork("apply").code == 0, point
        assert room.look("select n from public.steps order by n") == [(n,) for n in range(1, 6)]
        assert room.look(PARTIAL) == []


def test_what_postgresql_runs_only_alone_runs_alone(room: Room) -> None:
    room.write(
        _0001_a=f"""{OUTSIDE}
        create table public.a (n int);
        vacuum public.a;
        do 'begin insert into public.a values (1); commit; insert into public.a values (2); end';
        create procedure public.p() language plpgsql as $$ begin commit; end $$;
        call public.p();
        set default_transaction_read_only = on;
        """
    )
    room.apply()
    assert room.look("select n from public.a") == [(1,), (2,)]
    assert room.applied() == ["0001_a"]


def test_a_constraint_that_fails_when_a_statement_commits_is_told_with_its_place(
    room: Room,
) -> None:
    room.write(
        _0001_a=f"""{OUTSIDE}
        create table public.a (n int unique deferrable initially deferred);
        insert into public.a values (1), (1);
        """
    )
    error = sql_error(room)
    assert error.sqlstate == "23505"
    assert error.place
    assert error.place.line == 5
    assert error.hint == "Its first statement is done and stays."
    assert room.look("select * from public.a") == []


# --- indexes that broke -------------------------------------------------------------------------


def test_the_rows_that_keep_an_index_from_being_unique_are_named(room: Room) -> None:
    room.write(
        _0001_t="""
        create table public.t (n int, m text);
        insert into public.t select n % 7, 'x' from generate_series(1, 20) as n;
        insert into public.t values (null, 'x'), (null, 'x'), (100, null), (100, null);
        """,
        _0002_index=f"{OUTSIDE}{INDEX.replace('(n)', '(n, upper(m)) where n <> 6')}",
    )
    error = sql_error(room)
    assert error.sqlstate == "23505"
    assert error.hint.splitlines() == [
        "In the table more than once: (1,X) 3 times, (2,X) 3 times, (3,X) 3 times, (4,X) 3 times, "
        "(5,X) 3 times and more.",
        "0001_t stays applied. None of its statements is done.",
    ]
    assert room.look(VALID) == [(False,)]
    room.do("delete from public.t where ctid not in (select min(ctid) from public.t group by n, m)")
    room.apply_rest()
    assert room.look(VALID) == [(True,)]
    assert room.applied() == ["0001_t", "0002_index"]


def test_nulls_count_where_the_index_says_so(room: Room) -> None:
    room.write(
        _0001_t="create table public.t (n int); insert into public.t values (null), (null);",
        _0002_index=f"{OUTSIDE}{INDEX.replace('(n)', '(n) nulls not distinct')}",
    )
    assert "In the table more than once: () 2 times." in sql_error(room).hint


@pytest.mark.parametrize(
    "text",
    [
        "create index concurrently on public.t (n)",
        "CREATE UNIQUE /* why */ INDEX -- not\n CONCURRENTLY ON ONLY public.t (n)",
        'create index concurrently if not exists on "public"."t" (n)',
    ],
)
@pytest.mark.parametrize("name", ["0002_index", "0001_t.rollback"])
def test_an_index_without_a_name_is_refused_before_anything_runs(
    room: Room, name: str, text: str
) -> None:
    room.write(_0001_t="create table public.t (n int);")
    room.file(f"sql/{name}.sql", f"{OUTSIDE}create table public.u ();\n{text};")
    with pytest.raises(FileError, match="builds an index without a name") as caught:
        room.apply()
        with room.migrator() as migrator:
            migrator.roll_back(room.migrations())
    assert caught.value.place
    assert caught.value.place.line == 4
    assert "create index concurrently if not exists NAME on" in caught.value.hint
    assert room.look("select to_regclass('public.u')") == [(None,)]


@pytest.mark.parametrize("name", ["t_n_idx", '"T, n"', '"A ""b"""'])
def test_a_broken_index_is_found_behind_comments_and_quotes(room: Room, name: str) -> None:
    room.write(
        _0001_t="create table public.t (n int); insert into public.t values (1), (1);",
        _0002_index=f"{OUTSIDE}create unique /* u */ index -- i\nconcurrently if not exists {name}"
        ' on "public" . "t" (n);',
    )
    sql_error(room)
    room.do("delete from public.t where ctid = '(0,1)'")
    room.apply_rest()
    valid = "select indisvalid from pg_index where indrelid = 'public.t'::regclass"
    assert room.look(valid) == [(True,)]


def test_an_index_that_somebody_else_is_building_is_not_recorded(room: Room) -> None:
    """`if not exists` skips it, but who knows whether it will ever be done."""
    room.write(_0001_t="create table public.t (n int);", _0002_index=OUTSIDE + INDEX)
    room.apply_rest(1)
    assert room.database
    with room.database.connect() as old, room.database.connect(autocommit=True) as builder:
        old.execute("lock table public.t in row exclusive mode")  # the build waits for it
        pid = builder.info.backend_pid
        building = threading.Thread(target=builder.execute, args=(INDEX,))
        building.start()
        until(lambda: room.look(VALID) == [(False,)])
        error = sql_error(room)
        assert f"the index public.t_n_idx is being built by another session, pid {pid}" in str(
            error
        )
        assert room.applied() == ["0001_t"]
        old.rollback()
        building.join()
    room.apply_rest()
    assert room.applied() == ["0001_t", "0002_index"]
    assert room.look(VALID) == [(True,)]


def killed(standing: Standing) -> None:
    standing.child.send(signal.SIGKILL)
    standing.ended()
    standing.proxy.hang_up()


def interrupted(standing: Standing) -> None:
    standing.child.send(signal.SIGTERM)
    assert standing.ended().code == 143


def cut_off(standing: Standing) -> None:
    standing.room.look("select pg_terminate_backend(%s)", standing.proxy.pid)
    assert standing.ended().code == 1


def stopped(standing: Standing) -> None:
    standing.room.stage.stop_and_start()
    assert standing.ended().code == 1
    standing.room.after_a_stop()


@pytest.mark.parametrize("operation", [killed, interrupted, cut_off, stopped])
def test_a_build_that_ends_in_the_middle_is_begun_again(
    room: Room, operation: Callable[[Standing], None]
) -> None:
    """In the middle it waits for the transactions that are older than itself."""
    room.write(
        _0001_t="create table public.t (n int); insert into public.t values (1);",
        _0002_index=OUTSIDE + INDEX,
    )
    room.apply_rest(1)
    assert room.database
    with closing(room.database.connect()) as old:
        old.execute("lock table public.t in row exclusive mode")
        standing = room.passing("apply")
        until(lambda: room.look(VALID) == [(False,)])
        operation(standing)
        until(lambda: room.look(ALIVE, standing.proxy.pid) == [])
        # This server is in haste: when it is stopped it may forget that the build had begun.
        assert room.look(VALID) in ([(False,)], [])
        assert room.applied() == ["0001_t"]
    assert room.fork("apply").code == 0
    assert room.look(VALID) == [(True,)]
    assert room.applied() == ["0001_t", "0002_index"]


# --- ways back that stopped halfway -------------------------------------------------------------


@pytest.fixture
def partially_rolled_back(room: Room) -> Room:
    """Of the second file's way back, the first statement is done."""
    room.write(
        _0001_t="create table public.t (n int);",
        _0001_t__rollback="drop table public.t;",
        _0002_index=f"{OUTSIDE}{INDEX}\ncreate table if not exists public.u ();",
        _0002_index__rollback=f"{OUTSIDE}drop index concurrently if exists public.t_n_idx;\n"
        "drop table public.u;",
    )
    room.apply()
    room.do("drop table public.u")
    with room.migrator() as migrator, pytest.raises(SqlError, match='"u" does not exist'):
        migrator.roll_back(room.migrations()[1:])
    return room


def test_a_way_back_that_stopped_halfway_is_seen(partially_rolled_back: Room) -> None:
    said = partially_rolled_back.fork("status", "--json")
    assert said.code == 2
    states = {line["id"]: line["state"] for line in said.document["migrations"]}
    assert states == {"0001_t": "applied", "0002_index": "partial"}
    assert not said.document["clean"]


def test_apply_makes_whole_what_was_taken_back_halfway(partially_rolled_back: Room) -> None:
    said = partially_rolled_back.fork("apply")
    assert "1 applied now, 2 in all, 0 pending" in said.out
    assert partially_rolled_back.look(VALID) == [(True,)]
    assert partially_rolled_back.look(PARTIAL) == []
    assert partially_rolled_back.fork("rollback").code == 0
    assert partially_rolled_back.look(
        "select to_regclass('public.t_n_idx'), to_regclass('public.u')"
    ) == [(None, None)]


def test_rollback_goes_on_where_it_stopped(partially_rolled_back: Room) -> None:
    partially_rolled_back.do("create table public.u ()")
    said = partially_rolled_back.fork("rollback")
    assert "1 rolled back, 1 stay applied" in said.out
    assert partially_rolled_back.applied() == ["0001_t"]
    assert partially_rolled_back.look("select to_regclass('public.u')") == [(None,)]
    assert partially_rolled_back.look(PARTIAL) == []


def test_what_a_file_had_done_before_an_earlier_one_went_back_is_done_anew(room: Room) -> None:
    room.write(
        _0001_t="create table public.t (n int);",
        _0001_t__rollback="drop table public.t;",
        _0002_index=f"{OUTSIDE}{INDEX}\nselect nothing;",
    )
    sql_error(room)
    assert room.look(PARTIAL) == [("apply 0002_index", 0)]
    assert room.fork("rollback").code == 0
    room.write(_0002_index=OUTSIDE + INDEX)
    assert room.fork("apply").code == 0
    assert room.look(VALID) == [(True,)]


def test_a_file_that_becomes_a_transaction_leaves_nothing_under_way(room: Room) -> None:
    room.write(
        _0001_t="create table public.t (n int);", _0002_t=f"{OUTSIDE}select 1;\nselect nothing;"
    )
    sql_error(room)
    assert room.look(PARTIAL) == [("apply 0002_t", 0)]
    room.write(_0002_t="select 1;", _0003_t="select 1;")
    room.apply_rest()
    assert room.look(PARTIAL) == []


# --- a runner that is gone ----------------------------------------------------------------------


def test_the_statement_of_a_killed_runner_ends_by_itself(room: Room) -> None:
    """And with it the lock goes: the next run waits for a second, not for the statement."""
    room.write(_0001_a="create table public.a (); select pg_sleep(3600);")
    child = room.begin("apply")
    asleep = """
        select pid from pg_stat_activity
        where wait_event = 'PgSleep' and datname = current_database()
        """
    until(lambda: bool(room.look(asleep)))
    child.send(signal.SIGKILL)
    assert child.wait()[0] == 128 + signal.SIGKILL
    room.write(_0001_a="create table public.a ();")
    assert room.fork("apply", "--lock-wait", "30").code == 0
    assert room.look(asleep) == []
