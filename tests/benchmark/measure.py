"""Time whole processes in interleaved rounds, and format the results as tables."""

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
    """A finished process: wall and CPU seconds, children included, and peak memory in MB."""

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
    """Run a command to its end, and return what it took.

    Raises RuntimeError with the output unless the exit code is `code` and the output has `says`.
    """
    started = time.monotonic()
    with subprocess.Popen(
        command, cwd=cwd, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        output = process.stdout.read() if process.stdout else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    if process.returncode != code or says not in output:
        raise RuntimeError(f"{command}: {output.decode(errors='replace')}")
    kilobytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Run(wall, used.ru_utime + used.ru_stime, kilobytes / 1024)


def interleaved(
    runs: Mapping[str, Callable[[], Run]], rounds: int, say: Callable[[str], None]
) -> dict[str, list[Run]]:
    """Run each once per round, so that other load on the machine affects all of them alike."""
    found: dict[str, list[Run]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            say(f"round {number + 1} of {rounds}: {name}")
            found[name].append(run())
    return found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(runs: Sequence[Run], to: Sequence[Run]) -> float:
    """Return the median of the wall-time ratios within each round."""
    return median([a.wall / b.wall for a, b in zip(runs, to, strict=True)])


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def machine() -> str:
    """Return the processor model, the number of cores and the Python version."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model or os.uname().machine}, {os.cpu_count()} cores, Python {sys.version.split()[0]}"
