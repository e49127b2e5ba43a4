"""The recipes of a page of docs/, as migrations that follow those of sql/ up to 0009."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from conftest import SQL_DIR

LAST = 9  # the number of the migration that the pages continue
_HEADER = re.compile(r"-- (?P<id>\d{4}_\w+)(?P<rollback>: rollback)?\n")
_BLOCK = re.compile(r"^```(sql|toml|diff)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """One migration of a page, and the blocks that follow it: changes of isolation.toml, mostly."""

    id: str
    sql: str
    rollback: str = ""
    rights: tuple[tuple[str, str], ...] = ()  # the kind of block, such as "diff", and its text

    @property
    def lines(self) -> int:
        """How many lines of isolation.toml are written or changed."""
        return sum(
            len([line for line in block.splitlines() if line])
            if kind == "toml"
            else len(re.findall(r"^\+", block, re.MULTILINE))
            for kind, block in self.rights
        )

    def write(self, folder: Path) -> None:
        """Write the migration and its rollback file."""
        for ending, sql in ((".sql", self.sql), (".rollback.sql", self.rollback)):
            (folder / (self.id + ending)).write_text(sql, encoding="utf-8")


def recipes(markdown: str) -> list[Recipe]:
    """Return the recipes of a text, in order."""
    found: list[Recipe] = []
    for kind, block in _BLOCK.findall(markdown):
        header = _HEADER.match(block)
        if header and not header["rollback"]:
            found.append(Recipe(header["id"], block))
            continue
        last = found.pop()
        rights = last.rights if header else (*last.rights, (kind, block))
        found.append(Recipe(last.id, last.sql, block if header else last.rollback, rights))
    return found


def changed(text: str, kind: str, block: str) -> str:
    """Return a file with a block of a page: appended, or its `-` lines replaced."""
    if kind == "toml":
        return f"{text.rstrip()}\n\n{block}"
    old, new = (
        "".join(f"{line[1:]}\n" for line in block.splitlines() if line[0] in signs)
        for signs in (" -", " +")
    )
    assert text.count(old) == 1, f"the page does not say which line is meant:\n{block}"
    return text.replace(old, new)


def only_first_files(folder: Path) -> None:
    """Copy sql/ without the files after 0009, and without the rights of their tables."""
    shutil.copytree(SQL_DIR, folder / "sql")
    created = ""
    for path in sorted((folder / "sql").glob("[0-9]*.sql")):
        if int(path.name[:4]) > LAST:
            path.unlink()
        else:
            created += path.read_text(encoding="utf-8")
    path = folder / "sql" / "isolation.toml"
    rights = re.sub(
        r"^\[rights\.(\w+)\]\n(?:(?!\[).*\n)*",
        lambda section: section[0] if f" public.{section[1]} (" in created else "",
        path.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    path.write_text(rights, encoding="utf-8")
