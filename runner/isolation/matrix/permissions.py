"""The permission table: who may do what, declared in isolation.toml. No database access.

A permission is one right, the actors who have it and one statement that exercises it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COMMANDS = ("select", "insert", "update", "delete", "truncate")
_COLUMNS = {"insert": r"insert into [\w.]+ \(([\w, ]+)\)", "update": r"\bset (\w+) ="}


@dataclass(frozen=True)
class Permission:
    """One right: the actors in `allowed` may use `command` on `what` of `table`."""

    table: str
    command: str
    what: str
    allowed: tuple[str, ...]
    sql: str
    granted: tuple[str, ...] = ()  # who hold the privilege, although the statement is refused
    line: int = 0  # of its section in the file

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the statement writes; none for a command on whole rows."""
        pattern = _COLUMNS.get(self.command)
        found = re.findall(pattern, self.sql) if pattern else []
        return tuple(", ".join(found).split(", ")) if found else ()
