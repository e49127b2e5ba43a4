"""Write an empty migration and its rollback file."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from runner.errors import UsageError
from runner.files import loader

_NUMBER = re.compile(rf"(?:{loader.NUMBER})(?=[_.-])")
_PRECISIONS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}

_HEADER = """\
-- {id}
-- Say in one sentence what this is for.
{depends}
"""


def write(sql_dir: Path, name: str, known: Sequence[loader.Migration]) -> list[Path]:
    """Write the next migration and its rollback file; return the paths.

    `known`: the migrations of the folder, and those it is a further source of, in order. The new
    one depends on the last of each. Raises OSError.
    """
    id_ = next_name(sql_dir, name)
    last = {file.source: file.name for file in known}
    depends = f"-- depends: {' '.join(last.values())}\n" if known else ""
    files = [sql_dir / f"{id_}.sql", sql_dir / f"{id_}.rollback.sql"]
    for path, title, line in zip(files, (id_, f"{id_}: rollback"), (depends, ""), strict=True):
        with path.open("x", encoding="utf-8") as file:
            file.write(_HEADER.format(id=title, depends=line))
    return files


def prepare(sql_dir: Path, source: str = "") -> tuple[Path, list[loader.Migration]]:
    """Create the folder of migrations, or of a further source; return it, and what `write` takes.

    Raises OSError, UsageError and FileError.
    """
    folder = loader.folder_of(sql_dir, source) if source else sql_dir
    sql_dir.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    if not any(sql_dir.glob("*.sql")):
        return folder, []
    return folder, loader.read(sql_dir, [source] if source and any(folder.glob("*.sql")) else ())


def next_name(folder: Path, words: str, now: datetime | None = None) -> str:
    """Return the id of a new migration, numbered as the newest of the folder is.

    That is the next number; or the time, UTC, to the same precision; or a name as yoyo's `new`
    writes it. `now`: instead of the clock's time. Raises UsageError.
    """
    slug = _slug(words)
    if not slug:
        raise UsageError(
            f"{words!r} contains no letters or digits",
            hint="Say what it does: new add_teams_to_projects",
        )
    names = sorted(path.name for path in folder.glob("*.sql")) if folder.is_dir() else []
    names.sort(key=lambda name: name.endswith(".rollback.sql"))  # it is no migration
    if same := next((name for name in names if _words(name) == slug), None):
        raise UsageError(
            f"{folder / same} has this name already",
            hint="Edit that one if it is applied nowhere, or say what differs in the new one.",
        )
    found = [match.group() for name in names if (match := _NUMBER.match(name))] or ["0000"]
    newest = max(found, key=loader.number_of)
    day, _, of_day = newest.partition("_")
    if not loader.DATE.match(newest) or len(day) not in _PRECISIONS:
        return f"{int(newest) + 1:0{max(map(len, found))}d}_{slug}"
    time = (now or datetime.now(UTC)).strftime(_PRECISIONS[len(day)])
    time = max(day, time)  # also where a clock is slow
    if of_day:
        number = int(of_day) + 1 if time == day else 1
        noise = "".join(random.choices(string.ascii_lowercase + string.digits, k=5))  # noqa: S311
        return f"{time}_{number:02}_{noise}-{slug.replace('_', '-')}"
    if time == day and len(day) > min(_PRECISIONS):
        time = str(int(day) + 1)
    return f"{time}_{slug}"


def _words(name: str) -> str:
    """Return the words of a file's name, without number, without the letters that yoyo adds."""
    match = _NUMBER.match(name)
    stem = name.removesuffix(".sql").removesuffix(".rollback")
    words = _slug(stem[match.end() if match else 0 :])
    return words.partition("_")[2] if match and "_" in match.group() else words


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
