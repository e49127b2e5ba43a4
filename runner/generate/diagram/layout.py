"""Where each box and line of a diagram goes: Graphviz decides, of the references alone.

Graphviz comes in pygraphviz's wheel. No name is handed to it, only sizes and numbers.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import Any

from runner.errors import UsageError
from runner.generate.diagram.schema import Column, Enum, Reference, Schema, Table

CHARACTER = 7.3  # the width of one, of 12 px, in whatever monospaced font there is
ROW, HEAD, PAD, GAP = 21, 30, 12, 28
LONGEST = 40  # characters of a name or type that are shown
MARKS = 38  # the width of the column of key marks
STUB = 18.0  # how far the curves keep from a box: room for what marks their ends
_WIDEST = 1000  # of a row of boxes below the graph, where the graph is not wider itself

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """Where a table or an enum is drawn."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """A reference: a Bézier curve from the table that is referred to."""

    reference: Reference
    start: Point  # at the box of the one
    points: tuple[Point, ...]
    end: Point  # at the box of the other


@dataclass(frozen=True)
class Placement:
    """A whole drawing."""

    width: float
    height: float
    tables: tuple[Box, ...]
    enums: tuple[Box, ...]
    lines: tuple[Line, ...]


def place(schema: Schema) -> Placement:
    """Return where everything goes. Raises UsageError where Graphviz is not installed."""
    tied = {name for r in schema.references if r.table != r.to for name in (r.table, r.to)}
    boxes: dict[str, Box] = {}
    lines: list[Line] = []
    width = height = 0.0
    if tied:
        width, height, boxes, lines = _graph(schema, tied)
    rest = [table for table in schema.tables if table.name not in tied]
    sizes = [*(table_size(table) for table in rest), (0, 0), *map(enum_size, schema.enums)]
    placed = _shelves(sizes, top=height + GAP if tied else 0, widest=max(width, _WIDEST))
    boxes |= {table.name: box for table, box in zip(rest, placed, strict=False)}
    enums = placed[len(rest) + 1 :]
    by_name = {table.name: table for table in schema.tables}
    lines += [
        _loop(reference, by_name[reference.to], boxes[reference.to])
        for reference in schema.references
        if reference.table == reference.to
    ]
    room = 2 * STUB if any(r.table == r.to for r in schema.references) else STUB
    return Placement(
        max(box.x + box.width for box in (*boxes.values(), *enums)) + room,
        max(box.y + box.height for box in (*boxes.values(), *enums)),
        tuple(boxes[table.name] for table in schema.tables),
        tuple(enums),
        tuple(lines),
    )


def table_size(table: Table) -> tuple[float, float]:
    """Return width and height of a table's box."""
    rows = [MARKS + text_width(c.name) + PAD + text_width(beside(c)) for c in table.columns]
    width = max([text_width(table.name) * 1.1, 100, *rows]) + 2 * PAD
    return round(width), HEAD + ROW * len(table.columns)


def enum_size(enum: Enum) -> tuple[float, float]:
    """Return width and height of an enum's box."""
    lines = enum_lines(enum)
    width = max([text_width(enum.name) * 1.1, *(text_width(line) for line in lines)])
    return round(width + 2 * PAD), HEAD + ROW * len(lines)


def enum_lines(enum: Enum) -> list[str]:
    """Return the labels of an enum, several on a line where they are short."""
    lines = [""]
    for text in map(cut, enum.labels):
        line = f"{lines[-1]}  {text}".strip()
        lines[-1:] = [line] if len(line) <= LONGEST else [lines[-1], text]
    return [line for line in lines if line]


def label(reference: Reference) -> str:
    """Return what is written on a line."""
    return ", ".join(reference.columns)


def beside(column: Column) -> str:
    """Return what stands at the right of a column's name."""
    return cut(column.type) + (" null" if column.nullable else "")


def cut(text: str) -> str:
    """Return a text no longer than is shown."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def text_width(text: str) -> float:
    """Return how wide a text is, in a monospaced font, where it is cut."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in cut(text))
    return CHARACTER * (len(cut(text)) + wide)


def _graph(schema: Schema, tied: set[str]) -> tuple[float, float, dict[str, Box], list[Line]]:
    """Have Graphviz lay out the tables that refer or are referred to."""
    graph = _new_graph(schema)
    tables = {t.name: (f"t{n}", t) for n, t in enumerate(schema.tables) if t.name in tied}
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
    """Return where a line that ends beside a box touches it."""
    x, y = point
    return box.x + (box.width if x > box.x + box.width / 2 else 0), y


def _loop(reference: Reference, table: Table, box: Box) -> Line:
    """Return the line of a table that refers to itself: beside it, from row to row."""
    x = box.x + box.width
    tops = [_row(table, columns) for columns in (reference.to_columns, reference.columns)]
    start, end = ((x, box.y + HEAD + ROW * (row + 0.5)) for row in tops)
    out = x + STUB
    points = ((out, start[1]), (out + STUB, start[1]), (out + STUB, end[1]), (out, end[1]))
    return Line(reference, start, points, end)


def _new_graph(schema: Schema) -> Any:
    try:
        import pygraphviz  # noqa: PLC0415 - an extra; Mermaid needs nothing
    except ImportError as error:
        raise UsageError(
            f"There is no Graphviz here to lay a diagram out: {error}",
            hint="Install it, it comes in a wheel: python -m pip install 'pygraphviz>=2.0'\n"
            "Or have it drawn elsewhere: python -m runner diagram --format mermaid",
        ) from None
    labels = [text_width(label(r)) for r in schema.references if len(r.columns) > 1]
    between = min(max([50, *labels]), 200) + 2
    graph = pygraphviz.AGraph(
        strict=False, directed=True, rankdir="LR", nodesep=0.45, ranksep=between / 72, pack="20"
    )
    graph.node_attr["shape"] = "plain"
    graph.edge_attr["arrowhead"] = "none"
    return graph


def _cells(table: Table) -> str:
    """Return a node of Graphviz as large as the box, a row for each column."""
    width = table_size(table)[0] + 2 * STUB
    heights = {-1: HEAD, **dict.fromkeys(range(len(table.columns)), ROW)}
    rows = [_cell(width, height, f"c{number}") for number, height in heights.items()]
    cells = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<<table border='0' cellborder='0' cellspacing='0' cellpadding='0'>{cells}</table>>"


def _cell(width: float, height: float, port: str) -> str:
    return f"<td port='{port}' fixedsize='true' width='{width:.0f}' height='{height}'></td>"


def _port(table: Table, columns: tuple[str, ...], side: str) -> str:
    """Return where a line ends: at a row, on the side that Graphviz likes, or at a bare head."""
    return f"c{_row(table, columns)}:{'_' if table.columns else side}"


def _row(table: Table, columns: tuple[str, ...]) -> int:
    """Return the row where a reference touches: the last of its columns is its own most often.

    The row of a table without columns is its head.
    """
    names = [column.name for column in table.columns]
    return names.index(columns[-1]) if columns[-1] in names else -1


def _shelves(sizes: list[tuple[float, float]], *, top: float, widest: float) -> list[Box]:
    """Put boxes side by side, in rows; an empty one begins a new row."""
    boxes = []
    x, bottom = STUB, top
    for width, height in sizes:
        if x > STUB and (not width or x + width > widest):
            x, top = STUB, bottom + GAP
        boxes.append(Box(x, top, width, height))
        if width:
            x, bottom = x + width + STUB + GAP, max(bottom, top + height)
    return boxes
