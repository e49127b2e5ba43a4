"""Files against ledger: what is applied, pending, edited, missing, late, halfway. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from runner.errors import PlanError
from runner.files.loader import Migration


class Record(NamedTuple):
    """What the ledger remembers of one migration. Stock yoyo leaves the later fields empty."""

    id: str
    applied_at: datetime | None = None
    sha256: str | None = None
    code_sha256: str | None = None
    ms: float | None = None
    applied_by: str | None = None
    # Its rollback was begun, outside a transaction, and not finished.
    partially_rolled_back: bool = False


class State(StrEnum):
    """What the plan says of one migration."""

    APPLIED = "applied"
    PENDING = "pending"
    OUT_OF_ORDER = "out_of_order"  # pending, numbered below the newest applied one
    EDITED = "edited"  # applied, and the file's code is not what was applied
    COSMETIC = "cosmetic"  # applied; the file differs in comments or spacing only
    MISSING = "missing"  # applied, and there is no such file
    PARTIAL = "partial"  # its rollback was begun, outside a transaction, and not finished

    @property
    def label(self) -> str:
        """The state as a reader writes it."""
        return self.value.replace("_", " ")


ADVICE = {
    State.PENDING: "apply them: python -m runner apply",
    State.OUT_OF_ORDER: "numbered below an applied one; if that does not matter: "
    "apply --out-of-order",
    State.EDITED: "put the file back, and write the change as a new migration",
    State.MISSING: "applied, but there is no such file: another branch, or a newer release?",
    State.PARTIAL: "taken back in part: apply makes it whole again, rollback takes the rest back",
    State.COSMETIC: "comments or spacing differ from what was applied; that does no harm",
}
_NOTHING_TO_DO = (State.APPLIED, State.COSMETIC)


class Entry(NamedTuple):
    """One line of the plan. Missing ones have no file, pending ones no record."""

    id: str
    state: State
    migration: Migration | None
    record: Record | None


@dataclass(frozen=True)
class Plan:
    """The comparison, in the order of the files; missing ones stand where they sort."""

    entries: tuple[Entry, ...]

    def of(self, *states: State) -> list[Entry]:
        """Return the entries in one of these states."""
        return [entry for entry in self.entries if entry.state in states]

    @property
    def clean(self) -> bool:
        """Whether files and ledger agree in everything PostgreSQL acts on."""
        return all(entry.state in _NOTHING_TO_DO for entry in self.entries)

    def pending(
        self, *, to: Migration | None = None, out_of_order: bool = False
    ) -> list[Migration]:
        """Return what apply has to run, in order, up to and with `to`.

        Late files are among them when `late` is set or when they call themselves independent.
        Raises PlanError for any other late file, and for an edited one: going on would build
        upon something else than the files say.
        """
        edited = self.of(State.EDITED)
        if edited:
            raise PlanError(
                f"{_ids(edited)} {'was' if len(edited) == 1 else 'were'} edited after being "
                "applied: the database holds what the file said before",
                hint="Put the file back as it was and write the change as a new migration. "
                "Nothing was run.",
            )
        stop = len(self.entries)
        wanted = (State.PENDING, State.OUT_OF_ORDER, State.PARTIAL)
        if to:
            stop = next(i for i, e in enumerate(self.entries, 1) if e.migration == to)
        chosen = [
            entry for entry in self.entries[:stop] if entry.state in wanted and entry.migration
        ]
        refused = [
            entry
            for entry in chosen
            if entry.state is State.OUT_OF_ORDER
            and not (out_of_order or (entry.migration and entry.migration.header.independent))
        ]
        if refused:
            raise PlanError(
                f"{_ids(refused)} {'is' if len(refused) == 1 else 'are'} out of order: a migration "
                "with a higher number is already applied",
                hint="If the order does not matter: python -m runner apply --out-of-order, or add "
                "`-- independent: true` to its header. Nothing was run.",
            )
        return [entry.migration for entry in chosen if entry.migration]

    def applied(self) -> list[Entry]:
        """Return what is applied, newest first: the order in which it is rolled back."""
        return [entry for entry in reversed(self.entries) if entry.record]


def compare(files: Sequence[Migration], records: Mapping[str, Record]) -> Plan:
    """Hold the files against the ledger's records."""
    newest = max((m.number for m in files if m.id in records), default=-1)
    held = ((file, records.get(file.id)) for file in files)
    entries = [Entry(file.id, _state(file, kept, newest), file, kept) for file, kept in held]
    known = {file.id for file in files}
    for id_ in sorted(records.keys() - known):
        place = next((i for i, entry in enumerate(entries) if entry.id > id_), len(entries))
        entries.insert(place, Entry(id_, State.MISSING, None, records[id_]))
    return Plan(tuple(entries))


def _state(file: Migration, record: Record | None, newest: int) -> State:
    if record is None:
        return State.OUT_OF_ORDER if file.number < newest else State.PENDING
    if record.partially_rolled_back:
        return State.PARTIAL
    if record.sha256 is None or record.sha256 == file.sha256:
        return State.APPLIED
    return State.COSMETIC if record.code_sha256 == file.code_sha256 else State.EDITED


def _ids(entries: Iterable[Entry]) -> str:
    return ", ".join(entry.id for entry in entries)


def check_known(records: Mapping[str, Record], migration: Migration, *, applied: bool) -> None:
    """Raise PlanError unless the migration is recorded as `applied` says."""
    if (migration.id in records) is not applied:
        raise PlanError(
            f"{migration.id} is {'not ' if applied else 'already '}applied",
            hint="Nothing was done.",
        )
