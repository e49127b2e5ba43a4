"""Ctrl-C and SIGTERM at any moment: what is told of the database is so, and nothing is held."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator

import pytest
from checkout import PATIENCE, ROOT, Said, until
from proxy import GATE
from scenarios import ACTS, FILES, empty, furnish, make_whole, rooms_for
from server_harness import ALIVE, Room, Stage, stage

from runner import signals
from runner.errors import Interrupted
from runner.execution import non_transactional
from runner.signals import Interrupt

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAYS = {signal.SIGINT: "error: Interrupted.", signal.SIGTERM: "error: Ended by SIGTERM."}
ROOMS = 6  # so many are interrupted at the same time
IN_GENERAL = "What was reported as done stays; the same command again does the rest."
SOMEBODY_AT_THE_GATE = f"""
    select 1 from pg_locks
    where locktype = 'advisory' and objid = {GATE} and not granted
        and database = (select oid from pg_database where datname = current_database())
    """
POLLING = """
    select 1 from pg_stat_activity
    where datname = current_database() and query like 'select pg_try_advisory_lock%%'
        and pid <> pg_backend_pid()
    """


@pytest.fixture(scope="module")
def the_stage() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def room(the_stage: Stage) -> Iterator[Room]:
    """An empty database and the files of the crash matrix."""
    with the_stage.room() as room:
        furnish(room)
        yield room


def last_words(said: Said, number: signal.Signals) -> str:
    """Check how it ended, and return the one line that says what stays."""
    assert said.code == 128 + number, said
    assert "Traceback" not in said.err
    assert said.err.count("error: ") == 1, said.err
    first, line = said.err[said.err.index("error: ") :].strip().split("\n\n")
    assert first == SAYS[number]
    assert "\n" not in line
    return line


def check_the_truth(room: Room, said: Said, line: str, words: str) -> None:
    """What is told to stay stays, what is told not to be kept is not, and nothing else happened."""
    done = re.findall(r"^  (?:applied|rolled back) +(\S+)", said.out, re.MULTILINE)
    if words == "seed":
        rows = room.look("select * from public.items where id >= 100")
        assert line in ("Nothing was seeded.", "All seeds are in.", IN_GENERAL)
        assert line == IN_GENERAL or len(rows) == {"N": 0, "A": 3}[line[0]]
        return
    undone = {name for name in FILES if "." not in name} - set(done)
    assert set(room.applied()) == (set(done) if words == "apply" else undone)
    if stays := re.match(r"(\S+)(?: to (\S+))? stays? (?:applied|rolled back)\.", line):
        assert [stays[1], stays[2] or stays[1]] == [done[0], done[-1]]
    elif line != IN_GENERAL:
        assert done == []
    if nothing := re.search(r"Nothing of (\S+) was kept\.", line):
        assert nothing[1] in undone
    if begun := re.search(r"(\S+) is no transaction\. (.*)\Z", line):
        assert begun[1] in undone
        ((steps,),) = room.look("select count(*) from yoyo.progress where statement_number >= 0")
        assert begun[2] == non_transactional.so_far(steps)


@pytest.mark.parametrize(
    ("name", "step"), [("the first apply", 1), ("a rollback of all", 3), ("a seed", 1)]
)
def test_at_every_point_it_ends_in_order_and_tells_the_truth(
    the_stage: Stage, name: str, step: int
) -> None:
    """The two signals take turns. The gate stays shut: who waits there is cancelled.

    A rollback takes the path of the apply, so every third of its points will do.
    """
    act = ACTS[name]
    with rooms_for(act, the_stage, ROOMS) as rooms:
        expected = act.facts(rooms[0])
        points = act.points(rooms[0])
        make_whole(rooms[0], act)
        numbers = range(1, len(points) + 1, step)
        for start in range(0, len(numbers), ROOMS):
            batch = list(zip(rooms, numbers[start:], strict=False))
            for room, _ in batch:
                act.before(room)
            standing = [room.standing(*act.words_in(room), at=number) for room, number in batch]
            for each, (_, number) in zip(standing, batch, strict=True):
                each.child.send(SIGNALS[number % 2])
            for each, (room, number) in zip(standing, batch, strict=True):
                if not each.proxy.at_the_gate:  # nothing runs: the request to cancel is in vain
                    assert each.proxy.cancelled.wait(PATIENCE)
                    each.proxy.resume.set()
                said = each.ended()
                check_the_truth(room, said, last_words(said, SIGNALS[number % 2]), act.words[0])
                until(lambda room=room, pid=each.proxy.pid: not room.look(ALIVE, pid))  # type: ignore[misc]
                each.let_go()
                each.proxy.hang_up()
                again = room.fork(act.then)
                assert again.code == 0, (points[number], again)
                assert act.facts(room) == expected, points[number]


def test_at_any_line_of_the_program_it_ends_in_order(room: Room) -> None:
    """SIGINT at so many of the lines that the runner executes, evenly spread."""
    act = ACTS["a seed"]
    empty(room)
    counted = room.begin("up", signal_at=-1)
    assert Said(*counted.wait()).code == 0
    expected = act.facts(room)
    lines = int(counted.said("lines"))
    assert lines > 1000
    for line in range(10, lines, lines // 60):  # before that it dies as any program does
        empty(room)
        said = Said(*room.begin("up", signal_at=line).wait())
        assert said.code == 130, (line, said)
        assert "Traceback" not in said.err, (line, said)
        if "error: " in said.err:  # not where nothing is begun yet, or all is done
            stays = last_words(said, signal.SIGINT)
            if stays not in ("Nothing was seeded.", "All seeds are in."):
                check_the_truth(room, said, stays, "apply")
        assert room.fork("up").code == 0, (line, said)
        assert act.facts(room) == expected, (line, said)


@pytest.mark.parametrize("number", SIGNALS)
def test_while_it_waits_for_the_lock(room: Room, number: signal.Signals) -> None:
    with room.migrator():
        child = room.begin("apply", "--lock-wait", "3600")
        until(lambda: len(room.look(POLLING)) == 2)  # the other asked for it, too, and has it
        child.send(number)
        said = Said(*child.wait())
    assert last_words(said, number) == IN_GENERAL
    assert room.applied() == []


def test_a_second_signal_does_not_disturb_the_cleaning_up_and_a_third_ends_it(room: Room) -> None:
    here = (
        "before create table public.items"  # nothing runs yet, so the request to cancel is in vain
    )
    patient = room.standing("apply", at=here)
    patient.child.send(signal.SIGINT)
    assert patient.proxy.cancelled.wait(PATIENCE)
    patient.child.send(signal.SIGTERM)
    patient.let_go()
    assert last_words(patient.ended(), signal.SIGINT) == "Nothing of 0001_create_items was kept."
    patient.proxy.hang_up()

    impatient = room.standing("apply", at=here)
    impatient.child.send(signal.SIGTERM)
    assert impatient.proxy.cancelled.wait(PATIENCE)
    impatient.child.send(signal.SIGINT)
    impatient.child.send(signal.SIGTERM)
    said = impatient.ended()
    assert said.code in (130, 143)
    assert "Traceback" not in said.err
    assert "Ended at once; what was not committed, PostgreSQL rolls back by itself." in said.err
    impatient.proxy.hang_up()
    impatient.let_go()
    assert room.fork("apply").code == 0


def test_a_signal_that_comes_while_a_failure_is_cleaned_up_changes_nothing(room: Room) -> None:
    room.write(_0005_fails="select 1 / 0;")
    failing = room.standing("apply", at="before rollback")
    failing.child.send(signal.SIGINT)
    failing.let_go()
    said = failing.ended()
    failing.proxy.hang_up()
    assert said.code == 1
    assert "error: division by zero" in said.err
    assert (
        "0001_create_items to 0004_shout stay applied. Nothing of 0005_fails was kept." in said.err
    )
    check_the_truth(room, said, "0001_create_items to 0004_shout stay applied.", "apply")


@pytest.fixture
def waiting(the_stage: Stage) -> Iterator[Room]:
    """The second file waits at the gate, which is shut."""
    with the_stage.room() as room:
        room.write(
            _0001_a="create table public.a ();",
            _0002_b=f"create table public.b (); select pg_advisory_xact_lock_shared({GATE});",
        )
        room.operator.execute("select pg_advisory_lock(%s)", [GATE])
        yield room


# A job in the background is started to ignore SIGINT, and so are its children.
AS_FROM_A_KEYBOARD = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
IN_THE_BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
PROGRAMS = {
    "runner": "import runpy; runpy.run_module('runner', run_name='__main__', alter_sys=True)",
    "yoyo": "import sys; from yoyo.scripts.main import main; sys.exit(main())",
}


def program(room: Room, how: str, name: str) -> subprocess.Popen[str]:
    (room.folder / "yoyo.ini").write_text((ROOT / "yoyo.ini").read_text())
    return room.start(sys.executable, "-W", "error", "-c", how + PROGRAMS[name], "apply")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_process_of_its_own_ends_in_order(
    waiting: Room, name: str, number: signal.Signals
) -> None:
    """yoyo's own command knows nothing of signals."""
    with program(waiting, AS_FROM_A_KEYBOARD, name) as process:
        until(lambda: bool(waiting.look(SOMEBODY_AT_THE_GATE)))
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    line = last_words(Said(process.returncode, out, err), number)
    assert line == "0001_a stays applied. Nothing of 0002_b was kept."
    assert waiting.applied() == ["0001_a"]
    until(lambda: not waiting.look(SOMEBODY_AT_THE_GATE))


