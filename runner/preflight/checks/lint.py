"""What can be said of migration files without running them: directives, vocabulary, squawk."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.errors import FileError
from runner.files import statements
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.preflight.checks.finding import Finding

NAME = "lint"
# What answers and changes nothing: an exploration left behind, or work that belongs elsewhere.
_ASKS = ("select", "show", "table", "values", "explain")


def findings(files: Sequence[Migration]) -> list[Finding]:
    """Return what is wrong with the files and their ways back, each with its line."""
    found = [finding for file in files for finding in _of_file(file)]
    unread = {finding.file for finding in found}
    return [*found, *_squawk([file for file in files if file.id not in unread])]


def squawk() -> Path | None:
    """The linter beside this Python, or on the PATH; it is no part of the runner."""
    here = Path(sys.executable).with_name("squawk")
    if here.is_file():
        return here
    found = shutil.which("squawk")
    return Path(found) if found else None


def _of_file(file: Migration) -> Iterator[Finding]:
    scripts: list[SqlFile] = [file]
    with contextlib.suppress(FileError):  # that there is no way back is told by another proof
        scripts.append(file.rollback)
    for script in scripts:
        try:
            found = script.statements
        except FileError as error:
            yield Finding(NAME, file.id, error.message, (error.hint,), error.place)
            continue
        if not found and script is file:
            yield Finding(NAME, file.id, f"{script} holds no statement")
        for statement in found:
            if statement.words and statement.words[0] in _ASKS:
                yield Finding(
                    NAME,
                    file.id,
                    f"{script} asks and changes nothing: {statement.words[0]}",
                    ("A function to be called for what it does is called in a `do` block.",),
                    statements.place(script.text, statement.start, str(script)),
                )


def _squawk(files: Sequence[Migration]) -> Iterator[Finding]:
    program = squawk()
    if program is None or not files:
        return
    paths = {str(file.path): file for file in files}
    ran = subprocess.run(
        [program, "--reporter", "Json", *paths], capture_output=True, text=True, check=False
    )
    try:
        said = json.loads(ran.stdout or "[]")
    except json.JSONDecodeError:
        said = None
    if said is None or (ran.returncode and not said):
        yield Finding(NAME, files[0].id, "squawk broke off", (ran.stderr.strip(),))
        return
    for one in said:
        file = paths[one["file"]]
        offset = _offset(file.text, int(one["line"]), int(one["column"]))
        yield Finding(
            NAME,
            file.id,
            f"{one['message']} (squawk: {one['rule_name']})",
            (one["help"],) if one.get("help") else (),
            statements.place(file.text, offset, str(file)),
        )


def _offset(text: str, line: int, column: int) -> int:
    """Return where a line and column, both counted from 0, are in a text."""
    return sum(len(before) for before in text.splitlines(keepends=True)[:line]) + column
