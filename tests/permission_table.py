"""Print the permission table as docs/isolation.md shows it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from runner.isolation.matrix.permissions import COMMANDS, Permission
from runner.isolation.project import Project, load


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


if __name__ == "__main__":
    sys.stdout.write(markdown(load(Path(__file__).parents[1] / "sql")))
