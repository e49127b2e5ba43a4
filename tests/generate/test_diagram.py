"""Diagrams: what is drawn is what there is, under any name, and nothing lies on anything else."""

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
from runner.generate.diagram.schema import Column, Enum, Reference, Schema, Table, read

KEPT = ROOT / "docs" / "diagram.svg"
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
    return ET.fromstring(text)  # noqa: S314 - what we wrote ourselves


def texts(text: str) -> list[str]:
    """All that can be read or is told by the drawing, in its order, wherever it stands."""
    style = "{http://www.w3.org/2000/svg}style"
    return [node.text for node in tree(text).iter() if node.text and node.tag != style]


def drawn(schema: Schema) -> str:
    return drawing.draw(schema, layout.place(schema))


def column(name: str, *, type_: str = "text", refers: bool = False) -> Column:
    return Column(name, type_, None, False, False, False, refers, "")


def many(count: int) -> Schema:
    """So many tables, each referring to some before it by two columns, one to itself."""
    names = [f"table_{n}" for n in range(count)]
    references = [
        Reference(
            f"{n}_{to}", names[n], ("org", f"to_{to}"), names[to], ("org", "id"), n > 5, False
        )
        for n in range(1, count)
        for to in {n // 2, n // 3}
        if to != n
    ]
    references.append(Reference("own", names[1], ("id",), names[1], ("org",), True, True))
    tables = [
        Table(
            name,
            "",
            (column("org"), column("id"), *(column(f"to_{to}") for to in {n // 2, n // 3})),
        )
        for n, name in enumerate(names)
    ]
    return Schema("public", (*tables, Table("alone", "", ())), tuple(references), ())


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


def test_the_diagram_of_this_repository_is_the_one_that_is_kept(
    server: Server, template: str
) -> None:
    """Its words: where they stand is Graphviz's, whose next version may move them a little."""
    with server.database(of=template) as database, database.connect(autocommit=True) as conn:
        text = diagram.svg(conn)
        assert texts(text) == texts(KEPT.read_text("utf-8")), (
            "python -m runner diagram --out docs/diagram.svg"
        )
        assert diagram.svg(conn) == text


def test_every_table_column_reference_and_enum_is_drawn(database: Database) -> None:
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
    told = [word for word in words if re.fullmatch(r"\w+ \([\w, ]+\) refers to .*", word)]
    assert len(told) == len(references)
    assert "G0  G1  G2  G3  G4  G5  G6  G7  G8" in words


# --- any schema ---------------------------------------------------------------------------------


@one_server
def test_keys_types_nulls_and_ends_are_told_as_they_are(zoo: Database) -> None:
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


def test_nothing_lies_on_anything_else_and_every_line_ends_at_its_tables() -> None:
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


def test_a_name_fits_into_its_box_or_is_cut() -> None:
    """A monospaced font's letters are 0.6 em wide; a Chinese one is as wide as high."""
    for name in ("a", "a" * 63, "表" * 21, "a_table_of_some_length"):
        table = Table(name, "", (column(name, type_="varchar(99)"),))
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
    """What cannot be seen is told by its number."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


@given(names | nasty)
def test_any_name_comes_back_from_the_drawing_as_text(name: str) -> None:
    mood = Enum(name, name, (name, name))
    table = Table(name, name, (Column(name, name, name, True, True, True, True, name),))
    self_ = Reference(name, name, (name, name), name, (name, name), True, False)
    text = drawn(Schema(name, (table,), (self_,), (mood,)))
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
def test_no_name_gets_out_of_its_place_in_mermaid(name: str) -> None:
    mood = Enum(name, name, (name, name))
    table = Table(name, name, (Column(name, name, name, True, True, True, True, name),))
    self_ = Reference(name, name, (name, name), name, (name, name), True, False)
    text = mermaid_text.write(Schema(name, (table,), (self_,), (mood,)))
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) == 5
    for line in lines:
        assert LINE.fullmatch(line), line


@one_server
def test_a_schema_that_is_not_there_or_empty_is_named(empty_database: Database) -> None:
    with empty_database.connect(autocommit=True) as conn:
        with pytest.raises(UsageError, match="There is no schema 'nope'"):
            diagram.svg(conn, "nope")
        with pytest.raises(UsageError, match="There is no table in schema 'public'"):
            read(conn, "public")


@one_server
def test_without_graphviz_it_says_what_to_install_and_mermaid_still_works(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with database.connect(autocommit=True) as conn:
        with pytest.raises(UsageError, match="no Graphviz") as caught:
            diagram.svg(conn)
        assert "pip install" in caught.value.hint
        assert diagram.mermaid(conn).startswith("erDiagram\n")


# --- the command --------------------------------------------------------------------------------


@one_server
def test_the_command_draws_to_stdout_or_to_a_file(tmp_path: Path, database: Database) -> None:
    checkout = Checkout(tmp_path, database)
    said = checkout.runner("diagram")
    assert said.code == 0, said
    assert tree(said.out).tag.endswith("svg")
    assert checkout.runner("diagram", "--out", "a.svg").out == "written: a.svg\n"
    assert (checkout.folder / "a.svg").read_text("utf-8") == said.out
    assert checkout.runner("diagram", "--out", "a.svg").out == "unchanged: a.svg\n"
    said = checkout.runner("diagram", "--format", "mermaid", "--json")
    assert said.document["text"].startswith("erDiagram\n")
    assert checkout.runner("diagram", "--schema", "nope").code == 64
    assert checkout.runner("diagram", "--format", "png").code == 64
