"""Words in; words and an exit code out. What the words mean is in `commands`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from runner import __version__, signals
from runner.cli import arguments
from runner.cli.console import Console, put
from runner.errors import ERROR, WRONG_USAGE, Interrupted, RunnerError, UsageError

_HELP = """\
Apply, seed and inspect a PostgreSQL schema written by hand in numbered SQL files.

Every day:
  python -m runner up                      a running, seeded database from nothing
  python -m runner status                  what is applied, pending, edited, missing, late
  python -m runner new add_teams           the next numbered file and its way back
"""

_ENDNOTE = """\
Exit codes:
  0 done, or nothing to do     1 error                     2 there is something to do
  3 another run has the lock   4 a proof failed            64 wrong usage
  130 ended by Ctrl-C          143 ended by SIGTERM

Values are taken from the flag, else the environment, else .env, else the default:
  DATABASE_URL or libpq's PG*  the database; without any, the embedded PostgreSQL
  DIRECT_URL                   instead of DATABASE_URL for all but `psql` and `url`: no pooler
  RUNNER_SQL_DIR  RUNNER_SEEDS_DIR  RUNNER_LOG  RUNNER_LOCK_WAIT
  RUNNER_WAIT  RUNNER_LOCK_TIMEOUT  RUNNER_BUSY_WAIT
  RUNNER_HOME (.runner)        where the embedded server and the run log live
  RUNNER_POSTGRES (18)         which embedded PostgreSQL: 18 or 16
  NO_COLOR  FORCE_COLOR

`python -m runner COMMAND --help` has an example of each.
"""

_LOCKED = "3 another run has the lock, "
# command: (one line, example, what it exits with besides 0 and 1)
COMMANDS = {
    "up": ("start, apply, seed, and say what to do next", "up --port 5433", _LOCKED),
    "apply": ("apply what is pending", "apply --to 0004", _LOCKED),
    "rollback": ("take the newest migrations back", "rollback --steps 2", _LOCKED),
    "seed": ("pour seeds/*.sql in: all or nothing, any number of times", "seed", _LOCKED),
    "status": (
        "show what is applied, pending, edited, missing, late",
        "status --json",
        "2 there is something to do, ",
    ),
    "plan": (
        "rehearse what is pending: what it would do, whom it would keep waiting",
        "plan --on scratch",
        "2 something is pending, ",
    ),
    "check": (
        "prove the files on a scratch server: run again, taken back, over rows, by psql",
        "check --base origin/main",
        "4 a proof failed, ",
    ),
    "verify": (
        "prove on the database itself that no tenant reaches another; leaves nothing behind",
        "verify --html proof.html",
        "4 a proof failed, ",
    ),
    "studio": (
        "browse the records as a given person sees them: a page on this machine, read-only",
        "studio --port 8800",
        "",
    ),
    "report": (
        "write the pages of the studio as files, for a CI artefact",
        "report --out report",
        "",
    ),
    "types": ("write row types, Python or TypeScript", "types --out rows.py", "2 it is stale, "),
    "diagram": ("draw the tables and their references", "diagram --out diagram.svg", ""),
    "new": ("make the next numbered file and its way back", "new add_teams_to_projects", ""),
    "psql": ("open psql on the database", 'psql -- -c "table public.projects"', "psql's own, "),
    "url": ("print the database's URL for other programs", "url --show-password", ""),
    "down": ("stop the embedded server; its data stay", "down", ""),
    "baseline": (
        "take over a database that has the schema already, once that is proven",
        "baseline --to 0009",
        _LOCKED,
    ),
    "reset": ("empty the database, then apply and seed", "reset", _LOCKED),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"See: {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        put(message, file or sys.stdout, end="")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Errors become words here, tracebacks never."""
    try:
        with signals.installed():
            return _run(list(sys.argv[1:] if argv is None else argv))
    except signals.Interrupt as signal:  # when nothing is begun yet, or all is said
        return Interrupted(signal.number).exit_code


def _run(words: list[str]) -> int:
    console = Console(json_="--json" in words, no_color="--no-color" in words)
    command = next((word for word in words if word in COMMANDS), "")
    try:
        options = _parse(words)
        if options is None:
            return 0
        command = options.command
        console = Console(
            json_=options.json,
            quiet=options.quiet,
            verbose=options.verbose,
            no_color=options.no_color,
        )
        from runner.cli import commands  # noqa: PLC0415 - --help must not load the database driver

        return commands.run(options, console)
    except RunnerError as error:
        console.error(error, command)
        return error.exit_code
    except signals.Interrupt as signal:
        interrupted = Interrupted(signal.number)
        console.error(interrupted, command)
        return interrupted.exit_code
    except OSError as error:
        console.error(RunnerError(str(error), hint="What was reported as done stays."), command)
        return ERROR


def _parse(words: list[str]) -> argparse.Namespace | None:
    """Return the options, or None when help or the version was all that was asked for."""
    common = _common()
    parser = _Parser(
        prog="python -m runner",
        usage="python -m runner COMMAND [options]",
        description=_HELP,
        epilog=_ENDNOTE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"runner {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (line, example, codes) in COMMANDS.items():
        sub = commands.add_parser(
            name,
            prog=f"python -m runner {name}",
            usage=f"python -m runner {name} {'NAME ' if name == 'new' else ''}[options]",
            help=line,
            description=f"{line[0].upper()}{line[1:]}.",
            epilog=f"Example:\n  python -m runner {example}\n\n"
            f"Exit codes: 0 done, 1 error, {codes}{WRONG_USAGE} wrong usage.\n"
            "The variables it reads: python -m runner --help",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[common],
        )
        arguments.add_own(name, sub)
    # What follows `psql` belongs to psql, except our own flags before a `--`.
    rest: list[str] = []
    if "psql" in words and "--" in words[words.index("psql") :]:
        cut = words.index("--", words.index("psql"))
        words, rest = words[:cut], words[cut + 1 :]
    _suggest(words)
    try:
        options, unknown = parser.parse_known_args(words)
    except SystemExit:  # argparse's way out after --help and --version
        return None
    if unknown and options.command == "psql":
        rest = unknown + rest
    elif unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if not options.command:
        parser.print_help()
        return None
    options.rest = rest
    for name, value in arguments.DEFAULTS.items():
        if not hasattr(options, name):
            setattr(options, name, value)
    return options


def _common() -> _Parser:
    """Return the flags that work before and after the command.

    SUPPRESS, because a subcommand's default would overwrite what stood before it.
    """
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    arguments.add_global(common)
    return common


def _suggest(words: list[str]) -> None:
    """Raise UsageError with the nearest command when the first word is none."""
    before = ""
    for word in words:
        if not word.startswith("-") and before not in arguments.TAKES_VALUE:
            if word not in COMMANDS:
                import difflib  # noqa: PLC0415 - not needed on any good day

                near = difflib.get_close_matches(word, COMMANDS, n=1)
                raise UsageError(
                    f"There is no command {word!r}",
                    hint=f"Did you mean {near[0]}?"
                    if near
                    else f"There are: {', '.join(COMMANDS)}",
                )
            return
        before = word
