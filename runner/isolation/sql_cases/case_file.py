"""One sheet of SQL, one thing to prove: a numbered file with a head that a reviewer can read.

The head is its leading `--` lines: the name, which is that of the file, a sentence on what it is
about, and `-- word: text` lines; `--   ` goes on with the line before. Then comes the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

_NAME = re.compile(r"\d{2,3}_[a-z0-9_]+")
_FIELD = re.compile(r"-- ([a-z]+): (\S.*)")


@dataclass(frozen=True, eq=False)
class Sheet:
    """A file of rules/, attacks/ or invariants/."""

    folder: str
    name: str
    title: str
    fields: Mapping[str, str]
    body: str

    def is_meant(self, only: str | None) -> bool:
        """Whether `only` names it: whole, without its number, or by its number; None names all."""
        number, _, words = self.name.partition("_")
        return only is None or only in (self.name, number, words, f"{self.folder}/{self.name}")


def read(folder: str, fields: Sequence[str], optional: Sequence[str] = ()) -> tuple[Sheet, ...]:
    """Return the sheets of a folder beside this file, in the order of their numbers."""
    found = files("runner.isolation.sql_cases") / folder
    texts = {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
        for file in found.iterdir()
        if re.match(r"\d.*\.sql$", file.name)
    }
    return tuple(parse(folder, name, texts[name], fields, optional) for name in sorted(texts))


def parse(
    folder: str, name: str, text: str, fields: Sequence[str], optional: Sequence[str] = ()
) -> Sheet:
    """Read one sheet; raise ValueError, naming the file and what is wrong with it.

    `fields` have to be in its head, `optional` may be, nothing else may.
    """
    where = f"{folder}/{name}.sql"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where}: a sheet is called NN_what_it_is")
    lines = text.splitlines()
    size = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    head = "\n".join(lines[:size]).replace("\n--   ", " ").splitlines()
    body = "\n".join(lines[size:]).strip()
    if not head or head[0] != f"-- {name}":
        raise ValueError(f"{where}: its first line is not its name, -- {name}")
    if len(head) < 2 or _FIELD.fullmatch(head[1]) or not head[1].removeprefix("--").strip():
        raise ValueError(f"{where}: its second line does not say what it is about")
    found: dict[str, str] = {}
    for line in head[2:]:
        field = _FIELD.fullmatch(line)
        if not field or field[1] not in (*fields, *optional):
            raise ValueError(f"{where}: not one of its fields: {line}")
        if field[1] in found:
            raise ValueError(f"{where}: a second {field[1]}")
        found[field[1]] = field[2].strip()
    if missing := [field for field in fields if field not in found]:
        raise ValueError(f"{where}: its head has no -- {missing[0]}:")
    if not body:
        raise ValueError(f"{where}: there is no SQL below its head")
    return Sheet(folder, name, head[1].removeprefix("--").strip(), found, body)


def meant(sheets: Sequence[Sheet], only: str | None) -> Iterator[Sheet]:
    """Those that `only` names; all for None."""
    return (sheet for sheet in sheets if sheet.is_meant(only))
