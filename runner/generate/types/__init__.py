"""Row types of a schema, written from its catalog: Python dataclasses or TypeScript."""

from __future__ import annotations

from runner.generate.types import python, shapes, typescript
from runner.postgres.connection import Connection

LANGUAGES = {"python": python.write, "typescript": typescript.write}


def write(connection: Connection, schema: str, language: str) -> str:
    """Return the text of a file of row types; it depends on the schema alone.

    `language` is one of LANGUAGES. Raises UsageError when there is no such schema, or no table.
    """
    return LANGUAGES[language](shapes.read(connection, schema))
