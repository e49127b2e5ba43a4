"""From the names of tables, types and labels to those of classes and members."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, Sequence

# What the rules below would get wrong, and words that are the same in both numbers.
_ODD = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "indices": "index",
    "matrices": "matrix", "vertices": "vertex", "criteria": "criterion", "analyses": "analysis",
    "caches": "cache", "movies": "movie", "cookies": "cookie", "aliases": "alias",
    "canvases": "canvas", "lenses": "lens", "biases": "bias", "gases": "gas", "quizzes": "quiz",
    "shelves": "shelf", "halves": "half", "knives": "knife", "lives": "life", "leaves": "leaf",
    "shoes": "shoe", "uses": "use",
    "news": "news", "series": "series", "species": "species", "analytics": "analytics",
    "statistics": "statistics", "sms": "sms", "alias": "alias", "canvas": "canvas", "lens": "lens",
    "bias": "bias", "gas": "gas",
}  # fmt: skip
# The end of a plural, and of its singular; the first that fits counts.
_ENDS = (
    (r"(ss|us|is)$", r"\1"),  # address, status, analysis: no plural
    (r"^(.{1,2})ies$", r"\1ie"),  # ties
    (r"ies$", "y"),  # companies
    (r"(ss|sh|ch|x|zz)es$", r"\1"),  # addresses, batches, boxes
    (r"(?<![ao])uses$", "us"),  # statuses, and not causes, houses
    (r"oes$", "o"),  # heroes
    (r"s$", ""),
)


def class_name(words: Iterable[str]) -> str:
    """Return the words as one, in CamelCase, so that it can be the name of a class."""
    parts = [part for word in words for part in re.split(r"[\W_]+", word) if part]
    return _identifier("".join(part[:1].upper() + part[1:] for part in parts), "Row")


def member_name(label: str) -> str:
    """Return the name of the enum's member that stands for a label."""
    return _identifier(re.sub(r"[\W_]+", "_", label).strip("_").upper(), "VALUE_").rstrip("_")


def part_name(column: str) -> str:
    """Return the name of a named tuple's field for a part of a composite type."""
    own = field_name(column).lstrip("_")
    return f"{own}_" if own in ("count", "index") else field_name(own)  # what tuples have already


def field_name(column: str) -> str:
    """Return the name of a dataclass's field for a column: the column's own where that can be."""
    # Python reads an identifier as its NFKC form, and gives __this the name of the class.
    if (
        column.isidentifier()
        and not keyword.iskeyword(column)
        and not column.startswith("__")
        and unicodedata.is_normalized("NFKC", column)
    ):
        return column
    return _identifier(re.sub(r"[\W_]+", "_", column).strip("_"), "column_")


def singular(name: str) -> str:
    """Return a name in snake_case or CamelCase with its last word in the singular."""
    match = re.search(r"[A-Z]?[^\W\dA-Z_]+$", name)
    if not match:
        return name
    word = match[0].lower()
    end, replacement = next((e for e in _ENDS if re.search(e[0], word)), ("$", ""))
    found = _ODD.get(word) or re.sub(end, replacement, word)
    return name[: match.start()] + (found.capitalize() if match[0][0].isupper() else found)


def free(candidates: Sequence[str], taken: set[str]) -> str:
    """Return the first candidate that is not taken, else the last with underscores; take it."""
    name = next((name for name in candidates if name not in taken), candidates[-1])
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _identifier(text: str, before: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    if not text.isidentifier():
        text = before + text
    if not text.isidentifier():
        text = before + "".join(c for c in text if c.isascii() and c.isalnum())
    return f"{text}_" if keyword.iskeyword(text) else text
