"""Stop the embedded server; its data stays."""

from __future__ import annotations

from runner.cli.context import Context
from runner.errors import UsageError

EXAMPLE = "down"


def run(context: Context) -> int:
    from runner import embedded

    if not context.settings.embedded:
        raise UsageError(
            f"There is nothing to stop: {context.settings.database_source} names the database",
            hint="`down` stops only the embedded server; unset that setting to use it.",
        )
    stopped = embedded.stop(context.settings.data_dir)
    context.say("stopped; the data stays" if stopped else "was not running")
    return context.document(stopped=stopped)
