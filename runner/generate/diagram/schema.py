"""What a diagram shows of a schema, as its catalog says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from runner.errors import UsageError
from runner.postgres.connection import Connection
from runner.queries import query

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
class Column:
    """A column of a table. `unique`: by itself; `refers`: it is in a reference."""

    name: str
    type: str
    enum: str | None
    nullable: bool
    primary: bool
    unique: bool
    refers: bool
    comment: str


@dataclass(frozen=True)
class Table:
    """A table; one of another schema, which is referred to, has no columns here."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    outside: bool = False


@dataclass(frozen=True)
class Reference:
    """A foreign key. `optional`: may refer to nothing; `single`: one row at most refers to one."""

    name: str
    table: str
    columns: tuple[str, ...]
    to: str
    to_columns: tuple[str, ...]
    optional: bool
    single: bool


@dataclass(frozen=True)
class Enum:
    """An enum that columns use."""

    name: str
    comment: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """All that a diagram shows."""

    name: str
    tables: tuple[Table, ...]
    references: tuple[Reference, ...]
    enums: tuple[Enum, ...]


def read(connection: Connection, name: str) -> Schema:
    """Return what there is to draw. Raises UsageError when there is no such schema, or no table."""
    with connection.transaction():
        # Types of the schema are then shown as the query expects them.
        connection.execute("set transaction read only; set local search_path = pg_catalog, pg_temp")
        row = connection.execute(query("generate/diagram"), {"schema": name}).fetchone()
    schemas, tables, references, enums = row or ([], [], [], [])
    if name not in schemas and not tables:
        raise UsageError(
            f"There is no schema {name!r} in the database",
            hint=f"There are: {', '.join(schemas)}. Nothing was drawn.",
        )
    if not tables:
        raise UsageError(
            f"There is no table in schema {name!r}",
            hint="Apply the migrations first: python -m runner apply\n"
            "Or name another schema: --schema NAME. Nothing was drawn.",
        )
    inside = {table["name"] for table in tables}
    drawn = tuple(_reference(row, name, inside) for row in references)
    outside = sorted({reference.to for reference in drawn} - inside)
    return Schema(
        name,
        (
            *(_table(table) for table in tables),
            *(Table(to, "A table of another schema.", (), outside=True) for to in outside),
        ),
        drawn,
        tuple(Enum(row["name"], row["comment"], tuple(row["labels"])) for row in enums),
    )


def _table(row: dict[str, Any]) -> Table:
    columns = (Column(**{**column, "type": _type(column["type"])}) for column in row["columns"])
    return Table(row["name"], row["comment"], tuple(columns))


def _reference(row: dict[str, Any], schema: str, inside: set[str]) -> Reference:
    to, to_schema = row["to"], row.pop("to_schema")
    if to_schema != schema:
        plain = f"{to_schema}.{to}"
        to = f'{to_schema}."{to}"' if plain in inside else plain
    columns, to_columns = tuple(row["columns"]), tuple(row["to_columns"])
    return Reference(**{**row, "to": to, "columns": columns, "to_columns": to_columns})


def _type(name: str) -> str:
    """Return a type's name as people write it."""
    zoned = _PRECISE.sub(
        lambda match: f"{match[1]}{'tz' if match[3] == 'with' else ''}{match[2]}", name
    )
    return _LONG.sub(lambda match: _SHORT[match[0]], zoned)
