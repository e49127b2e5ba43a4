"""Write a Python module: a frozen dataclass per relation, for psycopg's class_row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from runner.generate.schema_reader import Column, Relation, Schema, Type
from runner.generate.types.layout import WIDTH, commented, quoted, written_by
from runner.generate.types.names import class_names, field_name, free, member_name, part_name

_ADDRESS = "ipaddress.IPv4Address | ipaddress.IPv6Address"
_BOUNDS = {
    **dict.fromkeys(("int4", "int8"), "int"),
    "num": "decimal.Decimal",
    "date": "datetime.date",
    **dict.fromkeys(("ts", "tstz"), "datetime.datetime"),
}
# The classes that psycopg loads types of pg_catalog as; all others there are loaded as str.
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
    """Register the types of this module on a connection; otherwise they are loaded as text."""\
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
    records: tuple[Relation | Type, ...] = (*schema.composites, *schema.relations)
    classes = class_names(schema)
    fields = [_field_names(record, {*classes.values()}) for record in records]
    names = _Names(classes, {name for field_names in fields for name in field_names})
    sections = [
        *(_enum(type_, names) for type_ in schema.enums),
        *(_record(record, own, names) for record, own in zip(records, fields, strict=True)),
        *_register(schema, names),
    ]
    title = f"Rows of schema {schema.name}, for psycopg's class_row."
    head = _docstring(f"{title}\n\n{written_by(schema.name, 'python')}", "")
    pages = [[*head, "", *names.imports()], *sections]
    return "\n\n\n".join("\n".join(lines) for lines in pages) + "\n"


class _Names:
    """The names of the module's classes and imports; imports get names that no field has.

    In a class with a field `date`, the name would mean that field.
    """

    def __init__(self, classes: Mapping[Relation | Type, str], fields: set[str]) -> None:
        self.classes = classes
        self._fields = fields
        self._imported: set[tuple[str, str, str]] = set()  # module, name, local name

    def localized(self, annotation: str) -> str:
        """Return an annotation with local names for `module.name`, and import these."""
        return re.sub(r"(?:([\w.]+)\.)?(\w+)", self._local, annotation)

    def add(self, module: str, *names: str) -> None:
        """Import names that are not used inside a class."""
        self._imported |= {(module, name, name) for name in names}

    def imports(self) -> Iterator[str]:
        """Yield the import lines: of the standard library, then of psycopg."""
        yield "from __future__ import annotations"
        for standard in (True, False):
            modules = {m for m, *_ in self._imported if standard != m.startswith("psycopg")}
            yield from [""] if modules else []
            for module in sorted(modules):
                items = [
                    name if name == local else f"{name} as {local}"
                    for of, name, local in sorted(self._imported)
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
            self._imported.add((module, name, local))
        return local


def _enum(type_: Type, names: _Names) -> list[str]:
    names.add("enum", "StrEnum")
    taken: set[str] = set()
    members = [
        _line(f"    {free([member_name(label)], taken)} =", quoted(label)) for label in type_.labels
    ]
    return _class(f"class {names.classes[type_]}(StrEnum):", type_.comment, members)


def _field_names(record: Relation | Type, classes: set[str]) -> list[str]:
    """Return the names of the fields: those of the columns, where Python allows them."""
    rule = part_name if isinstance(record, Type) else field_name
    taken = classes | {c.name for c in record.columns if rule(c.name) == c.name}
    return [
        c.name if rule(c.name) == c.name else free([rule(c.name)], taken) for c in record.columns
    ]


def _record(record: Relation | Type, field_names: list[str], names: _Names) -> list[str]:
    """Return the class of a relation, or of a composite type, which psycopg reads as a tuple."""
    inside = isinstance(record, Type)
    pairs = zip(record.columns, field_names, strict=True)
    fields = [_field(column, name, names, inside=inside) for column, name in pairs]
    name = names.classes[record]
    if inside:
        names.add("typing", "NamedTuple")
        return _class(f"class {name}(NamedTuple):", record.comment, fields)
    names.add("dataclasses", "dataclass")
    lines = _class(f"class {name}:", record.comment, fields)
    return ["@dataclass(frozen=True, slots=True)", *lines]


def _class(head: str, comment: str, members: Iterable[list[str]]) -> list[str]:
    body = [line for lines in members for line in lines]
    docstring = _docstring(comment, "    ")
    gap = [""] if docstring and body else []
    return [head, *(docstring + gap + body or ["    pass"])]


def _field(column: Column, name: str, names: _Names, *, inside: bool) -> list[str]:
    type_ = "dict[str, typing.Any]"
    if not column.is_object:
        type_ = _type(column.type, names, inside=inside)
    remarks = []
    if name != column.name:
        fix = "" if inside else f': select it "as {name}"'
        remarks.append(f"No field can be named {quoted(column.name)}{fix}.")
    if not type_:
        remarks.append(f"psycopg does not know {column.type.qualified}: loaded as text.")
    annotation = names.localized(type_ or "typing.Any") + (" | None" if column.nullable else "")
    return [
        *(f"    # {line}" for remark in remarks for line in commented(remark, WIDTH - 6)),
        *_line(f"    {name}:", annotation),
        *_docstring(column.comment, "    "),
    ]


def _type(type_: Type, names: _Names, *, inside: bool = False) -> str:
    """Return the class that psycopg loads a type as; "" for unknown types, loaded as text.

    `inside` an array or a composite type, the server does not report the base type of a domain.
    """
    match type_:
        case Type(kind="enum" | "composite"):
            return names.classes[type_]
        case Type(kind="array", of=Type() as element):
            found = _type(element, names, inside=True)
            return f"list[{found}]" if found else ""
        case Type(kind="domain", of=Type() as base) if not inside:
            return _type(base, names)
        case Type(kind="base", schema="pg_catalog"):
            return _TYPES.get(type_.name, "str")
        case Type(kind="base", name="citext") if not inside:
            return "str"
    return ""


def _register(schema: Schema, names: _Names) -> Iterator[list[str]]:
    """Yield the dicts of enums and composite types, and the function that registers them."""
    if not (schema.enums or schema.composites):
        return
    names.add("typing", "Any")
    names.add("psycopg", "Connection")
    body = [_REGISTER]
    if schema.enums:
        names.add("psycopg.types.enum", "EnumInfo", "register_enum")
        body.append(_REGISTER_ENUMS)
        yield _dict("_ENUMS: dict[str, type[StrEnum]] = {", schema.enums, names)
    if schema.composites:
        names.add("psycopg.types.composite", "CompositeInfo", "register_composite")
        body.append(_REGISTER_COMPOSITES)
        yield _dict("_COMPOSITES: dict[str, type[Any]] = {", schema.composites, names)
    yield body


def _dict(head: str, types: Iterable[Type], names: _Names) -> list[str]:
    entries = [_line(f"    {quoted(t.qualified)}:", names.classes[t], ",") for t in types]
    return [head, *(line for lines in entries for line in lines), "}"]


def _docstring(text: str, indent: str) -> list[str]:
    """Return a docstring whose value is the text; no lines for an empty text."""
    lines = commented(text.replace("\\", r"\\"), WIDTH - len(indent) - 6)
    if not lines:
        return []
    # Never three quotes in a row, and no quote directly before the closing ones.
    lines = re.sub(r'"(?="|$)', r"\"", "\n".join(lines)).split("\n")
    end = '"""' if len(lines) == 1 else ""
    rest = [f"{indent}{line}".rstrip() for line in lines[1:]]
    return [f'{indent}"""{lines[0]}{end}', *rest, *([] if end else [f'{indent}"""'])]


def _line(head: str, value: str, end: str = "") -> list[str]:
    """Return a line of a class or dict, broken inside parentheses if it is too long."""
    line = f"{head} {value}{end}"
    return [line] if len(line) <= WIDTH else [f"{head} (", f"        {value}", f"    ){end}"]
