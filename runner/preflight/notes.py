"""What `status` says of single migrations: interrupted outside a transaction, or renumbered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runner.events import Note, Report, silent
from runner.execution import concurrent_indexes, non_transactional
from runner.files.loader import Migration, source_of
from runner.migrate import recorder
from runner.migrate.plan import ADVICE, Entry, Plan, State
from runner.postgres.connection import Connection
from runner.preflight import edits, foreign, renumbered
from runner.queries import query
from runner.schema.fingerprint import Changed

_DROP = "It costs writes and serves no reads: drop index concurrently"
_LISTED = 8  # ids with one sentence
_COLORS = {"applied": "green", "cosmetic": "green", "pending": "yellow"}  # others: red


def notes(connection: Connection, plan: Plan, report: Report = silent) -> dict[str, str]:
    """Return a sentence for each migration that needs one, by id. Reads only.

    Indexes that a failed build of no pending file has left are reported.
    """
    found = {
        missing.id: f"is {file.id} now, with the same code: python -m runner apply --renumbered"
        for missing, file in renumbered.pairs(plan)
    }
    for table, files in foreign.recorded(connection, plan):
        if files:  # else its records name none
            found |= dict.fromkeys((file.id for file in files), foreign.note(table, files, plan))
    pending = (entry.migration for entry in plan.of(State.PENDING, State.OUT_OF_ORDER))
    outside = [file for file in pending if file and not file.header.transactional]
    begun = recorder.unfinished(connection) if outside else {}
    invalid = {name for (name,) in connection.execute(query("preflight/invalid_indexes"))}
    for file in outside:
        done = begun.get(f"apply {file.id}", 0)
        left = list(_invalid_indexes(connection, file))
        invalid -= set(left)
        if done or left:
            words = ["interrupted at its first statement."]
            if done:
                words = [f"interrupted. {non_transactional.progress(done)}"]
            if left:
                words.append(
                    f"Invalid, so it costs writes and serves no reads: index {', '.join(left)}."
                )
            words.append("apply continues there, and builds invalid indexes again.")
            found[file.id] = " ".join(words)
    for name in sorted(invalid):
        report(Note(f"index {name} is not valid, and no pending file builds it. {_DROP} {name}"))
    return found


def _invalid_indexes(connection: Connection, file: Migration) -> Iterator[str]:
    for statement in file.statements:
        index = concurrent_indexes.built_by(statement.text)
        if index and index.name:
            name, builder = concurrent_indexes.invalid(connection, index)
            if name and not builder:
                yield name


def lines(plan: Plan, changed: Changed | None, said: Mapping[str, str]) -> Iterator[str]:
    """Yield what to do, state by state, and each sentence once with the migrations it is about."""
    by = sorted({e.record.applied_by for e in plan.entries if e.record and e.record.applied_by})
    if by:
        yield f"applied by {'; '.join(by)}"
    for state in ADVICE:
        if entries := plan.of(state):
            yield f"{len(entries)} {state.label}: {advice(state, said)}"
        if entries and state is State.EDITED and (again := edits.if_newest(plan)):
            yield again
    if changed:
        yield f"{changed}\nwhat changed: python -m runner verify --only drift"
        yield "if it finds nothing, to record that: python -m runner apply --restored"
    elif plan.clean and not said:
        yield f"{len(plan.applied())} applied, nothing to do"
    shown = {advice(state, said) for state in ADVICE if plan.of(state)}
    for sentence in dict.fromkeys(said.values()):
        ids = [id_ for id_ in said if said[id_] == sentence]
        text, _, command = sentence.rpartition(": ")
        text = text if f"run {command}" in shown else sentence  # the command once
        many = len(ids) > _LISTED
        which = f"{len(ids)} from {ids[0]} to {ids[-1]}" if many else ", ".join(ids)
        yield f"{which}: {text}"


def advice(state: State, said: Mapping[str, str]) -> str:
    """Return what to do about migrations in this state: first record what another tool applied."""
    to = next(
        (s.partition(foreign.BASELINE)[2] for s in said.values() if foreign.BASELINE in s), None
    )
    is_pending = state in (State.PENDING, State.OUT_OF_ORDER)
    return ADVICE[state] if to is None or not is_pending else f"run {foreign.BASELINE}{to}"


def as_json(entry: Entry, said: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON object of one migration, see docs/json.md."""
    record, file = entry.record, entry.migration
    return {
        "id": entry.id,
        "source": source_of(entry.id) or None,
        "state": entry.state.value,
        "file": str(file.path) if file else None,
        "sha256": file.sha256 if file else None,
        "applied_sha256": record.sha256 if record else None,
        "applied_at": f"{record.applied_at.isoformat()}Z" if record and record.applied_at else None,
        "applied_by": record.applied_by if record else None,
        "ms": record.ms if record else None,
        "note": said.get(entry.id),
    }


def table(plan: Plan, paint: Callable[[str, str], str]) -> list[Sequence[str]]:
    """Return a row for each migration: state, id, when applied, time taken."""
    return [
        (
            paint(entry.state.label, _COLORS.get(entry.state.value, "red")),
            entry.id,
            f"{record.applied_at:%Y-%m-%d %H:%M}" if record and record.applied_at else "",
            f"{record.ms:,.0f} ms" if record and record.ms is not None else "",
        )
        for entry in plan.entries
        for record in (entry.record,)
    ]
