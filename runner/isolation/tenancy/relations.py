"""Relations, functions and roles of a database, and whose the rows of each relation are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.isolation.tenancy.config import Config
from runner.postgres.connection import Connection
from runner.queries import query

TENANT, PERSON, SHARED, UNDECIDED = "tenant", "person", "shared", "undecided"


@dataclass(frozen=True)
class Column:
    """A column, and the roles that may use it."""

    name: str
    type: str
    category: str  # pg_type.typcategory
    not_null: bool
    filled: bool  # has a default or is an identity
    generated: bool
    select: list[str]
    insert: list[str]
    update: list[str]

    def roles(self, command: str) -> list[str]:
        """Return the roles with the privilege of a command on this column."""
        found: list[str] = getattr(self, command)
        return found


@dataclass(frozen=True)
class Reference:
    """A foreign key, or columns that are one in another table."""

    columns: list[str]
    oid: int  # of the referenced table
    referred: list[str]
    implied: bool = False


@dataclass(frozen=True)
class Key:
    """A unique index."""

    name: str
    primary: bool
    columns: list[str]


@dataclass(eq=False)
class Relation:
    """A table, partition, view, materialized view, foreign table or sequence."""

    oid: int
    schema: str
    name: str
    qualified: str
    kind: str  # pg_class.relkind
    owner: str
    users: list[str]  # roles with USAGE on the schema
    parent: int | None
    invoker: bool  # a view that reads with the rights of its user
    updatable: int  # bits: 4 update, 8 insert, 16 delete
    columns: list[Column]
    privileges: Mapping[str, list[str]]  # by role: those that are not by column
    key: list[str]
    bases: list[int]  # of a view
    references: list[Reference]
    keys: list[Key]
    tenancy: str = UNDECIDED
    tenant_column: str | None = None
    path: Reference | None = None  # to the relation that decides
    why: str = ""  # how the tenancy was decided

    @property
    def is_table(self) -> bool:
        """Whether rows can be inserted into it as they are."""
        return self.kind in ("r", "p")

    def column(self, name: str) -> Column | None:
        """Return a column by name."""
        return next((column for column in self.columns if column.name == name), None)

    def usable(self, role: str, command: str) -> list[str]:
        """Return the columns on which a role may use select, insert or update."""
        if role not in self.users:
            return []
        return [c.name for c in self.columns if role in c.roles(command)]

    def holds(self, role: str, privilege: str) -> bool:
        """Whether a role has a privilege on the whole relation, and the schema."""
        return role in self.users and privilege in self.privileges.get(role, [])

    def within_reach(self, roles: Iterable[str]) -> bool:
        """Whether one of the roles has any privilege on it."""
        return any(
            role in self.users
            and (
                self.privileges.get(role)
                or any(role in (*c.select, *c.insert, *c.update) for c in self.columns)
            )
            for role in roles
        )


@dataclass(frozen=True)
class Argument:
    """An input argument of a function."""

    name: str
    type: str
    category: str
    variadic: bool
    labels: list[str]


@dataclass(frozen=True)
class Function:
    """A function or procedure outside of PostgreSQL and extensions."""

    oid: int
    schema: str
    name: str
    signature: str
    kind: str  # pg_proc.prokind
    definer: bool
    volatile: bool
    owner: str
    source: str
    returns: str
    is_trigger: bool
    required: int
    arguments: list[Argument]
    callers: list[str]
    decides: bool  # a policy or a default calls it


@dataclass(frozen=True)
class Role:
    """A role that a caller can become."""

    name: str
    bypasses: bool
    declared: bool
    members: str


@dataclass
class TenantMap:
    """The relations with their tenancy, and the functions and roles within reach."""

    relations: dict[int, Relation]
    functions: list[Function]
    roles: list[Role]
    api_roles: list[str]
    tenant: Relation | None
    people: Relation | None
    person_columns: dict[int, str] = field(default_factory=dict)  # of tables of persons

    def named(self, name: str) -> Relation | None:
        """Return a relation by its qualified name, or by its name alone if that is unambiguous."""
        plain = name.replace('"', "")
        found = [r for r in self.relations.values() if f"{r.schema}.{r.name}" == plain]
        if not found and "." not in plain:
            found = [r for r in self.relations.values() if r.name == plain]
            reachable = [r for r in found if r.within_reach(self.api_roles)]
            found = reachable if len(reachable) == 1 else found
        return found[0] if len(found) == 1 else None

    def reachable(self) -> list[Relation]:
        """Return the relations on which an actor's role has any privilege."""
        return [r for r in self.relations.values() if r.within_reach(self.api_roles)]

    def owned(self) -> list[Relation]:
        """Return the tables whose rows belong to a tenant or a person, without partitions."""
        return [
            r
            for r in self.relations.values()
            if r.is_table and r.parent is None and r.tenancy in (TENANT, PERSON)
        ]

    def belongs(
        self, relation: Relation, alias: str, tenant: str | None, persons: Sequence[str]
    ) -> str:
        """Return the condition that a row is of a tenant, or is one of these persons.

        `tenant` and `persons` are literals.
        """
        if relation.tenant_column:
            column = f"{alias}.{_quoted(relation.tenant_column)}"
            return f"{column} = {tenant}" if tenant else "false"
        if relation.oid in self.person_columns:
            column = f"{alias}.{_quoted(self.person_columns[relation.oid])}"
            return f"{column}::text in ({', '.join(persons)})" if persons else "false"
        if relation.path:
            parent, inner = self.relations[relation.path.oid], f"{alias}_"
            joined = " and ".join(
                f"{inner}.{_quoted(theirs)} = {alias}.{_quoted(ours)}"
                for ours, theirs in zip(relation.path.columns, relation.path.referred, strict=True)
            )
            return (
                f"exists (select from {parent.qualified} as {inner} where {joined}"  # noqa: S608
                f" and {self.belongs(parent, inner, tenant, persons)})"
            )
        return "false"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def read(connection: Connection, config: Config) -> TenantMap:
    """Return the map of a database: the catalog, with the tenancy that the file declares."""
    api_roles = sorted({actor.role for actor in config.actors.values()})
    parameters = {"roles": api_roles}
    relations = {
        row[0]: _relation(row)
        for row in connection.execute(query("isolation/tenancy/relations"), parameters)
    }
    functions = [
        Function(*row[:12], [Argument(**argument) for argument in row[12]], *row[13:])
        for row in connection.execute(query("isolation/tenancy/functions"), parameters)
    ]
    roles = [Role(*row) for row in connection.execute(query("isolation/tenancy/roles"), parameters)]
    if config.schemas is not None:
        for relation in relations.values():
            if relation.schema not in config.schemas:
                relation.users = []
        functions = [
            f if f.schema in config.schemas else Function(**{**vars(f), "callers": []})
            for f in functions
        ]
    result = TenantMap(relations, functions, roles, api_roles, None, None)
    result.tenant = result.named(config.tenant_table) if config.tenant_table else None
    result.people = result.named(config.people.table) if config.people else None
    _decide(result, config)
    return result


