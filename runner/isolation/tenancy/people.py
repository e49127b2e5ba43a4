"""Check the select of [people] sql, which lists the people of a project, on a database."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from runner.errors import UsageError
from runner.isolation import toml_file
from runner.isolation.tenancy.config import Config
from runner.postgres.connection import Connection

REQUIRED, OPTIONAL = ("tenant", "user"), ("name", "email", "roles")
_BEFORE = "select * from ("


def listing(text: str) -> sql.Composable:
    """Return the select as a part of a statement with parameters, in parentheses."""
    return sql.SQL("(" + _trimmed(text).replace("%", "%%") + "\n)")


def check(connection: Connection, config: Config) -> tuple[str, ...]:
    """Return the columns of [people] sql; none without it.

    Raises UsageError with file and line where PostgreSQL cannot run it, or a column is missing or
    unknown. Within a transaction that then has failed.
    """
    if config.people_sql is None:
        return ()
    try:
        text = f"{_BEFORE}{_trimmed(config.people_sql)}\n) as people limit 0"
        found = connection.execute(text.encode()).description or ()
    except psycopg.Error as error:
        if connection.closed:
            raise
        before = text[: int(error.diag.statement_position or 1) - 1]
        message = error.diag.message_primary or str(error)
        raise _error(config, message, below=before.count("\n"), hint=_HINT) from None
    columns = tuple(column.name for column in found)
    for name in columns:
        if name not in (*REQUIRED, *OPTIONAL):
            hint = toml_file.nearest(name, (*REQUIRED, *OPTIONAL))
            raise _error(config, f"unknown column {name}", word=name, hint=hint)
    for name in REQUIRED:
        if columns.count(name) != 1:
            raise _error(config, f"it must have one column {name}", hint=_HINT)
    return columns


_HINT = (
    'sql = "select … as tenant, … as user, … as name, … as roles from …"; the last two are optional'
)


def _trimmed(text: str) -> str:
    return text.strip().removesuffix(";")


def _error(
    config: Config, problem: str, *, below: int = 0, word: str = "", hint: str = ""
) -> UsageError:
    """Return the error for a line of the select; `below`: lines from its first one."""
    file = toml_file.read(Path(config.path))
    line = file.line(("people", "sql"))
    first = _trimmed(config.people_sql or "").partition("\n")[0].strip()
    lines = file.text.splitlines()
    start = next((n for n, text in enumerate(lines[line - 1 :], line) if first in text), line)
    at = min(start + below, len(lines))
    if word:
        at = next((n for n, text in enumerate(lines[start - 1 :], start) if word in text), at)
    return file.error_at(at, f"[people] sql: {problem}", hint=hint)
