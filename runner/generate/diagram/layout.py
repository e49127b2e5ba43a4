"""Place the boxes and lines of a diagram with Graphviz, by the references alone.

Graphviz is part of pygraphviz's wheel. It gets sizes and numbers, and no name of the schema.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import Any

from runner.errors import UsageError
from runner.generate.schema_reader import Column, Reference, Relation, Schema, Type

CHARACTER = 7.3  # width in px of one at 12 px, enough for any common monospaced font
ROW, HEAD, PAD, GAP = 21, 30, 12, 28
LONGEST = 40  # characters of a name or type that are shown
MARKS = 38  # width of the column of key marks
STUB = 18.0  # distance of curves from a box: space for the symbols at their ends
_WIDEST = 1000  # of a row of boxes below the graph, unless the graph is wider

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """The position and size of a table or an enum, in px."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """A reference: a Bézier curve from the referenced table to the referring one."""

    reference: Reference
    start: Point  # at the box of the referenced table
    points: tuple[Point, ...]
    end: Point  # at the box of the referring table


@dataclass(frozen=True)
class Placement:
    """The positions of all elements, and the size of the drawing, in px."""

    width: float
    height: float
    tables: tuple[Box, ...]
    enums: tuple[Box, ...]
    lines: tuple[Line, ...]


def place(schema: Schema) -> Placement:
    """Return the positions of all elements. Raises UsageError if Graphviz is not installed."""
    linked = {name for r in schema.references if r.table != r.to for name in (r.table, r.to)}
    boxes: dict[str, Box] = {}
    lines: list[Line] = []
    width = height = 0.0
    if linked:
        width, height, boxes, lines = _graph(schema, linked)
    rest = [table for table in schema.tables if table.name not in linked]
    enum_sizes = [enum_size(enum.name_in(schema.name), enum) for enum in schema.column_enums]
    sizes = [*(table_size(table) for table in rest), (0, 0), *enum_sizes]
    placed = _rows(sizes, top=height + GAP if linked else 0, widest=max(width, _WIDEST))
    boxes |= {table.name: box for table, box in zip(rest, placed, strict=False)}
    enums = placed[len(rest) + 1 :]
    by_name = {table.name: table for table in schema.tables}
    lines += [
        _loop(reference, by_name[reference.to], boxes[reference.to])
        for reference in schema.references
        if reference.table == reference.to
    ]
    margin = 2 * STUB if any(r.table == r.to for r in schema.references) else STUB
    return Placement(
        max(box.x + box.width for box in (*boxes.values(), *enums)) + margin,
        max(box.y + box.height for box in (*boxes.values(), *enums)),
        tuple(boxes[table.name] for table in schema.tables),
        tuple(enums),
        tuple(lines),
    )


def table_size(table: Relation) -> tuple[float, float]:
    """Return width and height of a table's box."""
    rows = [MARKS + text_width(c.name) + PAD + text_width(type_text(c)) for c in table.columns]
    width = max([text_width(table.name) * 1.1, 100, *rows]) + 2 * PAD
    return round(width), HEAD + ROW * len(table.columns)


def enum_size(name: str, enum: Type) -> tuple[float, float]:
    """Return width and height of an enum's box with this title."""
    lines = enum_lines(enum)
    width = max([text_width(name) * 1.1, *(text_width(line) for line in lines)])
    return round(width + 2 * PAD), HEAD + ROW * len(lines)


def enum_lines(enum: Type) -> list[str]:
    """Return the labels of an enum as lines; short labels share a line."""
    lines = [""]
    for text in map(cut, enum.labels):
        line = f"{lines[-1]}  {text}".strip()
        lines[-1:] = [line] if len(line) <= LONGEST else [lines[-1], text]
    return [line for line in lines if line]


def label(reference: Reference) -> str:
    """Return the label of a line."""
    return ", ".join(reference.columns)


def type_text(column: Column) -> str:
    """Return the text to the right of a column's name."""
    return cut(column.declared_type) + ("" if column.not_null else " null")


def cut(text: str) -> str:
    """Return a text, shortened to LONGEST characters."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def text_width(text: str) -> float:
    """Return the width of the shortened text in px, in a monospaced font."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in cut(text))
    return CHARACTER * (len(cut(text)) + wide)


