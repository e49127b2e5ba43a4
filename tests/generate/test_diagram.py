"""Diagrams show the whole schema, under any name, and their elements do not overlap."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from itertools import combinations, product
from pathlib import Path

import pytest
from checkout import ROOT, Checkout
from conftest import Database, Server, one_server
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.generate import diagram
from runner.generate.diagram import drawing, labels, layout, mermaid_text
from runner.generate.diagram.layout import Box
from runner.generate.schema_reader import Column, Reference, Relation, Schema, Type

COMMITTED = ROOT / "docs" / "diagram.svg"
ZOO = """
    create schema far; create table far.away (id int primary key);
    create type far.mood as enum ('far');
    create type mood as enum ('so-so', '', '<b>');
    create table parents (
        a int, b int, m mood[] not null, f far.mood, at timestamp(3) with time zone not null,
        price numeric(6, 2), primary key (a, b)
    );
    comment on table parents is 'Both & "more".';
    create table children (
        a int not null, b int not null, id int unique, up int references children (id),
        away int not null references far.away, sole int unique references children (id),
        constraint children_parents_fkey foreign key (a, b) references parents
    );
    create unique index on children (a) where b > 0;
    create table parted (id int, n int not null, primary key (id)) partition by range (id);
    create table part partition of parted for values from (1) to (2);
    create table alone (parted int references parted);
    create view seen as select * from parents;
"""


def tree(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own output


def texts(text: str) -> list[str]:
    """Return all text and tooltips of the drawing in document order, without positions."""
    style = "{http://www.w3.org/2000/svg}style"
    return [node.text for node in tree(text).iter() if node.text and node.tag != style]


def drawn(schema: Schema) -> str:
    return drawing.draw(schema, layout.place(schema))


def column(name: str, declared_type: str = "text") -> Column:
    return Column(name, Type("base", "pg_catalog", "text"), declared_type, not_null=True)


def self_referring(name: str) -> Schema:
    """A schema in which all that has a name or a comment has this one."""
    mood = Type("enum", name, name, comment=name, labels=(name, name))
    column = Column(name, mood, name, comment=name, primary=True, unique=True, refers=True)
    reference = Reference(name, (name, name), name, (name, name), True, False)
    return Schema(name, (Relation(name, name, (column,)),), (reference,))


def many(count: int) -> Schema:
    """Return tables that refer to earlier ones by two columns, and one that refers to itself."""
    names = [f"table_{n}" for n in range(count)]
    references = [
        Reference(names[n], ("org", f"to_{to}"), names[to], ("org", "id"), n > 5, False)
        for n in range(1, count)
        for to in {n // 2, n // 3}
        if to != n
    ]
    references.append(Reference(names[1], ("id",), names[1], ("org",), True, True))
    tables = [
        Relation(
            name,
            "",
            (column("org"), column("id"), *(column(f"to_{to}") for to in {n // 2, n // 3})),
        )
        for n, name in enumerate(names)
    ]
    return Schema("public", (*tables, Relation("alone", "", ())), tuple(references))


def apart(one: Box, other: Box) -> bool:
    return (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )


@pytest.fixture
def zoo(empty_database: Database) -> Database:
    with empty_database.connect(autocommit=True) as conn:
        conn.execute(ZOO.encode())
    return empty_database


# --- the schema of this repository --------------------------------------------------------------


def test_committed_diagram_is_current(server: Server, template: str) -> None:
    """Compare the text only: positions may differ slightly between versions of Graphviz."""
    with server.database(of=template) as database, database.connect(autocommit=True) as conn:
        text = diagram.svg(conn)
        assert texts(text) == texts(COMMITTED.read_text("utf-8")), (
            "python -m runner diagram --out docs/diagram.svg"
        )
        assert diagram.svg(conn) == text


def test_svg_shows_every_table_column_reference_and_enum(database: Database) -> None:
    with database.connect(autocommit=True) as conn:
        words = texts(diagram.svg(conn))
        columns = conn.execute(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'public'"
        ).fetchall()
        references = conn.execute(
            "select conrelid::regclass::text from pg_constraint where contype = 'f'"
            " and connamespace = 'public'::regnamespace"
        ).fetchall()
    assert len(columns) > 40
    for name in {word for pair in columns for word in pair}:
        assert name in words, name
    tooltips = [word for word in words if re.fullmatch(r"\w+ \([\w, ]+\) refers to .*", word)]
    assert len(tooltips) == len(references)
    assert "G0  G1  G2  G3  G4  G5  G6  G7  G8" in words


# --- any schema ---------------------------------------------------------------------------------


@one_server
def test_keys_types_nulls_and_cardinalities_match_the_catalog(zoo: Database) -> None:
    with zoo.connect(autocommit=True) as conn:
        text = diagram.mermaid(conn)
        svg = diagram.svg(conn)
    assert text.splitlines() == [
        "erDiagram",
        '    "alone" {',
        '        integer parted FK "null"',
        "    }",
        '    "children" {',
        "        integer a FK",
        "        integer b FK",
        '        integer id UK "null"',
        '        integer up FK "null"',
        "        integer away FK",
        '        integer sole UK, FK "null"',
        "    }",
        '    "parents" {',
        "        integer a PK",
        "        integer b PK",
        '        mood[] m "so-so, , #60;b#62;"',
        '        far.mood f "null#59; far"',
        "        timestamptz(3) at",
        '        numeric(6,2) price "null"',
        "    }",
        '    "parted" {',
        "        integer id PK",
        "        integer n",
        "    }",
        '    "far.away" {',
        "    }",
        '    "parted" |o--o{ "alone" : "parted"',
        '    "far.away" ||--o{ "children" : "away"',
        '    "parents" ||--o{ "children" : "a, b"',
        '    "children" |o--o| "children" : "sole"',
        '    "children" |o--o{ "children" : "up"',
    ]
    words = texts(svg)
    assert 'parents\nBoth & "more".' in words
    assert "at timestamptz(3) not null" in words
    assert "a integer not null, primary key" in words
    assert "children (a, b) refers to parents (a, b)" in words
    assert "far.away" in words
    assert "seen" not in words
    assert "part" not in words


def test_elements_do_not_overlap_and_lines_end_at_their_tables() -> None:
    schema = many(60)
    placement = layout.place(schema)
    boxes = [*placement.tables, *placement.enums]
    assert all(apart(one, other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= placement.width
        assert box.y + box.height <= placement.height
    where = {t.name: box for t, box in zip(schema.tables, placement.tables, strict=True)}
    assert len(placement.lines) == len(schema.references)
    for line in placement.lines:
        ends = ((line.start, line.reference.to), (line.end, line.reference.table))
        for (x, y), name in ends:
            box = where[name]
            assert x in (box.x, box.x + box.width)
            assert box.y < y < box.y + box.height
        for x, _ in line.points:
            assert 0 <= x <= placement.width
    for (line, (x, y)), box in product(labels.place(placement), boxes):
        width = layout.text_width(layout.label(line.reference))
        assert apart(Box(x - width / 2, y - 5, width, 10), box), line.reference


def test_long_names_are_shortened_to_fit_their_box() -> None:
    """Letters of a monospaced font are 0.6 em wide, Chinese characters 1 em."""
    for name in ("a", "a" * 63, "表" * 21, "a_table_of_some_length"):
        table = Relation(name, "", (column(name, "varchar(99)"),))
        width, _ = layout.table_size(table)
        shown = layout.cut(name)
        assert len(shown) <= layout.LONGEST
        wide = sum(character >= "⺀" for character in shown)
        for size, more in ((13, 0), (12, layout.MARKS + 12 * 0.6 * len("varchar(99)"))):
            needed = size * (0.6 * (len(shown) - wide) + wide) + more + 2 * layout.PAD
            assert needed <= width + 1, (name, size)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
nasty = st.lists(
    st.sampled_from(['"', "'", "<", "]]>", "&amp;", "#59;", "%", "\n", "{", "}", "PK", "\u202e"]),
    min_size=1,
    max_size=8,
).map("".join)


def shown(text: str) -> str:
    """Return the text with escapes for characters that do not print."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


