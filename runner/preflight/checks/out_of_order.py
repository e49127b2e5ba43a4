"""Files that come late, as after a merge: does the order in which they are applied matter?"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from runner.errors import FileError, RunnerError, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.preflight.checks.finding import Finding
from runner.preflight.scratch import ScratchServer
from runner.schema.diff import difference

NAME = "late files"


def check(
    scratch: ScratchServer, files: Sequence[Migration], out_of_order: Sequence[Migration]
) -> tuple[str, list[Finding]]:
    """Apply the files in their order, and once more with the late ones at the end.

    Returns what was proved, in words, and what failed.
    """
    ids = ", ".join(file.id for file in out_of_order)
    last = [file for file in files if file not in out_of_order] + list(out_of_order)
    if last == list(files):
        return f"{NAME}: {f'{ids} comes last anyway' if ids else 'none'}", []
    early_or_late: list[Finding] = []
    for file in files:
        needed = [m.id for m in out_of_order if m.id in file.header.depends]
        if file not in out_of_order and needed:
            what = f"depends on {', '.join(needed)}, which would come after it"
            early_or_late.append(Finding(NAME, file.id, what))
    if early_or_late:
        return NAME, early_or_late
    made = []
    for order, how in ((files, "in the order of their numbers"), (last, f"with {ids} last")):
        try:
            made.append(scratch.snapshot_of(order))
        except RunnerError as error:
            what = f"the files do not apply {how}: {error.message}"
            return NAME, [Finding(NAME, "", what, (), error.place)]
    found = difference(*made)
    if found:
        words = tuple(d.as_drift("in order", "with the late ones last") for d in found)
        return NAME, [Finding(NAME, ids, "makes another schema when it comes late", words)]
    return f"{NAME}: {ids} may come after all others, safe to merge", []


@contextmanager
def against(sql_dir: Path, ref: str) -> Iterator[tuple[list[Migration], list[Migration]]]:
    """Yield the files of here and of a git ref together, in order, and those that are late.

    Late is what is here only and has a lower number than something there. Raises UsageError where
    git cannot tell, FileError where two files have one number.
    """
    here = loader.read(sql_dir)
    with TemporaryDirectory() as folder:
        there = _read(sql_dir, ref, Path(folder))
        known = {file.id for file in there}
        ours = [file for file in here if file.id not in known]
        newest = max(file.number for file in there)
        both = {file.id: file for file in (*there, *here)}  # what is in both, as it is here
        twins = [(a, b) for a in ours for b in there if a.number == b.number]
        for a, b in twins:
            raise FileError(
                f"{a.id} has the number of {b.id}, which is in {ref}",
                hint="Give it the next free number: it has to come after. Nothing was checked.",
            )
        files = sorted(both.values(), key=lambda file: file.number)
        yield files, [file for file in ours if file.number < newest]


def _read(sql_dir: Path, ref: str, folder: Path) -> list[Migration]:
    """Return the migrations of a git ref, their files laid into a folder."""
    listed = _git(sql_dir, ref, "ls-tree", "-z", "--name-only", ref, "./").split(b"\0")
    for name in map(os.fsdecode, listed):
        if name.endswith(".sql"):
            text = _git(sql_dir, ref, "show", f"{ref}:./{name}")
            (folder / Path(name).name).write_bytes(text)
    return loader.read(folder)


def _git(sql_dir: Path, ref: str, *words: str) -> bytes:
    if ref.startswith("-"):
        raise UsageError(f"{ref} would be a flag of git", hint="Nothing was checked.")
    ran = subprocess.run(["git", *words], cwd=sql_dir, capture_output=True, check=False)
    if ran.returncode:
        said = ran.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise UsageError(
            f"git does not know the files of {ref}: {said}",
            hint="--base takes a branch, a tag or a commit. Nothing was checked.",
        )
    return ran.stdout
