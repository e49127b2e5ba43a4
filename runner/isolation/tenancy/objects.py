"""Relations, functions and roles of a database, and whose the rows of each relation are: data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
    """A unique index, or one of an exclusion constraint."""

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
    updatable: int  # bits, also by triggers: 4 update, 8 insert, 16 delete
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
    pinned: bool  # its search_path is set, or its body is parsed
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
    reaches: bool  # has a privilege on a table of tenants
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
    withheld: list[Relation | Function] = field(default_factory=list)  # not used as a superuser
    owners: dict[int, str] = field(default_factory=dict)  # who decides what those run, by oid
    platform: frozenset[tuple[str, str]] = frozenset()  # schemas and owners of a platform's objects
    untried: list[str] = field(default_factory=list)  # what requests may use of these
    blocked: str = ""  # why nothing can be tried
    operators: dict[tuple[int, str], str] = field(default_factory=dict)  # see equal()

    @property
    def notes(self) -> list[str]:
        """What is not tried, in words."""
        if not self.untried:
            return []
        which = f"they belong to the platform: {', '.join(self.untried)}"
        return [f"note: not tried, because {which}. [rights] may name what is yours there"]

    def is_platforms(self, one: Relation | Function) -> bool:
        """Whether a platform such as Supabase owns it, in a schema of its own."""
        return (one.schema, one.owner) in self.platform

    def named(self, name: str) -> Relation | None:
        """Return a relation by its qualified name, or by its name alone if that is unambiguous."""
        plain = name.replace('"', "")
        found = [r for r in self.relations.values() if f"{r.schema}.{r.name}" == plain]
        if not found and "." not in plain:
            found = [r for r in self.relations.values() if r.name == plain]
            reachable = [r for r in found if r.within_reach(self.api_roles)]
            found = reachable if len(reachable) == 1 else found
        return found[0] if len(found) == 1 else None

    def several(self, name: str) -> list[str]:
        """Return the relations of a name without a schema, if they are more than one."""
        plain = name.replace('"', "")
        found = sorted(f"{r.schema}.{r.name}" for r in self.relations.values() if r.name == plain)
        return found if len(found) > 1 else []

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

    def equal(self, relation: Relation, column: str) -> str:
        """Return the equality of a column's type, which may lie outside of the search_path."""
        return self.operators.get((relation.oid, column), "=")

    def joined(self, relation: Relation, reference: Reference, ours: str, theirs: str) -> str:
        """Return the condition that a row is referred to; `ours` and `theirs` are aliases."""
        parent, pairs = self.relations[reference.oid], []
        for a, b in zip(reference.columns, reference.referred, strict=True):
            equal = self.equal(parent, b)
            if equal != self.equal(relation, a):
                equal = "="  # as a statement would find it for two types
            pairs.append(f"{theirs}.{_quoted(b)} {equal} {ours}.{_quoted(a)}")
        return " and ".join(pairs)

    def belongs(
        self, relation: Relation, alias: str, tenant: str | None, persons: Sequence[str]
    ) -> str:
        """Return the condition that a row is of a tenant, or is one of these persons.

        `tenant` and `persons` are literals.
        """
        if relation.tenant_column:
            column = f"{alias}.{_quoted(relation.tenant_column)}"
            equal = self.equal(relation, relation.tenant_column)
            return f"{column} {equal} {tenant}" if tenant else "false"
        if relation.oid in self.person_columns:
            column = f"{alias}.{_quoted(self.person_columns[relation.oid])}"
            return f"{column}::text in ({', '.join(persons)})" if persons else "false"
        if relation.path:
            parent, inner = self.relations[relation.path.oid], f"{alias}_"
            joined = self.joined(relation, relation.path, alias, inner)
            return (
                f"exists (select from {parent.qualified} as {inner} where {joined}"
                f" and {self.belongs(parent, inner, tenant, persons)})"
            )
        return "false"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
