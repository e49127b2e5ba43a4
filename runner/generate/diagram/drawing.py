"""Draw a placed diagram as SVG: selectable text, and colors for light and dark mode."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from runner.generate.diagram import labels
from runner.generate.diagram.layout import (
    HEAD,
    MARKS,
    PAD,
    ROW,
    STUB,
    Box,
    Line,
    Placement,
    Point,
    cut,
    enum_lines,
    label,
)
from runner.generate.schema_reader import Column, Reference, Relation, Schema, Type

_MARGIN = 16
_FOOT = 34  # height of the legend
# All selectors are below .erd, so that an embedding page is not affected.
_STYLE = """\
.erd { --page: #ffffff; --box: #ffffff; --head: #eef2f7; --edge: #c3ccd8; --text: #1c2430;
  --dim: #647084; --key: #b45309; --link: #2563a8; --enum: #0f766e; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  .erd { --page: #0d1117; --box: #141a22; --head: #1f2833; --edge: #3b4757; --text: #e3e9f1;
    --dim: #93a0b2; --key: #f0a94b; --link: #74b0f4; --enum: #5cc9bb; }
}
.erd text { font: 12px ui-monospace, SFMono-Regular, Menlo, 'DejaVu Sans Mono', Consolas,
  monospace; fill: var(--text); white-space: pre; }
.erd .page { fill: var(--page); }
.erd .box { fill: var(--box); stroke: var(--edge); }
.erd .head { fill: var(--head); stroke: var(--edge); }
.erd .outside .head, .erd .enum .box { stroke-dasharray: 4 3; }
.erd .name { font-weight: 600; font-size: 13px; }
.erd .type, .erd .legend { fill: var(--dim); }
.erd .pk { fill: var(--key); font-weight: 600; font-size: 10px; }
.erd .fk { fill: var(--link); font-weight: 600; font-size: 10px; }
.erd .of-enum, .erd .enum .name { fill: var(--enum); }
.erd .rule { stroke: var(--edge); stroke-opacity: .45; }
.erd .link path, .erd .link circle { fill: none; stroke: var(--link); stroke-width: 1.4; }
.erd .link circle { fill: var(--page); }
.erd .label { fill: var(--link); font-size: 11px; text-anchor: middle;
  paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round; }
