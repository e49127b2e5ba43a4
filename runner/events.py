"""Progress events emitted by the packages; cli decides how to show them and where to keep them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Done(NamedTuple):
    """One file was applied, rolled back, marked, accepted or seeded, and the disk has it."""

    operation: str
    id: str
    sha256: str
    ms: float
    notes: tuple[str, ...] = ()  # what was reported while it ran


class Working(NamedTuple):
    """The current activity; shown only while it lasts."""

    text: str


class Note(NamedTuple):
    """Something the user should know although nothing failed."""

    text: str


Event = Done | Working | Note
Report = Callable[[Event], None]


def silent(_: Event) -> None:
    """Ignore the event."""
