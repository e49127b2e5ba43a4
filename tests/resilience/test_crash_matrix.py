"""Interrupt a run at every point: the next run completes it, with the same result.

Every statement that the runner sends, and every statement inside a file, has a point before and a
point after it (`proxy`). At each point one run is killed or loses its connection, in one of two
ways: the three take turns. Then one more run must succeed and leave the same catalog, rows and
migration records as an uninterrupted run.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
from checkout import Result
from scenarios import SCENARIOS, Scenario, complete, completed_workspaces
from server_harness import (
    ProxiedRunner,
    ServerHarness,
    Workspace,
    start_server_harness,
)

PARALLEL = 10  # runners that are paused at the same time

Operation = Callable[[Sequence[ProxiedRunner]], None]

# --- interruptions -------------------------------------------------------------------------------


def runner_killed(paused: Sequence[ProxiedRunner]) -> None:
    """kill -9."""
    for each in paused:
        each.child.send(signal.SIGKILL)
        assert each.wait().code == 128 + signal.SIGKILL
        each.proxy.close()
        each.resume()


def session_terminated(paused: Sequence[ProxiedRunner]) -> None:
    """pg_terminate_backend."""
    for each in paused:
        each.workspace.query("select pg_terminate_backend(%s)", each.proxy.pid)
        each.workspace.wait_for_end_of_session(each.proxy.pid)
        each.resume()
        assert_loss_reported(each)


def server_stopped(paused: Sequence[ProxiedRunner]) -> None:
    """pg_ctl stop -m immediate."""
    paused[0].workspace.harness.restart()
    for each in paused:
        each.workspace.reconnect()
        each.resume()
        assert_loss_reported(each)


def assert_loss_reported(paused: ProxiedRunner) -> None:
    """The runner reports the lost connection, or has completed before it noticed."""
    result = paused.wait()
    paused.proxy.close()
    assert "Traceback" not in result.err
    if result.code != 0:
        assert result.code == 1, result
        assert (
            "error: The connection was lost: " in result.err
            or "error: Cannot connect" in result.err
        )
    else:
        assert paused.proxy.points[-1].startswith("after select pg_advisory_unlock")


OPERATIONS = (runner_killed, session_terminated, server_stopped)  # idle connections end with it

# --- recovery ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server_harness() -> Iterator[ServerHarness]:
    with start_server_harness() as harness:
        yield harness


@pytest.fixture(scope="module", params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return SCENARIOS[request.param]


@pytest.fixture(scope="module")
def workspaces(server_harness: ServerHarness, scenario: Scenario) -> Iterator[list[Workspace]]:
    with completed_workspaces(scenario, server_harness, PARALLEL) as workspaces:
        yield workspaces


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_one_more_run_recovers_from_an_interruption_at_any_point(
    workspaces: list[Workspace],
    scenario: Scenario,
    operation: Operation,
    record_property: Callable[[str, object], None],
) -> None:
    expected = scenario.state(workspaces[0])
    points = scenario.points(workspaces[0])
    complete(workspaces[0], scenario)
    numbers = sorted(points)
    # For the server, before a request is the same as after the answer to the one before it: of such
    # a pair, a stopped server takes the second, everything else the first.
    pairs = [n for n in numbers if points[n][0] == "b" and points.get(n - 1, "b")[0] == "a"]
    dropped = [n - 1 for n in pairs] if operation is server_stopped else pairs
    numbers = [n for n in numbers if n not in dropped]
    numbers = numbers[OPERATIONS.index(operation) :: len(OPERATIONS)]
    helped = []
    for start in range(0, len(numbers), PARALLEL):
        batch = list(zip(workspaces, numbers[start:], strict=False))
        for workspace, _ in batch:
            scenario.set_up(workspace)
        operation(
            [
                workspace.start_paused(
                    *scenario.arguments_in(workspace), at=n, inner=not scenario.real
                )
                for workspace, n in batch
            ]
        )
        again = [workspace.start_child(scenario.rerun) for workspace, _ in batch]
        for (workspace, number), child in zip(batch, again, strict=True):
            result = Result(*child.wait())
            if result.code != 0 or scenario.state(workspace) != expected:
                helped.append((number, points[number], result))
                complete(workspace, scenario)
    figures = {"hit": len(numbers), "helped": len(helped)}  # tests/conftest.py prints the sum
    record_property("crash matrix", {"operation": operation.__name__.replace("_", " "), **figures})
    assert not helped