def test_a_signal_that_the_program_was_started_to_ignore_stays_ignored(waiting: Room) -> None:
    """As under nohup, or in the background of a script."""
    with program(waiting, IN_THE_BACKGROUND, "runner") as process:
        until(lambda: bool(waiting.look(SOMEBODY_AT_THE_GATE)))
        process.send_signal(signal.SIGINT)
        waiting.operator.execute("select pg_advisory_unlock_all()")
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert waiting.applied() == ["0001_a", "0002_b"]


def test_json_is_still_one_document(waiting: Room) -> None:
    child = waiting.begin("apply", "--json")
    until(lambda: bool(waiting.look(SOMEBODY_AT_THE_GATE)))
    child.send(signal.SIGTERM)
    said = Said(*child.wait())
    assert said.code == said.document["exit_code"] == 143
    assert said.document["error"]["code"] == "interrupted"
    assert said.document["error"]["hint"] == "0001_a stays applied. Nothing of 0002_b was kept."
    assert [done["id"] for done in said.document["done"]] == ["0001_a"]
    assert [line["outcome"] for line in waiting.log_lines()] == ["done", "failed"]


def test_while_it_waits_for_a_busy_table(waiting: Room) -> None:
    """Between two tries, when nothing runs that could be cancelled."""
    waiting.write(_0002_b="alter table public.a add column n int;")
    waiting.operator.execute("create table public.a ()")
    waiting.write(_0001_a="create table if not exists public.a ();")
    assert waiting.database
    with waiting.database.connect() as reader:
        reader.execute("table public.a")
        child = waiting.begin("apply", "--lock-timeout", "0.05", "--busy-wait", "3600", "-v")
        until(lambda: "next try in" in child.said("err"))
        child.send(signal.SIGINT)
        said = Said(*child.wait())
    assert last_words(said, signal.SIGINT) == "0001_a stays applied. Nothing of 0002_b was kept."


