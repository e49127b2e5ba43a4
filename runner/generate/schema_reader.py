"""Read the relations, references and types of one schema from its catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.errors import UsageError
from runner.postgres.connection import Connection
from runner.queries import query

_Row = dict[str, Any]  # an object in the JSON of queries/schema.sql

_TABLE_KINDS, _VIEW_KINDS = ["r", "p", "f"], ["v", "m"]  # values of pg_class.relkind
_SHORT = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "character varying": "varchar",
    "double precision": "float8",
}
_LONG = re.compile("|".join(_SHORT))
_PRECISE = re.compile(r"^(time(?:stamp)?)(\(\d\)) (with|without) time zone")


@dataclass(frozen=True)
class Type:
    """A PostgreSQL type."""

    kind: Literal["base", "array", "domain", "enum", "composite"]
    schema: str
    name: str
    qualified: str = ""  # as SQL takes it, quoted where necessary
    comment: str = ""
    of: Type | None = None  # the element type of an array, the base type of a domain
    not_null: bool = False  # of a domain
    labels: tuple[str, ...] = ()  # of an enum
    columns: tuple[Column, ...] = ()  # of a composite type

    def name_in(self, schema: str) -> str:
        """Return the name for readers of a schema: qualified if the type is in another one."""
        return self.name if self.schema == schema else f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Column:
    """A column of a relation, or an attribute of a composite type."""

    name: str
    type: Type
    declared_type: str = ""  # with its modifier and in short form, such as timestamptz(3)
    comment: str = ""
    not_null: bool = False  # as declared
    nullable: bool = True  # null can be read: true for views, false for not-null domains
    is_object: bool = False  # a check constraint ensures that its JSON is an object
    primary: bool = False
    unique: bool = False  # without the help of other columns
    refers: bool = False  # is part of a foreign key

    @property
    def enum(self) -> Type | None:
        """The enum whose values the column holds, also as an array."""
        base = self.type.of if self.type.kind == "array" else self.type
        return base if base and base.kind == "enum" else None


@dataclass(frozen=True)
class Relation:
    """A table, view, materialized view or foreign table."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    outside: bool = False  # a table of another schema: its columns are not read


@dataclass(frozen=True)
class Reference:
    """A foreign key."""

    table: str
    columns: tuple[str, ...]
    to: str  # the name of a relation in Schema.tables
    to_columns: tuple[str, ...]
    optional: bool  # a row may refer to nothing
    single: bool  # at most one row refers to each row


@dataclass(frozen=True)
class Schema:
    """The relations of a schema, by name, and the types that their columns use."""

    name: str
    relations: tuple[Relation, ...]
    references: tuple[Reference, ...] = ()
    enums: tuple[Type, ...] = ()  # all of this schema, and those used of others
    composites: tuple[Type, ...] = ()
    outside: tuple[Relation, ...] = ()  # tables of other schemas that references lead to

    @property
    def tables(self) -> tuple[Relation, ...]:
        """All relations that a reference can start from or lead to."""
        return (*self.relations, *self.outside)

    @property
    def column_enums(self) -> list[Type]:
        """The enums whose values columns hold, sorted by their name in this schema."""
        columns = [column for relation in self.relations for column in relation.columns]
        used = {column.enum for column in columns if column.enum}
        return sorted(used, key=lambda enum: enum.name_in(self.name))


def read(connection: Connection, name: str, *, views: bool = True) -> Schema:
    """Return a schema, with or without its views. Reads only.

    Raises UsageError if there is no such schema, or no relation in it.
    """
    kinds = [*_TABLE_KINDS, *(_VIEW_KINDS if views else [])]
    with connection.transaction():
        # The query expects the names and expressions that the catalog shows under this path.
        connection.execute("set transaction read only; set local search_path = pg_catalog, pg_temp")
        row = connection.execute(
            query("generate/schema"), {"schema": name, "kinds": kinds}
        ).fetchone()
    schemas, relations, references, types = row or ([], [], [], {})
    if name not in schemas and not relations:
        raise UsageError(
            f"There is no schema {name!r} in the database",
            hint=f"Existing schemas: {', '.join(schemas)}.",
        )
    if not relations:
        raise UsageError(
            f"There is no table in schema {name!r}",
            hint="Apply the migrations first: python -m runner apply\n"
            "Or name another schema: --schema NAME.",
        )
    reader = _Reader(types)
    own = {row["name"] for row in relations}
    found = tuple(_reference(row, name, own) for row in references)
    outside = sorted({reference.to for reference in found} - own)
    return Schema(
        name,
        tuple(
            Relation(row["name"], row["comment"], reader.columns(row, is_table=not row["is_view"]))
            for row in relations
        ),
        found,
        reader.of_kind("enum", name),
        reader.of_kind("composite", name),
        tuple(Relation(to, "A table of another schema.", (), outside=True) for to in outside),
    )


def _reference(row: _Row, schema: str, own: set[str]) -> Reference:
    to, to_schema = row["to"], row["to_schema"]
    if to_schema != schema:
        qualified = f"{to_schema}.{to}"
        to = f'{to_schema}."{to}"' if qualified in own else qualified
    return Reference(
        row["table"],
        tuple(row["columns"]),
        to,
        tuple(row["to_columns"]),
        row["optional"],
        row["single"],
    )


class _Reader:
    """Build types and columns from the rows of the query."""

    def __init__(self, rows: Mapping[str, _Row]) -> None:
        self._rows = rows  # by oid
        self._types: dict[str, Type] = {}

    def of_kind(self, kind: str, schema: str) -> tuple[Type, ...]:
        """Return the types of one kind by name, those of the schema first."""
        found = [self.type(oid) for oid, row in self._rows.items() if row["kind"] == kind]
        return tuple(sorted(found, key=lambda t: (t.schema != schema, t.schema, t.name)))

    def columns(self, row: _Row, *, is_table: bool) -> tuple[Column, ...]:
        """Return the columns of a relation or composite type; only tables exclude null."""
        return tuple(
            Column(
                column["name"],
                type_,
                declared_type=_short(column["declared_type"]),
                comment=column["comment"],
                not_null=column["not_null"],
                nullable=not (is_table and (column["enforced"] or _forbids_null(type_))),
                is_object=is_table and column["object"],
                primary=column["primary"],
                unique=column["unique"],
                refers=column["refers"],
            )
            for column in row["columns"]
            for type_ in (self.type(column["type"]),)
        )

    def type(self, oid: str) -> Type:
        """Return a type with the types that it consists of."""
        if oid not in self._types:
            row = self._rows[oid]
            self._types[oid] = Type(
                row["kind"],
                row["schema"],
                row["name"],
                row["qualified"],
                row["comment"],
                self.type(row["of"]) if row["of"] else None,
                row["not_null"],
                tuple(row["labels"]),
                self.columns(row, is_table=False),
            )
        return self._types[oid]


def _forbids_null(type_: Type) -> bool:
    """Return whether a type is a not-null domain, or a domain over one."""
    while type_.kind == "domain" and type_.of:
        if type_.not_null:
            return True
        type_ = type_.of
    return False


def _short(name: str) -> str:
    """Return a type's name with PostgreSQL's short names for the long ones of the standard."""
    zoned = _PRECISE.sub(
        lambda match: f"{match[1]}{'tz' if match[3] == 'with' else ''}{match[2]}", name
    )
    return _LONG.sub(lambda match: _SHORT[match[0]], zoned)
