"""The folder of an export: JSON lines, one file a table, and manifest.json, written last."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.errors import FileError, Place, UsageError

MANIFEST, FORMAT = "manifest.json", 1
OWN, REFERENCED = "tenant", "referenced"
_STRINGS = ("tenant", "at", "server", "database", "fingerprint")


@dataclass(frozen=True)
class TableFile:
    """The file of one table."""

    table: str  # qualified and quoted, as PostgreSQL writes it
    part: str  # OWN: the tenant's rows; REFERENCED: rows of no tenant that these refer to
    file: str
    rows: int
    sha256: str
    columns: dict[str, str]  # with their types


@dataclass(frozen=True)
class Manifest:
    """What an export holds, in the order of inserts."""

    tenant: str
    at: str  # UTC
    server: str
    database: str
    fingerprint: str  # of the schema
    tables: tuple[TableFile, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows there are of each table, without empty ones."""
        return {table.table: table.rows for table in self.tables if table.rows}

    @property
    def total(self) -> dict[str, int]:
        """Of all tables; a manifest that lacks one differs from it."""
        return {"tables": len(self.tables), "rows": sum(table.rows for table in self.tables)}


@contextmanager
def new(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder beside, readable by this user alone, that gets the name at the end.

    Raises UsageError if there is something already, or it cannot be made.
    """
    taken = UsageError(f"{folder} exists already", hint="Name a folder that does not: --out DIR")
    try:
        if folder.is_symlink() or (
            folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        ):
            raise taken
        folder.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}") from None
    try:
        yield hidden
        try:
            hidden.rename(folder)
        except OSError:  # another export was faster
            raise taken from None
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def unfinished(folder: Path) -> list[Path]:
    """Return the hidden folders of other exports to this one, which were killed or still run."""
    hidden = re.compile(re.escape(f".{folder.name}.") + r"[a-z0-9_]{8}")
    if not folder.parent.is_dir():
        return []
    return sorted(path for path in folder.parent.iterdir() if hidden.fullmatch(path.name))


def file_name(number: int, table: str) -> str:
    """Return the name of a table's file; the number makes it unique."""
    plain = re.sub(r"[^\w.-]", "_", table)[:100]
    return f"{number:02}_{plain}.jsonl"


def line(values: dict[str, str | None]) -> bytes:
    """Return a row as a line: each value as PostgreSQL's text, or null."""
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    content = {"format": FORMAT, **asdict(manifest), "total": manifest.total}
    text = json.dumps(content, ensure_ascii=False, indent=2)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def read(folder: Path) -> Manifest:
    """Return the manifest of a folder whose files are as they were written. Raises FileError."""
    path = folder / MANIFEST
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}", hint="tenant export makes one.")
    if not path.is_file():
        raise FileError(
            f"{folder} has no {MANIFEST}: it is no export, or one that did not finish",
            hint="Export again: the manifest is written last.",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        manifest = _manifest(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(
            f"{path} is not a manifest of format {FORMAT}: {error or type(error).__name__}",
            hint="It was changed, or written by another version. Export again.",
            place=Place(str(path), getattr(error, "lineno", None)),
        ) from None
    for table in manifest.tables:
        _check(folder / table.file, table)
    return manifest


def _manifest(content: dict[str, Any]) -> Manifest:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}")
    tables = tuple(TableFile(**entry) for entry in content["tables"])
    for table in tables:
        named = (table.table, table.file, table.sha256, *table.columns, *table.columns.values())
        if not all(map(_is_text, named)) or type(table.rows) is not int or table.rows < 0:
            raise ValueError(f"an entry of tables, {table.table!r}")
        if Path(table.file).name != table.file or table.part not in (OWN, REFERENCED):
            raise ValueError(f"an entry of tables, {table.file!r}")
    strings = {name: content[name] for name in _STRINGS}
    if not all(map(_is_text, strings.values())):
        raise ValueError(f"one of {', '.join(_STRINGS)} is not a string of valid characters")
    manifest = Manifest(**strings, tables=tables)
    if content["total"] != manifest.total:
        raise ValueError(f"tables has {manifest.total}, and total is {content['total']!r}")
    return manifest


def _is_text(value: object) -> bool:
    """Whether it is a string that PostgreSQL and a file name can hold."""
    return isinstance(value, str) and not re.search("[\0\ud800-\udfff]", value)


def _check(path: Path, table: TableFile) -> None:
    """Raise FileError unless a file is as it was written."""
    if path.exists() and not path.is_file():
        raise FileError(
            f"{path} is not a regular file",
            hint="Copy the whole folder, or export again.",
        )
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(
            f"{path} cannot be read: {error.strerror}",
            hint="Copy the whole folder, or export again.",
        ) from None
    if found != table.sha256:
        raise FileError(
            f"{path} was changed since it was exported: its SHA-256 is not that of {MANIFEST}",
            hint="Use an unchanged copy, or export again.",
        )


def rows(folder: Path, table: TableFile) -> Iterator[list[str | None]]:
    """Yield the rows of a file, in the order of its columns. Raises FileError with the line."""
    path, names = folder / table.file, list(table.columns)
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            try:
                values = json.loads(text)
                row = [values[name] for name in names]
                valid = len(values) == len(row) and all(v is None or _is_text(v) for v in row)
            except (ValueError, KeyError, TypeError, RecursionError):
                valid = False
            if not valid:
                raise FileError(
                    f"{path}:{number} is not a row of {table.table}",
                    hint="A line is an object of strings and nulls, with the manifest's columns.",
                    place=Place(str(path), number),
                )
            yield row
