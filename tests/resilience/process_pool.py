"""Start runners by fork: real processes, without the start-up time of an interpreter.

Run as a program, this module imports the whole runner and opens no connection; it reads one JSON
command per line and answers each with one line.
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

from checkout import TIMEOUT


class ProcessPool:
    """Starts processes that run `python -m runner`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            # A signal may leave a connection open until the process ends, which is no leak.
            [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def start(
        self, *arguments: str, folder: Path, environ: Mapping[str, str], signal_at: int = 0
    ) -> Child:
        """Start a runner in a folder, where its output goes into files.

        `signal_at`: it sends itself SIGINT after executing this many of its own lines; -1: it only
        counts them.
        """
        command = {"arguments": arguments, "folder": str(folder), "environ": dict(environ)}
        pid = self._request({**command, "signal_at": signal_at})
        return Child(self, pid, folder)

    def wait(self, pid: int) -> int:
        """Wait for a process and return its exit code as a shell does: 128 + n for signal n."""
        return self._request({"wait": pid})

    def close(self) -> None:
        with self._process:
            pass

    def _request(self, command: dict[str, Any]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())


class Child:
    """A runner process."""

    def __init__(self, pool: ProcessPool, pid: int, folder: Path) -> None:
        self.pid = pid
        self._pool = pool
        self._folder = folder

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code, stdout and stderr."""
        code = self._pool.wait(self.pid)
        return code, self.output("out"), self.output("err")

    def output(self, name: str) -> str:
        """Return its output so far: `out` (stdout), `err` (stderr), `lines` (the line count)."""
        path = self._folder / f"{self.pid}.{name}"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def _serve() -> None:
    """Execute commands until stdin ends; return only in a child, which is then set up to run."""
    for line in sys.stdin:
        command = json.loads(line)
        if pid := command.get("wait"):
            print(_exit_code(pid), flush=True)
        elif child := os.fork():
            print(child, flush=True)
        else:
            _set_up_child(**command)
            return
    sys.exit()


def _exit_code(pid: int) -> int:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        changed, status = os.waitpid(pid, os.WNOHANG)
        if changed:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -1  # it did not end before the deadline


def _set_up_child(
    arguments: list[str], folder: str, environ: dict[str, str], signal_at: int
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, path in enumerate((os.devnull, f"{os.getpid()}.out", f"{os.getpid()}.err")):
        os.dup2(os.open(path, flags if number else os.O_RDONLY), number)
    sys.argv = ["runner", *arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal
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
    import runner.migrate.executor  # noqa: F401 - shared by all children

    lines: list[int] = []
    gc.freeze()
    _serve()
    try:
        runpy.run_module("runner", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if sys.gettrace():
            sys.settrace(None)
            Path(f"{os.getpid()}.lines").write_text(str(len(lines)))
        sys.stdout.flush()
        os._exit(int(end.code or 0))
