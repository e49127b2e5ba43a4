"""Files that ended in the middle: what remains, and how the next command completes it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from checkout import until
from server_harness import (
    ProxiedRunner,
    ServerHarness,
    Workspace,
    start_server_harness,
)

from runner.errors import FileError, SqlError

OUTSIDE = "-- transactional: false\n\n"
VALID = "select indisvalid from pg_index where indexrelid = to_regclass('public.t_n_idx')"
INDEX = "create unique index concurrently if not exists t_n_idx on public.t (n);"
PARTIAL = "select migration_id, statement_number from yoyo.progress order by 1, 2"


@pytest.fixture(scope="module")
def server_harness() -> Iterator[ServerHarness]:
    with start_server_harness() as harness:
        yield harness


@pytest.fixture
def workspace(server_harness: ServerHarness) -> Iterator[Workspace]:
    with server_harness.workspace() as workspace:
        yield workspace


def sql_error(workspace: Workspace) -> SqlError:
    with pytest.raises(SqlError) as caught:
        workspace.apply_rest()
    return caught.value


# --- each statement once ------------------------------------------------------------------------

TWO = OUTSIDE + "".join(f"insert into public.steps values ({n});\n" for n in (1, 2))


def test_killed_at_any_point_of_two_statements_each_runs_once(workspace: Workspace) -> None:
    """None of the statements is guarded, so each would fail or have an effect if run twice.

    At any point of the statements and of what is recorded of them; the crash matrix has all others.
    """
    workspace.write(_0001_steps="create table public.steps (n int);")
    workspace.apply()
    workspace.write(_0002_two=TWO)
    again = """
        truncate public.steps, yoyo.progress;
        delete from yoyo._yoyo_migration where migration_id = '0002_two'
        """
    points = workspace.points("apply")
    tried = [n for n, point in enumerate(points, 1) if "steps" in point or "progress" in point]
    assert len(tried) > 6
    for number in tried:
        point = points[number - 1]
        workspace.operator.execute(again)
        if "before" in point and "steps" not in points[number - 2] + point:
            continue  # no statement between this point and the previous one
        proxied = workspace.start_paused("apply", at=number)
        proxied.child.send(signal.SIGKILL)
        proxied.wait()
        proxied.proxy.close()
        proxied.resume()
        assert workspace.run_child("apply").code == 0, point
        assert workspace.query("select n from public.steps order by n") == [(1,), (2,)]
        assert workspace.query(PARTIAL) == []


def test_statements_that_cannot_run_in_a_transaction_block_are_executed_alone(
    workspace: Workspace,
) -> None:
    workspace.write(
        _0001_a=f"""{OUTSIDE}
        create table public.a (n int);
        vacuum public.a;
        do 'begin insert into public.a values (1); commit; insert into public.a values (2); end';
        create procedure public.p() language plpgsql as $$ begin commit; end $$;
        call public.p();
        set default_transaction_read_only = on;
        """
    )
    workspace.apply()
    assert workspace.query("select n from public.a") == [(1,), (2,)]
    assert workspace.applied() == ["0001_a"]


def test_a_constraint_that_fails_at_a_statements_commit_is_reported_with_its_position(
    workspace: Workspace,
) -> None:
    workspace.write(
        _0001_a=f"""{OUTSIDE}
        create table public.a (n int unique deferrable initially deferred);
        insert into public.a values (1), (1);
        """
    )
    error = sql_error(workspace)
    assert error.sqlstate == "23505"
    assert error.place
    assert error.place.line == 5
    assert error.state == "Its first statement is done."
    assert workspace.query("select * from public.a") == []


# --- invalid indexes ----------------------------------------------------------------------------


def test_rows_that_violate_a_unique_index_are_named(workspace: Workspace) -> None:
    workspace.write(
        _0001_t="""
        create table public.t (n int, m text);
        insert into public.t select n % 7, 'x' from generate_series(1, 20) as n;
        insert into public.t values (null, 'x'), (null, 'x'), (100, null), (100, null);
        """,
        _0002_index=f"{OUTSIDE}{INDEX.replace('(n)', '(n, upper(m)) where n <> 6')}",
    )
    error = sql_error(workspace)
    assert error.sqlstate == "23505"
    assert error.hint.splitlines() == [
        "Duplicate keys: (1,X) 3 times, (2,X) 3 times, (3,X) 3 times, (4,X) 3 times, "
        "(5,X) 3 times and more.",
    ]
    assert error.state == (
        "0001_t stays applied. None of its statements ran. It left the index public.t_n_idx, which "
        "is not valid."
    )
    assert workspace.query(VALID) == [(False,)]
    workspace.do(
        "delete from public.t where ctid not in (select min(ctid) from public.t group by n, m)"
    )
    workspace.apply_rest()
    assert workspace.query(VALID) == [(True,)]
    assert workspace.applied() == ["0001_t", "0002_index"]


def test_nulls_not_distinct_counts_nulls_as_duplicates(workspace: Workspace) -> None:
    workspace.write(
        _0001_t="create table public.t (n int); insert into public.t values (null), (null);",
        _0002_index=f"{OUTSIDE}{INDEX.replace('(n)', '(n) nulls not distinct')}",
    )
    assert "Duplicate keys: () 2 times." in sql_error(workspace).hint


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
    workspace: Workspace, name: str, text: str
) -> None:
    workspace.write(_0001_t="create table public.t (n int);")
    workspace.file(f"sql/{name}.sql", f"{OUTSIDE}create table public.u ();\n{text};")
    with pytest.raises(FileError, match="builds an index without a name") as caught:
        workspace.apply()
        with workspace.migrator() as migrator:
            migrator.roll_back(workspace.migrations())
    assert caught.value.place
    assert caught.value.place.line == 4
    assert "create index concurrently if not exists NAME on" in caught.value.hint
    assert workspace.query("select to_regclass('public.u')") == [(None,)]


@pytest.mark.parametrize("name", ["t_n_idx", '"T, n"', '"A ""b"""'])
def test_an_invalid_index_is_found_despite_comments_and_quotes(
    workspace: Workspace, name: str
) -> None:
    workspace.write(
        _0001_t="create table public.t (n int); insert into public.t values (1), (1);",
        _0002_index=f"{OUTSIDE}create unique /* u */ index -- i\nconcurrently if not exists {name}"
        ' on "public" . "t" (n);',
    )
    sql_error(workspace)
    workspace.do("delete from public.t where ctid = '(0,1)'")
    workspace.apply_rest()
    valid = "select indisvalid from pg_index where indrelid = 'public.t'::regclass"
    assert workspace.query(valid) == [(True,)]


