"""What the command `tenant` does: one action, as lines to print and the content of its document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from psycopg.errors import Diagnostic

from runner.errors import UsageError
from runner.events import Note, Report
from runner.migrate.migrator import Migrator
from runner.settings import Settings
from runner.tenant import erase, export, load

OPTIONS = ("action", "tenant", "out", "yes_erase")


def run(
    migrator: Migrator,
    settings: Settings,
    *,
    action: str,
    tenant: str,
    out: str | None = None,
    yes_erase: str | None = None,
) -> tuple[list[str], dict[str, Any]]:
    """Run an action; return lines and the keys of the JSON document. Raises RunnerError.

    Args:
        action: export, erase or import.
        tenant: its id; for an import, the folder.
        out: the folder of an export; for an erase, the file of the receipt, or empty.
        yes_erase: the tenant's name, to confirm an erase.
    """
    connection, sql_dir, report = migrator.connection, settings.sql_dir, migrator.report
    connection.add_notice_handler(partial(_warn, report))
    if yes_erase and action != "erase":
        raise UsageError(f"tenant {action} takes no --yes-erase")
    if action == "export":
        if not out:
            raise UsageError("tenant export needs a folder", hint="--out DIR")
        made = export.export(connection, sql_dir, tenant, Path(out), report)
        return [*_lines(made.counts, "exported"), f"written: {out}"], {
            "tenant": made.tenant,
            "folder": out,
            "tables": made.tables,
        }
    if action == "import":
        if out:
            raise UsageError("tenant import takes no --out: it writes no file")
        with migrator.lock():
            loaded = load.load(connection, sql_dir, Path(tenant), report)
        return _lines(loaded.counts, "imported"), {
            "tenant": loaded.tenant,
            "folder": tenant,
            "tables": loaded.tables,
        }
    receipt = Path(out or settings.home / "receipts" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.json")
    with migrator.lock():
        gone = erase.erase(
            connection, sql_dir, tenant, typed_name=yes_erase, receipt=receipt, report=report
        )
    same = f"{gone.others:,} other rows in {gone.compared} tables are as they were"
    return [*_lines(gone.erased, "erased"), same, f"receipt: {receipt}"], {
        "file": str(receipt),
        "receipt": gone,
    }


def _warn(report: Report, said: Diagnostic) -> None:
    """Report a warning of the server, or of a trigger."""
    if said.severity_nonlocalized == "WARNING":
        report(Note(f"WARNING: {said.message_primary}"))


def _lines(counts: Mapping[str, int], done: str) -> list[str]:
    rows = [f"{count:>9,}  {table}" for table, count in counts.items()]
    return [*rows, f"{sum(counts.values()):>9,}  rows {done}"]
