"""Open psql on the database."""

from __future__ import annotations

import os

from runner.cli.context import Context

EXAMPLE = 'psql -- -c "select now()"'
EXIT_CODES = "psql's own, "


def run(context: Context) -> int:
    """Replace this process with psql, which gets all other arguments."""
    import shutil

    from runner import embedded
    from runner.postgres.target import locate

    target = locate(context.settings, create=False, report=context.report)
    installed = None if target.embedded else shutil.which("psql")
    program = installed or str(embedded.program("psql"))
    environ = target.environ(context.settings.environ)
    os.execve(program, ["psql", *context.options.rest], environ)  # noqa: S606
