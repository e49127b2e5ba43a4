"""Derive names of classes, fields and members from those of relations, columns and labels."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, Sequence

from runner.generate.schema_reader import Relation, Schema, Type

# Names that a generated module uses itself.
_RESERVED = {
    *(word for word in keyword.kwlist if word[0].isupper()),
    *("Any", "NamedTuple", "Decimal", "UUID", "StrEnum", "LookupError", "Json", "JsonObject"),
    *("IPv4Address", "IPv6Address", "IPv4Interface", "IPv6Interface", "IPv4Network", "IPv6Network"),
    *("Connection", "EnumInfo", "CompositeInfo", "Range", "Multirange"),
}
# Words that the rules below would get wrong, and words that are equal in singular and plural.
_IRREGULAR = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "indices": "index",
    "matrices": "matrix", "vertices": "vertex", "criteria": "criterion", "analyses": "analysis",
    "caches": "cache", "movies": "movie", "cookies": "cookie", "aliases": "alias",
    "canvases": "canvas", "lenses": "lens", "biases": "bias", "gases": "gas", "quizzes": "quiz",
    "knives": "knife", "lives": "life", "shoes": "shoe", "uses": "use",
    "news": "news", "series": "series", "species": "species", "analytics": "analytics",
    "statistics": "statistics", "sms": "sms", "alias": "alias", "canvas": "canvas", "lens": "lens",
    "bias": "bias", "gas": "gas",
}  # fmt: skip
# The end of a plural and of its singular; the first match counts.
_ENDS = (
    (r"(ss|us|is)$", r"\1"),  # address, status, analysis: already singular
    (r"^(.{1,2})ies$", r"\1ie"),  # ties
    (r"ies$", "y"),  # companies
    (r"(ss|sh|ch|x|zz)es$", r"\1"),  # addresses, batches, boxes
    (r"(?<![ao])uses$", "us"),  # statuses, and not causes, houses
    (r"oes$", "o"),  # heroes
    (r"(hel|hal|lea)ves$", r"\1f"),  # halves, leaves
    (r"s$", ""),
)


def class_names(schema: Schema) -> dict[Relation | Type, str]:
    """Return a different class name for each relation, enum and composite type."""
    # Inside a class, an annotation with the name of a column would mean the field.
    records: tuple[Relation | Type, ...] = (*schema.relations, *schema.composites)
    taken = _RESERVED | {column.name for record in records for column in record.columns}
    # A row type that a column has: the table's class keeps its name.
    tables = {relation.name for relation in schema.relations}
    rows = [t for t in schema.composites if t.schema == schema.name and t.name in tables]
    types = [t for t in (*schema.enums, *schema.composites) if t not in rows]
    types.sort(key=lambda t: (t.schema != schema.name, t.schema, t.name))  # own: shorter names
    names: dict[Relation | Type, str] = {
        type_: free((class_name([type_.name]), class_name([type_.schema, type_.name])), taken)
        for type_ in types
    }
    for relation in schema.relations:
        candidates = class_name([singular(relation.name)]), class_name([relation.name])
        names[relation] = free(candidates, taken)
    names |= {row: free((class_name([singular(row.name), "row"]),), taken) for row in rows}
    return names


def class_name(words: Iterable[str]) -> str:
    """Return the words as one identifier in CamelCase."""
    parts = [part for word in words for part in re.split(r"[\W_]+", word) if part]
    return _identifier("".join(part[:1].upper() + part[1:] for part in parts), "Row")


def member_name(label: str) -> str:
    """Return the name of the enum member for a label."""
    return _identifier(re.sub(r"[\W_]+", "_", label).strip("_").upper(), "VALUE_").rstrip("_")


def part_name(column: str) -> str:
    """Return the name of a named tuple's field for an attribute of a composite type."""
    own = field_name(column).lstrip("_")
    return f"{own}_" if own in ("count", "index") else field_name(own)  # methods of tuple


def field_name(column: str) -> str:
    """Return the name of a dataclass field for a column: the column's own name if possible."""
    # Python normalizes identifiers to NFKC, and mangles __names inside a class.
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
    found = _IRREGULAR.get(word) or re.sub(end, replacement, word)
    return name[: match.start()] + (found.capitalize() if match[0][0].isupper() else found)


def free(candidates: Sequence[str], taken: set[str]) -> str:
    """Return the first candidate not in `taken`, else the last with underscores; add it there."""
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
