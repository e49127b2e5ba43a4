"""The files on the shelf: named, numbered, in order. Knows no database."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from runner.errors import FileError, UsageError
from runner.script import Script

_NAME = re.compile(r"(?P<number>\d+)[_.-](?P<rest>[\w.-]+)\Z")
_ROLLBACK = ".rollback.sql"
_LONGEST_ID = 255  # yoyo's column


@dataclass(frozen=True)
class Migration(Script):
    """A numbered file; its id is the file's name without `.sql`, as yoyo has it."""

    id: str
    number: int

    @cached_property
    def rollback(self) -> Script:
        """Its way back. Raises FileError when there is no such file."""
        path = self.path.with_name(self.id + _ROLLBACK)
        if not path.is_file():
            raise FileError(
                f"{self.id} has no way back: {path} does not exist",
                hint="Write it, or restore a backup. Nothing was rolled back.",
            )
        return Script(path)


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
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.name.endswith(_ROLLBACK):
            rollbacks.append(path)
        elif path.suffix == ".sql":
            found.append(_migration(path))
        elif path.suffix == ".py":
            raise FileError(
                f"{path} is a Python migration; this runner applies plain SQL only",
                hint="Write its statements as an .sql file, or keep such files elsewhere.",
            )
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
                hint="Its name must be the migration's name with .rollback.sql at the end.",
            )
    return _sort(found)


def find(migrations: Iterable[Migration], name: str) -> Migration:
    """Return the migration with this id, number or unmistakable beginning. Raises UsageError."""
    shelf = list(migrations)
    exact = [m for m in shelf if m.id == name or (name.isdigit() and m.number == int(name))]
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
    match = _NAME.match(path.stem)
    if not match:
        raise FileError(
            f"{path} is not named like a migration",
            hint="Names are a number, an underscore, words: 0007_add_teams.sql. No spaces.",
        )
    if not path.is_file():
        raise FileError(f"{path} is named like a migration but is not a file", hint="Rename it.")
    if len(path.stem) > _LONGEST_ID:
        raise FileError(
            f"{path} has a name of more than {_LONGEST_ID} characters", hint="Shorten it."
        )
    return Migration(path, path.stem, int(match["number"]))


def _check_numbers(found: list[Migration]) -> None:
    for earlier, later in pairwise(found):
        if earlier.number > later.number:
            raise FileError(
                f"{earlier.path.name} sorts before {later.path.name}, though its number is higher",
                hint="Pad the numbers to one width, so that every tool sees the same order.",
            )
    seen: dict[int, Migration] = {}
    for migration in found:
        if twin := seen.get(migration.number):
            raise FileError(
                f"Two migrations have the number {migration.number}: "
                f"{twin.path.name} and {migration.path.name}",
                hint="Give the newer one the next free number.",
            )
        seen[migration.number] = migration


def _sort(found: list[Migration]) -> list[Migration]:
    """Order by number, each after those it depends on."""
    by_id = {migration.id: migration for migration in found}
    ordered: dict[str, Migration] = {}

    def place_after_its_dependencies(migration: Migration, path: tuple[str, ...]) -> None:
        if migration.id in path:
            circle = " → ".join((*path[path.index(migration.id) :], migration.id))
            raise FileError(
                f"The migrations depend on each other in a circle: {circle}",
                hint="One of these `-- depends:` lines must go. Nothing was run.",
            )
        if migration.id in ordered:
            return
        for name in migration.header.depends:
            if name not in by_id:
                raise FileError(
                    f"{migration.path} depends on {name}, which does not exist",
                    hint=_nearest(name, by_id),
                )
            place_after_its_dependencies(by_id[name], (*path, migration.id))
        ordered[migration.id] = migration

    for migration in found:
        place_after_its_dependencies(migration, ())
    return list(ordered.values())


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else "Write the id: the file's name without .sql."
