"""A schema as a picture, drawn from its catalog: tables, columns, references, enums."""

from __future__ import annotations

from runner.generate.diagram import drawing, layout, mermaid_text, schema
from runner.postgres.connection import Connection


def svg(connection: Connection, name: str = "public") -> str:
    """Return an SVG file of a schema, the same each time for the same schema.

    Raises UsageError when there is no such schema, or no table, or nothing to lay it out with.
    """
    found = schema.read(connection, name)
    return drawing.draw(found, layout.place(found))


def mermaid(connection: Connection, name: str = "public") -> str:
    """Return a schema as Mermaid's erDiagram, which GitHub draws. Raises UsageError as `svg`."""
    return mermaid_text.write(schema.read(connection, name))


FORMATS = {"svg": svg, "mermaid": mermaid}
