"""The catalogue and ledger queries, one .sql file each: SQL lives in .sql files."""

from functools import cache
from importlib.resources import files
from typing import LiteralString


@cache
def query(name: str) -> LiteralString:
    """Return the text of `queries/<name>.sql`."""
    return (files(__name__) / f"{name}.sql").read_text(encoding="utf-8")
