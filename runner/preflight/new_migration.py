"""Write an empty migration and its rollback file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.files import loader

_HEADER = """\
-- {id}
-- Say in one sentence what this is for.
{depends}
"""


def write(sql_dir: Path, name: str, known: Sequence[loader.Migration]) -> list[Path]:
    """Write the next migration and its rollback file; return the paths.

    `known`: the migrations of the folder, in order. Raises OSError.
    """
    id_ = loader.next_name(sql_dir, name)
    depends = f"-- depends: {known[-1].id}\n" if known else ""
    files = [sql_dir / f"{id_}.sql", sql_dir / f"{id_}.rollback.sql"]
    for path, title, line in zip(files, (id_, f"{id_}: rollback"), (depends, ""), strict=True):
        with path.open("x", encoding="utf-8") as file:
            file.write(_HEADER.format(id=title, depends=line))
    return files
