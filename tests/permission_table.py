"""Print the permission tables as docs/isolation.md shows them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from runner.isolation.project import Project, load
from runner.isolation.tenancy.config import Right


def markdown(project: Project) -> str:
    """Return the rights as a page shows them: Markdown, one row per table."""
    head = ["Table", "SELECT", "INSERT", "UPDATE", *project.platform]
    rights = project.config.rights
    rows = [head, ["---"] * len(head), *(_row(project, table) for table in rights)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def cases(project: Project) -> str:
    """Return what depends on the values: Markdown, one row per case that anyone may do."""
    rows = [["Table", "What", "Who"], ["---"] * 3]
    rows += [[case.table, case.what, who(project, case.allowed)] for case in project.config.cases]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def who(project: Project, allowed: Iterable[str]) -> str:
    """Return the actors, all members as one."""
    names = list(allowed)
    if set(project.members) <= set(names):
        names = ["every member", *(name for name in names if name not in project.members)]
    return ", ".join(names) or "–"


def _row(project: Project, table: str) -> list[str]:
    commands: Mapping[str, tuple[Right, ...]] = project.config.rights[table]
    return [
        table,
        *(_cell(project, commands.get(c, ()), c) for c in ("select", "insert", "update")),
        *(
            ", ".join(c for c, rights in commands.items() if any(name in r.actors for r in rights))
            for name in project.platform
        ),
    ]


def _cell(project: Project, rights: Iterable[Right], command: str) -> str:
    """Return `OWNER: name (where …)` for each right of members."""
    found = []
    for right in rights:
        members = [name for name in right.actors if name in project.members]
        if members:
            text = who(project, members)
            if command == "update" and right.columns:
                text += f": {', '.join(right.columns)}"
            found.append(f"{text} where `{right.where}`" if right.where else text)
    return " · ".join(found) or "–"


if __name__ == "__main__":
    both = load(Path(__file__).parents[1] / "sql")
    sys.stdout.write(f"{markdown(both)}\n{cases(both)}")
