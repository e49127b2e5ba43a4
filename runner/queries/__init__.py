"""The catalogue and ledger queries, one .sql file each: SQL lives in .sql files."""

from functools import cache
from pathlib import Path
from typing import LiteralString


@cache
def query(name: str) -> LiteralString:
    """Return the text of `queries/<name>.sql`."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
