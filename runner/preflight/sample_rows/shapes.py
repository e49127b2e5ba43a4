"""Read from the catalog what a row of each table has to satisfy: the rows of shapes.sql."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from runner.postgres.connection import Connection
from runner.queries import query


@dataclass(frozen=True)
class Column:
    """A column that inserts give a value to. Its base type: below all domains and arrays."""

    name: str
    type: str  # as declared
    not_null: bool
    default: str | None  # an expression
    kind: str  # pg_type.typname of the base type
    category: str  # its pg_type.typcategory; e, c, r, m for enum, composite, range, multirange
    is_array: bool
    size: int  # type modifier as in the catalog, -1 for none
    width: int  # of a composite type: number of attributes
    labels: list[str]  # of an enum
    conditions: list[str]  # of its domains, as constraint definitions


@dataclass(frozen=True)
class Reference:
    """A foreign key."""

    columns: list[str]
    schema: str
    table: str
    referred: list[str]


@dataclass(frozen=True)
class Key:
    """A unique index or an exclusion constraint."""

    name: str
    columns: list[str]
    excludes: bool
    is_partial: bool  # covers only rows that meet a condition


@dataclass(frozen=True)
class Check:
    """A check constraint, or the condition that some partition accepts the row."""

    columns: list[str]
    expression: str


@dataclass(frozen=True)
class Table:
    """A table, and the constraints on its rows."""

    schema: str
    name: str
    columns: list[Column]
    references: list[Reference]
    keys: list[Key]
    checks: list[Check]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified name for a statement."""
        return sql.Identifier(self.schema, self.name)

    def referring(self, others: Iterable[Table], *, required: bool = False) -> set[str]:
        """Return the columns that refer to one of these; `required`: only those without null."""
        names = {(other.schema, other.name) for other in others}
        nullable = {column.name for column in self.columns if not column.not_null}
        return {
            name
            for reference in self.references
            if (reference.schema, reference.table) in names
            and not (required and nullable & set(reference.columns))
            for name in reference.columns
        }


def read(
    connection: Connection, *, numbered: bool = False, except_: Collection[str] = ()
) -> list[Table]:
    """Return the tables that rows can be inserted into, by name.

    `numbered`: with their identity and serial columns. `except_`: without these, as `schema.name`.
    """
    return [
        Table(
            schema,
            name,
            [Column(**column) for column in columns],
            [Reference(**reference) for reference in references],
            [Key(**key) for key in keys],
            [Check(**check) for check in checks],
        )
        for schema, name, columns, references, keys, checks in connection.execute(
            query("preflight/sample_rows/shapes"),
            {"numbered": numbered, "except": list(except_)},
        )
    ]


def in_order(tables: Sequence[Table]) -> list[Table]:
    """Return referenced tables before referring ones; in a cycle, nullable references first."""
    order: list[Table] = []
    left = list(tables)
    while left:
        free = (t for t in left if not t.referring(other for other in left if other is not t))
        able = (t for t in left if not t.referring(left, required=True))
        found = next(free, None) or next(able, None) or left[0]
        left.remove(found)
        order.append(found)
    return order
