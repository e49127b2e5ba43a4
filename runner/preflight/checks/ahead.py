"""Compute results in another thread while earlier ones are used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_Result = TypeVar("_Result")


@contextmanager
def ahead(results: Iterator[_Result], count: int) -> Iterator[Iterator[_Result]]:
    """Yield the first `count` results in their order; what raises ends them.

    Nothing runs any more at the end: a signal cancels what the other thread waits for.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        futures = [pool.submit(next, results) for _ in range(count)]
        try:
            yield (future.result() for future in futures)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
