"""The entity-relationship diagram, drawn from the live catalog."""

from __future__ import annotations

import importlib.util
import threading
from collections import Counter
from collections.abc import Iterable

from runner.generate import diagram
from runner.studio.data.people import CONNECTED
from runner.studio.data.tables import Table
from runner.studio.data.viewer import Source, session_as

_MOST = 100  # tables of a diagram: the layout of more takes minutes
_lock = threading.Lock()  # Graphviz keeps its state in the process


def drawable() -> bool:
    """Return whether the layout package is installed."""
    return importlib.util.find_spec("pygraphviz") is not None


def svg(source: Source, schema: str) -> str:
    """Return the diagram of a schema as SVG.

    Raises UsageError if there are no tables in it, or no layout package.
    """
    with session_as(source, CONNECTED) as connection, _lock:
        return diagram.svg(connection, schema)


def schemas(tables: Iterable[Table]) -> list[str]:
    """Return the schemas that have something to draw, and not too much."""
    found = Counter(table.schema for table in tables if "view" not in table.kind)
    return [schema for schema, number in found.items() if number <= _MOST]
