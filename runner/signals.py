"""Ctrl-C and SIGTERM: the first ends the work in good order, the third ends it at once.

A signal stops the program where it stands. Where that would leave open what the database kept, it
is `held`: noted, the statement that runs is cancelled in the server, and the work ends between two
statements. What follows is cleaning up, which a second signal does not disturb.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

from runner.errors import Interrupted, RunnerError

_AGAIN = 1.0  # seconds: a cancel request that overtakes its statement is lost
_Answer = TypeVar("_Answer")


class Interrupt(KeyboardInterrupt):
    """The first signal. A KeyboardInterrupt, for after that one libraries clean up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class _State:
    count: int = 0  # signals so far
    number: int = 0  # which came first
    over: bool = False  # the work has ended; only cleaning up is left
    holding: int = 0


_state = _State()


@contextmanager
def installed() -> Iterator[None]:
    """Answer SIGINT and SIGTERM; one that this program was started to ignore stays ignored."""
    _state.count, _state.over = 0, False
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for which in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(which) is not signal.SIG_IGN:
                before[which] = signal.signal(which, _answer)
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        _state.count, _state.over = 0, False


@contextmanager
def deferred() -> Iterator[bool]:
    """Hold signals back: inside, `check` raises what came, and nothing else does.

    Yields whether this is the outermost one.
    """
    _state.holding += 1
    try:
        yield _state.holding == 1
    finally:
        _state.holding -= 1


@contextmanager
def graceful(state: Callable[[], str]) -> Iterator[None]:
    """Hold signals back; one that comes ends the work as Interrupted, `state` its hint."""
    with deferred():
        try:
            yield
            check()
        except Interrupt as came:
            raise Interrupted(came.number, hint=state()) from None


def as_error(error: RunnerError | Interrupt) -> RunnerError:
    """Return an error of ours for either."""
    return Interrupted(error.number) if isinstance(error, Interrupt) else error


def check() -> None:
    """Raise Interrupt if a signal was held back."""
    if _is_noted():
        _state.over = True
        raise Interrupt(_state.number)


def sleep(seconds: float) -> None:
    """Sleep; raises Interrupt if a signal is held back meanwhile."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(left, 0.1))


def ignore_further() -> None:
    """From here on there is only cleaning up or a result to print: signals are let pass."""
    _state.over = True


def pending_signal() -> int:
    """Return the number of the signal that came first; 0 for none."""
    return _state.number if _state.count else 0


def resume() -> None:
    """Let signals end the work again: its result is printed, and it goes on until it is told."""
    _state.over = bool(_state.count)


def cancelling(
    waiting: Generator[Any, Any, _Answer], cancel: Callable[[], None]
) -> Generator[Any, Any, _Answer]:
    """Wait as the given generator does, and `cancel` once a signal is held back."""
    cancelled = 0.0
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if _is_noted() and time.monotonic() - cancelled > _AGAIN:
                cancel()
                cancelled = time.monotonic()
            wanted = waiting.send(ready)
    except StopIteration as end:
        answer: _Answer = end.value
        return answer


def _is_noted() -> bool:
    return bool(_state.count and _state.holding and not _state.over)


def _answer(number: int, _: FrameType | None) -> None:
    _state.count += 1
    if _state.count > 2:
        os.write(2, b"\nEnded at once; what was not committed, PostgreSQL rolls back by itself.\n")
        os._exit(128 + number)
    if _state.count == 1:
        _state.number = number
        if not (_state.holding or _state.over):
            _state.over = True
            raise Interrupt(number)
