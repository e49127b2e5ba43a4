"""Recognize the records of other migration tools: what they applied must not run again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import psycopg

from runner.errors import PlanError
from runner.events import Note, Report, silent
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate.plan import Plan, State
from runner.postgres.connection import Connection
from runner.preflight.diff import Difference, difference
from runner.preflight.moved import moved
from runner.queries import query
from runner.schema.snapshot import Snapshot

_UP_TO = re.compile(r"\.\.([0-9]+)")  # this number and all below it
_NUMBER = re.compile(r"V([0-9]+)__|([0-9][0-9_]*+)(?!\.[0-9])")  # 1.1 is no number of a file
_WORDS = re.compile(r"V[0-9._]*__(.+)")  # Flyway's names, which import may number otherwise
_SHOWN = 8  # ids in a message

BASELINE = "python -m runner baseline"


@dataclass(frozen=True)
class ForeignTable:
    """A table of another migration tool."""

    tool: str
    name: str  # with its schema, quoted
    schema: str | None  # the schema, if it belongs to the tool alone
    applied: tuple[str, ...]  # the names or numbers that it records

    def contains(self, name: str) -> bool:
        """Return whether an object is this table, or is in the tool's own schema."""
        own = self.schema
        return name == self.name or (own is not None and f"{name}.".startswith(f"{own}."))

    def of(self, files: Sequence[Migration], *, by_number: bool) -> list[Migration]:
        """Return the files that it records, by their names, or also by their numbers.

        By the names alone where a tool records them whole, by the content where it records that.
        """
        by_number = by_number and self.tool not in ("Prisma", "Drizzle")
        names = {PurePosixPath(name).name.removesuffix(".sql") for name in self.applied}
        found = {name: match[1] for name in names if (match := _WORDS.match(name))}
        words = {name: re.sub(r"[^\w.-]+", "_", word) for name, word in found.items()}
        here = {file.name.partition("_")[2]: file.id for file in files}
        known = {name: here[word] for name, word in words.items() if word in here and by_number}
        numbers = {
            loader.number_of(match[1] or match[2].rstrip("_"))
            for name in names - known.keys()
            if by_number and (match := _NUMBER.match(name))
        }
        names |= {*known.values()}
        last = [loader.number_of(m[1]) for name in names if (m := _UP_TO.fullmatch(name))]
        newest = max(last, default=-1) if by_number else -1
        found_here = (f.id in names or f.number in numbers or f.number <= newest for f in files)
        return [f for f, here_ in zip(files, found_here, strict=True) if here_ or self._has(f)]

    def _has(self, file: Migration) -> bool:
        """Whether it records the content of a file, as Drizzle does."""
        if self.tool != "Drizzle":
            return False
        return hashlib.sha256(file.path.read_bytes()).hexdigest() in self.applied


def tables(connection: Connection) -> list[ForeignTable]:
    """Return the tables of other tools, without records where these may not be read."""
    found = connection.execute(query("preflight/foreign_records")).fetchall()
    return [
        ForeignTable(tool, name, schema, applied)
        for tool, name, schema, text in found
        if (applied := _applied(connection, text)) is not None
    ]


def _applied(connection: Connection, text: str | None) -> tuple[str, ...] | None:
    """Return the names or numbers that a query finds; None if the table cannot be the tool's."""
    if not text:
        return ()
    try:
        with connection.transaction():
            return tuple(name for (name,) in connection.execute(text.encode()).fetchall())
    except psycopg.errors.InsufficientPrivilege:
        return ()
    except (psycopg.ProgrammingError, psycopg.DataError):  # its columns have other types
        return None


def recorded(connection: Connection, plan: Plan) -> list[tuple[ForeignTable, list[Migration]]]:
    """Return each table of records of another tool, with the pending files that it names.

    A number alone says so only in a database that has no records of the runner.
    """
    pending = _pending(plan)
    if not pending:
        return []
    by_number = not plan.applied()
    found = [(table, table.of(pending, by_number=by_number)) for table in tables(connection)]
    return [(table, files) for table, files in found if files or (by_number and table.applied)]


def _pending(plan: Plan) -> list[Migration]:
    pending = [e.migration for e in plan.of(State.PENDING, State.OUT_OF_ORDER) if e.migration]
    return [file for file in pending if not file.source]  # the numbers are the folder's own


def _to_record(plan: Plan, files: Sequence[Migration]) -> tuple[str, str]:
    """Say which files before the last are not recorded; return the baseline up to the first."""
    pending = _pending(plan)
    lacking = [f for f in pending[: pending.index(files[-1])] if f not in files]
    until = pending[: pending.index(lacking[0])] if lacking else files
    gap = f", but not {_ids(lacking)}" if lacking else ""
    return gap, f"{BASELINE} --to {until[-1].id}" if until else BASELINE


def _ids(files: Sequence[Migration]) -> str:
    ids = [file.id for file in files]
    if len(ids) > _SHOWN:
        ids[1:-1] = ["…"]
    return ", ".join(ids)


def refuse(connection: Connection, plan: Plan, *, report: Report = silent) -> None:
    """Raise PlanError if another tool has applied a pending file: it would run a second time."""
    for table, files in recorded(connection, plan):
        if files:
            gap, baseline = _to_record(plan, files)
            raise PlanError(
                sentence(table, files) + gap,
                hint="They would run a second time. To record them here, if the database is what "
                f"they make: {baseline}\nIf the records belong "
                "to another project, in this database: python -m runner apply --ignore-records",
            )
        report(Note(sentence(table, files)))


def sentence(table: ForeignTable, files: Sequence[Migration]) -> str:
    """Say what a table of another tool records."""
    if not files:
        return f"{table.name} has the records of {table.tool}; none has the name of a file here"
    return f"{table.tool} has applied {_ids(files)}, as {table.name} says"


def note(table: ForeignTable, files: Sequence[Migration], plan: Plan) -> str:
    """Say what to do with the pending files that a table records; it ends with the command."""
    return f"applied by {table.tool}, as {table.name} says{': '.join(_to_record(plan, files))}"


def separate_foreign(
    foreign: Sequence[ForeignTable], here: Snapshot, there: Snapshot
) -> tuple[list[Difference], list[str]]:
    """Return the differences of a database from its files, and which of them are `foreign`."""
    kept, names = [], []
    for one in moved(difference(here, there), here, there):
        table = next((t for t in foreign if t.contains(one.name)), None)
        if one.after is not None or not one.is_whole or not table:
            kept.append(one)
        elif one.kind == "table":
            names.append(one.name)
    return kept, names


def foreign_advice(names: Sequence[str]) -> str:
    return (
        f"{', '.join(names)}: records of another migration tool. Drop them when that tool is no "
        "longer used here"
    )
