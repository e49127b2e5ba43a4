"""Break lines of a generated file, and write comments and literals that may hold any text."""

from __future__ import annotations

import inspect
import re
import shlex
import textwrap

WIDTH = 100


def commented(text: str, width: int) -> list[str]:
    """Return a comment as lines of at most `width` characters, without their common indent.

    Lines break between words only, so a longer word stays longer. Characters that do not print,
    such as marks that change the direction of writing, become escapes.
    """
    lines = re.sub(r"\r\n?", "\n", text).expandtabs().split("\n")
    whole = inspect.cleandoc("\n".join(visible(line).rstrip() for line in lines))
    return [part for line in whole.split("\n") for part in _broken(line, width)] if whole else []


def visible(text: str) -> str:
    """Return the text with an escape for each character that does not print."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quoted(text: str) -> str:
    """Return the text as a literal in double quotes, on one line."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{visible(escaped)}"'


def written_by(schema: str, language: str) -> str:
    """Return the sentence that names the command that generates a file."""
    words = [
        *("python", "-m", "runner", "types"),
        *(() if language == "python" else ("--lang", language)),
        *(() if schema == "public" else ("--schema", shlex.quote(schema))),
    ]
    return f"Written by `{' '.join(words)}` from the catalog. Do not edit."


def _broken(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]
