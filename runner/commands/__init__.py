"""What each command does: settings in, rooms called, results shown. One function a command."""

from __future__ import annotations

from collections.abc import Callable

from runner import settings
from runner.commands import adopt, change, check, look, plan, project, prove
from runner.commands.common import Options
from runner.console import Console
from runner.settings import Settings

_COMMANDS: dict[str, Callable[[Settings, Options, Console], int]] = {
    "up": change.up,
    "apply": change.apply,
    "rollback": change.rollback,
    "seed": change.seed,
    "baseline": adopt.baseline,
    "reset": change.reset,
    "status": look.status,
    "plan": plan.plan,
    "check": check.check,
    "verify": prove.verify,
    "psql": look.psql,
    "url": look.url,
    "new": project.new,
    "down": project.down,
}


def run(options: Options, console: Console) -> int:
    """Run the command that the options name; return its exit code."""
    where = settings.load(
        database_url=options.database_url,
        sql_dir=options.sql_dir,
        seeds_dir=options.seeds_dir,
        env_file=options.env_file,
        log=options.log,
        lock_wait=options.lock_wait,
    )
    return _COMMANDS[options.command](where, options, console)
