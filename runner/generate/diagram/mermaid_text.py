"""A schema as Mermaid's erDiagram, which GitHub and many editors draw."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.generate.diagram.schema import Column, Reference, Schema, Table

_PLAIN = re.compile(r"[^\w .,()\[\]/→-]")  # what Mermaid may take for something else
_WORD = re.compile(r"[^\w\[\]().,-]|[^\x00-\x7fÀ-\uffff]")
_KEY = re.compile(r"(pk|fk|uk)\b", re.IGNORECASE)
_LABELS = 60  # characters of an enum's labels that are shown


def write(schema: Schema) -> str:
    """Return the text, as a block ```mermaid of Markdown takes it."""
    labels = {enum.name: ", ".join(enum.labels) for enum in schema.enums}
    lines = ["erDiagram"]
    for table in schema.tables:
        lines += [f"    {_quoted(table.name)} {{", *_columns(table, labels), "    }"]
    lines += [f"    {_reference(reference)}" for reference in schema.references]
    return "\n".join(lines) + "\n"


def _columns(table: Table, labels: dict[str, str]) -> Iterator[str]:
    for column in table.columns:
        keys = ", ".join(_keys(column))
        said = "; ".join(_remarks(column, labels))
        pieces = [_word(column.type), _word(column.name), keys, _quoted(said) if said else ""]
        yield "        " + " ".join(piece for piece in pieces if piece)


def _keys(column: Column) -> list[str]:
    return [
        *(["PK"] if column.primary else []),
        *(["UK"] if column.unique and not column.primary else []),
        *(["FK"] if column.refers else []),
    ]


def _remarks(column: Column, labels: dict[str, str]) -> Iterator[str]:
    if _word(column.name) != column.name:
        yield column.name
    if column.nullable:
        yield "null"
    if column.enum:
        text = labels[column.enum]
        yield text if len(text) <= _LABELS else f"{text[: _LABELS - 1]}…"


def _reference(reference: Reference) -> str:
    one = "|o" if reference.optional else "||"
    many = "o|" if reference.single else "o{"
    return (
        f"{_quoted(reference.to)} {one}--{many} {_quoted(reference.table)} : "
        f"{_quoted(', '.join(reference.columns))}"
    )


def _quoted(text: str) -> str:
    """Return a text in quotes; what could be more than text stands there by its number."""
    return '"' + _PLAIN.sub(lambda match: f"#{ord(match[0])};", text) + '"'


def _word(text: str) -> str:
    """Return a name as an attribute may have it: Mermaid knows no quotes there."""
    word = _WORD.sub("_", text)
    if not word or not re.match(r"[A-Za-z_À-\uffff]", word):
        word = f"_{word}"
    return f"{word}_" if _KEY.match(word) else word
