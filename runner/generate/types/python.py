"""A schema as a Python module: a frozen dataclass per table, for psycopg's class_row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from runner.generate.types.layout import WIDTH, commented, quoted, written_by
from runner.generate.types.names import field_name, free, member_name, part_name
from runner.generate.types.shapes import Column, Relation, Schema, Type

_ADDRESS = "ipaddress.IPv4Address | ipaddress.IPv6Address"
_BOUNDS = {
    **dict.fromkeys(("int4", "int8"), "int"),
    "num": "decimal.Decimal",
    "date": "datetime.date",
    **dict.fromkeys(("ts", "tstz"), "datetime.datetime"),
}
# What psycopg makes of the types of pg_catalog; of the others there it makes str.
_TYPES = {
    "bool": "bool",
    **dict.fromkeys(("int2", "int4", "int8", "oid"), "int"),
    **dict.fromkeys(("float4", "float8"), "float"),
    "numeric": "decimal.Decimal",
    "bytea": "bytes",
    "uuid": "uuid.UUID",
    "date": "datetime.date",
    **dict.fromkeys(("time", "timetz"), "datetime.time"),
    **dict.fromkeys(("timestamp", "timestamptz"), "datetime.datetime"),
    "interval": "datetime.timedelta",
    **dict.fromkeys(("json", "jsonb"), "typing.Any"),
    "inet": f"{_ADDRESS} | ipaddress.IPv4Interface | ipaddress.IPv6Interface",
    "cidr": "ipaddress.IPv4Network | ipaddress.IPv6Network",
    **{f"{n}range": f"psycopg.types.range.Range[{b}]" for n, b in _BOUNDS.items()},
    **{f"{n}multirange": f"psycopg.types.multirange.Multirange[{b}]" for n, b in _BOUNDS.items()},
}
_REGISTER = '''\
def register(connection: Connection[Any]) -> None:
    """Teach psycopg the types of this module, on this connection; else they come as text."""\
'''
_REGISTER_ENUMS = """\
    for name, enum in _ENUMS.items():
        info = EnumInfo.fetch(connection, name)
        if info is None:
            raise LookupError(f"The database has no enum {name}")
        register_enum(info, connection, enum, mapping={member: member.value for member in enum})\
"""
_REGISTER_COMPOSITES = """\
    for name, factory in _COMPOSITES.items():
        composite = CompositeInfo.fetch(connection, name)
        if composite is None:
            raise LookupError(f"The database has no composite type {name}")
        register_composite(composite, connection, factory)\
