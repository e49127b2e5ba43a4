"""Check files that are out of order, as after a merge: does the order of application matter?"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from runner.errors import FileError, Interrupted, RunnerError, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.preflight.checks.finding import Finding
from runner.preflight.diff import difference
from runner.preflight.scratch import ScratchServer

NAME = "out-of-order files"


def check(
    scratch: ScratchServer, files: Sequence[Migration], out_of_order: Sequence[Migration]
) -> tuple[str, list[Finding]]:
    """Apply the files in order, then with those out of order last, and compare the schemas.

    Returns the result in words if nothing failed, and what failed.
    """
    ids = ", ".join(file.id for file in out_of_order)
    reordered = [file for file in files if file not in out_of_order] + list(out_of_order)
    if reordered == list(files):
        return f"{NAME}: {ids}, which is last in any case", []
    dependent: list[Finding] = []
    for file in files:
        needed = [m.id for m in out_of_order if m.id in file.header.depends]
        if file not in out_of_order and needed:
            summary = f"depends on {', '.join(needed)}, which would be applied after it"
            dependent.append(Finding(NAME, file.id, summary))
    if dependent:
        return "", dependent
    made = []
    for order, name in ((files, "in numeric order"), (reordered, f"with {ids} last")):
        try:
            made.append(scratch.snapshot_of(order))
        except RunnerError as error:
            if isinstance(error, Interrupted):
                raise
            summary = f"the files cannot be applied {name}: {error.message}"
            return "", [Finding(NAME, "", summary, (), error.place)]
    found = difference(*made)
    if found:
        details = tuple(d.as_drift("in order", "out of order") for d in found)
        summary = "produces a different schema when applied out of order"
        return "", [Finding(NAME, ids, summary, details)]
    return f"{NAME}: {ids} can be applied after all others, safe to merge", []


@contextmanager
def against(sql_dir: Path, ref: str) -> Iterator[tuple[list[Migration], list[Migration]]]:
    """Yield the files of sql_dir and of a git ref, in order, and those that are out of order.

    A file is out of order if it is not in the ref and has a lower number than a file that is. For
    files on both sides, the content of sql_dir counts. Raises UsageError if git cannot read the
    ref, FileError if two files have the same number.
    """
    here = loader.read(sql_dir)
    with TemporaryDirectory() as folder:
        deployed = _read(sql_dir, ref, Path(folder))
        known = {file.id for file in deployed}
        new = [file for file in here if file.id not in known]
        newest = max(file.number for file in deployed)
        both = {file.id: file for file in (*deployed, *here)}
        dated = loader.DATE.match  # two files of a day may have the same number
        same_number = [
            (a, b) for a in new for b in deployed if a.number == b.number and not dated(a.id)
        ]
        for a, b in same_number:
            raise FileError(
                f"{a.id} has the same number as {b.id}, which is in {ref}",
                hint="Rename it to the next free number, so that it is applied later.",
            )
        files = sorted(both.values(), key=lambda file: (file.number, file.id))
        yield files, [file for file in new if file.number < newest]


def _read(sql_dir: Path, ref: str, folder: Path) -> list[Migration]:
    """Return the migrations of a git ref, after writing their files to a folder."""
    listed = _git(sql_dir, ref, "ls-tree", "-z", "--name-only", ref, "./").split(b"\0")
    for name in map(os.fsdecode, listed):
        if name.endswith(".sql"):
            text = _git(sql_dir, ref, "show", f"{ref}:./{name}")
            (folder / Path(name).name).write_bytes(text)
    return loader.read(folder)


def _git(sql_dir: Path, ref: str, *arguments: str) -> bytes:
    if ref.startswith("-"):
        raise UsageError(f"{ref} would be an option to git")
    ran = subprocess.run(["git", *arguments], cwd=sql_dir, capture_output=True, check=False)
    if ran.returncode:
        reason = ran.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise UsageError(
            f"git cannot read the files of {ref}: {reason}",
            hint="--base takes a branch, a tag or a commit.",
        )
    return ran.stdout
