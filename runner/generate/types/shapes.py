"""What the rows of a schema look like, as its catalog says."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.errors import UsageError
from runner.generate.types.names import class_name, free, singular
from runner.postgres.connection import Connection
from runner.queries import query

_Row = dict[str, Any]  # an object of the JSON that the query returns

# What a class of a written file cannot be called: the file uses these names itself.
_RESERVED = {
    *(word for word in keyword.kwlist if word[0].isupper()),
    *("Any", "NamedTuple", "Decimal", "UUID", "StrEnum", "LookupError", "Json", "JsonObject"),
    *("IPv4Address", "IPv6Address", "IPv4Interface", "IPv6Interface", "IPv4Network", "IPv6Network"),
    *("Connection", "EnumInfo", "CompositeInfo", "Range", "Multirange"),
}


@dataclass(frozen=True)
class Type:
    """A type of PostgreSQL. Enums and composites have a class of their own in a written file."""

    kind: Literal["base", "array", "domain", "enum", "composite"]
    schema: str
    name: str
    qualified: str = ""  # as SQL takes it, quoted where it has to be
    class_name: str = ""
    comment: str = ""
    of: Type | None = None  # the elements of an array, what a domain is made from
    not_null: bool = False  # a domain's
    labels: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Column:
    """A column of a relation, or a part of a composite type."""

    name: str
    type: Type
    nullable: bool = True
    comment: str = ""
    is_object: bool = False  # a check holds the JSON in it to be an object


@dataclass(frozen=True)
class Relation:
    """A table, view or materialized view."""

    class_name: str
    comment: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Schema:
    """All of a schema that has rows, and the types that need a class of their own."""

    name: str
    relations: tuple[Relation, ...]
    enums: tuple[Type, ...] = ()
    composites: tuple[Type, ...] = ()


def read(connection: Connection, name: str) -> Schema:
    """Return the shape of a schema. Raises UsageError when there is none, or no table in it."""
    with connection.transaction():
        # Expressions in the catalog are then shown as the query expects them.
        connection.execute("set transaction read only; set local search_path = pg_catalog, pg_temp")
        row = connection.execute(query("generate/row_types"), {"schema": name}).fetchone()
    schemas, relations, types = row or ([], [], {})
    if name not in schemas and not relations:
        raise UsageError(
            f"There is no schema {name!r} in the database",
            hint=f"There are: {', '.join(schemas)}. Nothing was written.",
        )
    if not relations:
        raise UsageError(
            f"There is no table in schema {name!r}",
            hint="Apply the migrations first: python -m runner apply\n"
            "Or name another schema: --schema NAME. Nothing was written.",
        )
    return _schema(name, relations, types)


def _schema(name: str, relations: list[_Row], types: Mapping[str, _Row]) -> Schema:
    """Put together what the query returned; give each class its name on the way."""
    # A class that is called like a column could not be named in the class of that column.
    rows = (*relations, *types.values())
    taken = _RESERVED | {column["name"] for row in rows for column in row["columns"]}
    named = [oid for oid, row in types.items() if row["kind"] in ("enum", "composite")]
    named.sort(key=lambda oid: _rank(name, types[oid]))
    reader = _Reader(types, {oid: _named(types[oid], taken) for oid in named})
    found = [reader.type(oid) for oid in named]
    return Schema(
        name,
        tuple(
            Relation(
                free((class_name([singular(row["name"])]), class_name([row["name"]])), taken),
                row["comment"] or "",
                reader.columns(row, is_table=not row["is_view"]),
            )
            for row in relations
        ),
        tuple(type_ for type_ in found if type_.kind == "enum"),
        tuple(type_ for type_ in found if type_.kind == "composite"),
    )


def _rank(schema: str, row: _Row) -> tuple[bool, str, str]:
    """The order of types: those of the schema first, for they get the plainer names."""
    return row["schema"] != schema, row["schema"], row["name"]


def _named(row: _Row, taken: set[str]) -> str:
    return free((class_name([row["name"]]), class_name([row["schema"], row["name"]])), taken)


class _Reader:
    """Makes types and columns of what the query returned."""

    def __init__(self, rows: Mapping[str, _Row], class_names: Mapping[str, str]) -> None:
        self._rows = rows
        self._class_names = class_names
        self._types: dict[str, Type] = {}

    def columns(self, row: dict[str, Any], *, is_table: bool) -> tuple[Column, ...]:
        """Return the columns; those of views and composites may always be null."""
        return tuple(
            Column(
                column["name"],
                type_,
                nullable=not (is_table and (column["not_null"] or _forbids_null(type_))),
                comment=column["comment"] or "",
                is_object=is_table and column["object"],
            )
            for column in row["columns"]
            for type_ in (self.type(column["type"]),)
        )

    def type(self, oid: str) -> Type:
        """Return a type with all that it is made of."""
        if oid not in self._types:
            row = self._rows[oid]
            self._types[oid] = Type(
                row["kind"],
                row["schema"],
                row["name"],
                row["qualified"],
                self._class_names.get(oid, ""),
                row["comment"] or "",
                self.type(row["of"]) if row["of"] else None,
                row["not_null"],
                tuple(row["labels"]),
                self.columns(row, is_table=False),
            )
        return self._types[oid]


def _forbids_null(type_: Type) -> bool:
    """Whether it is a domain that takes no null, or is made from one."""
    while type_.kind == "domain" and type_.of:
        if type_.not_null:
            return True
        type_ = type_.of
    return False