.erd .link:hover path { stroke-width: 2.6; }
"""


def draw(schema: Schema, placement: Placement) -> str:
    """Return the SVG file."""
    width = placement.width + 2 * _MARGIN
    height = placement.height + 2 * _MARGIN + _FOOT
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}" '
        'class="erd" role="graphics-document" aria-labelledby="erd-title erd-desc">',
        f'<title id="erd-title">{_text(f"Schema {schema.name}")}</title>',
        f'<desc id="erd-desc">{_text(_summary(schema))}</desc>',
        f"<style>\n{_STYLE}</style>",
        f'<rect class="page" x="{-_MARGIN}" y="{-_MARGIN}" width="100%" height="100%"/>',
        *(piece for line in placement.lines for piece in _link(line)),
        *(
            piece
            for table, box in zip(schema.tables, placement.tables, strict=True)
            for piece in _table(table, box)
        ),
        *(
            piece
            for enum, box in zip(schema.column_enums, placement.enums, strict=True)
            for piece in _enum(enum.name_in(schema.name), enum, box)
        ),
        *(piece for found in labels.place(placement) for piece in _label(*found)),
        *_legend(placement.height + _FOOT),
        "</svg>",
    ]
    text = "\n".join(pieces) + "\n"
    return text.encode("ascii", "xmlcharrefreplace").decode()  # any terminal can print it


def _summary(schema: Schema) -> str:
    tables = [table.name for table in schema.tables if not table.outside]
    references = "; ".join(_sentence(reference) for reference in schema.references)
    return f"Tables: {', '.join(tables)}. References: {references or 'none'}."


def _sentence(reference: Reference) -> str:
    here, there = ", ".join(reference.columns), ", ".join(reference.to_columns)
    return f"{reference.table} ({here}) refers to {reference.to} ({there})"


def _table(table: Relation, box: Box) -> Iterator[str]:
    yield f'<g class="{"outside" if table.outside else "table"}" role="graphics-object">'
    yield from _frame(table.name, table.comment, box)
    for number, column in enumerate(table.columns):
        yield from _column(column, box, box.y + HEAD + number * ROW, first=number == 0)
    yield "</g>"


def _column(column: Column, box: Box, top: float, *, first: bool) -> Iterator[str]:
    base = top + 15
    x, right = box.x + PAD, box.x + box.width - PAD
    yield f"<g>{_title(_tooltip(column))}"
    if not first:
        yield f'<path class="rule" d="M{box.x + 1:.0f} {top:.0f}h{box.width - 2:.0f}"/>'
    marks = [("pk", "PK")] if column.primary else [("pk", "U")] if column.unique else []
    marks += [("fk", "FK")] if column.refers else []
    for place, (kind, mark) in enumerate(marks):
        yield f'<text class="{kind}" x="{x + place * 17:.0f}" y="{base:.0f}">{mark}</text>'
    yield f'<text x="{x + MARKS:.0f}" y="{base:.0f}">{_text(cut(column.name))}</text>'
    null = "" if column.not_null else '<tspan class="type"> null</tspan>'
    kind = "of-enum" if column.enum else "type"
    yield (
        f'<text text-anchor="end" x="{right:.0f}" y="{base:.0f}">'
        f'<tspan class="{kind}">{_text(cut(column.declared_type))}</tspan>{null}</text></g>'
    )


def _tooltip(column: Column) -> str:
    facts = [
        f"{column.name} {column.declared_type}{' not null' if column.not_null else ''}",
        *(["primary key"] if column.primary else []),
        *(["unique"] if column.unique else []),
    ]
    return ", ".join(facts) + (f"\n{column.comment}" if column.comment else "")


def _enum(name: str, enum: Type, box: Box) -> Iterator[str]:
    yield '<g class="enum" role="graphics-object">'
    yield from _frame(name, enum.comment, box)
    for number, line in enumerate(enum_lines(enum)):
        base = box.y + HEAD + number * ROW + 15
        yield f'<text x="{box.x + PAD:.0f}" y="{base:.0f}">{_text(line)}</text>'
    yield "</g>"


def _frame(name: str, comment: str, box: Box) -> Iterator[str]:
    x, y, width = (f"{value:.0f}" for value in (box.x, box.y, box.width))
    yield _title(name + (f"\n{comment}" if comment else ""))
    yield f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{box.height:.0f}" rx="5"/>'
    yield f'<rect class="head" x="{x}" y="{y}" width="{width}" height="{HEAD}" rx="5"/>'
    yield f'<text class="name" x="{box.x + PAD:.0f}" y="{box.y + 20:.0f}">{_text(cut(name))}</text>'


def _link(line: Line) -> Iterator[str]:
    reference = line.reference
    yield f'<g class="link" role="graphics-object">{_title(_sentence(reference))}'
    (x, y), *others = line.points
    curve = " ".join(f"{_x:.0f} {_y:.0f}" for _x, _y in others)
    start, end = line.start, line.end
    yield f'<path d="M{start[0]:.0f} {y:.0f}H{x:.0f}C{curve}H{end[0]:.0f}"/>'
    yield from _one(start, 1 if x > start[0] else -1, optional=reference.optional)
    side = 1 if others[-1][0] > end[0] else -1
    if reference.single:
        yield from _one(end, side, optional=True)
    else:
        yield from _many(end, side)
    yield "</g>"


def _label(line: Line, middle: Point) -> Iterator[str]:
    x, y = middle
    text = _text(cut(label(line.reference)))
    yield f'<text class="label" x="{x:.0f}" y="{y + 4:.0f}">{text}</text>'


def _one(end: Point, side: int, *, optional: bool) -> Iterator[str]:
    """Draw the symbol of an end: exactly one row, or `optional` at most one."""
    x, y = end
    bars = (6,) if optional else (6, 10)
    yield f'<path d="{"".join(f"M{x + side * at:.0f} {y - 5:.0f}v10" for at in bars)}"/>'
    if optional:
        yield f'<circle cx="{x + side * 12:.0f}" cy="{y:.0f}" r="3.5"/>'


def _many(end: Point, side: int) -> Iterator[str]:
    """Draw the symbol of an end: any number of rows, a crow's foot."""
    x, y = end
    yield f'<path d="M{x:.0f} {y - 5:.0f}l{side * 9} 5l{-side * 9} 5"/>'
    yield f'<circle cx="{x + side * 12.5:.0f}" cy="{y:.0f}" r="3.5"/>'


def _legend(base: float) -> Iterator[str]:
    text = "PK primary key   FK reference   U unique   null: may be null, all others are not null"
    yield f'<text class="legend" x="{STUB:.0f}" y="{base - 8:.0f}">{text}</text>'


def _title(text: str) -> str:
    return f"<title>{_text(text)}</title>"


def _text(text: str) -> str:
    """Return a text escaped for XML, with escapes for characters that XML does not allow."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return escape(shown)
