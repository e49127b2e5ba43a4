"""What the server says beside its results: warnings, and what a file itself raises."""

from __future__ import annotations

from psycopg.errors import Diagnostic

from runner.events import Note, Report

_RAISED = "exec_stmt_raise"  # PL/pgSQL's function for RAISE; others say, for example, "skipping"
_OUTSIDE = "25P01"  # a rollback or `set local` without a transaction, of the runner itself


def show(said: Diagnostic, report: Report) -> None:
    """Report a warning, or a RAISE NOTICE or INFO."""
    shown = said.severity_nonlocalized == "WARNING" or said.source_function == _RAISED
    if shown and said.sqlstate != _OUTSIDE:
        report(Note(f"{said.severity}: {said.message_primary}"))
