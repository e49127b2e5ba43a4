"""The command that records what was done elsewhere, once it is proven: baseline."""

from __future__ import annotations

from runner import migrations
from runner.commands.common import Options, document, say_target
from runner.console import Console
from runner.errors import DONE
from runner.plan import State, compare
from runner.proofs import adoption
from runner.session import opened
from runner.settings import Settings


def baseline(where: Settings, options: Options, console: Console) -> int:
    """Take over a database that has the schema already."""
    files = migrations.read(where.sql_dir)
    to = migrations.find(files, options.to) if options.to else None
    with opened(where, console.report, create=False) as ledger:
        say_target(ledger, console)
        with ledger.lock():
            adopted = adoption.baseline(ledger, files, to, report=console.report)
            left = len(compare(files, ledger.records()).of(State.PENDING, State.LATE))
        console.say(f"{len(adopted)} recorded as applied, {left} pending")
        document(console, options, ledger, done=console.done, pending=left)
    return DONE
