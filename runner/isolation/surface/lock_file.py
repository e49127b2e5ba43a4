"""Read and write sql/isolation.lock: the surface as reviewed, one fact a line, sorted."""

from __future__ import annotations

import os
import re
from pathlib import Path

from runner.errors import Place, UsageError
from runner.isolation.surface import Surface
from runner.schema.snapshot import Fact

FILE = "isolation.lock"
_FORMAT = 1
_HEADER = f"""\
# isolation.lock, format {_FORMAT}: every fact that decides who reaches which rows, as reviewed.
# Written by: python -m runner verify --accept. Each line is: kind | object | property | value
"""
_FIRST_LINE = re.compile(r"# isolation\.lock, format (\d+)\b")
_CONFLICT = re.compile(r"(<{7}|={7}|>{7}|\|{7})( |$)")
_AGAIN = "With all migrations applied, remove it, then: python -m runner verify --accept"
# Objects that are named after the table or domain they belong to.
_PARTS = ("column", "constraint", "policy", "rule", "trigger")
_IDENTIFIER = r"""(?:"(?:[^"]|"")+"|[^".]+)"""
_PARENT = re.compile(rf"({_IDENTIFIER}\.{_IDENTIFIER})\.{_IDENTIFIER}")


def text(surface: Surface) -> str:
    """Return the surface as the text of the file."""
    return _HEADER + "".join(f"{line(fact)}\n" for fact in surface)


def line(fact: Fact) -> str:
    """Return a fact as its line: kind | object | property | value, the last two if it has them."""
    fields = (fact.kind, fact.name, fact.trait, fact.value)
    return " | ".join(fields).rstrip(" |") if not fact.value else " | ".join(fields)


def read(path: Path) -> Surface | None:
    """Return the reviewed surface; None if there is no such file.

    Raises UsageError, naming the line, for a file that `text` has not written.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{path} cannot be read: {reason}", hint=_AGAIN) from None
    first = _FIRST_LINE.match(lines[0])
    if not first or int(first[1]) != _FORMAT:
        what = f"has format {first[1]}, this version reads {_FORMAT}" if first else "has no header"
        raise _error(path, 1, lines[0], f"{path} {what}")
    facts: dict[tuple[str, str, str], Fact] = {}
    for number, words in enumerate(lines, start=1):
        if number == 1 or words == "" or words.startswith("# "):
            continue
        if _CONFLICT.match(words):
            raise _error(path, number, words, f"{path} contains an unresolved merge conflict")
        kind, name, trait, value, *_ = [*words.split(" | ", 3), "", "", ""]
        if not name:
            raise _error(path, number, words, f"{path}: this line is not a fact")
        if (kind, name, trait) in facts:
            raise _error(path, number, words, f"{path}: this fact is there twice")
        parent = _PARENT.fullmatch(name) if kind in _PARTS else None
        facts[kind, name, trait] = Fact(
            kind, name, trait, value, of=parent[1] if parent else None, make=None, unmake=None
        )
    return tuple(sorted(facts.values()))


def write(path: Path, surface: Surface) -> None:
    """Write the file in one step. Raises UsageError if that is not possible."""
    target = path.resolve()
    temporary = target.with_name(f".{FILE}.{os.getpid()}")
    try:
        temporary.write_text(text(surface), encoding="utf-8", newline="\n")
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _error(path: Path, number: int, words: str, message: str) -> UsageError:
    return UsageError(message, hint=_AGAIN, place=Place(str(path), number, None, words))
