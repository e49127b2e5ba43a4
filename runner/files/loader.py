"""Discover and order migration files. No database access."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

from runner.errors import FileError, UsageError
from runner.files import other_tools
from runner.files.sql_file import SqlFile

# A number, or yoyo's own: 20261128_01_ab3xz-create-table, with a second number for each day.
NUMBER = r"[0-9]{8}_[0-9]{2,}(?=_[A-Za-z0-9]{5}(?:[-.]|\Z))|[0-9]+"
DATE = re.compile(r"(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]")
_NAME = re.compile(rf"(?P<number>{NUMBER})[_.-](?P<rest>[\w.-]+)\Z")
_NOT_IN_NAME = re.compile(r"[^\w.-]")
_SOURCE = re.compile(r"\w[\w-]*")
_ROLLBACK = ".rollback.sql"
_OF_VERIFY = "isolation"  # a folder in that of the migrations, without any
_LONGEST_ID = 255  # yoyo's column


@dataclass(frozen=True)
class Migration(SqlFile):
    """A numbered file. Its id is its name, as in yoyo; of a further source, `source/name`."""

    id: str
    number: int

    @property
    def name(self) -> str:
        """The file name without `.sql`."""
        return self.id.rpartition("/")[2]

    @property
    def source(self) -> str:
        """The name of its source, a folder in the folder of migrations; "" for that folder."""
        return source_of(self.id)

    def depends(self, known: Collection[str]) -> list[str]:
        """Return the ids among `known` that its header names: of its own source, else plain."""
        names = ((f"{self.source}/{name}", name) for name in self.header.depends)
        return [own if own in known else name for own, name in names]

    @cached_property
    def rollback(self) -> SqlFile:
        """Its rollback file. Raises FileError when there is none, or an irreversible file."""
        if reason := self.header.irreversible:
            raise FileError(
                f"{self.id} is irreversible: {reason}",
                hint="Restore a backup. Files after it, if there are any, can be rolled back: "
                f"python -m runner rollback --to {self.id}",
            )
        path = self.path.with_name(self.name + _ROLLBACK)
        if not path.is_file():
            raise FileError(
                f"{self.id} has no rollback file: {path} does not exist",
                hint="Write it, or restore a backup.",
            )
        return SqlFile(path)


def source_of(id_: str) -> str:
    return id_.rpartition("/")[0]


def read(folder: Path, sources: Collection[str] = ()) -> list[Migration]:
    """Return the migrations of a folder in the order in which they are applied.

    `sources`: folders in it, with numbers of their own. A file of one comes after those that it
    depends on and the one before it; if no file of the folder itself is such, after all of these.

    Raises UsageError when a folder does not exist or has none, FileError for a file that looks
    like a migration and is not one: no run may silently skip a file.
    """
    found = _read(folder, "")
    for source in sorted(set(sources)):
        found += _read(folder_of(folder, source), f"{source}/")
    by_name: dict[str, Migration] = {}
    for file in found:
        if (other := by_name.setdefault(file.name, file)) is not file:
            raise FileError(
                f"{other} and {file} have one name, by which yoyo records a migration",
                hint="Rename the one that is applied nowhere.",
            )
    ordered = _sort(found)
    return _place(ordered) if sources else ordered


def folder_of(folder: Path, source: str) -> Path:
    if not _SOURCE.fullmatch(source):
        hint = f"It is the name of a folder in {folder}, without a path."
        raise UsageError(f"{source!r} cannot be a source of migrations", hint=hint)
    if source == _OF_VERIFY:
        hint = "Give the folder of the source another name."
        raise UsageError(f"{folder / source} is for the SQL tests of verify", hint=hint)
    return folder / source


def with_recorded(files: Sequence[Migration], ids: Iterable[str]) -> list[Migration]:
    """Return the files, and those of each source that recorded ids are of, if it has any."""
    known = {file.source for file in files}
    folder = next((file.path.parent for file in files if not file.source), None)
    others = filter(_SOURCE.fullmatch, {source_of(id_) for id_ in ids} - known - {_OF_VERIFY})
    found = [name for name in others if folder and _has_files(folder / name)]
    return read(folder, known - {""} | {*found}) if folder and found else list(files)


def _has_files(folder: Path) -> bool:
    """Return whether a folder has what may be a migration; `_read` judges whether it is one."""
    names = [path.name.lower() for path in folder.iterdir()] if folder.is_dir() else []
    return any(
        name.endswith((".sql", ".py")) and not name.startswith((".", "_"))
        for name in names
        if not name.endswith(_ROLLBACK)
    )


def _read(folder: Path, prefix: str) -> list[Migration]:
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(
            f"The folder of migrations {folder} {what}",
            hint="To create it, with its first file: new NAME, with this option"
            if prefix
            else "Run from the root of the repository, or name the folder: --sql-dir DIR",
        )
    found: list[Migration] = []
    rollbacks: list[Path] = []
    for entry in sorted(os.scandir(folder), key=attrgetter("name")):
        name = entry.name
        if name.startswith((".", "_")):
            continue
        path = folder / name
        if name.endswith(".py"):
            raise FileError(
                f"{path} is a Python migration; only SQL files are supported",
                hint="Write its statements as SQL: python -m runner new NAME, or yoyo new --sql",
            )
        ending = _ROLLBACK if name.lower().endswith(_ROLLBACK) else ".sql"
        if not name.lower().endswith(ending):
            continue
        if not name.endswith(ending):
            raise FileError(
                f"{path} does not end in {ending} exactly",
                hint="Other tools would skip it. Write the extension in lower case.",
            )
        if ending == _ROLLBACK:
            rollbacks.append(path)
        else:
            found.append(_migration(path, prefix))
        if not (entry.is_file(follow_symlinks=False) or path.is_file()):  # a link may be a loop
            raise _not_a_file(path)
    if not found:
        of_folders = any(folder.glob("[0-9]*/*.sql"))
        raise UsageError(
            f"The folder of migrations {folder} contains no .sql file",
            hint=f"Rewrite the folders in it, as of Prisma: {other_tools.import_of(folder)}"
            if of_folders
            else "Create the first one: python -m runner new create_something",
        )
    _check_numbers(found)
    known = {migration.name for migration in found}
    for path in rollbacks:
        if path.name.removesuffix(_ROLLBACK) not in known:
            raise FileError(
                f"{path} is the rollback file of a migration that does not exist",
                hint="Its name must be the migration's name with .rollback.sql at the end.",
            )
    return found


def number_of(text: str) -> int:
    """Return the number of a name; dates of different precision compare as their texts do."""
    digits = text.replace("_", "")
    return int(digits.ljust(14, "0") if DATE.match(digits) else digits)


def _migration(path: Path, prefix: str) -> Migration:
    stem = path.stem
    id_ = prefix + stem
    if foreign := other_tools.of_name(path):
        raise FileError(f"{path} has a name of {foreign[0]}", hint=foreign[1])
    match = _NAME.match(stem)
    if not match:
        odd = _NOT_IN_NAME.search(stem)
        raise FileError(
            f"{path} does not have the name of a migration",
            hint="Names are a number, an underscore, words: 0007_add_teams.sql. No spaces."
            + (f" {_named(odd.group())} is in this one." if odd else ""),
        )
    if len(id_) > _LONGEST_ID:
        raise FileError(
            f"{path} has a name of more than {_LONGEST_ID} characters", hint="Shorten it."
        )
    return Migration(path, id_, number_of(match["number"]))


def _not_a_file(path: Path) -> FileError:
    what = "a folder" if path.is_dir() else "something else"
    if path.is_symlink():
        what = "a symbolic link without a file"
    return FileError(
        f"{path} is not a file: it is {what}", hint="Rename it, or replace it by the file."
    )


def _named(character: str) -> str:
    """Return code point and name of a character that may be mistaken or invisible."""
    if unicodedata.category(character) == "Cs":
        return "A byte that is not UTF-8"
    return f"U+{ord(character):04X} {unicodedata.name(character, 'a control character')}"


def _check_numbers(found: list[Migration]) -> None:
    # Sorted by name: where two equal numbers are not neighbors, one between them is out of order.
    # On one day the name decides, as in yoyo; else two files of a number may be of two branches.
    for earlier, later in pairwise(found):
        if earlier.number > later.number:
            raise FileError(
                f"{earlier.path.name} sorts before {later.path.name}, though its number is higher",
                hint="Pad the numbers to the same width, so that every tool uses the same order.",
            )
        if earlier.number == later.number and not (
            DATE.match(later.name) or earlier.name in later.header.depends
        ):
            raise FileError(
                f"Two migrations have the number {later.number}: "
                f"{earlier.path.name} and {later.path.name}",
                hint="Give one that is applied nowhere the next free number. If both are applied, "
                f"state their order in {later.path.name}: -- depends: {earlier.name}",
            )


def _sort(found: list[Migration]) -> list[Migration]:
    """Sort by number, each after those it depends on."""
    by_id = {migration.id: migration for migration in found}
    own = {id_: migration for id_, migration in by_id.items() if not migration.source}
    ordered: dict[str, Migration] = {}
    for migration in found:
        if not migration.header.depends:
            ordered[migration.id] = migration
            continue
        waiting = {migration.id: migration}  # a chain, each depends on the next
        while waiting:
            id_, current = next(reversed(waiting.items()))
            # The folder's own files are complete without those of a further source.
            near = by_id if current.source else own
            first = next((name for name in current.depends(near) if name not in ordered), None)
            if first is None:
                ordered[id_] = current
                del waiting[id_]
            elif first not in near:
                raise _unmet(current, first, by_id if first in by_id else near)
            elif first in waiting:
                ids = [*waiting, first]
                raise FileError(
                    "The migrations depend on each other in a cycle: "
                    + " → ".join(ids[ids.index(first) :]),
                    place=current.find_in_header(first),
                    hint="Remove one of these `-- depends:` lines.",
                )
            else:
                waiting[first] = by_id[first]
    return list(ordered.values())


def _place(ordered: list[Migration]) -> list[Migration]:
    """Move the files of further sources from the end to after what they depend on."""
    at: dict[str, int] = {}  # by id, or source: after which of the folder's own files
    for index, file in enumerate(ordered):
        after = [at[id_] for id_ in (*file.depends(at), file.source) if id_ in at]
        at[file.id] = max(after, default=len(ordered)) if file.source else index
        at[file.source] = at[file.id]
    return sorted(ordered, key=lambda file: at[file.id])


def _unmet(file: Migration, name: str, known: Mapping[str, Migration]) -> FileError:
    why, hint = "which does not exist", _nearest(name, known.keys() - {file.id})
    if name in known:
        why = "a file of a further source"
        hint = "A file of the folder itself has to work without that source."
    return FileError(f"{file} depends on {name}, {why}", place=file.find_in_header(name), hint=hint)


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only for an error

    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]}?" if close else "Write the id: the file's name without .sql."