def test_an_index_that_another_session_is_building_is_not_recorded(workspace: Workspace) -> None:
    """`if not exists` skips it, but the build of the other session may still fail."""
    workspace.write(_0001_t="create table public.t (n int);", _0002_index=OUTSIDE + INDEX)
    workspace.apply_rest(1)
    assert workspace.database
    with (
        workspace.database.connect() as old,
        workspace.database.connect(autocommit=True) as builder,
    ):
        old.execute("lock table public.t in row exclusive mode")  # the build waits for it
        pid = builder.info.backend_pid
        building = threading.Thread(target=builder.execute, args=(INDEX,))
        building.start()
        until(lambda: workspace.query(VALID) == [(False,)])
        error = sql_error(workspace)
        assert f"the index public.t_n_idx is being built by another session, pid {pid}" in str(
            error
        )
        assert workspace.applied() == ["0001_t"]
        old.rollback()
        building.join()
    workspace.apply_rest()
    assert workspace.applied() == ["0001_t", "0002_index"]
    assert workspace.query(VALID) == [(True,)]


def runner_killed(proxied: ProxiedRunner) -> None:
    proxied.child.send(signal.SIGKILL)
    proxied.wait()
    proxied.proxy.close()


def runner_interrupted(proxied: ProxiedRunner) -> None:
    proxied.child.send(signal.SIGTERM)
    assert proxied.wait().code == 143


def session_terminated(proxied: ProxiedRunner) -> None:
    proxied.workspace.query("select pg_terminate_backend(%s)", proxied.proxy.pid)
    assert proxied.wait().code == 1


def server_stopped(proxied: ProxiedRunner) -> None:
    proxied.workspace.harness.restart()
    assert proxied.wait().code == 1
    proxied.workspace.reconnect()


@pytest.mark.parametrize(
    "operation", [runner_killed, runner_interrupted, session_terminated, server_stopped]
)
def test_an_interrupted_index_build_is_repeated(
    workspace: Workspace, operation: Callable[[ProxiedRunner], None]
) -> None:
    """In the middle, the build waits for transactions that are older than itself."""
    workspace.write(
        _0001_t="create table public.t (n int); insert into public.t values (1);",
        _0002_index=OUTSIDE + INDEX,
    )
    workspace.apply_rest(1)
    assert workspace.database
    with closing(workspace.database.connect()) as old:
        old.execute("lock table public.t in row exclusive mode")
        proxied = workspace.start_proxied("apply")
        until(lambda: workspace.query(VALID) == [(False,)])
        operation(proxied)
        workspace.wait_for_end_of_session(proxied.proxy.pid)
        # With fsync off, a server that is stopped immediately may lose the start of the build.
        assert workspace.query(VALID) in ([(False,)], [])
        assert workspace.applied() == ["0001_t"]
    assert workspace.run_child("apply").code == 0
    assert workspace.query(VALID) == [(True,)]
    assert workspace.applied() == ["0001_t", "0002_index"]


