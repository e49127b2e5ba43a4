"""Generate row types from the catalog: Python dataclasses or TypeScript interfaces."""

from __future__ import annotations

from runner.generate import schema_reader
from runner.generate.types import python, typescript
from runner.postgres.connection import Connection

LANGUAGES = {"python": python.write, "typescript": typescript.write}


def write(connection: Connection, schema: str, language: str) -> str:
    """Return the text of a module with a type for each relation of a schema.

    `language` is one of LANGUAGES. The text depends on the schema alone. Raises UsageError if
    there is no such schema, or no relation in it.
    """
    return LANGUAGES[language](schema_reader.read(connection, schema))
