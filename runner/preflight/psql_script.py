"""A psql script for a DBA to review and run: what `apply` would send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg

from runner.execution import concurrent_indexes, transactional
from runner.execution.lock_waits import LockWaits
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


def script(lock_waits: LockWaits, files: Sequence[Migration], target: str) -> str:
    """Return the script; each transactional file is one transaction with its record."""
    connection = lock_waits.connection
    values = {"count": len(files), "target": target, "key": advisory_lock.KEY, "quiet": _QUIET}
    pieces = [_HEAD.format(**values)]
    if not recorder.tables_are_complete(connection):
        pieces.append(f"begin;\n{query('migrate/create_tables').strip()}\ncommit;\n")
    pieces += _files(lock_waits, files)
    return "\n".join([*pieces, _TAIL.format(**values)])


def _files(lock_waits: LockWaits, files: Sequence[Migration]) -> Iterator[str]:
    connection = lock_waits.connection
    for file in files:
        _ = file.statements  # raises FileError for what apply refuses
        record = (
            f"{transactional.RESET_SESSION};\n{recorder.sql_of(connection, file, 'apply', None)};"
        )
        lock_wait = lock_waits.for_file(file.header)
        if file.header.transactional:
            settings = "; ".join(lock_wait.transaction_settings())
            pieces = ["begin;", _QUIET, f"{settings};", file.text.rstrip()]
        else:
            settings = lock_wait.statement_settings(file.text)
            drops = _drops(connection, file)
            pieces = [_QUIET, f"{settings};", *drops, file.text.rstrip(), "begin;"]
        known = recorder.fill(connection, {"id": file.id}, "is_recorded")
        head = (
            f"{known.rstrip()} \\gset",
            "\\if :runner_has_it",
            f"\\echo {file.id} is already applied",
            "\\else",
            f"\\echo {file.id}",
        )
        yield "\n".join([*head, *pieces, record, "commit;", "\\endif", ""])


def _drops(connection: Connection, file: Migration) -> Iterator[str]:
    """Yield what drops the indexes that a failed run left invalid: guards would accept them."""
    for index in filter(None, (concurrent_indexes.built_by(s.text) for s in file.statements)):
        invalid = query("execution/invalid_index").rstrip()
        invalid = psycopg.ClientCursor(connection).mogrify(invalid, vars(index))
        drop = f"select 'drop index concurrently ' || i.name\nfrom (\n{invalid}\n) as i (name, pid)"
        yield f"{drop}\nwhere i.pid is null \\gexec"
