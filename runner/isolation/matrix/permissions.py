"""The permission table: who may do what, declared in isolation.toml. No database access.

A permission is one right, the actors who have it and one statement that exercises it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.isolation.project import Project

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


def markdown(project: Project) -> str:
    """Return the permission table as a page shows it: Markdown, one row per table."""
    head = ["Table", "SELECT", "INSERT", "UPDATE", *project.platform]
    rows = [head, ["---"] * len(head), *(_row(project, table) for table in project.tables)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(project: Project, table: str) -> list[str]:
    by_command = {
        command: [p for p in project.rights if (p.table, p.command) == (table, command)]
        for command in COMMANDS
    }
    cells = [_cell(project, by_command[command]) for command in ("select", "insert", "update")]
    return [
        table,
        *cells,
        *(
            ", ".join(
                c for c, rights in by_command.items() if any(name in p.allowed for p in rights)
            )
            for name in project.platform
        ),
    ]


def _cell(project: Project, rights: Iterable[Permission]) -> str:
    """Return `every member: own name · OWNER: …`, without the rights that no member has."""
    whats: dict[tuple[str, ...], list[str]] = {}
    for right in rights:
        if members := project.members_with(right):
            whats.setdefault(members, []).append(right.what)
    if not whats:
        return "–"
    return " · ".join(
        ("every member" if who == project.members else ", ".join(who))
        + ("" if what == ["rows"] else f": {', '.join(what)}")
        for who, what in whats.items()
    )
