"""The history: the ledger beside the files, each file's SQL, and what has changed since."""

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
from runner.studio.data.viewer import Person, Pool, through


@dataclass(frozen=True)
class Deed:
    """One line of the ledger's log."""

    at: datetime
    operation: str
    id: str
    user: str
    host: str


@dataclass(frozen=True)
class History:
    """Files against ledger."""

    plan: Plan
    advice: dict[State, str]  # for the states there are
    deeds: tuple[Deed, ...] = ()
    changed: str = ""  # by somebody other than a run, since
    files: str = ""  # why there are no files beside the ledger
    refused: str = ""  # why whoever looks may not read the ledger

    @property
    def pending(self) -> list[Entry]:
        """What an apply would run, if nothing stands in the way."""
        return self.plan.of(State.PENDING, State.OUT_OF_ORDER, State.PARTIAL)


@dataclass(frozen=True)
class FileView:
    """One migration: its record, its file, its way back."""

    entry: Entry
    text: str  # of the file, or as the ledger kept it
    way_back: str
    edits: list[str] = field(default_factory=list)  # how the file differs from what was applied


def history(connections: Pool, person: Person, sql_dir: Path) -> History:
    """Return the files beside the ledger, as far as whoever looks may read that."""
    files, why = _files(sql_dir)
    try:
        with through(connections, person) as connection:
            known = recorder.read(connection)
            deeds = connection.execute(query("studio/data/log")).fetchall() if known else []
    except RunnerError as error:
        return History(plan.compare(files, {}), {}, files=why, refused=error.message)
    with through(connections, person) as connection:
        try:
            changed = fingerprint.changed_since(connection) if known else None
        except psycopg.errors.InsufficientPrivilege:
            changed = None
    compared = plan.compare(files, known)
    states = {entry.state for entry in compared.entries}
    return History(
        compared,
        {state: words for state, words in ADVICE.items() if state in states},
        tuple(Deed(*row) for row in deeds),
        changed=str(changed) if changed else "",
        files=why,
    )


def file(connections: Pool, person: Person, sql_dir: Path, id_: str) -> FileView | None:
    """Return one migration; None where neither file nor ledger knows it."""
    seen = history(connections, person, sql_dir)
    entry = next((entry for entry in seen.plan.entries if entry.id == id_), None)
    if entry is None:
        return None
    with through(connections, person) as connection:
        if entry.migration is None:
            return FileView(entry, recorder.content(connection, id_) or "", "")
        edited = entry.state in (State.EDITED, State.COSMETIC)
        return FileView(
            entry,
            entry.migration.text,
            _way_back(entry.migration),
            edits.lines(Migrator(connection), entry.migration) if edited else [],
        )


def _files(sql_dir: Path) -> tuple[Sequence[Migration], str]:
    try:
        return loader.read(sql_dir), ""
    except RunnerError as error:
        return (), error.message


def _way_back(migration: Migration) -> str:
    try:
        return migration.rollback.text
    except FileError:
        return ""
