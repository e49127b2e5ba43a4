"""The entity-relationship diagram, drawn from the live catalog."""

from __future__ import annotations

import importlib.util
import threading

from runner.generate import diagram
from runner.studio.data.people import OWNER
from runner.studio.data.viewer import Pool, through

_one_at_a_time = threading.Lock()  # Graphviz keeps its state in the process


def drawable() -> bool:
    """Return whether what lays it out is installed."""
    return importlib.util.find_spec("pygraphviz") is not None


def svg(connections: Pool) -> str:
    """Return the picture. Raises UsageError when there is nothing to draw, or to draw with."""
    with through(connections, OWNER) as connection, _one_at_a_time:
        return diagram.svg(connection)
