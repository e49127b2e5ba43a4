"""The rows that are inserted: valid ones, signed by a person, with the columns that are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from psycopg import sql

from runner.isolation.fixes import declare
from runner.isolation.probes.execute import Attempt
from runner.isolation.probes.identities import Caller
from runner.isolation.probes.reads import Probe
from runner.isolation.rows.fixture import Made
from runner.isolation.rows.fixture import template as template_row
from runner.isolation.tenancy.objects import TENANT, Reference, Relation
from runner.isolation.tenancy.variables import quoted


@dataclass(frozen=True)
class Insert:
    """A statement that inserts one row, and how to judge it."""

    caller: Caller
    relation: Relation
    what: str
    where: str  # "own", "other"
    allowed: bool
    attempt: Attempt
    implied: bool = False  # a reference that the database does not check
    key: str = ""  # a unique key that may tell of the other tenant's rows
    command: str = "insert"


class InsertRows:
    """Make rows to insert, and know which of their columns name a person."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._templates: dict[tuple[int, str, bool], Made | None] = {}
        config, tenants = probe.fixture.config, probe.fixture.tenants
        self.persons = set(tenants.person_columns)
        if tenants.people and not self.persons:
            self.persons = {tenants.people.oid}
        self._user = config.people.user if config.people else ""

    def template(self, target: Relation, owner: str, *, new: bool = False) -> Made | None:
        key = (target.oid, owner, new)
        if key not in self._templates:
            row, reason = template_row(
                self._probe.findings.connection, self._probe.fixture, target, owner, new=new
            )
            existing = self._probe.snapshot.of(target, owner)
            if row is None and existing:  # a taken key is found after the policies
                row = dict(existing[-1].values)
            self._templates[key] = row
            if row is None:
                self._probe.findings.breach(
                    f"rows.{target.qualified}",
                    target.qualified,
                    f"inserts into {target.qualified} could not be tried for {owner}",
                    cause=reason,
                    fix=declare.row_of(target.qualified),
                )
        return self._templates[key]

    def chosen(self, target: Relation, columns: set[str], explicit: Iterable[str]) -> set[str]:
        """Return the columns to give: not those that the database fills, unless they refer."""
        referring = {name for reference in target.references for name in reference.columns}
        kept = {*explicit, *referring, target.tenant_column}
        return {
            name
            for name in columns
            if name in kept or ((c := target.column(name)) is not None and not c.filled)
        }

    def tenant_references(self, target: Relation) -> Iterator[Reference]:
        for reference in target.references:
            parent = self._probe.fixture.tenants.relations.get(reference.oid)
            if (
                parent
                and parent.tenancy == TENANT
                and parent is not self._probe.fixture.tenants.tenant
            ):
                yield reference

    def is_person(self, target: Relation, name: str) -> bool:
        return (target is self._probe.fixture.tenants.people and name == self._user) or any(
            name in reference.columns and name != target.tenant_column
            for reference in target.references
            if reference.oid in self.persons
        )

    def signed(self, row: Mapping[str, str | None], target: Relation, user: str) -> Made:
        """Return the row with a person in each column that refers to one."""
        signed = dict(row)
        for name in row if user else ():
            if row[name] is not None and self.is_person(target, name):
                signed[name] = self.reference_to(target, name, user)
        return signed

    def reference_to(self, target: Relation, name: str, user: str) -> str:
        """Return the value by which a column refers to a person."""
        fixture = self._probe.fixture
        person = next((p.name for p in fixture.people if p.user == user), "")
        for reference in target.references:
            table = fixture.tenants.relations.get(reference.oid)
            if table and reference.oid in self.persons and name in reference.columns:
                rows = fixture.person_rows.get(person, {}).get((table.schema, table.name), [])
                referred = reference.referred[reference.columns.index(name)]
                if rows and (value := rows[0][referred]) is not None:
                    return value
        return user

    def user_of(self, caller: Caller) -> str:
        person = caller.identity.person
        return person.user if person else ""

    def users(self, caller: Caller, target: Relation) -> list[str]:
        """Return the persons to put into a row: oneself; in the people table, others too."""
        users = [self.user_of(caller)]
        if target is self._probe.fixture.tenants.people:
            users += [p.user for p in self._probe.fixture.people if caller.own not in p.roles][:2]
        return list(dict.fromkeys(users))

    def colleague(self, caller: Caller) -> str:
        mine = self.user_of(caller)
        return next(
            (
                person.user
                for person in self._probe.fixture.people
                if set(person.roles) == {caller.own} and person.user != mine and not person.former
            ),
            "",
        )

    def insert(
        self,
        caller: Caller,
        relation: Relation,
        row: Mapping[str, str | None],
        columns: Iterable[str],
        *,
        what: str = "row",
        where: str = "own",
        allowed: bool = False,
        implied: bool = False,
        key: str = "",
    ) -> Insert:
        """Return the statement that inserts some columns of a row."""
        chosen = [c.name for c in relation.columns if c.name in set(columns) and c.name in row]
        values = ", ".join(
            "null" if (v := row[name]) is None else sql.Literal(v).as_string(None)
            for name in chosen
        )
        listed = ", ".join(map(quoted, chosen))
        text = f"insert into {relation.qualified} ({listed}) values ({values})"  # noqa: S608
        attempt = Attempt(caller.identity, text, watch=True)
        return Insert(caller, relation, what, where, allowed, attempt, implied, key)
