"""How far files outside a transaction came in a run that failed, and what it left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.execution import concurrent_indexes, non_transactional
from runner.files.loader import Migration
from runner.migrate import recorder
from runner.postgres.connection import Connection


def interrupted(connection: Connection, files: Sequence[Migration]) -> dict[str, str]:
    """Return a sentence for each of these pending files that a run has begun, by id. Reads only."""
    outside = [file for file in files if not file.header.transactional]
    if not outside:
        return {}
    begun = recorder.unfinished(connection)
    found = {}
    for file in outside:
        done = begun.get(f"apply {file.id}", 0)
        left = list(_invalid_indexes(connection, file))
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
    return found


def _invalid_indexes(connection: Connection, file: Migration) -> Iterator[str]:
    for statement in file.statements:
        index = concurrent_indexes.built_by(statement.text)
        if index and index.name:
            name, builder = concurrent_indexes.invalid(connection, index)
            if name and not builder:
                yield name
