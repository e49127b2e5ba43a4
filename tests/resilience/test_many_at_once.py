"""Many runners at once: one applies, the others wait for its lock without blocking it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from checkout import Result, until
from proxy import PAUSE_LOCK
from scenarios import write_files
from server_harness import ServerHarness, Workspace, start_server_harness

RUNNERS = 20
WAITS = "waiting for the lock, held by pid"
IDLE_IN_TRANSACTION = """
    select 1 from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%%'
    """
WAITING_FOR_A_LOCK = """
    select 1 from pg_stat_activity
    where datname = current_database() and application_name = 'runner' and wait_event_type = 'Lock'
    """


@pytest.fixture(scope="module")
def server_harness() -> Iterator[ServerHarness]:
    """A server without the API roles, which belong to all its databases."""
    with start_server_harness() as harness:
        yield harness


@pytest.fixture
def workspace(server_harness: ServerHarness) -> Iterator[Workspace]:
    with server_harness.workspace() as workspace:
        yield workspace


def files(workspace: Workspace, *, first: int, count: int) -> None:
    """Write files of which the first waits for PAUSE_LOCK and the third builds an index."""
    for number in range(first, first + count):
        table = f"create table public.t{number} (n int);"
        text = (
            f"select pg_advisory_xact_lock_shared({PAUSE_LOCK}); {table}"
            if number == first
            else table
        )
        if number == first + 2:
            index = "create index concurrently if not exists t_idx on public.t1 (n);"
            text = f"-- transactional: false\n\n{index}"
        workspace.file(f"sql/{number:04d}_file.sql", text)


@pytest.mark.parametrize(
    ("already", "pending"), [(0, 3), (1, 30)], ids=["an empty database", "30 files pending"]
)
def test_one_runner_applies_and_the_others_wait_and_find_nothing_pending(
    workspace: Workspace, already: int, pending: int
) -> None:
    """They wait outside a transaction: a concurrent index build would wait for their snapshots."""
    if already:
        files(workspace, first=1, count=already)
        assert workspace.run_child("apply").code == 0
    files(workspace, first=already + 1, count=pending)
    workspace.operator.execute("select pg_advisory_lock(%s)", [PAUSE_LOCK])
    children = [workspace.start_child("apply") for _ in range(RUNNERS)]
    until(lambda: sum(WAITS in child.output("err") for child in children) == RUNNERS - 1)
    assert workspace.query(IDLE_IN_TRANSACTION) == []
    workspace.operator.execute("select pg_advisory_unlock_all()")
    result = [Result(*child.wait()) for child in children]
    assert [one.code for one in result] == [0] * RUNNERS, result
    assert sum(f"{pending} applied now" in one.out for one in result) == 1
    assert sum(WAITS in one.err for one in result) == RUNNERS - 1
    nothing = f"nothing to apply: {already + pending} applied, 0 pending"
    assert sum(nothing in one.out for one in result) == RUNNERS - 1
    assert workspace.query("select count(*) from yoyo._yoyo_log") == [(already + pending,)]


def test_a_lock_timeout_names_the_holder_and_its_statement(workspace: Workspace) -> None:
    files(workspace, first=1, count=1)
    holder = workspace.start_paused("apply", at="before create table public.t1")
    result = workspace.run_child("apply", "--lock-wait", "0.2")
    assert result.code == 3
    assert re.search(
        rf"error: Another run holds the lock: pid {holder.proxy.pid}, runner as postgres from a "
        r"local socket, connected for \d\d:\d\d:\d\d, active: /\* apply 0001_file \*/ "
        r"select pg_advisory_xact_lock",
        result.err,
    ), result.err
    assert "Waited 0.2 s. To wait longer: --lock-wait SECONDS." in result.err
    holder.resume()
    assert holder.wait().code == 0
    holder.proxy.close()


def test_two_databases_of_one_server_can_be_set_up_at_once(server_harness: ServerHarness) -> None:
    """Roles belong to all databases: the second run waits for roles that are not committed yet."""
    roles = (
        "select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role')"
    )
    with server_harness.workspace() as one, server_harness.workspace() as two:
        for workspace in (one, two):
            write_files(workspace, real=True)
        assert one.query(roles) == []
        first = one.start_paused("up", at="before insert into yoyo._yoyo_migration")
        second = two.start_child("up")
        until(lambda: bool(two.query(WAITING_FOR_A_LOCK)))
        first.resume()
        for result in (first.wait(), Result(*second.wait())):
            assert result.code == 0, result.err
            assert "9 applied now, 9 in total, 0 pending" in result.out
        first.proxy.close()
        assert len(one.query(roles)) == 3
