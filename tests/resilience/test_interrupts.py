"""SIGINT and SIGTERM at any moment: the reported state is true, and no lock or session remains."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from checkout import ROOT, TIMEOUT, Result, until
from proxy import PAUSE_LOCK
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait
from scenarios import FILES, SCENARIOS, complete, completed_workspaces, drop_all, write_files
from server_harness import ServerHarness, Workspace, start_server_harness

from runner.errors import Interrupted
from runner.execution import non_transactional
from runner.postgres import signals
from runner.postgres.signals import Interrupt
from runner.postgres.waiting import cancel_on_signal, polling

SIGNALS = (signal.SIGINT, signal.SIGTERM)
FIRST_LINE = {signal.SIGINT: "error: Interrupted.", signal.SIGTERM: "error: Terminated by SIGTERM."}
PARALLEL = 6  # runners that are interrupted at the same time
IN_GENERAL = "Completed work stays; run the same command again."
WAITING_FOR_PAUSE_LOCK = f"""
    select 1 from pg_locks
    where locktype = 'advisory' and objid = {PAUSE_LOCK} and not granted
        and database = (select oid from pg_database where datname = current_database())
    """
# The last statement of a runner that waits for the lock: it asks for it, or who holds it.
POLLING = """
    select 1 from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
        and (query like 'select pg_try_advisory_lock%%' or query like '-- Who holds the runner%%')
    """


@pytest.fixture(scope="module")
def server_harness() -> Iterator[ServerHarness]:
    with start_server_harness() as harness:
        yield harness


@pytest.fixture
def workspace(server_harness: ServerHarness) -> Iterator[Workspace]:
    """An empty database and the files of the crash matrix."""
    with server_harness.workspace() as workspace:
        write_files(workspace)
        yield workspace


def state_line(result: Result, number: signal.Signals) -> str:
    """Check exit code and error; return the line that says what state the database is in."""
    assert result.code == 128 + number, result
    assert "Traceback" not in result.err
    assert result.err.count("error: ") == 1, result.err
    first, line = result.err[result.err.index("error: ") :].strip().split("\n\n")
    assert first == FIRST_LINE[number]
    assert "\n" not in line
    return line


def assert_state_is_true(workspace: Workspace, result: Result, line: str, command: str) -> None:
    """Compare the reported state with the database: applied, not kept, partly done."""
    done = re.findall(r"^  (?:applied|rolled back) +(\S+)", result.out, re.MULTILINE)
    if command == "seed":
        rows = workspace.query("select * from public.items where id >= 100")
        assert line in ("No changes were made.", "All seeds are loaded.", IN_GENERAL)
        assert line == IN_GENERAL or len(rows) == {"N": 0, "A": 3}[line[0]]
        return
    undone = {name for name in FILES if "." not in name} - set(done)
    assert set(workspace.applied()) == (set(done) if command == "apply" else undone)
    if stays := re.match(r"(\S+)(?: to (\S+))? stays? (?:applied|rolled back)\.", line):
        assert [stays[1], stays[2] or stays[1]] == [done[0], done[-1]]
    elif line != IN_GENERAL:
        assert done == []
    if nothing := re.search(r"No changes of (\S+) were kept\.", line):
        assert nothing[1] in undone
    if begun := re.search(r"(\S+) runs outside a transaction\. (.*)\Z", line):
        assert begun[1] in undone
        ((steps,),) = workspace.query(
            "select count(*) from yoyo.progress where statement_number >= 0"
        )
        assert begun[2] == non_transactional.progress(steps)


@pytest.mark.parametrize(
    ("name", "step"), [("first apply", 7), ("rollback of all", 9), ("seed", 3)]
)
def test_a_signal_at_any_point_ends_the_run_and_the_reported_state_is_true(
    server_harness: ServerHarness, name: str, step: int
) -> None:
    """The two signals take turns. A statement that waits for PAUSE_LOCK is cancelled.

    The crash matrix has all points; here a sample of them, with an odd step: before and after.
    """
    scenario = SCENARIOS[name]
    with completed_workspaces(scenario, server_harness, PARALLEL) as workspaces:
        expected = scenario.state(workspaces[0])
        points = scenario.points(workspaces[0])
        complete(workspaces[0], scenario)
        numbers = range(1, len(points) + 1, step)
        for start in range(0, len(numbers), PARALLEL):
            batch = list(zip(workspaces, numbers[start:], strict=False))
            for workspace, _ in batch:
                scenario.set_up(workspace)
            paused = [
                workspace.start_paused(*scenario.arguments_in(workspace), at=number)
                for workspace, number in batch
            ]
            for each, (_, number) in zip(paused, batch, strict=True):
                each.child.send(SIGNALS[number // step % 2])
            for each, (workspace, number) in zip(paused, batch, strict=True):
                if not each.proxy.paused_in_sql:  # no statement runs that could be cancelled
                    assert each.proxy.cancelled.wait(TIMEOUT)
                    each.proxy.resume.set()
                result = each.wait()
                assert_state_is_true(
                    workspace,
                    result,
                    state_line(result, SIGNALS[number // step % 2]),
                    scenario.arguments[0],
                )
                workspace.wait_for_end_of_session(each.proxy.pid)
                each.resume()
                each.proxy.close()
                again = workspace.run_child(scenario.rerun)
                assert again.code == 0, (points[number], again)
                assert scenario.state(workspace) == expected, points[number]


def test_sigint_at_any_line_ends_the_run_and_the_next_run_completes_it(
    workspace: Workspace,
) -> None:
    """SIGINT at about 12 of the lines that the runner executes, evenly spread.

    The last lines only print; how many there are before them differs by a few from run to run.
    """
    scenario = SCENARIOS["seed"]
    drop_all(workspace)
    counted = workspace.start_child("up", signal_at=-1)
    assert Result(*counted.wait()).code == 0
    expected = scenario.state(workspace)
    lines = int(counted.output("lines"))
    assert lines > 1000
    # The first lines precede the signal handlers.
    for line in range(10, lines - 200, lines // 12):
        drop_all(workspace)
        result = Result(*workspace.start_child("up", signal_at=line).wait())
        assert result.code == 130, (line, result)
        assert "Traceback" not in result.err, (line, result)
        if "error: " in result.err:  # absent before the run begins and after it has ended
            state = state_line(result, signal.SIGINT)
            if state not in ("No changes were made.", "All seeds are loaded."):
                assert_state_is_true(workspace, result, state, "apply")
        assert workspace.run_child("up").code == 0, (line, result)
        assert scenario.state(workspace) == expected, (line, result)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_wait_for_the_lock(workspace: Workspace, number: signal.Signals) -> None:
    with workspace.migrator():
        child = workspace.start_child("apply", "--lock-wait", "3600")
        until(
            lambda: len(workspace.query(POLLING)) == 2
        )  # one of them is the session that holds it
        child.send(number)
        result = Result(*child.wait())
    assert state_line(result, number) == IN_GENERAL
    assert workspace.applied() == []


def test_a_second_signal_does_not_interrupt_the_cleanup_and_a_third_ends_it(
    workspace: Workspace,
) -> None:
    here = "before create table public.items"  # no statement runs yet that could be cancelled
    second = workspace.start_paused("apply", at=here)
    second.child.send(signal.SIGINT)
    assert second.proxy.cancelled.wait(TIMEOUT)
    second.child.send(signal.SIGTERM)
    second.resume()
    assert state_line(second.wait(), signal.SIGINT) == "No changes of 0001_create_items were kept."
    second.proxy.close()

    third = workspace.start_paused("apply", at=here)
    third.child.send(signal.SIGTERM)
    assert third.proxy.cancelled.wait(TIMEOUT)
    third.child.send(signal.SIGINT)
    third.child.send(signal.SIGTERM)
    result = third.wait()
    assert result.code in (130, 143)
    assert "Traceback" not in result.err
    assert "Terminated at once; PostgreSQL rolls back what was not committed." in result.err
    third.proxy.close()
    third.resume()
    assert workspace.run_child("apply").code == 0


def test_a_signal_during_the_cleanup_after_a_failure_has_no_effect(
    workspace: Workspace,
) -> None:
    workspace.write(_0005_fails="select 1 / 0;")
    failing = workspace.start_paused("apply", at="before rollback")
    failing.child.send(signal.SIGINT)
    failing.resume()
    result = failing.wait()
    failing.proxy.close()
    assert result.code == 1
    assert "error: division by zero" in result.err
    assert (
        "0001_create_items to 0004_shout stay applied. No changes of 0005_fails were kept."
        in result.err
    )
    assert_state_is_true(
        workspace, result, "0001_create_items to 0004_shout stay applied.", "apply"
    )


@pytest.fixture
def waiting(server_harness: ServerHarness) -> Iterator[Workspace]:
    """A workspace whose second file waits for PAUSE_LOCK, which the operator holds."""
    with server_harness.workspace() as workspace:
        workspace.write(
            _0001_a="create table public.a ();",
            _0002_b=f"create table public.b (); select pg_advisory_xact_lock_shared({PAUSE_LOCK});",
        )
        workspace.operator.execute("select pg_advisory_lock(%s)", [PAUSE_LOCK])
        yield workspace


# A shell starts background jobs with SIGINT ignored, which their children inherit.
IN_A_TERMINAL = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
IN_THE_BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
PROGRAMS = {
    "runner": "import runpy; runpy.run_module('runner', run_name='__main__', alter_sys=True)",
    "yoyo": "import sys; from yoyo.scripts.main import main; sys.exit(main())",
}


def start_program(workspace: Workspace, how: str, name: str) -> subprocess.Popen[str]:
    (workspace.folder / "yoyo.ini").write_text((ROOT / "yoyo.ini").read_text())
    return workspace.start(sys.executable, "-W", "error", "-c", how + PROGRAMS[name], "apply")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_runner_and_yoyo_processes_end_with_the_state_reported(
    waiting: Workspace, name: str, number: signal.Signals
) -> None:
    """yoyo's own command does not handle signals."""
    with start_program(waiting, IN_A_TERMINAL, name) as process:
        until(lambda: bool(waiting.query(WAITING_FOR_PAUSE_LOCK)))
        process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT)
    line = state_line(Result(process.returncode, out, err), number)
    assert line == "0001_a stays applied. No changes of 0002_b were kept."
    assert waiting.applied() == ["0001_a"]
    until(lambda: not waiting.query(WAITING_FOR_PAUSE_LOCK))


