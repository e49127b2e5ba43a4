"""Write TypeScript: an interface per relation, as PostgREST and supabase-js return its rows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from runner.generate.schema_reader import Column, Relation, Schema, Type
from runner.generate.types.layout import WIDTH, commented, written_by
from runner.generate.types.names import class_names

_Classes = Mapping[Relation | Type, str]

# The types of pg_catalog that JSON has a type for; all others there become strings.
_TYPES = {
    "bool": "boolean",
    **dict.fromkeys(("int2", "int4", "int8", "float4", "float8", "numeric"), "number"),
    **dict.fromkeys(("json", "jsonb"), "Json"),
}
_JSON = """\
export type Json = string | number | boolean | null | Json[] | JsonObject;

export interface JsonObject {
  [key: string]: Json;
}\
"""


def write(schema: Schema) -> str:
    """Return the text of the module."""
    classes = class_names(schema)
    records: tuple[Relation | Type, ...] = (*schema.composites, *schema.relations)
    interfaces = [_interface(record, classes) for record in records]
    title = f"Rows of schema {schema.name}, as PostgREST and supabase-js give them."
    pages = [
        _comment(f"{title}\n\n{written_by(schema.name, 'typescript')}", ""),
        *([[_JSON]] if any("Json" in line for lines in interfaces for line in lines) else []),
        *(_enum(type_, classes[type_]) for type_ in schema.enums),
        *interfaces,
    ]
    return "\n\n".join("\n".join(lines) for lines in pages) + "\n"


def _enum(type_: Type, name: str) -> list[str]:
    head = f"export type {name} ="
    labels = [_quoted(label) for label in type_.labels] or ["never"]
    line = f"{head} {' | '.join(labels)};"
    if len(line) > WIDTH:
        line = "\n".join([head, *(f"  | {label}" for label in labels)]) + ";"
    return [*_comment(type_.comment, ""), line]


def _interface(record: Relation | Type, classes: _Classes) -> list[str]:
    fields = [line for column in record.columns for line in _field(column, classes)]
    head = f"export interface {classes[record]} {{"
    return [*_comment(record.comment, ""), head, *fields, "}"]


def _field(column: Column, classes: _Classes) -> list[str]:
    plain = re.fullmatch(r"[A-Za-z_]\w*", column.name, re.ASCII)
    name = column.name if plain else _quoted(column.name)
    type_ = "JsonObject" if column.is_object else _type(column.type, classes)
    null = " | null" if column.nullable and type_ != "unknown" else ""
    return [*_comment(column.comment, "  "), f"  {name}: {type_}{null};"]


def _type(type_: Type, classes: _Classes) -> str:
    match type_:
        case Type(kind="enum" | "composite"):
            return classes[type_]
        case Type(kind="array", of=Type() as element):
            return f"{_type(element, classes)}[]"
        case Type(kind="domain", of=Type() as base):
            return _type(base, classes)
        case Type(kind="base", schema="pg_catalog"):
            return _TYPES.get(type_.name, "string")
        case Type(kind="base", name="citext"):
            return "string"
    return "unknown"


def _comment(text: str, indent: str) -> list[str]:
    lines = commented(text.replace("*/", r"*\/"), WIDTH - len(indent) - 7)
    if len(lines) < 2:
        return [f"{indent}/** {line} */" for line in lines]
    middle = [f"{indent} * {line}".rstrip() for line in lines]
    return [f"{indent}/**", *middle, f"{indent} */"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())
