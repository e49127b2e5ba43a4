"""Place the label of each line: on the line, near its middle, clear of other elements."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import dist

from runner.generate.diagram.layout import Box, Line, Placement, Point, label, text_width

_HEIGHT = 14
_PLACES = (
    0.5,
    0.42,
    0.58,
    0.34,
    0.66,
    0.26,
    0.74,
    0.82,
)  # fractions of a line's length, best first
_STEPS = 40  # straight segments per Bézier segment, to measure its length


def place(placement: Placement) -> list[tuple[Line, Point]]:
    """Return the lines that have a label, each with the center of its label.

    A reference of one column has no label: its line ends at that column.
    """
    taken = list(placement.tables)
    taken += [_around(end, 30) for line in placement.lines for end in (line.start, line.end)]
    tracks = [list(_track(line.points)) for line in placement.lines]
    found = []
    for number, line in enumerate(placement.lines):
        if len(line.reference.columns) > 1:
            width = text_width(label(line.reference))
            options = [(_around(point, width), point) for point in _along(tracks[number])]
            others = [track for other, track in enumerate(tracks) if other != number]
            near = list(_near(options, others))
            best, middle = min(
                options, key=lambda option: sum(_overlap(option[0], box) for box in taken + near)
            )
            taken.append(best)
            found.append((line, middle))
    return found


def _around(point: Point, width: float) -> Box:
    return Box(point[0] - width / 2, point[1] - _HEIGHT / 2, width, _HEIGHT)


def _near(options: list[tuple[Box, Point]], tracks: list[list[Point]]) -> Iterator[Box]:
    """Yield boxes along the other lines, only those near the options: large diagrams have many."""
    left, top = min(box.x for box, _ in options), min(box.y for box, _ in options)
    right = max(box.x + box.width for box, _ in options)
    bottom = max(box.y + box.height for box, _ in options)
    for track in tracks:
        for x, y in track:
            if left - 3 < x < right + 3 and top - 3 < y < bottom + 3:
                yield Box(x - 3, y - 3, 6, 6)


def _overlap(one: Box, other: Box) -> float:
    """Return the area in which two boxes overlap."""
    x = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    y = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(x, 0) * max(y, 0)


def _along(track: list[Point]) -> Iterator[Point]:
    """Yield the points of a line where a label may be, best first."""
    lengths = [0.0]
    for one, next_ in pairwise(track):
        lengths.append(lengths[-1] + dist(one, next_))
    for part in _PLACES:
        wanted = part * lengths[-1]
        yield next(point for point, at in zip(track, lengths, strict=True) if at >= wanted)


def _track(points: tuple[Point, ...]) -> Iterator[Point]:
    """Yield points of a Bézier curve of one or more segments."""
    yield points[0]
    for start in range(0, len(points) - 3, 3):
        segment = points[start : start + 4]
        for step in range(1, _STEPS + 1):
            t = step / _STEPS
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            yield (
                sum(w * x for w, (x, _) in zip(weights, segment, strict=True)),
                sum(w * y for w, (_, y) in zip(weights, segment, strict=True)),
            )
