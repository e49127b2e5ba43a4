"""Recognize migration files of other tools, which would run differently here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

# A comment on a line of its own, in a file that also contains what undoes it.
MARK = re.compile(
    r"""(?ix) (?: --++ | /\*++ ) [ \t]*+ (?:
        \+ (?P<goose> goose ) \b
      | \+ (?P<sql_migrate> migrate | micrate ) [ \t]
      | (?P<dbmate> migrate ) : (?: up | down ) \b
      | (?P<rambler> rambler ) [ \t] (?: up | down ) \b
      | (?P<tern> create [ ] above ) [ ] / [ ] drop [ ] below
      | // [ \t]* (?P<MyBatis> @undo ) \b
      | (?P<Liquibase> liquibase [ ] formatted [ ] sql | changeset [ ]+ \S+:\S+ )
      | (?: up | down ) [ \t]+ (?P<node_pg_migrate> migration ) \b
      | [@=\ \t]* (?P<another_migration_tool> up | down | undo | rollback )
        [=: \t]* (?: \*/ )? (?= [\r\n] | \Z )
    )""",
)
_SPLIT = (
    "Move the part that undoes it to {stem}.rollback.sql, and delete these marks. If the tool has "
    "applied the file, record that: python -m runner baseline"
)
_NAMES = {
    "golang-migrate and sqlx": re.compile(r".+\.(?:up|down)\Z"),
    "Flyway": re.compile(r"(?:[BUV][0-9][0-9._]*|R)__"),
    "Postgrator": re.compile(r"[0-9]+\.(?:un)?do(?:\.|\Z)"),
}
_RENAME = "Rename it to NUMBER_NAME.sql, or to NUMBER_NAME.rollback.sql if it undoes another file."
_OR = "\nOr rewrite the whole folder: "


def of_name(path: Path) -> tuple[str, str] | None:
    """Return the tools whose files have such a name, and what to do; else None."""
    found = (tool for tool, name in _NAMES.items() if name.match(path.stem))
    return next(((tool, _RENAME + _OR + import_of(path.parent)) for tool in found), None)


def of_mark(mark: re.Match[str], path: Path) -> tuple[str, str]:
    """Return the tool that a match of MARK belongs to, and what to do."""
    advice = _SPLIT.format(stem=path.stem) + _OR + import_of(path.parent)
    return str(mark.lastgroup).replace("_", " "), advice


def import_of(folder: Path) -> str:
    """Return the command that rewrites a folder of another tool."""
    return f"python -m runner import {shlex.quote(str(folder))} --sql-dir NEW"
