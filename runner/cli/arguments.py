"""Options that every command accepts."""

from __future__ import annotations

import argparse
import shlex

from runner.errors import masked

_WITH = "also the migrations in its folder NAME; repeatable"
_TIMEOUTS = {
    "--wait": "connection timeout: seconds to wait for the server to accept connections (0)",
    "--lock-wait": "seconds to wait for another run to end (60)",
    "--lock-timeout": "lock timeout per attempt, in seconds (2)",
    "--busy-wait": "seconds to retry while tables are locked (60)",
}


def add_global(parser: argparse.ArgumentParser) -> None:
    """Add the options that work before and after the command."""
    group = parser.add_argument_group("global options")
    group.add_argument("-d", "--database-url", metavar="URL", help="the database")
    group.add_argument("--sql-dir", metavar="DIR", help="the migrations (default: sql)")
    group.add_argument("--with", dest="sources", action="append", metavar="NAME", help=_WITH)
    group.add_argument("--seeds-dir", metavar="DIR", help="the seeds (default: seeds)")
    group.add_argument("--env-file", metavar="FILE", help="instead of .env")
    group.add_argument("--log", metavar="FILE", help="the run log (default: .runner/runs.jsonl)")
    for flag, what in _TIMEOUTS.items():
        group.add_argument(flag, metavar="SECONDS", type=float, help=what)
    group.add_argument("--json", action="store_true", help="print one JSON document to stdout")
    group.add_argument("--no-color", action="store_true", help="no colors")
    group.add_argument("--yes", action="store_true", help="allow seeding a remote database")
    group.add_argument("-v", "--verbose", action="store_true", help="print more")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def repeated(options: argparse.Namespace) -> list[str]:
    """Return the options that choose database and folders, as commands in hints repeat them."""
    names = ("database_url", "sql_dir", "seeds_dir", "env_file")
    given = {f"--{name.replace('_', '-')}": getattr(options, name) for name in names}
    found = [f"{flag} {shlex.quote(masked(value))}" for flag, value in given.items() if value]
    return found + [f"--with {shlex.quote(name)}" for name in options.sources or ()]


def add_confirmation(parser: argparse.ArgumentParser, flag: str) -> None:
    parser.add_argument(
        flag,
        dest="typed_name",
        metavar="DATABASE",
        help="the database's name, to confirm; not for the embedded one",
    )


def add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help="let the embedded server listen on 127.0.0.1:PORT")


def add_out_of_order(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out-of-order",
        action="store_true",
        help="also apply migrations numbered below an applied one",
    )


def add_output(parser: argparse.ArgumentParser, form: str, forms: tuple[str, ...]) -> None:
    """Add the options of a command that writes a text; `form` names one, the first is default."""
    parser.add_argument("--out", metavar="FILE", help="write a file instead of stdout")
    parser.add_argument(form, choices=forms, default=forms[0], help=f"(default: {forms[0]})")
    parser.add_argument(
        "--schema", metavar="NAME", default="public", help="the schema (default: public)"
    )
