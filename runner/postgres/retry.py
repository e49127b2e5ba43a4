"""The one back-off loop: growing pauses between attempts, until a time limit."""

from __future__ import annotations

import time

from runner.postgres import signals


class Backoff:
    """Pauses between attempts: `while not attempt(): … if backoff.exhausted: … backoff.sleep()`.

    Args:
        first: seconds of the first pause.
        longest: seconds no later pause exceeds.
        limit: seconds after which `exhausted` is true; the last pause is cut to end there.
        factor: by which each pause is longer than the one before.
    """

    def __init__(self, first: float, longest: float, *, limit: float, factor: float = 1.5) -> None:
        self._next = first
        self._longest = longest
        self._factor = factor
        self._end = time.monotonic() + limit

    @property
    def remaining(self) -> float:
        """Seconds left until the limit, below 0 after it."""
        return self._end - time.monotonic()

    @property
    def exhausted(self) -> bool:
        return self.remaining <= 0

    @property
    def pause(self) -> float:
        return max(0.0, min(self._next, self.remaining))

    def sleep(self) -> None:
        """Pause before the next attempt. Raises Interrupt if a signal is deferred during it."""
        signals.sleep(self.pause)
        self._next = min(self._next * self._factor, self._longest)
