"""The rows of both tenants as the owner sees them: to recognize a row, and to notice a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from runner.isolation.rows.fixture import SHARED_ROWS, Fixture
from runner.isolation.rows.identity import A, B
from runner.isolation.tenancy.objects import PERSON, SHARED, TENANT, Relation
from runner.postgres.connection import Connection

_LIMIT = 2_000  # rows of a view
_SHORTEST = 5  # characters of a value that names its tenant
STATE = "isolation_state"  # the prepared statement that lists the rows


@dataclass(frozen=True)
class Row:
    """One row of a relation, and whose it is."""

    owner: str  # A, B, S for shared, "" for none
    place: str  # table and ctid; empty in a view
    values: Mapping[str, str | None]

    def shown(self, columns: Iterable[str]) -> tuple[str | None, ...]:
        """Return the values of some columns."""
        return tuple(self.values[name] for name in columns)


@dataclass
class Snapshot:
    """The rows of every relation, and the values that name one tenant."""

    rows: dict[int, list[Row]] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)  # value → its only owner
    state: frozenset[str] = frozenset()
    tables: list[Relation] = field(default_factory=list)  # those whose changes are noticed

    def of(self, relation: Relation, owner: str) -> list[Row]:
        """Return the rows of a relation that belong to an owner."""
        return [row for row in self.rows.get(relation.oid, []) if row.owner == owner]

    def owner_of(self, values: Iterable[str | None], known: Iterable[str] = ()) -> str:
        """Return whose values these are, by the values that name a tenant; B first.

        `known`: values that the caller had already, also in another case or with other text.
        """
        had = {text.casefold() for text in known}
        owners = {
            self._owner(value, had) for value in values if value and value.casefold() not in had
        }
        return next((owner for owner in (B, A, SHARED_ROWS) if owner in owners), "")

    def named(self, text: str, owner: str, known: Iterable[str] = ()) -> str:
        """Return a value within a text that names an owner; empty if there is none."""
        had = " ".join(known).casefold()
        return next(
            (
                v
                for v, whose in self.markers.items()
                if whose == owner and v in text and v.casefold() not in had
            ),
            "",
        )

    def _owner(self, value: str, known: Iterable[str] = ()) -> str:
        whose = self.markers.get(value, "")
        if not whose and not value.isalnum() and len(value) < 100_000:
            whose = B if self.named(value, B, known) else ""
        return whose


def take(connection: Connection, fixture: Fixture) -> Snapshot:
    """Read the rows in the open transaction, as the role that owns the tables."""
    found = Snapshot()
    tenants = fixture.tenants
    for relation in tenants.relations.values():
        if relation.is_table and (
            relation.tenancy in (TENANT, PERSON, SHARED) or relation.oid in fixture.shapes
        ):
            found.rows[relation.oid] = _of_table(connection, fixture, relation)
            if relation.parent is None and found.rows[relation.oid]:
                found.tables.append(relation)
    _mark(found, fixture)
    for view in tenants.reachable():
        if view.kind in ("v", "m"):
            found.rows[view.oid] = _of_view(connection, fixture, found, view)
    _prepare(connection, fixture, found)
    return found


def forget(connection: Connection) -> None:
    """Deallocate the prepared statement, which outlives the transaction."""
    known = connection.execute("select from pg_prepared_statements where name = %s", [STATE])
    if known.fetchall():
        connection.execute(f"deallocate {STATE}")


def _prepare(connection: Connection, fixture: Fixture, snapshot: Snapshot) -> None:
    """Prepare the statement that lists where the rows are, and note its result."""
    parts = [
        f"select '{number} {owner} ' || {fixture.place(relation)} as place"  # noqa: S608
        f" from {relation.qualified} as t where {condition}"
        for number, relation in enumerate(snapshot.tables)
        for owner in (A, B, SHARED_ROWS)
        if (condition := condition_of(fixture, relation, owner)) != "false"
    ]
    listed = " union all ".join(parts) or "select '' as place"
    text = f"prepare {STATE} as select string_agg(place, ';') from ({listed}) as rows"  # noqa: S608
    connection.execute(text.encode())
    snapshot.state = state(connection.execute(f"execute {STATE}").fetchall()[0][0])


def state(text: str | None) -> frozenset[str]:
    """Return the places of a result of the prepared statement."""
    return frozenset((text or "").split(";"))


def _of_table(connection: Connection, fixture: Fixture, relation: Relation) -> list[Row]:
    rows = []
    for owner in (A, B, SHARED_ROWS):
        condition = condition_of(fixture, relation, owner)
        if condition != "false":
            rows += _read(
                connection,
                f"select {fixture.place(relation)}, t.* from {relation.qualified} as t"  # noqa: S608
                f" where {condition}",
                owner,
            )
    return rows


def condition_of(fixture: Fixture, relation: Relation, owner: str) -> str:
    """Return the condition that a row belongs to an owner; "false" if none can."""
    if owner != SHARED_ROWS:
        return fixture.condition(relation, owner) if owner in fixture.ids else "false"
    rows = fixture.of(relation, SHARED_ROWS)
    columns = relation.key or [c.name for c in relation.columns if not c.generated][:3]
    if not rows or relation.parent is not None or not columns:
        return "false"
    each = (
        " and ".join(
            f't."{name}" is null'
            if row[name] is None
            else f't."{name}"::text = {sql.Literal(row[name]).as_string(None)}'
            for name in columns
        )
        for row in rows
    )
    return " or ".join(f"({condition})" for condition in each)


def _of_view(
    connection: Connection, fixture: Fixture, found: Snapshot, view: Relation
) -> list[Row]:
    """Return the rows of a view: whose they are, its tenant column or the values tell."""
    where = ""
    if view.tenant_column:
        ids = ", ".join(sql.Literal(i).as_string(None) for i in fixture.ids.values())
        where = f' where t."{view.tenant_column}"::text in ({ids})'
    text = f"select '', t.* from {view.qualified} as t{where} limit {_LIMIT}"  # noqa: S608
    try:
        with connection.transaction():
            rows = _read(connection, text, "")
    except psycopg.Error:
        if connection.closed:
            raise
        return []
    owners = {i: owner for owner, i in fixture.ids.items()}
    return [
        Row(
            owners.get(row.values[view.tenant_column] or "", "")
            if view.tenant_column
            else found.owner_of(row.values.values()),
            "",
            row.values,
        )
        for row in rows
    ]


def _read(connection: Connection, text: str, owner: str) -> list[Row]:
    cursor = connection.execute(text.encode())
    result, names = cursor.pgresult, [column.name for column in cursor.description or ()][1:]
    assert result  # noqa: S101 - it was executed
    return [
        Row(
            owner,
            (result.get_value(line, 0) or b"").decode(),
            {
                name: None if (v := result.get_value(line, place)) is None else v.decode()
                for place, name in enumerate(names, start=1)
            },
        )
        for line in range(result.ntuples)
    ]


def _mark(found: Snapshot, fixture: Fixture) -> None:
    """Find the values that occur in rows of one owner only."""
    owners: dict[str, set[str]] = {}
    for oid, rows in found.rows.items():
        kinds = {c.name: c.category for c in fixture.tenants.relations[oid].columns}
        for row in rows:
            for name, value in row.values.items():
                if value and len(value) >= _SHORTEST and kinds[name] in ("S", "U", "N"):
                    owners.setdefault(value, set()).add(row.owner)
    for person in fixture.people:
        if len(person.roles) != 1 or person.former:
            owners.setdefault(person.user, set()).update(("", A))
    found.markers = {v: next(iter(whose)) for v, whose in owners.items() if len(whose) == 1}