def _relation(row: Sequence[Any]) -> Relation:
    return Relation(
        *row[:10],
        [Column(**column) for column in row[10]],
        *row[11:14],
        [Reference(**reference) for reference in row[14]],
        [Key(**key) for key in row[15]],
    )


def _decide(found: TenantMap, config: Config) -> None:
    """Decide whose the rows of each relation are."""
    shared = {r.oid for name in config.shared if (r := found.named(name))}
    renamed = {
        r.oid: column for name, column in config.tenant_columns.items() if (r := found.named(name))
    }
    if found.tenant:
        renamed.setdefault(found.tenant.oid, _tenant_key(found, config))
    for relation in found.relations.values():
        column = renamed.get(relation.oid, config.tenant_column)
        if relation.oid in shared:
            relation.tenancy, relation.why = SHARED, "declared as shared"
        elif relation.column(column):
            relation.tenancy, relation.tenant_column = TENANT, column
            relation.why = f"column {column}"
    if found.people and config.people:
        _persons(found, found.people, config.people.user)
    _imply(found)
    for wanted in (TENANT, PERSON):
        _follow(found, wanted)
    _views(found)


def _tenant_key(found: TenantMap, config: Config) -> str:
    """Return the column of the tenant table that the tenant column of other tables refers to."""
    assert found.tenant  # noqa: S101 - the caller checks it
    for relation in found.relations.values():
        for reference in relation.references:
            if reference.oid == found.tenant.oid and config.tenant_column in reference.columns:
                return reference.referred[reference.columns.index(config.tenant_column)]
    return (found.tenant.key or [config.tenant_column])[0]


