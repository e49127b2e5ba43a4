"""The command that records what was done elsewhere, once it is proven: baseline."""

from __future__ import annotations

from runner.cli.commands.common import Options, document, say_target
from runner.cli.console import Console
from runner.errors import DONE
from runner.files import loader
from runner.migrate.plan import State, compare
from runner.migrate.session import opened
from runner.preflight import baseline as preflight_baseline
from runner.settings import Settings


def baseline(where: Settings, options: Options, console: Console) -> int:
    """Take over a database that has the schema already."""
    files = loader.read(where.sql_dir)
    to = loader.find(files, options.to) if options.to else None
    with opened(where, console.report, create=False) as ledger:
        say_target(ledger, console)
        with ledger.lock():
            adopted = preflight_baseline.baseline(ledger, files, to, report=console.report)
            left = len(compare(files, ledger.records()).of(State.PENDING, State.LATE))
        console.say(f"{len(adopted)} recorded as applied, {left} pending")
        document(console, options, ledger, done=console.done, pending=left)
    return DONE
