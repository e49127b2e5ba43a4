"""Write the files of a new project: settings of yoyo, a first migration, what verify proves."""

from __future__ import annotations

import shlex
from pathlib import Path

from runner.errors import UsageError

_EXAMPLE = Path(__file__).parent / "example"
_IGNORED = ".runner/\n.env\n"
_NEXT = """
Next:{enter}
  python -m runner up         a running database with the example
  python -m runner verify     is every tenant isolated?
  python -m runner new NAME   the next migration"""


def write(folder: Path) -> list[Path]:
    """Write the files into a folder, which may exist; return their paths.

    Raises UsageError, before anything is written, if there is such a file, or another migration.
    """
    texts = {
        folder / path.relative_to(_EXAMPLE): path.read_text(encoding="utf-8")
        for path in sorted(_EXAMPLE.rglob("*.*"))
        if path.is_file()
    }
    taken = [path for path in (*texts, *sorted((folder / "sql").glob("*.sql"))) if path.exists()]
    if taken:
        raise UsageError(
            f"{taken[0]} exists, and nothing is overwritten",
            hint="For a new migration in this folder: python -m runner new NAME\n"
            "For another project: python -m runner init FOLDER",
        )
    if not (folder / ".gitignore").exists():
        texts[folder / ".gitignore"] = _IGNORED
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be created: {error.strerror}") from None
    return list(texts)


def next_steps(folder: str) -> str:
    """Return what to type next; `folder` as it was typed."""
    return _NEXT.format(enter="" if folder == "." else f"\n  cd {shlex.quote(folder)}")