def test_a_signal_ignored_at_the_start_stays_ignored(waiting: Workspace) -> None:
    """As under nohup or as a background job of a script."""
    with start_program(waiting, IN_THE_BACKGROUND, "runner") as process:
        until(lambda: bool(waiting.query(WAITING_FOR_PAUSE_LOCK)))
        process.send_signal(signal.SIGINT)
        waiting.operator.execute("select pg_advisory_unlock_all()")
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert waiting.applied() == ["0001_a", "0002_b"]


def test_an_interrupted_run_prints_one_json_document(waiting: Workspace) -> None:
    child = waiting.start_child("apply", "--json")
    until(lambda: bool(waiting.query(WAITING_FOR_PAUSE_LOCK)))
    child.send(signal.SIGTERM)
    result = Result(*child.wait())
    assert result.code == result.document["exit_code"] == 143
    assert result.document["error"]["code"] == "interrupted"
    assert (
        result.document["error"]["state"] == "0001_a stays applied. No changes of 0002_b were kept."
    )
    assert [done["id"] for done in result.document["done"]] == ["0001_a"]
    assert [line["outcome"] for line in waiting.log_lines()] == ["done", "failed"]


def test_a_signal_ends_the_wait_for_a_busy_table(waiting: Workspace) -> None:
    """Between two attempts, when no statement runs that could be cancelled."""
    waiting.write(_0002_b="alter table public.a add column n int;")
    waiting.operator.execute("create table public.a ()")
    waiting.write(_0001_a="create table if not exists public.a ();")
    assert waiting.database
    with waiting.database.connect() as reader:
        reader.execute("table public.a")
        child = waiting.start_child("apply", "--lock-timeout", "0.05", "--busy-wait", "3600", "-v")
        until(lambda: "next attempt in" in child.output("err"))
        child.send(signal.SIGINT)
        result = Result(*child.wait())
    assert (
        state_line(result, signal.SIGINT) == "0001_a stays applied. No changes of 0002_b were kept."
    )