# --- rollback files that failed -----------------------------------------------------------------


@pytest.fixture
def partially_rolled_back(workspace: Workspace) -> Workspace:
    """A workspace in which only the first statement of a rollback file has been executed."""
    workspace.write(
        _0001_t="create table public.t (n int);",
        _0001_t__rollback="drop table public.t;",
        _0002_index=f"{OUTSIDE}{INDEX}\ncreate table if not exists public.u ();",
        _0002_index__rollback=f"{OUTSIDE}drop index concurrently if exists public.t_n_idx;\n"
        "drop table public.u;",
    )
    workspace.apply()
    workspace.do("drop table public.u")
    with workspace.migrator() as migrator, pytest.raises(SqlError, match='"u" does not exist'):
        migrator.roll_back(workspace.migrations()[1:])
    return workspace


def test_status_reports_a_partial_rollback(partially_rolled_back: Workspace) -> None:
    result = partially_rolled_back.run_child("status", "--json")
    assert result.code == 2
    states = {line["id"]: line["state"] for line in result.document["migrations"]}
    assert states == {"0001_t": "applied", "0002_index": "partial"}
    assert not result.document["clean"]


def test_apply_repairs_a_partial_rollback(partially_rolled_back: Workspace) -> None:
    result = partially_rolled_back.run_child("apply")
    assert "1 applied now, 2 in total, 0 pending" in result.out
    assert partially_rolled_back.query(VALID) == [(True,)]
    assert partially_rolled_back.query(PARTIAL) == []
    assert partially_rolled_back.run_child("rollback").code == 0
    assert partially_rolled_back.query(
        "select to_regclass('public.t_n_idx'), to_regclass('public.u')"
    ) == [(None, None)]


def test_rollback_continues_after_the_last_executed_statement(
    partially_rolled_back: Workspace,
) -> None:
    partially_rolled_back.do("create table public.u ()")
    result = partially_rolled_back.run_child("rollback")
    assert "1 rolled back, 1 still applied" in result.out
    assert partially_rolled_back.applied() == ["0001_t"]
    assert partially_rolled_back.query("select to_regclass('public.u')") == [(None,)]
    assert partially_rolled_back.query(PARTIAL) == []


def test_a_partial_file_starts_from_its_beginning_after_an_earlier_file_was_rolled_back(
    workspace: Workspace,
) -> None:
    workspace.write(
        _0001_t="create table public.t (n int);",
        _0001_t__rollback="drop table public.t;",
        _0002_index=f"{OUTSIDE}{INDEX}\nselect nothing;",
    )
    sql_error(workspace)
    assert workspace.query(PARTIAL) == [("apply 0002_index", 0)]
    assert workspace.run_child("rollback").code == 0
    workspace.write(_0002_index=OUTSIDE + INDEX)
    assert workspace.run_child("apply").code == 0
    assert workspace.query(VALID) == [(True,)]


def test_progress_is_cleared_when_a_file_becomes_transactional(workspace: Workspace) -> None:
    workspace.write(
        _0001_t="create table public.t (n int);", _0002_t=f"{OUTSIDE}select 1;\nselect nothing;"
    )
    sql_error(workspace)
    assert workspace.query(PARTIAL) == [("apply 0002_t", 0)]
    workspace.write(_0002_t="select 1;", _0003_t="select 1;")
    workspace.apply_rest()
    assert workspace.query(PARTIAL) == []


# --- killed runners -----------------------------------------------------------------------------


def test_the_statement_of_a_killed_runner_is_cancelled(workspace: Workspace) -> None:
    """Its lock is released, too: the next run waits for a second, not for the statement."""
    workspace.write(_0001_a="create table public.a (); select pg_sleep(3600);")
    child = workspace.start_child("apply")
    asleep = """
        select pid from pg_stat_activity
        where wait_event = 'PgSleep' and datname = current_database()
        """
    until(lambda: bool(workspace.query(asleep)))
    child.send(signal.SIGKILL)
    assert child.wait()[0] == 128 + signal.SIGKILL
    workspace.write(_0001_a="create table public.a ();")
    assert workspace.run_child("apply", "--lock-wait", "30").code == 0
    assert workspace.query(asleep) == []
