"""The migration history: files next to recorded migrations, their SQL, and later changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg

from runner.errors import FileError, RunnerError
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate import plan, recorder
from runner.migrate.migrator import Migrator
from runner.migrate.plan import ADVICE, Entry, Plan, State
from runner.preflight import edits
from runner.queries import query
from runner.schema import fingerprint
from runner.studio.data.viewer import Person, Source, session_as


@dataclass(frozen=True)
class LogEntry:
    """One row of the migration log in the database."""

    at: datetime
    operation: str
    id: str
    user: str
    host: str


@dataclass(frozen=True)
class History:
    """The migration files compared with the recorded migrations."""

    plan: Plan
    advice: dict[State, str]  # for the states that occur
    log: tuple[LogEntry, ...] = ()
    changed: str = ""  # how the catalog changed outside migrations since the last run
    files_error: str = ""  # why the files could not be read
    records_error: str = ""  # why this person may not read the migration tables

    @property
    def pending(self) -> list[Entry]:
        """The migrations that are not, or only partly, applied."""
        return self.plan.of(State.PENDING, State.OUT_OF_ORDER, State.PARTIAL)


@dataclass(frozen=True)
class FileView:
    """One migration: its record, its file, its rollback file."""

    entry: Entry
    text: str  # of the file, or as recorded if there is no file
    rollback: str  # the rollback file's text; "" if there is none
    edits: list[str] = field(default_factory=list)  # how the file differs from what was applied


def history(source: Source, person: Person, sql_dir: Path) -> History:
    """Compare the files with the recorded migrations, as far as this person may read those."""
    files, files_error = _files(sql_dir)
    try:
        with session_as(source, person) as connection:
            known = recorder.read(connection)
            log = connection.execute(query("studio/data/log")).fetchall() if known else []
    except RunnerError as error:
        compared = plan.compare(files, {})
        return History(compared, {}, files_error=files_error, records_error=error.message)
    with session_as(source, person) as connection:
        try:
            changed = fingerprint.changed_since(connection) if known else None
        except psycopg.errors.InsufficientPrivilege:
            changed = None
    compared = plan.compare(files, known)
    states = {entry.state for entry in compared.entries}
    return History(
        compared,
        {state: advice for state, advice in ADVICE.items() if state in states},
        tuple(LogEntry(*row) for row in log),
        changed=str(changed) if changed else "",
        files_error=files_error,
    )


def file(source: Source, person: Person, sql_dir: Path, id_: str) -> FileView | None:
    """Return one migration; None if there is neither a file nor a record of it."""
    compared = history(source, person, sql_dir).plan
    entry = next((entry for entry in compared.entries if entry.id == id_), None)
    if entry is None:
        return None
    with session_as(source, person) as connection:
        if entry.migration is None:
            return FileView(entry, recorder.content(connection, id_) or "", "")
        edited = entry.state in (State.EDITED, State.COSMETIC)
        return FileView(
            entry,
            entry.migration.text,
            _rollback(entry.migration),
            edits.lines(Migrator(connection), entry.migration) if edited else [],
        )


def _files(sql_dir: Path) -> tuple[Sequence[Migration], str]:
    try:
        return loader.read(sql_dir), ""
    except RunnerError as error:
        return (), error.message


def _rollback(migration: Migration) -> str:
    try:
        return migration.rollback.text
    except FileError:
        return ""
