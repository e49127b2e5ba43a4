"""Write the migration of a new table, and its rights, from the templates beside the schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from runner.errors import UsageError
from runner.files import loader
from runner.generate import output
from runner.isolation import toml_file
from runner.preflight import new_migration

TEMPLATE = "isolation/new_table"  # .sql, .rollback.sql and .toml, in the folder of migrations
_ID, _NAME, _WORDS = "0000_create_new_things", "new_things", "new things"
_TABLE_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_VERB = re.compile(r"(?:add|create)_(?=.)")
_LONGEST = 63  # bytes: PostgreSQL cuts off the rest of a name
_CREATES_OR_DROPS = re.compile(
    r"""^\s* (create|drop) \s+ (?:\w+\s+){0,2}? (?:table|view) \s+
    (?:if\s+(?:not\s+)?exists\s+)? ([\w".]+)""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_HINT = (
    "It is the migration that --table copies: one table of this schema, called new_things.\n"
    "new_table.rollback.sql and new_table.toml, for [rights], lie beside it. docs/migrations.md "
    "describes them."
)


def write(sql_dir: Path, name: str, known: Sequence[loader.Migration]) -> list[Path]:
    """Write the next migration, its rollback file and the rights of a new table; return the paths.

    Args:
        name: the table, or a verb and the table: teams, add_teams.
        known: the migrations of the folder, in order.

    Raises UsageError for a name that cannot be a table's, a table that the migrations create
    already, and templates that are missing or do not fit. Nothing is written then.
    """
    name = re.sub(r"[\s-]+", "_", name.strip().lower())
    table = _VERB.sub("", name, count=1)
    if not _TABLE_NAME.fullmatch(table):
        raise UsageError(
            f"{name!r} cannot be the name of a table here",
            hint="Use the letters a to z, digits and underscores, and begin with a letter, as in\n"
            "new teams --table. The template says in which schema the table lies.",
        )
    id_ = new_migration.next_name(sql_dir, name if name != table else f"create_{table}")
    depends = f"-- depends: {known[-1].id}\n" if known else ""
    forward, rollback, rights = (
        _filled(sql_dir, ending, id_, table) for ending in (".sql", ".rollback.sql", ".toml")
    )
    _require_short_names(forward, table)
    _require_new(forward, known)
    files = {
        sql_dir / f"{id_}.sql": forward.replace("\n\n", f"\n{depends}\n", 1),
        sql_dir / f"{id_}.rollback.sql": rollback,
    }
    isolation_file = sql_dir / toml_file.NAME
    extended = _with_rights(isolation_file, rights, table)
    try:
        for path, text in files.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        if extended:
            output.write(isolation_file, extended)
    except (OSError, UsageError) as error:
        for path in files:
            path.unlink(missing_ok=True)
        if isinstance(error, UsageError):
            raise
        problem = f"{error.filename} cannot be created: {error.strerror}"
        raise UsageError(problem) from None
    return [*files, *([isolation_file] if extended else [])]


def _filled(sql_dir: Path, ending: str, id_: str, table: str) -> str:
    """Return a template with the names of this table; an empty text where no rights are given."""
    path = sql_dir / (TEMPLATE + ending)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if ending == ".toml":
            return ""
        raise UsageError(f"The template {path} does not exist", hint=_HINT) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The template {path} cannot be read: {error}") from None
    if _NAME not in text:
        raise UsageError(f"The template {path} does not contain {_NAME}", hint=_HINT)
    for placeholder, word in ((_ID, id_), (_NAME, table), (_WORDS, table.replace("_", " "))):
        text = text.replace(placeholder, word)
    return text


def _require_short_names(text: str, table: str) -> None:
    longest = max(re.findall(rf"\b\w*{table}\w*\b", text.partition("\n\n")[2]), key=len)
    if len(longest) > _LONGEST:
        raise UsageError(
            f"The name {table} is too long: {longest} has {len(longest)} characters, "
            f"and PostgreSQL cuts names at {_LONGEST}",
            hint=f"At most {_LONGEST - len(longest) + len(table)} characters fit.",
        )


def _require_new(text: str, known: Iterable[loader.Migration]) -> None:
    """Refuse a relation that the migrations create, and no later one drops."""
    existing: dict[str, loader.Migration] = {}
    for migration in known:
        for verb, name in _relations(migration.text):
            if verb == "create":
                existing[name] = migration
            else:
                existing.pop(name, None)
    for _, name in _relations(text):
        if name in existing:
            raise UsageError(
                f"{name} exists already: {existing[name].path} creates it",
                hint="Choose another name. To change that table: python -m runner new NAME",
            )


def _relations(text: str) -> list[tuple[str, str]]:
    """Return each table or view that a text creates or drops: create or drop, and the name."""
    found = _CREATES_OR_DROPS.findall(text)
    return [(verb.lower(), name.replace('"', "").lower()) for verb, name in found]


def _with_rights(path: Path, rights: str, table: str) -> str | None:
    """Return isolation.toml with the rights behind the last ones; None if they need no change."""
    if not rights:
        return None
    file = toml_file.read(path, missing=toml_file.MISSING)
    declared = file.content.get("rights", {})
    names = chain.from_iterable(re.split(r"[\s,]+", names) for names in declared)
    if table in (name.rpartition(".")[2] for name in names):
        return None
    lines, end = file.text.splitlines(), file.end_of("rights")
    after = ["", *lines[end:]] if any(lines[end : end + 1]) else lines[end:]
    text = "\n".join((*lines[:end], "", *rights.strip().splitlines(), *after)).rstrip() + "\n"
    try:
        toml_file.parse(text, path)
    except UsageError as error:
        raise UsageError(
            f"{path} cannot take the rights of {table}: {error.message}",
            hint=f"Make [rights] a section. To be added:\n{rights}",
        ) from None
    return text.replace("\n", "\r\n") if b"\r\n" in path.read_bytes() else text
