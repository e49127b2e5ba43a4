"""Start runners by fork: real processes, without the start-up time of an interpreter.

Run as a program, this module imports the whole runner and opens no connection; it reads one JSON
command per line and answers each with one line.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import cluster_copies

import runner

TIMEOUT = 60.0  # seconds: limit of a wait that should end much earlier
_RUNS = -1000  # instead of an exit code
NOT_COMMANDS = ("runner.__main__", "runner.yoyo_backend", "runner.isolation.testing")


class ProcessPool:
    """Starts processes that run `python -m runner`.

    `killed`: they may end by a signal, which leaves a connection open until the process ends. That
    is no leak, and they need not tidy up before they exit.
    """

    def __init__(self, *, killed: bool = False) -> None:
        self._lock = threading.Lock()
        self.folder = Path(tempfile.mkdtemp(prefix="runs-"))
        leaks = ("-W", "ignore::ResourceWarning") if killed else ()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", *leaks, __file__, str(self.folder), str(killed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def start(
        self, *arguments: str, folder: Path, environ: Mapping[str, str], signal_at: int = 0
    ) -> Child:
        """Start a runner in a folder.

        `signal_at`: it sends itself SIGINT after executing this many of its own lines; -1: it only
        counts them.
        """
        command = {"arguments": arguments, "folder": str(folder), "environ": dict(environ)}
        pid = self._request({**command, "signal_at": signal_at})
        return Child(self, pid)

    def wait(self, pid: int) -> int:
        """Wait for a process and return its exit code as a shell does: 128 + n for signal n."""
        deadline = time.monotonic() + TIMEOUT
        while (code := self._request({"wait": pid})) == _RUNS and time.monotonic() < deadline:
            _sleep_until_end(pid)
        if code == _RUNS:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"process {pid} still runs after {TIMEOUT:.0f} s")
        return code

    def close(self) -> None:
        with self._process:
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def _request(self, command: dict[str, Any]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())


class Child:
    """A runner process."""

    def __init__(self, pool: ProcessPool, pid: int) -> None:
        self.pid = pid
        self._pool = pool

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code, stdout and stderr."""
        code = self._pool.wait(self.pid)
        return code, self.output("out"), self.output("err")

    def output(self, name: str) -> str:
        """Return its output so far: `out` (stdout), `err` (stderr), `lines` (the line count)."""
        path = self._pool.folder / f"{self.pid}.{name}"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def _sleep_until_end(pid: int) -> None:
    """Sleep until a process ends, which is no child of this one; elsewhere than on Linux, poll."""
    if sys.platform != "linux":
        time.sleep(0.002)
        return
    process = os.pidfd_open(pid)
    try:
        select.select([process], [], [], TIMEOUT)
    finally:
        os.close(process)


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
    ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        return _RUNS
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _output(name: str) -> str:
    return f"{sys.argv[1]}/{os.getpid()}.{name}"


def _set_up_child(
    arguments: list[str], folder: str, environ: dict[str, str], signal_at: int
) -> None:
    files = os.devnull, _output("out"), _output("err")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, path in enumerate(files):
        opened = os.open(path, flags if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
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
    lines: list[int] = []
    killed, counted = sys.argv[2] == "True", f"{sys.argv[1]}/{{}}.lines"
    # What every command imports, and packages that some import. A child that is killed imports the
    # rest of our own modules, as the command does; all others find them imported.
    names = ["jinja2", "runner.cli.commands.seed", "runner.cli.main", "runner.migrate.executor"]
    if not killed:
        found = pkgutil.walk_packages(runner.__path__, "runner.")
        names += [name for _, name, _ in found if not name.startswith(NOT_COMMANDS)]
    for name in names:
        importlib.import_module(name)
    if folder := os.environ.get(cluster_copies.FOLDER):
        cluster_copies.install(folder)
    gc.freeze()
    _serve()
    code: object = 0
    try:
        runpy.run_module("runner", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if killed and sys.gettrace():
        sys.settrace(None)
        Path(counted.format(os.getpid())).write_text(str(len(lines)))
    if not killed:
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(str(code or 0)))  # freeing all modules would take longer than most commands
