"""A psql script for a DBA to review and run: what `apply` would send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.execution import transactional
from runner.files.loader import Migration
from runner.migrate import advisory_lock, recorder
from runner.postgres.connection import Connection
from runner.queries import query

_HEAD = """\
-- {count} pending. Run with psql as the role that owns the schema. Each file writes its record.
-- For {target}
\\set ON_ERROR_STOP on
{quiet}
select pg_advisory_lock({key}) \\g /dev/null
"""
_QUIET = "set client_min_messages = warning;"  # until the session is reset
_TAIL = """\
select pg_advisory_unlock({key}) \\g /dev/null
"""


def script(connection: Connection, files: Sequence[Migration], target: str) -> str:
    """Return the script; each transactional file is one transaction with its record."""
    values = {"count": len(files), "target": target, "key": advisory_lock.KEY, "quiet": _QUIET}
    pieces = [_HEAD.format(**values)]
    if not recorder.tables_are_complete(connection):
        pieces.append(f"begin;\n{query('migrate/create_tables').strip()}\ncommit;\n")
    pieces += _files(connection, files)
    return "\n".join([*pieces, _TAIL.format(**values)])


def _files(connection: Connection, files: Sequence[Migration]) -> Iterator[str]:
    for file in files:
        _ = file.statements  # raises FileError for what apply refuses
        record = (
            f"{transactional.RESET_SESSION};\n{recorder.sql_of(connection, file, 'apply', None)};"
        )
        pieces = [_QUIET, file.text.rstrip(), "begin;", record, "commit;"]
        if file.header.transactional:
            pieces[:3] = ["begin;", _QUIET, file.text.rstrip()]
        known = recorder.fill(connection, {"id": file.id}, "is_recorded")
        head = (
            f"{known.rstrip()} \\gset",
            "\\if :runner_has_it",
            f"\\echo {file.id} is already applied",
            "\\else",
            f"\\echo {file.id}",
        )
        yield "\n".join([*head, *pieces, "\\endif", ""])
