"""The entity-relationship diagram, drawn from the live catalogue."""

from __future__ import annotations

import importlib.util
import threading

from runner import diagram
from runner.studio.look import Pool, through
from runner.studio.people import OWNER

_one_at_a_time = threading.Lock()  # Graphviz keeps its state in the process


def drawable() -> bool:
    """Return whether what lays it out is installed."""
    return importlib.util.find_spec("pygraphviz") is not None


def svg(connections: Pool) -> str:
    """Return the picture. Raises UsageError when there is nothing to draw, or to draw with."""
    with through(connections, OWNER) as connection, _one_at_a_time:
        return diagram.svg(connection)
