"""The flags of each command, and those that every command takes. Words only."""

from __future__ import annotations

import argparse
from typing import Any

PATIENCE = {
    "--wait": "a server that is not up yet (0)",
    "--lock-wait": "another run (60)",
    "--lock-timeout": "one table, before giving way and coming again (2)",
    "--busy-wait": "busy tables, in all (60)",
}
DEFAULTS: dict[str, bool | None] = {
    **dict.fromkeys(("database_url", "sql_dir", "seeds_dir", "env_file", "log")),
    **dict.fromkeys(flag[2:].replace("-", "_") for flag in PATIENCE),
    **dict.fromkeys(("json", "no_color", "yes", "verbose", "quiet"), False),
}

# Commands that write a text: the flag that says in which form, the first one being the usual.
WRITERS = {
    "types": ("--lang", ("python", "typescript")),
    "diagram": ("--format", ("svg", "mermaid")),
}
# Commands that ask for the database's name before they do what cannot be taken back.
_SIGNALS = {"reset": "--yes-delete", "rollback": "--yes-delete", "seed": "--yes-fill"}
# Commands that have one argument of their own.
_ONE: dict[str, tuple[str, dict[str, Any]]] = {
    "new": ("name", {"metavar": "NAME", "help": "verb and object: add_teams"}),
    "baseline": ("--to", {"metavar": "ID", "help": "the last migration it has (default: all)"}),
    "seed": (
        "--scale",
        {"metavar": "ORGS", "help": "so many made-up organizations, for load tests, instead"},
    ),
    "url": ("--show-password", {"action": "store_true", "help": "do not mask it"}),
}
TAKES_VALUE = {
    *("-d", "--database-url", "--sql-dir", "--seeds-dir", "--env-file", "--log"),
    *PATIENCE,
}


def add_global(parser: argparse.ArgumentParser) -> None:
    """Add the flags that work before and after the command."""
    group = parser.add_argument_group("global options")
    group.add_argument("-d", "--database-url", metavar="URL", help="the database")
    group.add_argument("--sql-dir", metavar="DIR", help="the migrations (default: sql)")
    group.add_argument("--seeds-dir", metavar="DIR", help="the seeds (default: seeds)")
    group.add_argument("--env-file", metavar="FILE", help="instead of .env")
    group.add_argument("--log", metavar="FILE", help="the run log (default: .runner/runs.jsonl)")
    for flag, what in PATIENCE.items():
        group.add_argument(flag, metavar="SECONDS", type=float, help=f"patience with {what}")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout")
    group.add_argument("--no-color", action="store_true", help="no colours")
    group.add_argument("--yes", action="store_true", help="allow seeding a database elsewhere")
    group.add_argument("-v", "--verbose", action="store_true", help="say more")
    group.add_argument("-q", "--quiet", action="store_true", help="only errors")


def add_own(name: str, sub: argparse.ArgumentParser) -> None:
    """Add the flags of one command."""
    if name in ("up", "reset"):
        sub.add_argument(
            "--port", type=int, help="let the embedded server listen on 127.0.0.1:PORT"
        )
    if name == "apply":
        sub.add_argument("--to", metavar="ID", help="stop after this migration")
        sub.add_argument(
            "--accept-edit",
            metavar="ID",
            help="record an edited file as applied, once it is proven to make the same",
        )
    if name in ("apply", "up", "plan"):
        sub.add_argument(
            "--out-of-order",
            action="store_true",
            help="also those older than the newest applied one",
        )
    if name == "rollback":
        which = sub.add_mutually_exclusive_group()
        which.add_argument("--steps", type=int, metavar="N", help="how many (default: 1)")
        which.add_argument("--to", metavar="ID", help="all that came after this one")
        which.add_argument("--all", action="store_true", help="all")
    if name == "plan":
        sub.add_argument("--to", metavar="ID", help="stop after this migration")
        sub.add_argument("--sql", action="store_true", help="print it for psql, records included")
        sub.add_argument(
            "--on",
            choices=("target", "scratch"),
            default="target",
            help="in a transaction on the target (default), or on a copy of its catalog",
        )
        sub.add_argument(
            "--hold", metavar="SECONDS", type=float, default=5.0, help="for a statement at most (5)"
        )
    if name == "check":
        sub.add_argument("--file", metavar="ID", help="one migration alone")
        out_of_order = sub.add_mutually_exclusive_group()
        out_of_order.add_argument(
            "--base", metavar="GITREF", help="what is deployed: are files that it lacks too late?"
        )
        out_of_order.add_argument(
            "--out-of-order",
            metavar="ID",
            action="append",
            help="as if this came after all; repeat",
        )
    if name == "verify":
        sub.add_argument("--only", metavar="NAME", help="one table, right, rule or attack")
        sub.add_argument(
            "--schema", metavar="NAME", action="append", help="exposed by the API (public); repeat"
        )
        sub.add_argument("--html", metavar="FILE", help="write a page for an auditor")
        sub.add_argument("--junit", metavar="FILE", help="write JUnit XML")
        sub.add_argument("--save", metavar="FILE", help="write the catalog as text")
        sub.add_argument(
            "--self-test",
            action="store_true",
            help="weaken a scratch copy in every way and demand that this proof fails",
        )
    if name == "studio":
        sub.add_argument("--port", type=int, default=0, help="on 127.0.0.1 (0, any free one)")
        sub.add_argument("--no-open", action="store_true", help="only print the link")
    if name == "report":
        sub.add_argument("--out", metavar="DIR", help="the folder; a report in it is replaced")
        sub.add_argument(
            "--attach", metavar="FILE", action="append", help="show this text beside the run log"
        )
    if name in WRITERS:
        _add_to_write(sub, *WRITERS[name])
    if name in _ONE:
        flag, how = _ONE[name]
        sub.add_argument(flag, **how)
    if name in _SIGNALS:
        sub.add_argument(
            _SIGNALS[name],
            metavar="DATABASE",
            help="the database's name: the second signal, where it is not the embedded one",
        )


def _add_to_write(sub: argparse.ArgumentParser, form: str, forms: tuple[str, ...]) -> None:
    sub.add_argument(form, choices=forms, default=forms[0], help=f"default: {forms[0]}")
    sub.add_argument("--out", metavar="FILE", help="write a file instead of to stdout")
    if form == "--lang":
        sub.add_argument("--check", action="store_true", help="only look whether FILE is stale")
    sub.add_argument("--schema", metavar="NAME", default="public", help="default: public")
