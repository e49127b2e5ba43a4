"""What a room says while it works; the gates decide how it looks and where it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """One file was applied, rolled back, marked, accepted, seeded, and the disk has it."""

    operation: str
    id: str
    sha256: str
    ms: float


@dataclass(frozen=True)
class Working:
    """What is going on right now; worth a line only while somebody watches."""

    text: str


@dataclass(frozen=True)
class Note:
    """Something the reader should know although all is well."""

    text: str


Event = Done | Working | Note
Report = Callable[[Event], None]


def silent(_: Event) -> None:
    """Say nothing."""
