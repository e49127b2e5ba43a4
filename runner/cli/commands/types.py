"""Commands that write a file from the catalog: types, diagram."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
from pathlib import Path

from runner.cli.commands.common import Options, document, show_target
from runner.cli.console import Console
from runner.errors import DONE, SOMETHING_TO_DO, UsageError
from runner.generate import types as rowtypes
from runner.generate.diagram import FORMATS
from runner.migrate.session import migrator_for
from runner.settings import Settings

_SHOWN = 20  # lines of a difference; --json has them all
_COLOURS = {"+": "green", "-": "red"}


def types(where: Settings, options: Options, console: Console) -> int:
    """Write row types from the catalog: to stdout, or to a file, or look whether it is stale."""
    if options.check and not options.out:
        raise UsageError(
            "--check needs the file to look at", hint="Name it: --out FILE. Nothing was written."
        )
    path = Path(options.out) if options.out else None
    with migrator_for(where, console.report, create=False, log=False) as migrator:
        show_target(migrator, console)
        text = rowtypes.write(migrator.connection, options.schema, options.lang)
        old = _read(path) if path else None
        code, state, diff = DONE, "printed", list[str]()
        if not path:
            console.text(text)
        elif old == text:
            state = "current" if options.check else "unchanged"
        elif options.check:
            code, state = SOMETHING_TO_DO, "absent" if old is None else "stale"
            diff = _difference(path, old or "", text)
        else:
            _write(path, text)
            state = "written"
        if path:
            console.say(f"{state}: {path}")
            _show(diff, console)
        document(
            console,
            options,
            migrator,
            exit_code=code,
            schema=options.schema,
            language=options.lang,
            file=path,
            state=state,
            text=text,
            diff=diff,
        )
    return code


def diagram(where: Settings, options: Options, console: Console) -> int:
    """Draw the schema of the catalog: to stdout, or to a file."""
    path = Path(options.out) if options.out else None
    with migrator_for(where, console.report, create=False, log=False) as migrator:
        show_target(migrator, console)
        text = FORMATS[options.format](migrator.connection, options.schema)
        state = "printed"
        if path:
            state = "unchanged" if _read(path) == text else "written"
            if state == "written":
                _write(path, text)
            console.say(f"{state}: {path}")
        else:
            console.text(text)
        document(
            console,
            options,
            migrator,
            schema=options.schema,
            format=options.format,
            file=path,
            state=state,
            text=text,
        )
    return DONE


def _difference(path: Path, old: str, new: str) -> list[str]:
    lines = old.splitlines(), new.splitlines()
    return list(difflib.unified_diff(*lines, str(path), "catalog", lineterm=""))


def _show(diff: list[str], console: Console) -> None:
    for line in diff[:_SHOWN]:
        console.say(console.paint(line, _COLOURS[line[0]]) if line[0] in _COLOURS else line)
    if len(diff) > _SHOWN:
        console.say(f"and {len(diff) - _SHOWN} lines more")
    if diff:
        console.note("Write it anew: the same command without --check")


def _read(path: Path) -> str | None:
    """Return what a file holds, or None when there is none; line endings do not count."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no file", hint="Nothing was written.")
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="Nothing was written."
        ) from None


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all. It keeps its permissions; a new one has the usual ones."""
    file = path.resolve()  # a link stays; what it names is written
    draft = file.with_name(f"{file.name}.{os.getpid()}.draft")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        if file.exists():
            shutil.copymode(file, draft)
        draft.replace(file)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}",
            hint="What was there before, if anything, is as it was.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
