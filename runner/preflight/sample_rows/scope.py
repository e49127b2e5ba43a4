"""Limit rows to one owner: recognizable values, and references to rows of that owner only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from runner.preflight.sample_rows.shapes import Column


class Default(Enum):
    """The default of a column: inserts leave the column out."""

    DEFAULT = "default"


DEFAULT = Default.DEFAULT
Value = str | Default | None
Row = dict[str, Value]


@dataclass(frozen=True)
class Scope:
    """What the rows of one owner may contain."""

    rows: Mapping[tuple[str, str], Sequence[Mapping[str, str | None]]]  # to refer to, by table
    recognizable: Callable[[Column, str, int], list[str]]  # as values.Lister
    n: int  # of the first recognizable value
    fixed: Mapping[str, str | None] = field(default_factory=dict)  # the only value of a column
    vary: bool = True  # insert a row for each enum label, flag, null and row to refer to

    def refers_to(self, schema: str, table: str) -> Sequence[Mapping[str, str | None]]:
        """Return the rows of a table that the owner's rows may refer to."""
        return self.rows.get((schema, table), ())
