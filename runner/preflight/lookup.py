"""Find migrations by what a user names: a file, an id, a number; folders that yoyo names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from runner.errors import UsageError
from runner.files import loader
from runner.files.loader import Migration


def find(migrations: Iterable[Migration], name: str) -> Migration:
    """Return the migration with this path, id, number or unambiguous prefix. Raises UsageError.

    A further source is named before it: citus/0001. Without, those of the folder itself rank first.
    """
    known = list(migrations)
    source = _source(Path(name).parent, known)
    name = Path(name).name.removesuffix(".sql").removesuffix(".rollback")
    number = loader.number_of(name) if re.fullmatch(r"[0-9]{1,255}", name) else None
    matches: list[Migration] = []
    for among in ([m for m in known if m.source == source], known[: len(known) * (not source)]):
        exact = [m for m in among if name == m.name or number == m.number]
        matches = matches or exact or [m for m in among if m.name.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    ids = [m.id for m in matches or known]
    listed = ", ".join([*["…"][: len(ids) > 8], *ids[-8:]])
    raise UsageError(
        f"{name!r} matches {'more than one migration' if matches else 'no migration'}",
        hint=f"Migrations: {listed}",
    )


def _source(folder: Path, known: Sequence[Migration]) -> str:
    """Return the source that a path before a name means. Raises UsageError if there is none."""
    if folder.name in {m.source for m in known}:
        return folder.name
    own = {m.path.parent for m in known if not m.source}
    if folder.name and folder.resolve() not in {path.resolve() for path in own}:
        # A path may be a URL in the wrong place, with its password.
        is_plain = re.fullmatch(r"[\w-]+", str(folder)) is not None
        what = str(folder) if is_plain else "The folder before the name"
        raise UsageError(
            f"{what} is no source of migrations here, nor {', '.join(map(str, own))}",
            hint=f"For one that was not applied yet: --with {folder.name if is_plain else 'NAME'}",
        )
    return ""


def in_folders(folders: Iterable[Path]) -> list[Migration]:
    """Return all migrations of these folders.

    A folder in a folder of migrations is a further source of that one, also if that is not among
    them.
    """
    sources: dict[Path, list[str]] = {}
    for folder in sorted(folders):
        is_further = any(folder.parent.glob("[0-9]*.sql"))
        names = sources.setdefault(folder.parent if is_further else folder, [])
        names += [folder.name] * is_further
    return [file for folder, names in sources.items() for file in loader.read(folder, names)]
