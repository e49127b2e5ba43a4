"""The one wrapper around psycopg's wait loop: do something while the server is working."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import psycopg
from psycopg.abc import PQGen

from runner.postgres import signals

_CANCEL_AGAIN = 1.0  # seconds: a cancel request that arrives before its statement is lost

Result = TypeVar("Result")


def polling(generator: PQGen[Result], poll: Callable[[], object]) -> PQGen[Result]:
    """Return a generator that waits as the given one does and calls `poll` after each wake-up.

    psycopg wakes up every 0.1 s at the latest (its `waiting` module). An exception from `poll`
    abandons the statement, which goes on in the server.
    """
    try:
        state = next(generator)
        while True:
            ready = yield state
            poll()
            state = generator.send(ready)
    except StopIteration as done:
        result: Result = done.value
        return result


def cancel_on_signal(cancel: Callable[[], object]) -> Callable[[], None]:
    """Return a function for `polling` that cancels the statement once a signal is deferred."""
    last = 0.0

    def poll() -> None:
        nonlocal last
        if signals.is_deferred() and time.monotonic() - last > _CANCEL_AGAIN:
            with suppress(psycopg.Error):
                cancel()
            last = time.monotonic()

    return poll
