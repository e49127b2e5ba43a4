"""Pours seeds/*.sql in: all files or none, as often as you like.

The files converge by themselves (`on conflict … do update … where … is distinct from …`); nothing
is remembered about them, so an edited seed simply takes effect at the next run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq, sql

from runner import signals
from runner.errors import FileError, RunnerError, SqlError, UsageError
from runner.events import Done, Working
from runner.execution import transactional
from runner.execution.lock_waits import LockWait
from runner.files.sql_file import SqlFile
from runner.migrate.migrator import Migrator
from runner.postgres.connection import Connection
from runner.queries import query

_NAME = r"(?:[\w$]+|\"[^\"]+\")"
_INSERT = re.compile(rf"insert\s+into\s+(?P<table>{_NAME}(?:\.{_NAME})?)", re.IGNORECASE)


@dataclass(frozen=True)
class TableCount:
    """What a seed run did to one table, in rows. `unchanged` counts every row left as it was."""

    table: str
    inserted: int
    updated: int
    deleted: int
    unchanged: int


def read(folder: Path) -> list[SqlFile]:
    """Return the seed files in the order of their names. Raises UsageError when there is none."""
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [p for p in names if p.suffix.lower() == ".sql" and not p.name.startswith(".")]
    if not files:
        what = "does not exist"
        if folder.exists():
            what = "holds no .sql file" if folder.is_dir() else "is not a folder"
        raise UsageError(
            f"The folder of seeds {folder} {what}",
            hint="Name another one: --seeds-dir DIR. Nothing was seeded.",
        )
    return [SqlFile(path) for path in files]


def load(
    migrator: Migrator, scripts: list[SqlFile], settings: Mapping[str, int] | None = None
) -> list[TableCount]:
    """Run all files in one transaction; to be called under the ledger's lock.

    `settings`: parameters of the session that the files read.

    Returns a count for each table that the files name or that changed. Raises FileError or
    SqlError for the first file that fails; then nothing of any was kept.
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
                f"{script} asks to run outside a transaction; seeds are all or nothing",
                hint="Remove the directive. Nothing was seeded.",
            )
    state = "Nothing was seeded."
    with signals.graceful(lambda: state):
        counts = _pour_all(migrator, scripts, tables, settings or {})
        state = "All seeds are in."
    return counts


def _pour_all(
    migrator: Migrator, scripts: list[SqlFile], tables: list[str], given: Mapping[str, int]
) -> list[TableCount]:
    connection = migrator.connection
    lock_waits = [migrator.lock_waits.of(script.header, lock_timeout=0) for script in scripts]
    more = [f"set local {name} = {value}" for name, value in given.items()]
    settings = ["; ".join((*lock_wait.in_transaction(), *more)) for lock_wait in lock_waits]
    transactional.send(connection, f"begin; {settings[0]}")
    try:
        before = _counters(connection, tables)
        loaded = [
            _pour_one(
                migrator,
                script,
                lock_wait,
                which=f"{number} of {len(scripts)}",
                then="; ".join((transactional.RESET_SESSION, *settings[number : number + 1])),
            )
            for number, (script, lock_wait) in enumerate(
                zip(scripts, lock_waits, strict=True), start=1
            )
        ]
        counts = _compare(connection, before, _counters(connection, tables))
        _, error = transactional.send(connection, "commit")
        if error:
            failed = SqlError(
                f"{error.diag.message_primary} (at the commit of the seeds)",
                hint="Nothing was seeded.",
                sqlstate=error.sqlstate or "",
                detail=error.diag.message_detail or "",
            )
            migrator.failed(loaded[-1], failed)
            raise failed
    finally:
        if (
            not connection.closed
            and connection.info.transaction_status != pq.TransactionStatus.IDLE
        ):
            transactional.send(connection, "rollback")
    migrator.seeded(loaded)
    return counts


def _pour_one(
    migrator: Migrator, script: SqlFile, lock_wait: LockWait, *, which: str, then: str
) -> Done:
    """Run one file inside the open transaction, and `then` what prepares for the next."""
    migrator.report(Working(f"seed {script.path.name} ({which})"))
    started = time.monotonic()

    def attempt() -> Done:
        ms = round((time.monotonic() - started) * 1000, 1)
        return Done("seed", script.path.stem, script.sha256, ms)

    try:
        transactional.run_whole(
            migrator.connection, script, state="Nothing was seeded.", lock_wait=lock_wait
        )
    except RunnerError as error:
        migrator.failed(attempt(), error)
        raise
    migrator.connection.execute(then.encode())
    return attempt()


def _counters(connection: Connection, tables: list[str]) -> dict[tuple[str, str, bool], list[int]]:
    rows = connection.execute(query("migrate/counters"), {"tables": tables}).fetchall()
    return {(schema, name, named): counters for schema, name, named, *counters in rows}


def _compare(
    connection: Connection,
    before: dict[tuple[str, str, bool], list[int]],
    after: dict[tuple[str, str, bool], list[int]],
) -> list[TableCount]:
    counts: list[TableCount] = []
    for (schema, name, named), now in after.items():
        earlier = before.get((schema, name, named), [0, 0, 0])
        inserted, updated, deleted = (b - a for a, b in zip(earlier, now, strict=True))
        if not (named or inserted or updated or deleted):
            continue
        # A row may be updated twice; what carries this transaction's number was touched at all.
        rows = sql.SQL(
            "select count(*), count(*) filter (where xmin = pg_current_xact_id_if_assigned()::xid)"
            " from {}"
        ).format(sql.Identifier(schema, name))
        total, touched = connection.execute(rows).fetchone() or (0, 0)
        table = f"{schema}.{name}"
        counts.append(TableCount(table, inserted, touched - inserted, deleted, total - touched))
    return counts
