"""Parse a case file: a numbered .sql file for one rule, attack or invariant.

The header is the leading `--` lines: the file's name, a one-sentence title, and `-- field: text`
lines; a line that starts with `--   ` continues the previous one. The SQL follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from runner.errors import UsageError

_NAME = re.compile(r"\d{2,3}_[a-z0-9_]+")
_FIELD = re.compile(r"-- ([a-z]+): (\S.*)")


@dataclass(frozen=True, eq=False)
class CaseFile:
    """A file of rules/, attacks/ or invariants/."""

    folder: str
    name: str  # of the file, without .sql
    title: str
    fields: Mapping[str, str]
    body: str
    where: str  # its path, for messages

    @property
    def number(self) -> str:
        """The beginning of its name, by which it is known."""
        return self.name.partition("_")[0]

    def matches(self, only: str | None) -> bool:
        """Return whether `only` is its name, with or without number or folder, or its number.

        None matches every file.
        """
        number, _, words = self.name.partition("_")
        return only is None or only in (self.name, number, words, f"{self.folder}/{self.name}")


def read_all(
    folder: str, project: Path, fields: Sequence[str], optional: Sequence[str] = ()
) -> tuple[CaseFile, ...]:
    """Return the case files of a folder beside this module and of a project's folder, by number.

    Raises UsageError for a malformed file, and for a number that occurs twice.
    """
    packaged = files("runner.isolation.sql_cases") / folder
    found: dict[str, CaseFile] = {}
    for place in (packaged, project):
        where = folder if place is packaged else str(project)
        for case in read_folder(folder, place, fields, optional, where=where):
            if other := found.get(case.number):
                raise UsageError(
                    f"{case.where}: the number {case.number} is taken by {other.where}"
                )
            found[case.number] = case
    return tuple(sorted(found.values(), key=lambda case: case.name))


def read_folder(
    folder: str,
    place: Traversable | Path,
    fields: Sequence[str],
    optional: Sequence[str] = (),
    *,
    where: str = "",
) -> Iterator[CaseFile]:
    """Yield the case files of one place, if it is there. Raises UsageError for a malformed file."""
    where = where or str(place)
    for file in place.iterdir() if place.is_dir() else ():
        if re.match(r"\d.*\.sql$", file.name):
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{where}/{file.name} cannot be read: {error}") from None
            yield parse(folder, file.name.removesuffix(".sql"), text, fields, optional, where=where)


def replaced(cases: Iterable[CaseFile], by: Iterable[CaseFile]) -> tuple[CaseFile, ...]:
    """Return the case files, each replaced by the one of the same number, if there is one."""
    found = {case.number: case for case in (*cases, *by)}
    return tuple(sorted(found.values(), key=lambda case: case.name))


def parse(
    folder: str,
    name: str,
    text: str,
    fields: Sequence[str],
    optional: Sequence[str] = (),
    *,
    where: str = "",
) -> CaseFile:
    """Return one case file; raise UsageError, naming the file and the problem, if it is malformed.

    Its header must have `fields`, may have `optional`, and no others.
    """
    where = f"{where or folder}/{name}.sql"
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: the name of a case file must look like NN_what_it_tests")
    lines = text.splitlines()
    size = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header = "\n".join(lines[:size]).replace("\n--   ", " ").splitlines()
    body = "\n".join(lines[size:]).strip()
    if not header or header[0] != f"-- {name}":
        raise UsageError(f"{where}: the first line must be its name: -- {name}")
    if len(header) < 2 or _FIELD.fullmatch(header[1]) or not header[1].removeprefix("--").strip():
        raise UsageError(f"{where}: the second line must be a title")
    found: dict[str, str] = {}
    for line in header[2:]:
        field = _FIELD.fullmatch(line)
        if not field or field[1] not in (*fields, *optional):
            raise UsageError(f"{where}: unknown header field: {line}")
        if field[1] in found:
            raise UsageError(f"{where}: duplicate header field: {field[1]}")
        found[field[1]] = field[2].strip()
    if missing := [field for field in fields if field not in found]:
        raise UsageError(f"{where}: missing header field: -- {missing[0]}:")
    if not body:
        raise UsageError(f"{where}: no SQL below the header")
    return CaseFile(folder, name, header[1].removeprefix("--").strip(), found, body, where)


def select(case_files: Sequence[CaseFile], only: str | None) -> Iterator[CaseFile]:
    """Yield the case files that `only` names; all of them for None."""
    return (case_file for case_file in case_files if case_file.matches(only))
