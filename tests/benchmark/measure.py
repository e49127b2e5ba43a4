"""Whole processes, timed from outside, in turns; and the tables that the figures are printed in."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """One finished process: seconds on the clock, and of its own and its children's processor.

    `peak`: the most memory it took, in MB.
    """

    wall: float
    cpu: float
    peak: float


def timed(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    code: int = 0,
    says: bytes = b"",
) -> Run:
    """Run a command to its end.

    Raises RuntimeError, with what it said, unless it exits with `code` and `says` is in that.
    """
    started = time.monotonic()
    with subprocess.Popen(
        command, cwd=cwd, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        said = process.stdout.read() if process.stdout else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    if process.returncode != code or says not in said:
        raise RuntimeError(f"{command}: {said.decode(errors='replace')}")
    kilobytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Run(wall, used.ru_utime + used.ru_stime, kilobytes / 1024)


def in_turns(
    runs: Mapping[str, Callable[[], Run]], rounds: int, say: Callable[[str], None]
) -> dict[str, list[Run]]:
    """Run each in turn, so many rounds: what slows the machine down slows all of them."""
    found: dict[str, list[Run]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            say(f"round {number + 1} of {rounds}: {name}")
            found[name].append(run())
    return found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(runs: Sequence[Run], to: Sequence[Run]) -> float:
    """The median of the ratios of each round."""
    return median([a.wall / b.wall for a, b in zip(runs, to, strict=True)])


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def machine() -> str:
    """Return what the figures depend on."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model or os.uname().machine}, {os.cpu_count()} cores, Python {sys.version.split()[0]}"
