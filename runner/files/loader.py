"""The files on the shelf: named, numbered, in order. Knows no database."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from runner.errors import FileError, UsageError
from runner.files.sql_file import SqlFile

_NAME = re.compile(r"(?P<number>[0-9]+)[_.-](?P<rest>[\w.-]+)\Z")
_NOT_IN_NAME = re.compile(r"[^\w.-]")
_ROLLBACK = ".rollback.sql"
_LONGEST_ID = 255  # yoyo's column
_STATE = "Nothing was run."


@dataclass(frozen=True)
class Migration(SqlFile):
    """A numbered file; its id is the file's name without `.sql`, as yoyo has it."""

    id: str
    number: int

    @cached_property
    def rollback(self) -> SqlFile:
        """Its way back. Raises FileError when there is no such file."""
        path = self.path.with_name(self.id + _ROLLBACK)
        if not path.is_file():
            raise FileError(
                f"{self.id} has no way back: {path} does not exist",
                hint="Write it, or restore a backup. Nothing was rolled back.",
            )
        return SqlFile(path)


def read(folder: Path) -> list[Migration]:
    """Return the migrations of a folder in the order in which they apply.

    Raises UsageError when the folder is not there or holds none, FileError for a file that could
    be taken for a migration and is not one: no run may silently leave a file out.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(
            f"The folder of migrations {folder} {what}",
            hint="Run from the root of the repository, or name the folder: --sql-dir DIR",
        )
    found: list[Migration] = []
    rollbacks: list[Path] = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        name = path.name
        if name.startswith((".", "_")):
            continue
        if path.suffix == ".py":
            raise FileError(
                f"{path} is a Python migration; this runner applies plain SQL only",
                hint="Write its statements as an .sql file, or keep such files elsewhere. "
                f"{_STATE}",
            )
        ending = _ROLLBACK if name.lower().endswith(_ROLLBACK) else ".sql"
        if not name.lower().endswith(ending):
            continue
        if not name.endswith(ending):
            raise FileError(
                f"{path} does not end in {ending}, written like that",
                hint=f"Other tools would leave it out. Write the ending in lower case. {_STATE}",
            )
        if ending == _ROLLBACK:
            rollbacks.append(_file(path))
        else:
            found.append(_migration(path))
    if not found:
        raise UsageError(
            f"The folder of migrations {folder} holds no .sql file",
            hint="Make the first one: python -m runner new create_something",
        )
    _check_numbers(found)
    known = {migration.id for migration in found}
    for path in rollbacks:
        if path.name.removesuffix(_ROLLBACK) not in known:
            raise FileError(
                f"{path} is the way back of a migration that does not exist",
                hint="Its name must be the migration's name with .rollback.sql at the end. "
                f"{_STATE}",
            )
    return _sort(found)


def find(migrations: Iterable[Migration], name: str) -> Migration:
    """Return the migration with this id, number or unmistakable beginning. Raises UsageError."""
    shelf = list(migrations)
    number = int(name) if re.fullmatch(r"[0-9]{1,255}", name) else None
    exact = [m for m in shelf if name == m.id or number == m.number]
    matches = exact or [m for m in shelf if m.id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    listed = ", ".join(m.id for m in (matches or shelf)[-8:])
    raise UsageError(
        f"{name!r} names {'more than one migration' if matches else 'no migration'}",
        hint=f"There are: {listed}",
    )


def next_name(folder: Path, words: str) -> str:
    """Return the id for a new migration: the next number and the words in snake case."""
    slug = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    if not slug:
        raise UsageError(
            f"{words!r} makes no file name", hint="Say what it does: new add_teams_to_projects"
        )
    names = [path.name for path in folder.glob("*.sql")] if folder.is_dir() else []
    numbers = [match["number"] for name in names if (match := _NAME.match(Path(name).stem))]
    width = max((len(number) for number in numbers), default=4)
    return f"{max((int(number) for number in numbers), default=0) + 1:0{width}d}_{slug}"


def _migration(path: Path) -> Migration:
    id_ = path.stem
    match = _NAME.match(id_)
    if not match:
        odd = _NOT_IN_NAME.search(id_)
        raise FileError(
            f"{path} is not named like a migration",
            hint="Names are a number, an underscore, words: 0007_add_teams.sql. No spaces."
            + (f" {_named(odd.group())} is in this one." if odd else "")
            + f" {_STATE}",
        )
    _file(path)
    if len(id_) > _LONGEST_ID:
        raise FileError(
            f"{path} has a name of more than {_LONGEST_ID} characters", hint=f"Shorten it. {_STATE}"
        )
    return Migration(path, id_, int(match["number"]))


def _file(path: Path) -> Path:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "something else"
        if path.is_symlink():
            what = "a link that leads to no file"
        raise FileError(
            f"{path} is named like a migration but is not a file: it is {what}",
            hint=f"Rename it, or put the file in its place. {_STATE}",
        )
    return path


def _named(character: str) -> str:
    """Name a character that may look like another, or like nothing."""
    if unicodedata.category(character) == "Cs":
        return "A byte that is not UTF-8"
    return f"U+{ord(character):04X} {unicodedata.name(character, 'a control character')}"


def _check_numbers(found: list[Migration]) -> None:
    for earlier, later in pairwise(found):
        if earlier.number > later.number:
            raise FileError(
                f"{earlier.path.name} sorts before {later.path.name}, though its number is higher",
                hint="Pad the numbers to one width, so that every tool sees the same order. "
                f"{_STATE}",
            )
    seen: dict[int, Migration] = {}
    for migration in found:
        if twin := seen.get(migration.number):
            raise FileError(
                f"Two migrations have the number {migration.number}: "
                f"{twin.path.name} and {migration.path.name}",
                hint=f"Give the newer one the next free number. {_STATE}",
            )
        seen[migration.number] = migration


def _sort(found: list[Migration]) -> list[Migration]:
    """Order by number, each after those it depends on."""
    by_id = {migration.id: migration for migration in found}
    ordered: dict[str, Migration] = {}
    for migration in found:
        waiting = {migration.id: migration}  # each for the one behind it
        while waiting:
            id_, current = next(reversed(waiting.items()))
            first = next((name for name in current.header.depends if name not in ordered), None)
            if first is None:
                ordered[id_] = current
                del waiting[id_]
            elif first not in by_id:
                raise FileError(
                    f"{current} depends on {first}, which does not exist",
                    place=current.find_in_header(first),
                    hint=f"{_nearest(first, by_id.keys() - {id_})} {_STATE}",
                )
            elif first in waiting:
                ids = [*waiting, first]
                raise FileError(
                    "The migrations depend on each other in a circle: "
                    + " → ".join(ids[ids.index(first) :]),
                    place=current.find_in_header(first),
                    hint=f"One of these `-- depends:` lines must go. {_STATE}",
                )
            else:
                waiting[first] = by_id[first]
    return list(ordered.values())


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - not needed on any good day

    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]}?" if close else "Write the id: the file's name without .sql."
