"""Command-line entry point."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from runner import __version__
from runner.cli import arguments, commands
from runner.cli.console import Console, as_called, put
from runner.cli.context import Context
from runner.errors import NO_CHANGES, WRONG_USAGE, Interrupted, RunnerError, UsageError
from runner.postgres import signals

if TYPE_CHECKING:
    from runner.settings import Settings

_HELP = """\
Apply, seed and inspect a PostgreSQL schema written by hand in numbered SQL files.

Every day:
  python -m runner up                      a running, seeded database from nothing
  python -m runner status                  what is applied, pending, edited, missing
  python -m runner new add_teams           the next numbered file and its rollback file

commands:
{commands}
"""

_EPILOG = """\
Exit codes:
  0 done, or nothing to do     1 error                     2 there is something to do
  3 another run has the lock   4 a proof failed            64 wrong usage
  130 ended by Ctrl-C          143 ended by SIGTERM

Each setting is taken from the flag, else the environment, else .env, else its default:
  DATABASE_URL or libpq's PG*  the database; without any, the embedded PostgreSQL
  DIRECT_URL                   instead of DATABASE_URL for all but `psql` and `url`: no pooler
  RUNNER_SQL_DIR  RUNNER_WITH  RUNNER_SEEDS_DIR  RUNNER_LOG  RUNNER_LOCK_WAIT
  RUNNER_WAIT  RUNNER_LOCK_TIMEOUT  RUNNER_BUSY_WAIT
  RUNNER_HOME (.runner)        the folder of the embedded server and the run log
  RUNNER_POSTGRES (18)         which embedded PostgreSQL: 18 or 16
  NO_COLOR  FORCE_COLOR

`python -m runner COMMAND --help` has an example of each.
"""

_FOR_A_NAME = {"check": "--file", "verify": "--only"}
_FOR_A_NAME |= dict.fromkeys(("apply", "baseline", "plan", "rollback"), "--to")
_OF_OTHERS = {"downgrade": "rollback", "help": "--help", "migrate": "apply", "version": "--version"}
_READ_ONLY = ("status", "plan", "check", "verify")  # also if they are interrupted
_ARGUMENT = {"init": "FOLDER ", "new": "NAME "}
_MAY_BE_EMPTY = ("name", "rest", "typed_name")  # the command reports these itself


class _Parser(argparse.ArgumentParser):
    def __init__(self, prog: str = "python -m runner", **how: Any) -> None:
        super().__init__(prog, formatter_class=argparse.RawDescriptionHelpFormatter, **how)
        arguments.add_global(self)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"See: {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        put(as_called(message), file or sys.stdout, end="")

    def nearest(self, word: str) -> str:
        """Return the option that a mistyped one is like, or ''."""
        import difflib  # noqa: PLC0415 - only for an error

        near = difflib.get_close_matches(word.partition("=")[0], self._option_string_actions, n=1)
        return near[0] if near and word.startswith("--") else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed, never raised."""
    gc.set_threshold(100_000)  # thousands of files are no garbage: searching takes a third of a run
    try:
        with signals.installed():
            return _run(list(sys.argv[1:] if argv is None else argv))
    except signals.Interrupt as signal:  # before anything has started, or after the result
        return Interrupted(signal.number).exit_code


def _run(words: list[str]) -> int:
    console = Console(json_="--json" in words, no_color="--no-color" in words)
    name = next((word for word in words if word in commands.NAMES), "")
    try:
        options = _parse(words)
        if options is None:
            return 0
        name = options.command
        console = Console(
            json_=options.json,
            quiet=options.quiet,
            verbose=options.verbose,
            no_color=options.no_color,
            repeated=arguments.repeated(options),
        )
        return commands.load(name).run(Context(_settings(options), options, console))
    except (RunnerError, signals.Interrupt) as raised:
        error = signals.as_error(raised)
        if isinstance(error, Interrupted) and name in _READ_ONLY:
            error.state = NO_CHANGES
    except OSError as raised:
        error = RunnerError(str(raised), state="Completed work stays.")
    console.error(error, name)
    return error.exit_code


