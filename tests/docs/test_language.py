"""Plain language: words that are metaphors, archaic or unclear do not occur."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import ROOT

_WORDS = (
    *(r"mend(s|ed|ing)?", r"ways?_back", r"pour(s|ed|ing)?", "whoever", "somebody", "nobody"),
    *("anew", "in_vain", "for_?ever", "lest", "besides", "deeds?", "catalogues?", "told_of"),
    *("so_too", "shelf", "nursery", "desk", "undertaker", "the_meanwhile"),
)
# A space of a phrase may be an underscore, or a line break with the marks of a comment.
_GAP = r"(?:[\s_]|#|--|\*)+"
WORDS = re.compile(
    rf"(?<![a-z])(?:{'|'.join(word.replace('_', _GAP) for word in _WORDS)})(?![a-z])".replace(
        f"{_GAP}?", "_?"
    ),
    re.IGNORECASE,
)
SUFFIXES = {".css", ".html", ".ini", ".js", ".md", ".py", ".sql", ".toml", ".txt"}
FOLDERS = ("runner", "sql", "seeds", "tests", "docs")
# The user of the operating system, quoted; former names in the changelog; names in made-up data.
_QUOTED = re.compile(r"[`'\"]nobody[`'\"]|the user nobody|nobody_t?here")
_FORMER = re.compile(r"`\w+`")
_DATA = {"seeds/scale/01_organizations.sql": "Nursery", "seeds/scale/03_projects.sql": "help desk"}


def files() -> list[Path]:
    """Return the files that people read, without this one."""
    top = [path for path in ROOT.iterdir() if path.is_file()]
    inner = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    dotfiles = {".env.example", ".squawk.toml", ".gitignore", ".pre-commit-config.yaml"}
    return sorted(
        path
        for path in (*top, *inner)
        if (path.suffix in SUFFIXES or path.name in dotfiles)
        and "__pycache__" not in path.parts
        and path != Path(__file__)
    )


def misplaced(path: Path) -> list[str]:
    """Return the words to avoid in a file and in its name, with their lines."""
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8").replace("\\n", "  ")
    text = _QUOTED.sub("", text).replace(_DATA.get(name, "\0"), "")
    if name == "CHANGELOG.md":
        text = _FORMER.sub("", text)
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for match in WORDS.finditer(text)
    ]
    return [*found, *(f"the name {name}" for _ in WORDS.finditer(name))]


def test_files_are_in_plain_language() -> None:
    found = {path: misplaced(path) for path in files()}
    assert len(found) > 500
    assert not [line for lines in found.values() for line in lines]


@pytest.mark.parametrize(
    "text",
    [
        *("the way back", "ways\n    # back", "in_vain", "-- Whoever asks", "catalogue", "Desk("),
        *("a shelf", "poured", "forever", "told\n-- of"),
    ],
)
def test_word_is_found(text: str) -> None:
    assert WORDS.search(text)


@pytest.mark.parametrize(
    "text", ["recommend", "amended", "pg_catalog", "the latest", "indeed", "a way forward"]
)
def test_other_word_is_not_found(text: str) -> None:
    assert not WORDS.search(text)