# --- the signals module ------------------------------------------------------------------------


@pytest.fixture
def installed() -> Iterator[None]:
    with signals.installed():
        yield


@pytest.mark.usefixtures("installed")
def test_the_first_signal_raises_interrupt_and_the_second_is_ignored() -> None:
    with pytest.raises(Interrupt) as raised:
        signal.raise_signal(signal.SIGTERM)
    assert raised.value.number == signal.SIGTERM
    signal.raise_signal(signal.SIGTERM)  # the second does not interrupt the cleanup


@pytest.mark.usefixtures("installed")
def test_a_deferred_signal_is_raised_once_by_check() -> None:
    with signals.deferred() as outermost, signals.deferred() as inner:
        assert (outermost, inner) == (True, False)
        signals.check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupt):
            signals.check()
        signals.check()


@pytest.mark.usefixtures("installed")
def test_graceful_adds_the_state_to_the_error() -> None:
    with pytest.raises(Interrupted) as raised, signals.graceful(lambda: "All of it."):
        signal.raise_signal(signal.SIGTERM)
    assert (raised.value.exit_code, raised.value.state) == (143, "All of it.")
    assert raised.value.message == "Terminated by SIGTERM."


@pytest.mark.usefixtures("installed")
def test_a_signal_ends_a_sleep() -> None:
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with signals.deferred(), pytest.raises(Interrupt):
        signals.sleep(3600)
    timer.join()


@pytest.mark.usefixtures("installed")
def test_signals_after_ignore_further_have_no_effect() -> None:
    signals.ignore_further()
    signal.raise_signal(signal.SIGINT)
    with signals.deferred():
        signals.check()


@pytest.mark.usefixtures("installed")
def test_installed_restores_the_previous_handlers() -> None:
    now = signal.getsignal(signal.SIGTERM)
    with signals.installed():
        pass
    assert signal.getsignal(signal.SIGTERM) is now


@pytest.mark.usefixtures("installed")
def test_cancelling_repeats_the_cancel_request_until_the_statement_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cancel request that arrives before its statement has no effect."""
    monkeypatch.setattr("runner.postgres.waiting._CANCEL_AGAIN", 0.0)
    cancelled: list[int] = []

    def statement() -> PQGen[str]:
        while len(cancelled) < 3:
            yield Wait.R
        return "done"

    with signals.deferred():
        waits = polling(statement(), cancel_on_signal(lambda: cancelled.append(1)))
        next(waits)
        waits.send(Ready.NONE)
        assert not cancelled
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(StopIteration) as end:
            while True:
                waits.send(Ready.NONE)
        assert end.value.value == "done"
    assert len(cancelled) == 3
