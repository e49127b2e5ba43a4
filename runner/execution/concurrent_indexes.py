"""Recognize indexes built CONCURRENTLY, find invalid ones, name rows that violate uniqueness.

A build that fails leaves an invalid index, which costs writes, serves no reads, and satisfies
`if not exists`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from runner.errors import FileError
from runner.files import statements
from runner.files.sql_file import SqlFile
from runner.postgres.connection import Connection
from runner.queries import query

_GAP = r"(?:\s|--[^\r\n]*|/\*.*?\*/)+"
_NAME = r"(?:[\w$]+|(?:\"[^\"]*\")+)"
_CONCURRENTLY = re.compile(
    rf"create{_GAP}(?:unique{_GAP})?index{_GAP}concurrently{_GAP}(?:if{_GAP}not{_GAP}exists{_GAP})?"
    rf"(?:(?!on{_GAP})(?P<name>{_NAME}){_GAP})?on{_GAP}(?:only{_GAP})?"
    rf"(?P<table>{_NAME}(?:\s*\.\s*{_NAME})*)",
    re.IGNORECASE | re.DOTALL,
)
_SHOWN = 5  # duplicate keys


@dataclass(frozen=True)
class Index:
    """The index that a statement builds, named as in the statement."""

    name: str
    table: str


def built_by(statement: str) -> Index | None:
    """Return the index that a statement builds concurrently, None for any other statement."""
    match = _CONCURRENTLY.match(statement)
    return Index(match["name"], match["table"]) if match else None


def require_names(script: SqlFile) -> None:
    """Raise FileError for an index without a name: after a failure it could not be found again."""
    for statement in script.statements:
        index = built_by(statement.text)
        if index and not index.name:
            raise FileError(
                f"{script} builds an index without a name concurrently",
                place=statements.place(script.text, statement.start, str(script)),
                hint="A failed build leaves an invalid index, which the next run finds by name: "
                f"create index concurrently if not exists NAME on {index.table} …",
            )


def invalid(connection: Connection, index: Index) -> tuple[str, int | None]:
    """Return the qualified name of an index that is invalid, and the PID that is building it.

    The name is "" where the index is valid or does not exist.
    """
    row = connection.execute(query("execution/invalid_index"), vars(index)).fetchone()
    return row or ("", None)


def duplicates(connection: Connection, index: Index) -> str:
    """Return a sentence naming duplicate keys; empty when the query takes over 10 seconds."""
    values = {**vars(index), "limit": _SHOWN + 1}
    row = connection.execute(query("execution/duplicates"), values).fetchone()
    try:
        with connection.transaction():
            connection.execute("set local statement_timeout = '10s'")
            found = connection.execute(row[0]).fetchall() if row else []
    except psycopg.Error:
        return ""
    shown = ", ".join(f"{key} {count} times" for key, count in found[:_SHOWN])
    more = " and more" if found[_SHOWN:] else ""
    return f"Duplicate keys: {shown}{more}." if shown else ""
