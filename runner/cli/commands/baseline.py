"""The command that records what was done elsewhere, once it is proven: baseline."""

from __future__ import annotations

from runner.cli.commands.common import Options, document, show_target
from runner.cli.console import Console
from runner.errors import DONE
from runner.files import loader
from runner.migrate.plan import State, compare
from runner.migrate.session import migrator_for
from runner.preflight import baseline as preflight_baseline
from runner.settings import Settings


def baseline(where: Settings, options: Options, console: Console) -> int:
    """Take over a database that has the schema already."""
    files = loader.read(where.sql_dir)
    to = loader.find(files, options.to) if options.to else None
    with migrator_for(where, console.report, create=False) as migrator:
        show_target(migrator, console)
        with migrator.lock():
            adopted = preflight_baseline.baseline(migrator, files, to, report=console.report)
            left = len(compare(files, migrator.records()).of(State.PENDING, State.OUT_OF_ORDER))
        console.say(f"{len(adopted)} recorded as applied, {left} pending")
        document(console, options, migrator, done=console.done, pending=left)
    return DONE
