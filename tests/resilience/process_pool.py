"""Brings runners into the world by fork: real processes, without an interpreter's start for each.

Started as a program it has all of the runner imported and opens nothing; it reads one order per
line and answers with one line.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from checkout import PATIENCE


class Nursery:
    """Starts `python -m runner` again and again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            # A connection that a signal leaves to the end of the process is closed by that.
            [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def start(
        self, *words: str, folder: Path, environ: Mapping[str, str], signal_at: int = 0
    ) -> Child:
        """Start a runner in a folder; what it says goes to files there.

        `signal_at`: at so many lines of its own it sends itself SIGINT; -1: it only counts them.
        """
        order = {"words": words, "folder": str(folder), "environ": dict(environ)}
        pid = self._ask({**order, "signal_at": signal_at})
        return Child(self, pid, folder)

    def wait(self, pid: int) -> int:
        """Return how it ended, as a shell says it: 128 + n for signal n."""
        return self._ask({"wait": pid})

    def close(self) -> None:
        with self._process:
            pass

    def _ask(self, order: dict[str, Any]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())


class Child:
    """A runner that was started."""

    def __init__(self, nursery: Nursery, pid: int, folder: Path) -> None:
        self.pid = pid
        self._nursery = nursery
        self._folder = folder

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> tuple[int, str, str]:
        """Return its exit code, and what it said to stdout and to stderr."""
        code = self._nursery.wait(self.pid)
        return code, self.said("out"), self.said("err")

    def said(self, where: str) -> str:
        """Return what it said so far to `out` or `err`, or what it wrote to `lines`."""
        path = self._folder / f"{self.pid}.{where}"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def _obey() -> None:
    """Obey orders until there are none; return in a child, which has become what it is to be."""
    for line in sys.stdin:
        order = json.loads(line)
        if pid := order.get("wait"):
            print(_ended(pid), flush=True)
        elif child := os.fork():
            print(child, flush=True)
        else:
            _become(**order)
            return
    sys.exit()


def _ended(pid: int) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -1  # it did not end by itself


def _become(words: list[str], folder: str, environ: dict[str, str], signal_at: int) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, path in enumerate((os.devnull, f"{os.getpid()}.out", f"{os.getpid()}.err")):
        os.dup2(os.open(path, how if number else os.O_RDONLY), number)
    sys.argv = ["runner", *words]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as from a keyboard
    if signal_at:
        _count_lines(signal_at)


def _count_lines(signal_at: int) -> None:
    def trace(frame: FrameType, event: str, _: object) -> Any:
        if "/runner/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines.append(frame.f_lineno)
            if len(lines) == signal_at:
                os.kill(os.getpid(), signal.SIGINT)
        return trace

    sys.settrace(trace)


if __name__ == "__main__":
    import runner.cli.commands.seed
    import runner.cli.main
    import runner.migrate.executor  # noqa: F401 - once for all

    lines: list[int] = []
    gc.freeze()
    _obey()
    try:
        runpy.run_module("runner", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if sys.gettrace():
            sys.settrace(None)
            Path(f"{os.getpid()}.lines").write_text(str(len(lines)))
        sys.stdout.flush()
        os._exit(int(end.code or 0))
