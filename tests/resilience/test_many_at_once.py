"""Many runners at once: one works, the others wait for it, and nobody is in anybody's way."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from checkout import Said, until
from proxy import GATE
from scenarios import furnish
from server_harness import Room, Stage, stage

MANY = 20
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
def the_stage() -> Iterator[Stage]:
    """Nobody has made the API roles on its server yet."""
    with stage() as made:
        yield made


@pytest.fixture
def room(the_stage: Stage) -> Iterator[Room]:
    with the_stage.room() as room:
        yield room


def files(room: Room, *, first: int, count: int) -> None:
    """Write so many files; the first waits at the gate, one builds an index concurrently."""
    for number in range(first, first + count):
        table = f"create table public.t{number} (n int);"
        text = f"select pg_advisory_xact_lock_shared({GATE}); {table}" if number == first else table
        if number == first + 2:
            index = "create index concurrently if not exists t_idx on public.t1 (n);"
            text = f"-- transactional: false\n\n{index}"
        room.file(f"sql/{number:04d}_file.sql", text)


@pytest.mark.parametrize(
    ("already", "pending"), [(0, 3), (1, 30)], ids=["an empty database", "30 files pending"]
)
def test_one_applies_and_the_rest_wait_and_find_nothing_to_do(
    room: Room, already: int, pending: int
) -> None:
    """They wait outside any transaction: the index would wait for theirs, and they for it."""
    if already:
        files(room, first=1, count=already)
        assert room.fork("apply").code == 0
    files(room, first=already + 1, count=pending)
    room.operator.execute("select pg_advisory_lock(%s)", [GATE])
    children = [room.begin("apply") for _ in range(MANY)]
    until(lambda: sum(WAITS in child.said("err") for child in children) == MANY - 1)
    assert room.look(IDLE_IN_TRANSACTION) == []
    room.operator.execute("select pg_advisory_unlock_all()")
    said = [Said(*child.wait()) for child in children]
    assert [one.code for one in said] == [0] * MANY, said
    assert sum(f"{pending} applied now" in one.out for one in said) == 1
    assert sum(WAITS in one.err for one in said) == MANY - 1
    nothing = f"nothing to apply: {already + pending} applied, 0 pending"
    assert sum(nothing in one.out for one in said) == MANY - 1
    assert room.look("select count(*) from yoyo._yoyo_log") == [(already + pending,)]


def test_who_waits_in_vain_names_the_holder_and_what_it_runs(room: Room) -> None:
    files(room, first=1, count=1)
    holder = room.standing("apply", at="before create table public.t1")
    said = room.fork("apply", "--lock-wait", "0.2")
    assert said.code == 3
    assert re.search(
        rf"error: Another run holds the lock: pid {holder.proxy.pid}, runner as postgres from a "
        r"local socket, connected for \d\d:\d\d:\d\d, active: /\* apply 0001_file \*/ "
        r"select pg_advisory_xact_lock",
        said.err,
    ), said.err
    assert "Waited 0.2 s. Wait longer: --lock-wait SECONDS. " in said.err
    holder.let_go()
    assert holder.ended().code == 0
    holder.proxy.hang_up()


def test_two_databases_of_one_server_may_be_made_at_once(the_stage: Stage) -> None:
    """Roles belong to all databases: the second run meets what the first has not committed."""
    roles = (
        "select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role')"
    )
    with the_stage.room() as one, the_stage.room() as two:
        for room in (one, two):
            furnish(room, real=True)
        assert one.look(roles) == []
        first = one.standing("up", at="before insert into yoyo._yoyo_migration")
        second = two.begin("up")
        until(lambda: bool(two.look(WAITING_FOR_A_LOCK)))
        first.let_go()
        for said in (first.ended(), Said(*second.wait())):
            assert said.code == 0, said.err
            assert "9 applied now, 9 in all, 0 pending" in said.out
        first.proxy.hang_up()
        assert len(one.look(roles)) == 3
