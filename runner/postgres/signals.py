"""Ctrl-C and SIGTERM: the first ends the work in order, the third ends the process at once.

A signal raises Interrupt where the program is. Where that would leave it unknown what the database
kept, signals are `deferred`: the running statement is canceled in the server and the work ends
between two statements. Then follows the cleanup, which a second signal does not disturb.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from runner.errors import Interrupted, RunnerError


class Interrupt(KeyboardInterrupt):
    """The first signal. A KeyboardInterrupt, because libraries clean up after that one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _State:
    count = 0  # signals received
    number = 0  # the first one
    over = False  # the work has ended; only the cleanup is left
    deferring = 0  # nesting depth of `deferred`


_state = _State()


@contextmanager
def installed() -> Iterator[None]:
    """Handle SIGINT and SIGTERM; one that this process was started to ignore stays ignored."""
    _state.count, _state.over = 0, False
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for which in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(which) is not signal.SIG_IGN:
                before[which] = signal.signal(which, _handle)
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        _state.count, _state.over = 0, False


@contextmanager
def deferred() -> Iterator[bool]:
    """Defer signals: inside, only `check` raises one. Yields whether this is the outermost."""
    _state.deferring += _in_main_thread()
    try:
        yield _state.deferring == 1 and _in_main_thread()
    finally:
        _state.deferring -= _in_main_thread()


@contextmanager
def graceful(state: Callable[[], str]) -> Iterator[None]:
    """Defer signals; one that arrives ends the work as Interrupted with this state sentence."""
    with deferred():
        try:
            yield
            check()
        except Interrupt as interrupt:
            raise Interrupted(interrupt.number, state=state()) from None


def as_error(error: RunnerError | Interrupt) -> RunnerError:
    return Interrupted(error.number) if isinstance(error, Interrupt) else error


def check() -> None:
    """Raise Interrupt if a signal was deferred; in another thread, if any has arrived."""
    if is_deferred():
        _state.over = _state.over or _in_main_thread()
        raise Interrupt(_state.number)


def is_deferred() -> bool:
    """Return whether a signal has arrived that `check` would raise."""
    if not _in_main_thread():
        return bool(_state.count)
    return bool(_state.count and _state.deferring and not _state.over)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def sleep(seconds: float) -> None:
    """Sleep; raise Interrupt if a signal is deferred during it."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(left, 0.1))


def ignore_further() -> None:
    """Let no further signal end the work: only cleanup, or printing the result, is left."""
    _state.over = True


def resume() -> None:
    """Let signals end the work again: its result is printed, and it runs until it is stopped."""
    _state.over = bool(_state.count)


def pending_signal() -> int:
    """Return the number of the first signal received, or 0."""
    return _state.number if _state.count else 0


def _handle(number: int, _: FrameType | None) -> None:
    _state.count += 1
    if _state.count > 2:
        os.write(2, b"\nTerminated at once; PostgreSQL rolls back what was not committed.\n")
        os._exit(128 + number)
    if _state.count == 1:
        _state.number = number
        if not (_state.deferring or _state.over):
            _state.over = True
            raise Interrupt(number)
