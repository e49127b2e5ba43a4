"""Load seeds/*.sql in one transaction.

The files are idempotent (`on conflict … do update … where … is distinct from …`). No record of them
is kept, so an edited seed takes effect at the next run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from runner.errors import NO_CHANGES, FileError, RunnerError, UsageError
from runner.events import Done, Working
from runner.execution import transactional
from runner.execution.notices import Messages
from runner.execution.sql_errors import own_sql_error
from runner.files.sql_file import SqlFile
from runner.migrate.migrator import Migrator
from runner.postgres import signals
from runner.postgres.connection import Connection
from runner.queries import query

_NAME = r"(?:[\w$]+|\"[^\"]+\")"
_INSERT = re.compile(rf"insert\s+into\s+(?P<table>{_NAME}(?:\.{_NAME})?)", re.IGNORECASE)


@dataclass(frozen=True)
class TableCount:
    """Rows of one table that a seed run changed, and `unchanged`, all its other rows."""

    table: str
    inserted: int
    updated: int
    deleted: int
    unchanged: int


def read(folder: Path, *, optional: bool = False) -> list[SqlFile]:
    """Return the seed files by name. Raises UsageError if there are none, unless `optional`."""
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [p for p in names if p.suffix.lower() == ".sql" and not p.name.startswith(".")]
    if not files and not (optional and (folder.is_dir() or not folder.exists())):
        what = "does not exist"
        if folder.exists():
            what = "contains no .sql file" if folder.is_dir() else "is not a folder"
        raise UsageError(
            f"The folder of seeds {folder} {what}", hint="Name another one: --seeds-dir DIR"
        )
    return [SqlFile(path) for path in files]


def load(
    migrator: Migrator, scripts: list[SqlFile], settings: Mapping[str, int] | None = None
) -> list[TableCount]:
    """Run all files in one transaction. Call under the lock.

    `settings`: session parameters that the files read, for example seed.orgs. Returns a count for
    each table that the files insert into or that changed. Raises FileError or SqlError for the
    first file that fails; then no changes were made.
    """
    tables = [
        match["table"]
        for script in scripts
        for statement in script.statements
        if (match := _INSERT.search(statement.text))
    ]
    for script in scripts:
        if not script.header.transactional:
            raise FileError(
                f"{script} asks to run outside a transaction, but seeds are loaded in one",
                hint="Remove the directive.",
            )
    state = NO_CHANGES
    with signals.graceful(lambda: state):
        counts = _load_all(migrator, scripts, tables, settings or {})
        state = "All seeds are loaded."
    return counts


def _load_all(
    migrator: Migrator, scripts: list[SqlFile], tables: list[str], parameters: Mapping[str, int]
) -> list[TableCount]:
    connection, run_state = migrator.connection, migrator.run_state
    more = [f"set local {name} = {value}" for name, value in parameters.items()]
    loaded: list[Done] = []
    before: dict[str, int] = dict(connection.execute(query("migrate/totals"), {"tables": tables}))
    # What the session counted in earlier transactions; it is flushed before the next one begins.
    transactional.send(connection, "select pg_stat_force_next_flush()")
    transactional.send(connection, "begin")
    try:
        for number, script in enumerate(scripts, start=1):
            migrator.report(Working(f"seed {script.path.name} ({number} of {len(scripts)})"))
            lock_wait = migrator.lock_waits.for_file(script.header, lock_timeout=0)
            settings = (transactional.RESET_SESSION, *lock_wait.transaction_settings(), *more)
            for setting in ["; ".join(settings)] if not lock_wait.citus else settings:
                connection.execute(setting.encode())
            started = time.monotonic()
            try:
                transactional.run_whole(connection, script, state=NO_CHANGES, lock_wait=lock_wait)
            finally:
                ms = round((time.monotonic() - started) * 1000, 1)
                done = Done("seed", script.path.stem, script.sha256, ms)
                loaded.append(run_state.with_notes(done))
        connection.execute(transactional.RESET_SESSION.encode())
        counts = list(_counts(connection, tables, before))
        with Messages(migrator.report, scripts[-1], "the seeds, at their commit") as messages:
            _, error = transactional.send(connection, "commit", on_notice=messages.about(()))
        if error:
            raise own_sql_error(error, "at the commit of the seeds", state=NO_CHANGES)
    except RunnerError as error:
        run_state.failed(loaded[-1], error)
        raise
    finally:
        if not connection.closed and connection.info.transaction_status:  # 0 is idle
            transactional.send(connection, "rollback")
    for done in loaded:
        run_state.committed(done)
    run_state.durable()
    return counts


def _counts(
    connection: Connection, tables: list[str], before: Mapping[str, int]
) -> Iterator[TableCount]:
    changed = connection.execute(query("migrate/counters"), {"tables": tables}).fetchall()
    for schema, name, counted, deleted in changed:
        # A row may be updated twice; xmin tells which rows this transaction wrote.
        rows = sql.SQL(
            "select count(*), count(*) filter (where xmin = pg_current_xact_id_if_assigned()::xid)"
            " from {}"
        ).format(sql.Identifier(schema, name))
        total, touched = connection.execute(rows).fetchone() or (0, 0)
        table = f"{schema}.{name}"
        inserted = total - before[table] + deleted if table in before else counted
        yield TableCount(table, inserted, touched - inserted, deleted, total - touched)
