"""The matrix at a glance: per table who × command, with a sign for the other organization."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runner.isolation.matrix.permissions import COMMANDS
from runner.isolation.verdict import Cell

LEGEND = (
    "yes: may",
    "4/8: may do 4 things of 8",
    "–: may not",
    "·: refused in another org",
    "+: in every org",
    "✗3: 3 not as promised",
)


@dataclass(frozen=True)
class Square:
    """What one person may do with one command on one table, and whether it is so."""

    may: int  # of the own organization's rights
    of: int
    crosses: bool  # whether they are promised the other organization too
    tried_other: bool
    failed: int

    def __str__(self) -> str:
        own = f"{self.may}/{self.of}"
        if self.may in (0, self.of):
            own = "yes" if self.may else "–"
        other = ("+" if self.crosses else "·") if self.tried_other else ""
        return " ".join(filter(None, (own if self.of else "", other, self._failed)))

    @property
    def _failed(self) -> str:
        return f"✗{self.failed}" if self.failed else ""


@dataclass(frozen=True)
class Line:
    """One line of a table's grid: those for whom all is the same stand in one."""

    who: str
    squares: tuple[Square | None, ...]  # in the order of COMMANDS; None: not tried

    @property
    def passed(self) -> bool:
        """Whether all in it is as promised."""
        return not any(square and square.failed for square in self.squares)


def grids(cells: Iterable[Cell]) -> dict[str, list[Line]]:
    """Return the lines of each table that has cells."""
    by_table: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        by_table.setdefault(cell.table, {}).setdefault(cell.who, []).append(cell)
    return {table: _lines(people) for table, people in by_table.items()}


def _lines(people: dict[str, list[Cell]]) -> list[Line]:
    same: dict[tuple[Square | None, ...], list[str]] = {}
    for who, cells in people.items():
        squares = tuple(_square([c for c in cells if c.command == name]) for name in COMMANDS)
        same.setdefault(squares, []).append(who)
    return [Line(", ".join(who), squares) for squares, who in same.items()]


def _square(cells: list[Cell]) -> Square | None:
    own = [cell for cell in cells if cell.where == "own"]
    other = [cell for cell in cells if cell.where == "other"]
    if not cells:
        return None
    return Square(
        may=sum(cell.allowed for cell in own),
        of=len(own),
        crosses=any(cell.allowed for cell in other),
        tried_other=bool(other),
        failed=sum(not cell.passed for cell in cells),
    )
