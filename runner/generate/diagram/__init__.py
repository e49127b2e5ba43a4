"""Draw a schema from its catalog: tables, columns, references, enums."""

from __future__ import annotations

from runner.generate import schema_reader
from runner.generate.diagram import drawing, layout, mermaid_text
from runner.postgres.connection import Connection


def svg(connection: Connection, name: str = "public") -> str:
    """Return a schema as an SVG file, the same text each time for the same schema.

    Raises UsageError if there is no such schema, no table in it, or no Graphviz installed.
    """
    schema = schema_reader.read(connection, name, views=False)
    return drawing.draw(schema, layout.place(schema))


def mermaid(connection: Connection, name: str = "public") -> str:
    """Return a schema as a Mermaid erDiagram, which GitHub renders.

    Raises UsageError if there is no such schema, or no table in it.
    """
    return mermaid_text.write(schema_reader.read(connection, name, views=False))


FORMATS = {"svg": svg, "mermaid": mermaid}
