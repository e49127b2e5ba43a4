"""Check migration files without running them: directives, statements without effect, squawk."""

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
# First words of statements that only return rows: a leftover, or work that belongs elsewhere.
_READ_ONLY = ("select", "show", "table", "values", "explain")
_ACCEPT = "If it is meant, on the line above the statement: -- squawk-ignore {}"
# Without a .squawk.toml: the runner sets a lock timeout, and a file may set the other.
_SET_BY_RUNNER = "--exclude=require-lock-timeout,require-statement-timeout"


def findings(files: Sequence[Migration]) -> list[Finding]:
    """Return what is wrong with the files and their rollback files, each with its place."""
    found = [finding for file in files for finding in _of_file(file)]
    unreadable = {finding.file for finding in found}
    readable = [file for file in files if file.id not in unreadable]
    for transactional in (True, False):
        found += _squawk([f for f in readable if f.header.transactional is transactional])
    return found


def not_tried() -> dict[str, str]:
    """Return why this check was not tried completely: squawk is not installed."""
    return {} if squawk() else {NAME: "squawk is not installed: pip install squawk-cli"}


def squawk() -> Path | None:
    """Return the path of squawk: beside this Python, or on PATH. It is an optional dependency."""
    here = Path(sys.executable).with_name("squawk")
    if here.is_file():
        return here
    found = shutil.which("squawk")
    return Path(found) if found else None


def _of_file(file: Migration) -> Iterator[Finding]:
    sql_files: list[SqlFile] = [file]
    with contextlib.suppress(FileError):  # the rollback check reports a missing rollback file
        sql_files.append(file.rollback)
    for sql_file in sql_files:
        try:
            found = sql_file.statements
        except FileError as error:
            yield Finding(NAME, file.id, error.message, (error.hint,), error.place)
            continue
        if not found and sql_file is file:
            yield Finding(NAME, file.id, f"{sql_file} contains no statements")
        for statement in found:
            if statement.words and statement.words[0] in _READ_ONLY:
                yield Finding(
                    NAME,
                    file.id,
                    f"{sql_file} has a statement that changes nothing: {statement.words[0]}",
                    ("To call a function for its side effects, use `perform` in a `do` block.",),
                    statements.place(sql_file.text, statement.start, str(sql_file)),
                )


def _squawk(files: Sequence[Migration]) -> Iterator[Finding]:
    """Yield what squawk finds in files that are all transactional, or none of them."""
    program = squawk()
    if program is None or not files:
        return
    paths = {str(file.path.resolve()): file for file in files}
    folders = files[0].path.resolve().parents
    config = next((f for folder in folders if (f := folder / ".squawk.toml").is_file()), None)
    transaction = f"--{'' if files[0].header.transactional else 'no-'}assume-in-transaction"
    options = ["--reporter=Json", transaction, f"--config={config}" if config else _SET_BY_RUNNER]
    ran = subprocess.run([program, *options, *paths], capture_output=True, text=True, check=False)
    try:
        violations = json.loads(ran.stdout or "[]")
    except json.JSONDecodeError:
        violations = None
    if violations is None or (ran.returncode and not violations):
        yield Finding(NAME, files[0].id, "squawk failed", (ran.stderr.strip(),))
        return
    for violation in violations:
        file = paths[violation["file"]]
        offset = _offset(file.text, int(violation["line"]), int(violation["column"]))
        yield Finding(
            NAME,
            file.id,
            f"{violation['message']} (squawk: {violation['rule_name']})",
            tuple(filter(None, (violation.get("help"), _ACCEPT.format(violation["rule_name"])))),
            statements.place(file.text, offset, str(file)),
        )


def _offset(text: str, line: int, column: int) -> int:
    """Return the offset in a text of a line and column, both counted from 0."""
    return sum(len(before) for before in text.splitlines(keepends=True)[:line]) + column