# --- the room itself ----------------------------------------------------------------------------


@pytest.fixture
def caught() -> Iterator[None]:
    with signals.installed():
        yield


@pytest.mark.usefixtures("caught")
def test_a_signal_stops_the_program_where_it_stands() -> None:
    with pytest.raises(Interrupt) as raised:
        signal.raise_signal(signal.SIGTERM)
    assert raised.value.number == signal.SIGTERM
    signal.raise_signal(signal.SIGTERM)  # the second lets it clean up


@pytest.mark.usefixtures("caught")
def test_held_back_it_waits_for_the_check_and_comes_once() -> None:
    with signals.deferred() as outermost, signals.deferred() as inner:
        assert (outermost, inner) == (True, False)
        signals.check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupt):
            signals.check()
        signals.check()


@pytest.mark.usefixtures("caught")
def test_a_run_that_it_ends_says_what_stays() -> None:
    with pytest.raises(Interrupted) as raised, signals.graceful(lambda: "All of it."):
        signal.raise_signal(signal.SIGTERM)
    assert (raised.value.exit_code, raised.value.hint) == (143, "All of it.")
    assert raised.value.message == "Ended by SIGTERM."


@pytest.mark.usefixtures("caught")
def test_it_ends_a_sleep() -> None:
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with signals.deferred(), pytest.raises(Interrupt):
        signals.sleep(3600)
    timer.join()


@pytest.mark.usefixtures("caught")
def test_when_the_work_is_over_it_is_too_late() -> None:
    signals.ignore_further()
    signal.raise_signal(signal.SIGINT)
    with signals.deferred():
        signals.check()


@pytest.mark.usefixtures("caught")
def test_afterwards_signals_are_as_they_were() -> None:
    now = signal.getsignal(signal.SIGTERM)
    with signals.installed():
        pass
    assert signal.getsignal(signal.SIGTERM) is now


@pytest.mark.usefixtures("caught")
def test_waiting_cancels_again_and_again_until_there_is_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request to cancel that comes before its statement is lost."""
    monkeypatch.setattr(signals, "_AGAIN", 0.0)
    cancelled: list[int] = []

    def answer() -> Generator[str, None, str]:
        while len(cancelled) < 3:
            yield "more"
        return "done"

    with signals.deferred():
        waiting = signals.cancelling(answer(), lambda: cancelled.append(1))
        next(waiting)
        waiting.send(None)
        assert not cancelled
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(StopIteration) as end:
            while True:
                waiting.send(None)
        assert end.value.value == "done"
    assert len(cancelled) == 3
