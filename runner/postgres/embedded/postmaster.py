"""Identify, wait for and stop a running PostgreSQL, given its data folder.

`postmaster.pid` outlives a crash, and the operating system may assign its pid to another process.
The pid alone is therefore never trusted: a process counts as the postmaster only if its working
directory is the data folder or, where that cannot be read, if it listens on the server's socket.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.errors import ServerError

READY_STATUSES = ("ready", "standby")
STARTUP_TIMEOUT_SECONDS = 300.0  # long enough for recovery after a crash
_STOP_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Postmaster:
    """The contents of `postmaster.pid`."""

    data_dir: Path
    pid: int
    started_in: Path
    port: int
    socket_dir: Path
    listen: str
    status: str

    @property
    def was_moved(self) -> bool:
        """Whether the data folder was renamed while the server was running."""
        return self.started_in != self.data_dir

    @property
    def ready(self) -> bool:
        return self.status in READY_STATUSES

    def listener_pid(self) -> int | None:
        """Return the pid that listens on the socket; -1 if unknown (macOS), None if none does."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(os.fspath(self.socket_dir / f".s.PGSQL.{self.port}"))
                if sys.platform != "linux":
                    return -1
                peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            except OSError:
                return None
        return int(struct.unpack("3i", peer)[0])

    def owns_socket(self) -> bool:
        """Return whether the process named in the pid file listens on the socket."""
        return self.listener_pid() in (self.pid, -1)

    def is_running(self) -> bool:
        """Return whether the process is alive and is the postmaster of this data folder."""
        if not alive(self.pid):
            return False
        try:
            return Path(f"/proc/{self.pid}/cwd").samefile(self.data_dir)
        except OSError:  # no /proc (macOS), or not allowed to read it (root in a container)
            return self.owns_socket()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Send `how` and wait for the process to end; send SIGQUIT if it has not after 60 seconds.

        SIGINT is PostgreSQL's fast shutdown. The socket files are removed afterwards. Raise
        ServerError if the process is still alive 60 seconds after SIGQUIT.
        """
        for number in (how, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            if wait_until(lambda: not alive(self.pid), _STOP_TIMEOUT_SECONDS):
                return self._remove_sockets()
        raise ServerError(
            f"The embedded PostgreSQL (process {self.pid}) does not stop.",
            hint=f"See its log, {log_path(self.data_dir)}. No data is lost.",
        )

    def _remove_sockets(self) -> None:
        """Remove the sockets that a moved server leaves behind, and the short socket folder."""
        with contextlib.suppress(OSError):
            for path in (*self.socket_dir.glob(".s.PGSQL.*"),):
                path.unlink()
            if self.socket_dir != self.data_dir:
                self.socket_dir.rmdir()


def read(data_dir: Path) -> Postmaster | None:
    """Return the contents of the pid file; None if it is missing or not completely written."""
    try:
        text = (data_dir / "postmaster.pid").read_bytes().decode(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    lines = text.split("\n") + [""] * 8
    try:
        pid, port = abs(int(lines[0])), int(lines[3])
    except ValueError:
        return None
    started_in = Path(lines[1])
    socket_dir = Path(lines[4] or lines[1])
    if socket_dir == started_in:  # a socket in the data folder moves along with it
        socket_dir = data_dir
    return Postmaster(data_dir, pid, started_in, port, socket_dir, lines[5], lines[7].strip())


def find_running(data_dir: Path) -> Postmaster | None:
    """Return the postmaster of this data folder in any state, also starting or stopping."""
    found = read(data_dir)
    return found if found and found.is_running() else None


def find_ready(data_dir: Path) -> Postmaster | None:
    """Return the running postmaster once startup or shutdown has finished; None if it stopped."""
    found = read(data_dir)
    if found is None or not alive(found.pid):
        return None
    # Where only the socket can be checked, a server that has just started may not have one yet.
    if not found.is_running() and not (
        looks_like_postgres(found.pid) and wait_until(lambda: find_running(data_dir) is not None, 3)
    ):
        return None
    return wait_until_ready(data_dir, found.pid)


def wait_until_ready(data: Path, pid: int) -> Postmaster | None:
    """Return the postmaster with this pid once it accepts connections; None if it has ended.

    Raise ServerError after STARTUP_TIMEOUT_SECONDS.
    """

    def finished() -> bool:
        found = read(data)
        return bool(found and found.pid == pid and found.ready) or not alive(pid)

    if not wait_until(finished, STARTUP_TIMEOUT_SECONDS):
        raise ServerError(
            f"The embedded PostgreSQL is still not ready after {STARTUP_TIMEOUT_SECONDS:.0f} "
            "seconds.",
            hint="It is still running and may be recovering. "
            f"See its log, {log_path(data)}, then try again.",
        )
    return read(data) if alive(pid) else None


def log_path(data: Path) -> Path:
    return data.with_name(f"{data.name}.log")


def tail(text: str, lines: int = 10) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


def alive(pid: int) -> bool:
    """Return whether a process with this pid exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # without /proc, the result of os.kill counts
    return state.split()[0] not in ("Z", "X")


def looks_like_postgres(pid: int) -> bool:
    """Return whether the process is named `postgres`; True where there is no /proc to read."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except OSError:
        return not Path("/proc/self").exists()


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Poll every 5 ms until the condition holds; return False after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
