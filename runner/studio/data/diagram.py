"""The entity-relationship diagram, drawn from the live catalog."""

from __future__ import annotations

import importlib.util
import threading

from runner.generate import diagram
from runner.studio.data.people import OWNER
from runner.studio.data.viewer import Pool, session_as

_lock = threading.Lock()  # Graphviz keeps its state in the process


def drawable() -> bool:
    """Return whether the layout package is installed."""
    return importlib.util.find_spec("pygraphviz") is not None


def svg(connections: Pool) -> str:
    """Return the diagram as SVG. Raises UsageError if there are no tables or no layout package."""
    with session_as(connections, OWNER) as connection, _lock:
        return diagram.svg(connection)