"""


def write(schema: Schema) -> str:
    """Return the text of the module."""
    shapes: tuple[Relation | Type, ...] = (*schema.composites, *schema.relations)
    classes = {shape.class_name for shape in (*schema.enums, *shapes)}
    fields = [_field_names(shape, classes) for shape in shapes]
    names = _Names({name for called in fields for name in called})
    sections = [
        *(_enum(type_, names) for type_ in schema.enums),
        *(_record(shape, called, names) for shape, called in zip(shapes, fields, strict=True)),
        *_register(schema, names),
    ]
    title = f"Rows of schema {schema.name}, for psycopg's class_row."
    head = _docstring(f"{title}\n\n{written_by(schema.name, 'python')}", "")
    pages = [[*head, "", *names.imports()], *sections]
    return "\n\n\n".join("\n".join(lines) for lines in pages) + "\n"


class _Names:
    """What the module takes from elsewhere, under names that no field has.

    In a class with a field `date`, the word would mean that field.
    """

    def __init__(self, fields: set[str]) -> None:
        self._fields = fields
        self._taken: set[tuple[str, str, str]] = set()

    def spelled(self, template: str) -> str:
        """Return an annotation in which each name stands with its module, as the module has it."""
        return re.sub(r"(?:([\w.]+)\.)?(\w+)", self._local, template)

    def take(self, module: str, *names: str) -> None:
        """Import what is not used inside a class."""
        self._taken |= {(module, name, name) for name in names}

    def imports(self) -> Iterator[str]:
        """Return the lines that import what was taken: the standard library's, then psycopg's."""
        yield "from __future__ import annotations"
        for ours in (True, False):
            modules = {m for m, *_ in self._taken if ours != m.startswith("psycopg")}
            yield from [""] if modules else []
            for module in sorted(modules):
                items = [
                    name if name == local else f"{name} as {local}"
                    for of, name, local in sorted(self._taken)
                    if of == module
                ]
                line = f"from {module} import {', '.join(items)}"
                if len(line) <= WIDTH:
                    yield line
                else:
                    yield from (f"from {module} import (", *(f"    {i}," for i in items), ")")

    def _local(self, match: re.Match[str]) -> str:
        module, name = match[1] or "builtins", match[2]
        local = name
        while local in self._fields:
            local += "_"
        if (module, local) != ("builtins", name):
            self._taken.add((module, name, local))
        return local


def _enum(type_: Type, names: _Names) -> list[str]:
    names.take("enum", "StrEnum")
    taken: set[str] = set()
    members = [
        _line(f"    {free([member_name(label)], taken)} =", quoted(label)) for label in type_.labels
    ]
    return _class(f"class {type_.class_name}(StrEnum):", type_.comment, members)


def _field_names(shape: Relation | Type, classes: set[str]) -> list[str]:
    """Return what the fields are called: like their columns, where Python lets them."""
    rule = part_name if isinstance(shape, Type) else field_name
    taken = classes | {c.name for c in shape.columns if rule(c.name) == c.name}
    return [
        c.name if rule(c.name) == c.name else free([rule(c.name)], taken) for c in shape.columns
    ]


def _record(shape: Relation | Type, called: list[str], names: _Names) -> list[str]:
    """Return the class of a relation, or of a composite, which psycopg takes for a tuple."""
    inside = isinstance(shape, Type)
    pairs = zip(shape.columns, called, strict=True)
    fields = [_field(column, name, names, inside=inside) for column, name in pairs]
    if inside:
        names.take("typing", "NamedTuple")
        return _class(f"class {shape.class_name}(NamedTuple):", shape.comment, fields)
    names.take("dataclasses", "dataclass")
    lines = _class(f"class {shape.class_name}:", shape.comment, fields)
    return ["@dataclass(frozen=True, slots=True)", *lines]


def _class(head: str, comment: str, members: Iterable[list[str]]) -> list[str]:
    body = [line for lines in members for line in lines]
    docstring = _docstring(comment, "    ")
    gap = [""] if docstring and body else []
    return [head, *(docstring + gap + body or ["    pass"])]


def _field(column: Column, name: str, names: _Names, *, inside: bool) -> list[str]:
    type_ = "dict[str, typing.Any]" if column.is_object else _type(column.type, inside=inside)
    remarks = []
    if name != column.name:
        fix = "" if inside else f': select it "as {name}"'
        remarks.append(f"No field can be called {quoted(column.name)}{fix}.")
    if not type_:
        remarks.append(f"psycopg does not know {column.type.qualified}: it comes as text.")
    annotation = names.spelled(type_ or "typing.Any") + (" | None" if column.nullable else "")
    return [
        *(f"    # {line}" for remark in remarks for line in commented(remark, WIDTH - 6)),
        *_line(f"    {name}:", annotation),
        *_docstring(column.comment, "    "),
    ]


def _type(type_: Type, *, inside: bool = False) -> str:
    """Return what psycopg makes of a type, or "" when it makes text of it for want of knowledge.

    `inside` an array or a composite the server does not say what a domain is made from.
    """
    match type_:
        case Type(kind="enum" | "composite"):
            return type_.class_name
        case Type(kind="array", of=Type() as element):
            found = _type(element, inside=True)
            return f"list[{found}]" if found else ""
        case Type(kind="domain", of=Type() as base) if not inside:
            return _type(base)
        case Type(kind="base", schema="pg_catalog"):
            return _TYPES.get(type_.name, "str")
        case Type(kind="base", name="citext") if not inside:
            return "str"
    return ""


def _register(schema: Schema, names: _Names) -> Iterator[list[str]]:
    """Yield the tables of enums and composites, and the function that makes psycopg know them."""
    if not (schema.enums or schema.composites):
        return
    names.take("typing", "Any")
    names.take("psycopg", "Connection")
    body = [_REGISTER]
    if schema.enums:
        names.take("psycopg.types.enum", "EnumInfo", "register_enum")
        body.append(_REGISTER_ENUMS)
        yield _table("_ENUMS: dict[str, type[StrEnum]] = {", schema.enums)
    if schema.composites:
        names.take("psycopg.types.composite", "CompositeInfo", "register_composite")
        body.append(_REGISTER_COMPOSITES)
        yield _table("_COMPOSITES: dict[str, type[Any]] = {", schema.composites)
    yield body


def _table(head: str, types: Iterable[Type]) -> list[str]:
    entries = [_line(f"    {quoted(type_.qualified)}:", type_.class_name, ",") for type_ in types]
    return [head, *(line for lines in entries for line in lines), "}"]


def _docstring(text: str, indent: str) -> list[str]:
    """Return a docstring whose value is the text; no line at all when there is none."""
    room = WIDTH - len(indent) - 6
    lines = commented(text.replace("\\", r"\\"), room)
    if not lines:
        return []
    # Never three quotes in a row, nor one before those that end it.
    lines = re.sub(r'"(?="|$)', r"\"", "\n".join(lines)).split("\n")
    end = '"""' if len(lines) == 1 else ""
    rest = [f"{indent}{line}".rstrip() for line in lines[1:]]
    return [f'{indent}"""{lines[0]}{end}', *rest, *([] if end else [f'{indent}"""'])]


def _line(head: str, value: str, end: str = "") -> list[str]:
    """Return a line of a class or table, broken in brackets where it is too long."""
    line = f"{head} {value}{end}"
    return [line] if len(line) <= WIDTH else [f"{head} (", f"        {value}", f"    ){end}"]
