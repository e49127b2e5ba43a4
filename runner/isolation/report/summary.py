"""Summarize the matrix: a grid of actors and commands per table, with the other organization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.isolation.verdict import COMMANDS, FORGED, Cell

LEGEND = (
    "yes: allowed; a key or foreign key may still refuse the row",
    "4/8: 4 of 8 rights allowed",
    "–: denied",
    "·: denied in another tenant, alone: only tried there",
    "+: allowed in every tenant",
    "empty: not tried",
    "✗3: 3 not as expected",  # the last one: shown where there is one
)
_NAMED = 2  # forged settings of an actor that are named


@dataclass(frozen=True)
class Square:
    """What one actor may do with one command on one table, and how many cells failed."""

    may: int  # rights allowed in the own organization
    of: int  # rights tried in the own organization
    other_allowed: bool  # whether a right in the other organization is allowed
    other_tried: bool
    failed: int

    def __str__(self) -> str:
        own = f"{self.may}/{self.of}"
        if self.may in (0, self.of):
            own = "yes" if self.may else "–"
        other = ("+" if self.other_allowed else "·") if self.other_tried else ""
        return " ".join(filter(None, (own if self.of else "", other, self._failed)))

    @property
    def _failed(self) -> str:
        return f"✗{self.failed}" if self.failed else ""


@dataclass(frozen=True)
class Line:
    """One line of a table's grid; actors whose squares look the same share a line."""

    actors: str  # comma-separated
    squares: tuple[Square | None, ...]  # one per command of the grid; None: not tried
    names: tuple[str, ...]  # of the actors

    @property
    def first(self) -> str:
        """The first of the actors."""
        return self.names[0]

    @property
    def passed(self) -> bool:
        """Whether every cell of the line passed."""
        return not any(square and square.failed for square in self.squares)


def grids(cells: Iterable[Cell]) -> tuple[list[str], dict[str, list[Line]]]:
    """Return the commands that were tried, and the lines of each table that has cells, by name."""
    cells = list(cells)
    tried = {cell.command for cell in cells}
    commands = [command for command in COMMANDS if command in tried]
    by_table: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        if cell.command not in COMMANDS:
            continue  # a function, which has no square
        by_table.setdefault(cell.table, {}).setdefault(cell.actor, []).append(cell)
    return commands, {table: _lines(of, commands) for table, of in by_table.items()}


def _lines(by_actor: dict[str, list[Cell]], commands: list[str]) -> list[Line]:
    shown: dict[tuple[str, ...], tuple[list[str], tuple[Square | None, ...]]] = {}
    for actor, cells in by_actor.items():
        squares = tuple(_square([c for c in cells if c.command == name]) for name in commands)
        shown.setdefault(tuple(map(str, squares)), ([], squares))[0].append(actor)
    return [Line(_joined(a), squares, tuple(a)) for a, squares in shown.values()]


def numbers(tables: Mapping[str, Sequence[Line]]) -> dict[str, int]:
    """Return a number for each actor of several tables whose name has several words."""
    names = Counter(name for lines in tables.values() for line in lines for name in line.names)
    long = (n for n, count in names.items() if count > 1 and " " in n and FORGED not in n)
    return {name: number for number, name in enumerate(long, start=1)}


def short(line: Line, numbered: Mapping[str, int]) -> str:
    """Return the actors of a line, by their numbers if nothing failed."""
    found = sorted(numbered[name] for name in line.names if name in numbered)
    if not (line.passed and found):
        return line.actors
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = (f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
    others = _joined(name for name in line.names if name not in numbered)
    return ", ".join(filter(None, (others, f"({', '.join(texts)})")))


def _joined(actors: Iterable[str]) -> str:
    """Return the actors in one text; of an actor with many forged settings, only the number."""
    found: dict[str, list[str]] = {}
    for actor in actors:
        name, forged, setting = actor.partition(FORGED)
        found.setdefault(f"{name}{forged}", []).extend([setting] if forged else [])
    return ", ".join(
        name + (f"{len(forged)} settings" if len(forged) > _NAMED else ", ".join(forged))
        for name, forged in found.items()
    )


def _square(cells: list[Cell]) -> Square | None:
    own = [cell for cell in cells if cell.where == "own"]
    other = [cell for cell in cells if cell.where == "other"]
    if not cells:
        return None
    may = sum(cell.allowed for cell in own)
    return Square(
        may=may,
        of=len(own),
        # Who is not bound to a tenant may do there what they may do at all.
        other_allowed=any(cell.allowed for cell in other) and bool(may or not own),
        other_tried=bool(other),
        failed=sum(not cell.passed for cell in cells),
    )