def _graph(schema: Schema, linked: set[str]) -> tuple[float, float, dict[str, Box], list[Line]]:
    """Return Graphviz's layout of the tables that references link: size, boxes, lines."""
    graph = _new_graph(schema)
    tables = {t.name: (f"t{n}", t) for n, t in enumerate(schema.tables) if t.name in linked}
    for id_, table in tables.values():
        graph.add_node(id_, label=_cells(table))
    for number, reference in enumerate(schema.references):
        if reference.table == reference.to:
            continue
        (tail, to), (head, from_) = tables[reference.to], tables[reference.table]
        graph.add_edge(
            tail,
            head,
            id=str(number),
            tailport=_port(to, reference.to_columns, "e"),
            headport=_port(from_, reference.columns, "w"),
        )
    drawn: dict[str, Any] = json.loads(graph.draw(format="json0", prog="dot"))
    _, _, width, height = map(float, drawn["bb"].split(","))

    def point(text: str) -> Point:
        x, y = map(float, text.split(",")[-2:])
        return x, height - y

    boxes = {}
    named = dict(tables.values())
    for node in drawn["objects"]:
        table = named[node["name"]]
        (x, y), (w, h) = point(node["pos"]), table_size(table)
        boxes[table.name] = Box(x - w / 2, y - h / 2, w, h)
    lines = {}
    for edge in drawn["edges"]:
        number = int(edge["id"])
        reference = schema.references[number]
        points = tuple(point(pair) for pair in edge["pos"].split())
        lines[number] = Line(
            reference,
            _border(boxes[reference.to], points[0]),
            points,
            _border(boxes[reference.table], points[-1]),
        )
    return width, height, boxes, [line for _, line in sorted(lines.items())]


def _border(box: Box, point: Point) -> Point:
    """Return the point on the border of a box next to the end of a line."""
    x, y = point
    return box.x + (box.width if x > box.x + box.width / 2 else 0), y


def _loop(reference: Reference, table: Relation, box: Box) -> Line:
    """Return the line of a table that refers to itself: to the right, from row to row."""
    x = box.x + box.width
    tops = [_row(table, columns) for columns in (reference.to_columns, reference.columns)]
    start, end = ((x, box.y + HEAD + ROW * (row + 0.5)) for row in tops)
    out = x + STUB
    points = ((out, start[1]), (out + STUB, start[1]), (out + STUB, end[1]), (out, end[1]))
    return Line(reference, start, points, end)


def _new_graph(schema: Schema) -> Any:
    try:
        import pygraphviz  # noqa: PLC0415 - an optional dependency, for SVG only
    except ImportError as error:
        raise UsageError(
            f"Graphviz, which lays out the diagram, is not installed: {error}",
            hint="Install it: python -m pip install 'plain-sql-foundation[diagram]'\n"
            "Or use Mermaid: python -m runner diagram --format mermaid",
        ) from None
    labels = [text_width(label(r)) for r in schema.references if len(r.columns) > 1]
    between = min(max([50, *labels]), 200) + 2
    graph = pygraphviz.AGraph(
        strict=False, directed=True, rankdir="LR", nodesep=0.45, ranksep=between / 72, pack="20"
    )
    graph.node_attr["shape"] = "plain"
    graph.edge_attr["arrowhead"] = "none"
    return graph


def _cells(table: Relation) -> str:
    """Return a Graphviz label as large as the box, with a row for each column."""
    width = table_size(table)[0] + 2 * STUB
    heights = {-1: HEAD, **dict.fromkeys(range(len(table.columns)), ROW)}
    rows = [_cell(width, height, f"c{number}") for number, height in heights.items()]
    cells = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<<table border='0' cellborder='0' cellspacing='0' cellpadding='0'>{cells}</table>>"


def _cell(width: float, height: float, port: str) -> str:
    return f"<td port='{port}' fixedsize='true' width='{width:.0f}' height='{height}'></td>"


def _port(table: Relation, columns: tuple[str, ...], side: str) -> str:
    """Return where a line ends: at a row, on the side Graphviz prefers; else at the head."""
    return f"c{_row(table, columns)}:{'_' if table.columns else side}"


def _row(table: Relation, columns: tuple[str, ...]) -> int:
    """Return the number of the row at which a reference ends; -1, the head, without columns.

    It is the last column's: the first ones, such as the tenant, are often shared by references.
    """
    names = [column.name for column in table.columns]
    return names.index(columns[-1]) if columns[-1] in names else -1


def _rows(sizes: list[tuple[float, float]], *, top: float, widest: float) -> list[Box]:
    """Return boxes placed side by side, in rows; an empty one starts a new row."""
    boxes = []
    x, bottom = STUB, top
    for width, height in sizes:
        if x > STUB and (not width or x + width > widest):
            x, top = STUB, bottom + GAP
        boxes.append(Box(x, top, width, height))
        if width:
            x, bottom = x + width + STUB + GAP, max(bottom, top + height)
    return boxes
