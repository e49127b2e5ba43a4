"""Killed, cut off or stopped at any point there is: one plain run later all is as if nothing was.

Every statement that the runner sends, and every statement inside a file, has a point before and a
point after it (`proxy`). Each is hit in three ways, in a run of its own; then one plain run must
succeed and leave the same catalog, the same rows and the same ledger as if nothing had been.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
from checkout import until
from scenarios import ACTS, Act, make_whole, rooms_for
from server_harness import ALIVE, Room, Stage, Standing, stage

ROOMS = 6  # so many runners stand still at the same time

Deed = Callable[[Sequence[Standing]], None]

# --- what happens -------------------------------------------------------------------------------


def killed(standing: Sequence[Standing]) -> None:
    """kill -9."""
    for each in standing:
        each.child.send(signal.SIGKILL)
        assert each.ended().code == 128 + signal.SIGKILL
        each.proxy.hang_up()
        each.let_go()


def cut_off(standing: Sequence[Standing]) -> None:
    """pg_terminate_backend."""
    for each in standing:
        look, pid = each.room.look, each.proxy.pid
        look("select pg_terminate_backend(%s)", pid)
        until(lambda look=look, pid=pid: not look(ALIVE, pid))  # type: ignore[misc]
        each.let_go()
        connection_lost(each)


def stopped(standing: Sequence[Standing]) -> None:
    """pg_ctl stop -m immediate."""
    standing[0].room.stage.stop_and_start()
    for each in standing:
        each.room.after_a_stop()
        each.let_go()
        connection_lost(each)


def connection_lost(standing: Standing) -> None:
    """The runner says so in words; where it had nothing more to ask, all was done."""
    said = standing.ended()
    standing.proxy.hang_up()
    assert "Traceback" not in said.err
    if said.code != 0:
        assert said.code == 1, said
        assert "error: The connection was lost: " in said.err or "error: Cannot connect" in said.err
    else:
        assert standing.proxy.points[-1].startswith("after select pg_advisory_unlock")


# --- that it does no harm -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def the_stage() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture(scope="module", params=ACTS)
def act(request: pytest.FixtureRequest) -> Act:
    return ACTS[request.param]


@pytest.fixture(scope="module")
def rooms(the_stage: Stage, act: Act) -> Iterator[list[Room]]:
    with rooms_for(act, the_stage, ROOMS) as rooms:
        yield rooms


@pytest.mark.parametrize(
    "operation", [killed, cut_off, stopped], ids=lambda operation: operation.__name__
)
def test_one_plain_run_later_all_is_as_if_nothing_was(
    rooms: list[Room],
    act: Act,
    operation: Deed,
    record_property: Callable[[str, object], None],
) -> None:
    expected = act.facts(rooms[0])
    points = act.points(rooms[0])
    make_whole(rooms[0], act)
    numbers = sorted(points)
    if operation is killed:  # to the server, killed before it asks is killed after the last answer
        asks = [n for n in numbers if points[n][0] == "b" and points.get(n - 1, "b")[0] == "a"]
        numbers = [n for n in numbers if n not in asks]
    helped = []
    for start in range(0, len(numbers), ROOMS):
        batch = list(zip(rooms, numbers[start:], strict=False))
        for room, _ in batch:
            act.before(room)
        operation(
            [room.standing(*act.words_in(room), at=n, inner=not act.real) for room, n in batch]
        )
        for room, number in batch:
            said = room.fork(act.then)
            if said.code != 0 or act.facts(room) != expected:
                helped.append((number, points[number], said))
                make_whole(room, act)
    figures = {"hit": len(numbers), "helped": len(helped)}  # tests/conftest.py prints the sum
    record_property("crash matrix", {"operation": operation.__name__.replace("_", " "), **figures})
    assert not helped
