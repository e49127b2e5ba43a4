"""Write a schema as a Mermaid erDiagram, which GitHub and many editors render."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.generate.schema_reader import Column, Reference, Relation, Schema

_PLAIN = re.compile(r"[^\w .,()\[\]/→-]")  # may be syntax to Mermaid
_WORD = re.compile(r"[^\w\[\]().,-]|[^\x00-\x7fÀ-\uffff]")
_KEY = re.compile(r"(pk|fk|uk)\b", re.IGNORECASE)
_LABELS = 60  # characters of an enum's labels that are shown


def write(schema: Schema) -> str:
    """Return the text for a ```mermaid block in Markdown."""
    lines = ["erDiagram"]
    for table in schema.tables:
        lines += [f"    {_quoted(table.name)} {{", *_columns(table), "    }"]
    lines += [f"    {_reference(reference)}" for reference in schema.references]
    return "\n".join(lines) + "\n"


def _columns(table: Relation) -> Iterator[str]:
    for column in table.columns:
        remarks = "; ".join(_remarks(column))
        pieces = [
            _word(column.declared_type),
            _word(column.name),
            ", ".join(_keys(column)),
            _quoted(remarks) if remarks else "",
        ]
        yield "        " + " ".join(piece for piece in pieces if piece)


def _keys(column: Column) -> list[str]:
    return [
        *(["PK"] if column.primary else []),
        *(["UK"] if column.unique and not column.primary else []),
        *(["FK"] if column.refers else []),
    ]


def _remarks(column: Column) -> Iterator[str]:
    if _word(column.name) != column.name:
        yield column.name
    if not column.not_null:
        yield "null"
    if column.enum:
        text = ", ".join(column.enum.labels)
        yield text if len(text) <= _LABELS else f"{text[: _LABELS - 1]}…"


def _reference(reference: Reference) -> str:
    one = "|o" if reference.optional else "||"
    many = "o|" if reference.single else "o{"
    return (
        f"{_quoted(reference.to)} {one}--{many} {_quoted(reference.table)} : "
        f"{_quoted(', '.join(reference.columns))}"
    )


def _quoted(text: str) -> str:
    """Return a text in quotes, with character references for what may be syntax."""
    return '"' + _PLAIN.sub(lambda match: f"#{ord(match[0])};", text) + '"'


def _word(text: str) -> str:
    """Return a name as a Mermaid attribute, which cannot be quoted."""
    word = _WORD.sub("_", text)
    if not word or not re.match(r"[A-Za-z_À-\uffff]", word):
        word = f"_{word}"
    return f"{word}_" if _KEY.match(word) else word
