"""The content of each page as data, read as one person. The same for the server and a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.studio.data import paging, people, permissions, records, tables
from runner.studio.data.paging import PageRequest
from runner.studio.data.permissions import Grant, Policy, Right, Trigger
from runner.studio.data.records import (
    BRIEF,
    DENIED,
    LATE,
    Count,
    Page,
    Patience,
    Record,
    ReferringRows,
)
from runner.studio.data.tables import Column, Shape, Table
from runner.studio.data.viewer import CannotViewAs, Person, Source, session_as

MAX_COMPARED, MAX_TABLES = 30, 40  # people and tables side by side
MAX_LISTED = 50  # tables on a page


@dataclass(frozen=True)
class Summary:
    """A table in the overview: how much of it a person sees, and what they may do with it."""

    table: Table
    count: Count
    rights: tuple[Right, ...]


@dataclass(frozen=True)
class Overview:
    """A page of the tables."""

    summaries: tuple[Summary, ...]
    page: int  # from 1
    pages: int
    matching: int  # tables

    @property
    def late(self) -> bool:
        """Whether some were not counted."""
        return any(summary.count.late for summary in self.summaries)


@dataclass(frozen=True)
class TableView:
    """A page of a table's records."""

    shape: Shape
    page: Page | None  # None: permission denied
    request: PageRequest  # without filters on unknown columns
    rights: tuple[Right, ...]
    triggers: tuple[Trigger, ...]
    sortable: dict[str, paging.Order]
    filterable: tuple[Column, ...]


@dataclass(frozen=True)
class RecordView:
    """One record."""

    shape: Shape
    record: Record | None  # None: this person sees no such record
    rights: tuple[Right, ...]
    referring: tuple[ReferringRows, ...]


@dataclass(frozen=True)
class SchemaView:
    """The definition of one table."""

    shape: Shape
    policies: tuple[Policy, ...]
    triggers: tuple[Trigger, ...]
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class IdentityView:
    """How many records of each table one person sees."""

    person: Person
    counts: tuple[Count, ...]
    unavailable: str = ""  # why the database cannot be viewed as this person


@dataclass(frozen=True)
class Comparison:
    """What several people see, side by side."""

    tables: tuple[Table, ...]
    groups: tuple[tuple[str, tuple[IdentityView, ...]], ...]  # tenant's name, its people
    more_tables: int = 0  # left out
    more_people: int = 0

    @property
    def late(self) -> bool:
        """Whether some were not counted."""
        views = (view for _, group in self.groups for view in group)
        return any(count.late for view in views for count in view.counts)


def names(source: Source) -> tuple[Table, ...]:
    """Return all tables, read as the connecting role: their names are not confidential."""
    with session_as(source, people.CONNECTED) as connection:
        return tuple(tables.tables(connection, source.project))


def sizes(source: Source, some: Sequence[Table]) -> dict[int, int]:
    """Return the bytes of each table, by oid; not of one that is locked."""
    with session_as(source, people.CONNECTED) as connection:
        return tables.sizes(connection, some)


def overview(
    source: Source,
    person: Person,
    *,
    tables_like: str = "",
    page: int = 1,
    size: int = MAX_LISTED,
    patience: Patience = BRIEF,
) -> Overview:
    """Return a page of the tables, each with how much of it a person sees.

    `tables_like`: a part of their names. `size`: tables on a page.
    """
    among = [t for t in names(source) if tables_like.lower() in t.name.lower()]
    pages = max(1, -(-len(among) // size))
    page = min(max(1, page), pages)
    with session_as(source, person) as connection:
        listed = among[(page - 1) * size : page * size]
        shown = tables.used_by_current(
            connection, listed, withhold=source.of(person) is source.connections
        )
        rights = permissions.of_tables(connection, shown)
        counted = [(table, ()) for table in shown]
        counts = records.counts(connection, counted, patience.deadline, patience)
    summaries = map(Summary, shown, counts, rights)
    return Overview(tuple(summaries), page, pages, len(among))


def table(source: Source, person: Person, name: str, request: PageRequest) -> TableView | None:
    """Return a page of a table's records; None if there is no such table."""
    with session_as(source, person) as connection:
        all_tables = tables.tables(connection, source.project)
        found = _find(all_tables, name)
        if found is None:
            return None
        shape = tables.shape(connection, found, all_tables)
        rights = permissions.rights(connection, shape, permissions.policies(connection, found))
        known = {column.name for column in paging.filterable(shape)}
        filters = tuple(one for one in request.filters if one.column in known)
        request = replace(request, filters=filters)
        return TableView(
            shape,
            records.page(connection, shape, request) if shape.readable else None,
            request,
            tuple(rights),
            tuple(permissions.triggers(connection, found)),
            paging.sortable(shape),
            tuple(paging.filterable(shape)),
        )


def record(
    source: Source, person: Person, name: str, key: Sequence[tuple[str, str]]
) -> RecordView | None:
    """Return one record; None if there is no such table."""
    with session_as(source, person) as connection:
        all_tables = tables.tables(connection, source.project)
        found = _find(all_tables, name)
        if found is None:
            return None
        shape = tables.shape(connection, found, all_tables)
        one = records.record(connection, shape, key) if shape.readable else None
        if one is None:
            return RecordView(shape, None, (), ())
        policies = permissions.policies(connection, found)
        rights = permissions.rights(connection, shape, policies)
        if one.key:
            rights = permissions.on_record(connection, shape, policies, rights, one.key)
        referring = records.referring(connection, shape, one, all_tables)
        return RecordView(shape, one, tuple(rights), tuple(referring))


def schema(source: Source, person: Person, name: str) -> SchemaView | None:
    """Return the definition of a table; None if there is no such table."""
    with session_as(source, person) as connection:
        all_tables = tables.tables(connection, source.project)
        found = _find(all_tables, name)
        if found is None:
            return None
        return SchemaView(
            tables.shape(connection, found, all_tables),
            tuple(permissions.policies(connection, found)),
            tuple(permissions.triggers(connection, found)),
            tuple(permissions.grants(connection, found)),
        )


def comparison(
    source: Source,
    some: Sequence[Person],
    tables_like: str = "",
    patience: Patience = BRIEF,
) -> Comparison:
    """Return how much each of the first MAX_COMPARED people sees of the first MAX_TABLES tables.

    `tables_like`: a part of the tables' names.
    """
    deadline = patience.deadline
    among = [t for t in names(source) if tables_like.lower() in t.name.lower()]
    shown = among[:MAX_TABLES]
    found: dict[str, list[IdentityView]] = {}
    for person in some[:MAX_COMPARED]:
        group = found.setdefault(person.tenant, [])
        if time.monotonic() > deadline:
            group.append(IdentityView(person, (LATE,) * len(shown)))
            continue
        try:
            with session_as(source, person) as connection:
                own = tables.used_by_current(
                    connection, shown, withhold=source.of(person) is source.connections
                )
                counts = records.counts(connection, [(t, ()) for t in own], deadline, patience)
            if any(count != DENIED for count in counts) or not person.is_actor:
                group.append(IdentityView(person, tuple(counts)))
        except CannotViewAs as error:
            group.append(IdentityView(person, (), error.message))
    return Comparison(
        tuple(shown),
        tuple((tenant, tuple(views)) for tenant, views in found.items() if views),
        max(0, len(among) - MAX_TABLES),
        max(0, len(some) - MAX_COMPARED),
    )


def _find(all_tables: Sequence[Table], name: str) -> Table | None:
    return next((table for table in all_tables if table.name == name), None)
