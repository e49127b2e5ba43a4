"""Write row types for Python or TypeScript."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli import arguments
from runner.cli.context import Context
from runner.errors import DONE, SOMETHING_TO_DO, UsageError

SUMMARY = "write row types, Python or TypeScript"
EXAMPLE = "types --out rows.py"
EXIT_CODES = "2 it is stale, "

_SHOWN = 20  # lines of a diff; --json has them all
_COLORS = {"+": "green", "-": "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    arguments.add_output(parser, "--lang", ("python", "typescript"))
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 2 when the file is stale"
    )


def run(context: Context) -> int:
    """Write the types to stdout or a file, or check whether a file is stale."""
    from runner.generate import output, types

    options = context.options
    if options.check and not options.out:
        raise UsageError("--check needs the file to compare with", hint="Name it: --out FILE")
    path = Path(options.out) if options.out else None
    with context.migrator(create=False, log=False) as migrator:
        text = types.write(migrator.connection, options.schema, options.lang)
        made = output.deliver(text, path, check=options.check)
        code = SOMETHING_TO_DO if made.state in ("stale", "absent") else DONE
        if path:
            context.say(f"{made.state}: {path}")
            _show(context, made.diff)
        else:
            context.console.text(text)
        context.document(
            exit_code=code,
            schema=options.schema,
            language=options.lang,
            file=path,
            state=made.state,
            text=text,
            diff=made.diff,
        )
    return code


def _show(context: Context, diff: list[str]) -> None:
    for line in diff[:_SHOWN]:
        color = _COLORS.get(line[:1])
        context.say(context.console.paint(line, color) if color else line)
    if len(diff) > _SHOWN:
        context.say(f"and {len(diff) - _SHOWN} more lines")
    if diff:
        context.console.note("To update it: the same command without --check")