def _persons(found: TenantMap, people: Relation, user: str) -> None:
    """Mark the tables that the column of the user refers to, and those that these refer to."""
    waiting = [(people, user)]
    while waiting:
        relation, column = waiting.pop()
        for reference in relation.references:
            if reference.columns != [column]:
                continue
            target = found.relations.get(reference.oid)
            if target and target.tenancy == UNDECIDED:
                target.tenancy, target.why = PERSON, f"referenced by {people.qualified}.{user}"
                found.person_columns[target.oid] = reference.referred[0]
                waiting.append((target, reference.referred[0]))


def _imply(found: TenantMap) -> None:
    """Add a reference for each column that has the name of a foreign key in another table."""
    known: dict[tuple[str, str], Reference] = {}
    for relation in found.relations.values():
        for reference in relation.references:
            own = [c for c in reference.columns if c != relation.tenant_column]
            if len(own) == 1 and (column := relation.column(own[0])):
                known.setdefault((own[0], column.type), reference)
    for relation in found.relations.values():
        referring = {name for reference in relation.references for name in reference.columns}
        for column in relation.columns if relation.is_table else ():
            like = known.get((column.name, column.type))
            if like and column.name not in {*referring, *relation.key, relation.tenant_column}:
                place = like.columns.index(column.name)
                relation.references.append(
                    Reference([column.name], like.oid, [like.referred[place]], implied=True)
                )


def _follow(found: TenantMap, wanted: str) -> None:
    """Decide tables by their references: required ones first, step by step."""
    while True:
        decided = []
        for relation in found.relations.values():
            if relation.tenancy != UNDECIDED or not relation.is_table:
                continue
            paths = [
                r
                for r in relation.references
                if (parent := found.relations.get(r.oid)) and parent.tenancy == wanted
            ]
            paths.sort(
                key=lambda r: (
                    r.implied,
                    not all((c := relation.column(name)) and c.not_null for name in r.columns),
                )
            )
            if paths:
                decided.append((relation, paths[0]))
        for relation, path in decided:
            relation.tenancy, relation.path = wanted, path
            relation.why = f"({', '.join(path.columns)}) → {found.relations[path.oid].qualified}"
        if not decided:
            return


def _views(found: TenantMap) -> None:
    """Decide views by what they read."""
    for _ in found.relations:
        changed = False
        for view in found.relations.values():
            bases = [found.relations[oid] for oid in view.bases if oid in found.relations]
            if view.tenancy != UNDECIDED or not bases:
                continue
            kinds = {base.tenancy for base in bases}
            for kind in (TENANT, PERSON):
                if kind in kinds:
                    view.tenancy, changed = kind, True
                    view.why = f"reads {', '.join(b.qualified for b in bases if b.tenancy == kind)}"
                    break
            else:
                if kinds == {SHARED}:
                    view.tenancy, view.why, changed = SHARED, "reads shared tables only", True
        if not changed:
            return
