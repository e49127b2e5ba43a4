"""Write generated text to a file, or compare it with what the file contains."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import UsageError


@dataclass(frozen=True)
class Delivery:
    """What happened to a generated text; `diff` is empty unless a check finds a stale file."""

    state: str  # "printed", "unchanged", "written"; of a check: "current", "stale", "absent"
    diff: list[str] = field(default_factory=list)


def deliver(text: str, path: Path | None, *, check: bool = False) -> Delivery:
    """Write a text to a file unless it is there already, or check whether it is.

    Without a path the caller prints it. Raises UsageError for a file that cannot be used.
    """
    if not path:
        return Delivery("printed")
    old = read(path)
    if old == text:
        return Delivery("current" if check else "unchanged")
    if check:
        lines = (old or "").splitlines(), text.splitlines()
        diff = list(difflib.unified_diff(*lines, str(path), "catalog", lineterm=""))
        return Delivery("absent" if old is None else "stale", diff)
    write(path, text)
    return Delivery("written")


def read(path: Path) -> str | None:
    """Return the text of a file with normalized line endings, None when it does not exist.

    Raises UsageError when it cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a file")
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all; an existing one keeps its permissions.

    Raises UsageError when it cannot be written.
    """
    file = path.resolve()  # a symbolic link stays; its target is written
    draft = file.with_name(f"{file.name}.{os.getpid()}.draft")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        if file.exists():
            shutil.copymode(file, draft)
        draft.replace(file)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}",
            state="An existing file was not changed.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