@given(names | nasty)
def test_any_name_round_trips_through_svg(name: str) -> None:
    text = drawn(self_referring(name))
    assert text.isascii()
    words = texts(text)
    assert words.count(shown(f"{name}\n{name}")) == 2
    assert shown(f"{name} ({name}, {name}) refers to {name} ({name}, {name})") in words
    tags = {node.tag.partition("}")[2] for node in tree(text).iter()}
    known = "svg title desc style rect g path circle text tspan"
    assert tags == set(known.split())


LINE = re.compile(
    r'erDiagram|    "[^"%\\\n]+" \{|    \}'
    r'|        [^\s"{}#%;`]+ [^\s"{}#%;`]+( (PK|UK|FK))?(, FK)?( "[^"%\\\n]+")?'
    r'|    "[^"%\\\n]+" \|[|o]--o[|{] "[^"%\\\n]+" : "[^"%\\\n]+"'
)


@given(names | nasty)
def test_any_name_is_escaped_in_mermaid(name: str) -> None:
    text = mermaid_text.write(self_referring(name))
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) == 5
    for line in lines:
        assert LINE.fullmatch(line), line


@one_server
def test_error_names_missing_or_empty_schema(empty_database: Database) -> None:
    with empty_database.connect(autocommit=True) as conn:
        with pytest.raises(UsageError, match="There is no schema 'nope'"):
            diagram.svg(conn, "nope")
        conn.execute("create view only_a_view as select 1 as n")
        with pytest.raises(UsageError, match="There is no table in schema 'public'"):
            diagram.mermaid(conn)


@one_server
def test_missing_graphviz_is_reported_and_mermaid_still_works(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with database.connect(autocommit=True) as conn:
        with pytest.raises(UsageError, match=r"Graphviz.* is not installed") as caught:
            diagram.svg(conn)
        assert "pip install" in caught.value.hint
        assert diagram.mermaid(conn).startswith("erDiagram\n")


# --- the command --------------------------------------------------------------------------------


@one_server
def test_diagram_command_writes_to_stdout_or_a_file(tmp_path: Path, database: Database) -> None:
    checkout = Checkout(tmp_path, database)
    result = checkout.runner("diagram")
    assert result.code == 0, result
    assert tree(result.out).tag.endswith("svg")
    assert checkout.runner("diagram", "--out", "a.svg").out == "written: a.svg\n"
    assert (checkout.folder / "a.svg").read_text("utf-8") == result.out
    assert checkout.runner("diagram", "--out", "a.svg").out == "unchanged: a.svg\n"
    result = checkout.runner("diagram", "--format", "mermaid", "--json")
    assert result.document["text"].startswith("erDiagram\n")
    assert checkout.runner("diagram", "--schema", "nope").code == 64
    assert checkout.runner("diagram", "--format", "png").code == 64
