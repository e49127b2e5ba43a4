"""Compare migration files with the recorded migrations. No database access."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import itemgetter
from typing import NamedTuple

from runner.errors import PlanError
from runner.files.loader import Migration, source_of, with_recorded


class Record(NamedTuple):
    """The record of one applied migration; stock yoyo leaves the later fields empty."""

    id: str
    applied_at: datetime | None = None  # UTC, without time zone
    sha256: str | None = None
    code_sha256: str | None = None
    ms: float | None = None
    applied_by: str | None = None
    partially_rolled_back: bool = False  # a rollback outside a transaction is not complete


class State(StrEnum):
    APPLIED = "applied"
    PENDING = "pending"
    OUT_OF_ORDER = "out_of_order"  # pending, with a number below the newest applied one
    EDITED = "edited"  # applied, and the code of the file is not what was applied
    COSMETIC = "cosmetic"  # applied; the file differs in comments or white space only
    MISSING = "missing"  # applied, and there is no such file
    PARTIAL = "partial"  # applied, and partially rolled back

    @property
    def label(self) -> str:
        return self.value.replace("_", " ")


ADVICE = {
    State.PENDING: "run python -m runner apply",
    State.OUT_OF_ORDER: "numbered below an applied one; if the order does not matter: "
    "python -m runner apply --out-of-order",
    State.EDITED: "restore the file, and write the change as a new migration",
    State.MISSING: "applied, but without a file: of another branch, or a newer release?",
    State.PARTIAL: "partially rolled back: apply runs it again, rollback completes the rollback",
    State.COSMETIC: "only comments or white space differ from what was applied",
}


class Entry(NamedTuple):
    """One migration of a plan; `migration` is None if missing, `record` None if pending."""

    id: str
    state: State
    migration: Migration | None
    record: Record | None


@dataclass(frozen=True)
class Plan:
    """The comparison, in the order of the files; missing ones where their id sorts."""

    entries: tuple[Entry, ...]

    @property
    def files(self) -> list[Migration]:
        """All files, those of each recorded source among them."""
        return [entry.migration for entry in self.entries if entry.migration]

    def of(self, *states: State) -> list[Entry]:
        return [entry for entry in self.entries if entry.state in states]

    @property
    def clean(self) -> bool:
        """Whether there is nothing to do."""
        return all(entry.state in (State.APPLIED, State.COSMETIC) for entry in self.entries)

    def pending(
        self, *, to: Migration | None = None, out_of_order: bool = False
    ) -> list[Migration]:
        """Return the migrations that apply has to run, in order, up to and including `to`.

        Out-of-order ones are included if `out_of_order` is set or their header says independent.
        Raises PlanError for any other of these, and for an edited one.
        """
        edited = self.of(State.EDITED)
        if edited:
            raise PlanError(
                f"{_ids(edited)} {'was' if len(edited) == 1 else 'were'} edited after being "
                "applied: the database contains what the file said before",
                hint="Restore the file, and write the change as a new migration.",
            )
        wanted = (State.PENDING, State.OUT_OF_ORDER, State.PARTIAL)
        stop = next(i for i, e in enumerate(self.entries, 1) if e.migration == to) if to else None
        entries = self.entries[:stop]
        chosen = [(state, file) for _, state, file, _ in entries if file and state in wanted]
        refused = [
            file
            for state, file in chosen
            if state is State.OUT_OF_ORDER and not (out_of_order or file.header.independent)
        ]
        if refused:
            raise PlanError(
                f"{_ids(refused)} {'is' if len(refused) == 1 else 'are'} out of order: a migration "
                "with a higher number is already applied",
                hint="If the order does not matter: python -m runner apply --out-of-order, or add "
                "`-- independent: true` to its header.",
            )
        return [file for _, file in chosen]

    def applied(self) -> list[Entry]:
        """Return what is applied, newest first: the order in which it is rolled back.

        Of one source, the order of its files counts; between sources, when each was applied.
        """
        latest: dict[str, datetime] = {}
        recorded = []
        for entry in self.entries:
            if entry.record:
                source, at = source_of(entry.id), entry.record.applied_at or datetime.min
                latest[source] = max(at, latest.get(source, at))
                recorded.append((latest[source], entry))
        return [entry for _, entry in sorted(recorded, key=itemgetter(0))][::-1]


def compare(files: Sequence[Migration], records: Mapping[str, Record]) -> Plan:
    """Return the state of every file and every record, also of sources that records alone name."""
    files = with_recorded(files, records)
    by_number = sorted(files, key=lambda file: file.number)
    newest = {file.source: file.number for file in by_number if file.id in records}
    pairs = ((file, records.get(file.id)) for file in files)
    entries = [Entry(file.id, _state(file, record, newest), file, record) for file, record in pairs]
    for id_ in sorted(records.keys() - {file.id for file in files}):
        later = (
            i for i, e in enumerate(entries) if e.id > id_ and source_of(e.id) == source_of(id_)
        )
        index = next(later, len(entries))
        entries.insert(index, Entry(id_, State.MISSING, None, records[id_]))
    return Plan(tuple(entries))


def _state(file: Migration, record: Record | None, newest: Mapping[str, int]) -> State:
    if record is None:
        is_late = file.number < newest.get(file.source, -1)
        return State.OUT_OF_ORDER if is_late else State.PENDING
    if record.partially_rolled_back:
        return State.PARTIAL
    if record.sha256 is None or record.sha256 == file.sha256:
        return State.APPLIED
    return State.COSMETIC if record.code_sha256 == file.code_sha256 else State.EDITED


def _ids(found: Iterable[Entry | Migration]) -> str:
    return ", ".join(each.id for each in found)


def require_recorded(records: Mapping[str, Record], migration: Migration, *, applied: bool) -> None:
    """Raise PlanError unless the migration is recorded (`applied`) or not recorded."""
    if (migration.id in records) is not applied:
        raise PlanError(f"{migration.id} is {'not ' if applied else 'already '}applied")
