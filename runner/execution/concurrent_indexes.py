"""Indexes built CONCURRENTLY: recognized, found broken or half built, their duplicates named.

A build that breaks leaves an index that costs writes, serves no read, and that `if not exists`
takes for the finished one.
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
_SHOWN = 5  # duplicates


@dataclass(frozen=True)
class Index:
    """What a statement builds, as it names it."""

    name: str
    table: str


@dataclass(frozen=True)
class State:
    """An index that is there: its whole name, whether it can be used, and who builds it now."""

    name: str
    valid: bool
    builder: int | None


def built_by(statement: str) -> Index | None:
    """Return the index that a statement builds concurrently."""
    match = _CONCURRENTLY.match(statement)
    return Index(match["name"], match["table"]) if match else None


def refuse_nameless(script: SqlFile) -> None:
    """Raise FileError for an index without a name: after a break nobody could find it again."""
    for statement in script.statements:
        match = _CONCURRENTLY.match(statement.text)
        if match and not match["name"]:
            raise FileError(
                f"{script} builds an index without a name",
                place=statements.place(script.text, statement.start, str(script)),
                hint="A build that breaks leaves an index behind, which the next run can only find "
                f"by name: create index concurrently if not exists NAME on {match['table']} …\n"
                "Nothing of it was run.",
            )


def look(connection: Connection, index: Index) -> State | None:
    """Return how far an index is, or None when there is none of this name on this table."""
    row = connection.execute(query("execution/index_state"), vars(index)).fetchone()
    return State(*row) if row else None


def duplicates(connection: Connection, index: Index) -> str:
    """Name the keys that keep an index from being unique; empty when they cannot be had soon."""
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
    return f"In the table more than once: {shown}{more}." if shown else ""
