"""What each command does: settings in, rooms called, results shown. One function a command."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from runner import settings
from runner.cli.commands.common import Options
from runner.cli.console import Console
from runner.errors import UsageError
from runner.settings import Settings

# Where each command's function is, of the same name. Only that module is loaded: half of what
# `apply` costs when there is nothing to do would else be the import of proofs it does not make.
_MODULES = {
    "up": "seed",
    "apply": "apply",
    "rollback": "apply",
    "seed": "seed",
    "baseline": "baseline",
    "reset": "seed",
    "status": "status",
    "plan": "plan",
    "check": "check",
    "verify": "verify",
    "studio": "studio",
    "report": "studio",
    "types": "types",
    "diagram": "types",
    "psql": "status",
    "url": "status",
    "new": "new",
    "down": "new",
}

_MAY_BE_EMPTY = ("name", "rest", "yes_delete", "yes_fill")  # each says itself what is wrong with it


def run(options: Options, console: Console) -> int:
    """Run the command that the options name; return its exit code.

    Raises UsageError for an empty flag, which must not read as one that was not given.
    """
    for name, value in vars(options).items():
        if value in ("", [""]) and name not in _MAY_BE_EMPTY:
            raise UsageError(
                f"--{name.replace('_', '-')} is empty",
                hint="Is a variable in it not set? Nothing was done.",
            )
    where = settings.load(
        database_url=options.database_url,
        sql_dir=options.sql_dir,
        seeds_dir=options.seeds_dir,
        env_file=options.env_file,
        log=options.log,
        wait=options.wait,
        lock_wait=options.lock_wait,
        lock_timeout=options.lock_timeout,
        busy_wait=options.busy_wait,
        direct=options.command not in ("psql", "url"),  # these are the application's
    )
    module = import_module(f"runner.cli.commands.{_MODULES[options.command]}")
    command: Callable[[Settings, Options, Console], int] = getattr(module, options.command)
    return command(where, options, console)
