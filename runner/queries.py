"""The one loader of .sql files: each lies in the folder `queries/` of the package that uses it."""

from functools import cache
from pathlib import Path
from typing import LiteralString


@cache
def query(name: str) -> LiteralString:
    """Return the text of a query: `schema/catalog` is `runner/schema/queries/catalog.sql`."""
    package, _, file = name.rpartition("/")
    path = Path(__file__).parent / package / "queries" / f"{file}.sql"
    return path.read_text(encoding="utf-8")
