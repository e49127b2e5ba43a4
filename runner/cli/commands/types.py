"""Write row types, Python or TypeScript."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import DONE, SOMETHING_TO_DO, UsageError

if TYPE_CHECKING:
    from runner.generate.output import Delivery

EXAMPLE = "types --out rows.py"
EXIT_CODES = "2 it is stale, "

_SHOWN = 20  # lines of a diff; --json has them all
_COLORS = {"+": "green", "-": "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_output(parser, "--lang", ("python", "typescript"))
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 2 when the file is stale"
    )


def run(context: Context) -> int:
    from runner.generate import types

    options = context.options
    if options.check and not options.out:
        raise UsageError("--check needs the file to compare with", hint="Name it: --out FILE")
    with context.migrator(create=False, log=False) as migrator:
        text = types.write(migrator.connection, options.schema, options.lang)
        made, document = deliver(context, text, check=options.check)
        for line in made.diff[:_SHOWN]:
            color = _COLORS.get(line[:1])
            context.say(context.console.paint(line, color) if color else line)
        if len(made.diff) > _SHOWN:
            context.say(f"and {len(made.diff) - _SHOWN} more lines")
        if made.diff:
            context.console.note("To update it: the same command without --check")
        code = SOMETHING_TO_DO if made.state in ("stale", "absent") else DONE
        head = {"schema": options.schema, "language": options.lang}
        return context.document(code, **head, **document, diff=made.diff)


def deliver(context: Context, text: str, *, check: bool = False) -> tuple[Delivery, dict[str, Any]]:
    """Print a text, or write or check the file of --out; return the result and its JSON keys."""
    from runner.generate import output

    path = Path(context.options.out) if context.options.out else None
    made = output.deliver(text, path, check=check)
    if path:
        context.say(f"{made.state}: {path}")
    else:
        context.console.text(text)
    return made, {"file": path, "state": made.state, "text": text}
