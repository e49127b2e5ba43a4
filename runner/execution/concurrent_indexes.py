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


@dataclass(frozen=True)
class State:
    """An existing index: its qualified name, whether it is valid, the PID that is building it."""

    name: str
    valid: bool
    builder: int | None


def built_by(statement: str) -> Index | None:
    """Return the index that a statement builds concurrently, None for any other statement."""
    match = _CONCURRENTLY.match(statement)
    return Index(match["name"], match["table"]) if match else None


def require_names(script: SqlFile) -> None:
    """Raise FileError for an index without a name: after a failure it could not be found again."""
    for statement in script.statements:
        match = _CONCURRENTLY.match(statement.text)
        if match and not match["name"]:
            raise FileError(
                f"{script} builds an index without a name concurrently",
                place=statements.place(script.text, statement.start, str(script)),
                hint="A failed build leaves an invalid index, which the next run finds by name: "
                f"create index concurrently if not exists NAME on {match['table']} …",
            )


def look(connection: Connection, index: Index) -> State | None:
    """Return the state of an index, or None when the table has none of this name."""
    row = connection.execute(query("execution/index_state"), vars(index)).fetchone()
    return State(*row) if row else None


def duplicates(connection: Connection, index: Index) -> str:
    """Return a sentence naming duplicate keys; empty when the query takes over 10 seconds."""
    row = connection.execute(
        query("execution/duplicates"), {**vars(index), "limit": _SHOWN + 1}
    ).fetchone()
    try:
        with connection.transaction():
            connection.execute("set local statement_timeout = '10s'")
            found = connection.execute(row[0]).fetchall() if row else []
    except psycopg.Error:
        return ""
    shown = ", ".join(f"{key} {count} times" for key, count in found[:_SHOWN])
    more = " and more" if found[_SHOWN:] else ""
    return f"Duplicate keys: {shown}{more}." if shown else ""