def _settings(options: argparse.Namespace) -> Settings:
    """Return the settings; raise UsageError for an empty flag, which must not be ignored."""
    from runner import settings  # noqa: PLC0415 - not needed for --help

    for name, value in vars(options).items():
        if value in ("", [""]) and name not in _MAY_BE_EMPTY:
            flag = f"--{'with' if name == 'sources' else name.replace('_', '-')}"
            raise UsageError(f"{flag} is empty", hint="Is a variable in it not set?")
    return settings.load(
        direct=options.command not in ("psql", "url"),  # these are for the application
        **{flag: getattr(options, flag) for flag in settings.FLAGS},
    )


def _parse(words: list[str]) -> argparse.Namespace | None:
    """Return the options, or None when only help or the version was asked for."""
    # What follows `psql` belongs to psql, except our own flags before a `--`.
    rest: list[str] = []
    if "psql" in words and "--" in words[words.index("psql") :]:
        cut = words.index("--", words.index("psql"))
        words, rest = words[:cut], words[cut + 1 :]
    name = _command_in(words)
    parser = _parser_of(name) if name else _main_parser()
    if name:
        words.remove(name)
    try:
        options, unknown = parser.parse_known_args(words)
    except SystemExit:  # raised by argparse after --help and --version
        return None
    if unknown and name != "psql":
        word, option = unknown[0], _FOR_A_NAME.get(name)
        meant = f"{name} {option} {word}" if option and word[0] != "-" else ""
        if name == "rollback" and meant:
            steps = f"--steps {word}" if word.isdecimal() and len(word) < 3 else ""  # no file's id
            steps = "--all" if word == "all" else steps
            meant = f"rollback {steps}" if steps else f"{meant}, which keeps that one"
        meant = "plan" if word == "--dry-run" else meant
        hint = f"; did you mean: python -m runner {meant}" if meant else ""
        if not hint and (near := parser.nearest(word)):
            hint = f"; did you mean {near}?"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    if not name:
        parser.print_help()
        return None
    options.command = name
    options.rest = unknown + rest
    return options


def _command_in(words: list[str]) -> str:
    """Return the first word that is no option, or ''. Raises UsageError if it is no command."""
    _, others = _Parser(add_help=False, allow_abbrev=False).parse_known_args(words)
    word = next((word for word in others if not word.startswith("-")), "")
    if not word or word in commands.NAMES:
        return word
    import difflib  # noqa: PLC0415 - only for an error

    known = (*commands.NAMES, *_OF_OTHERS.values())
    near = difflib.get_close_matches(_OF_OTHERS.get(word, word), known, n=1)
    raise UsageError(
        f"There is no command {word!r}",
        hint=f"Did you mean {near[0]}?" if near else f"Commands: {', '.join(commands.NAMES)}",
    )


def _main_parser() -> _Parser:
    summaries = [(name, commands.load(name).__doc__) for name in commands.NAMES]
    lines = [f"  {name:<12} {text[0].lower()}{text[1:-1]}" for name, text in summaries]
    parser = _Parser(
        usage="python -m runner COMMAND [options]",
        description=_HELP.format(commands="\n".join(lines)),
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"runner {__version__}")
    return parser


def _parser_of(name: str) -> _Parser:
    command = commands.load(name)
    exit_codes = getattr(command, "EXIT_CODES", "")
    parser = _Parser(
        prog=f"python -m runner {name}",
        usage=f"python -m runner {name} {_ARGUMENT.get(name, '')}[options]",
        description=command.__doc__,
        epilog=f"Example:\n  python -m runner {command.EXAMPLE}\n\n"
        f"Exit codes: 0 done, 1 error, {exit_codes}{WRONG_USAGE} wrong usage.\n"
        "The variables it reads: python -m runner --help",
    )
    if hasattr(command, "add_arguments"):
        command.add_arguments(parser)
    return parser
