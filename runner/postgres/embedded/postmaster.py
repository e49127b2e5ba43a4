"""One running PostgreSQL as its data folder shows it: launch it, know it again, end it.

`postmaster.pid` outlives a crash, and its number may meanwhile belong to somebody else. So nothing
here trusts the number: a postmaster is a process that works in this very folder, or, where one may
not look, one that answers on its socket as the process the file names.
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

READY = ("ready", "standby")
PATIENCE = 300.0  # seconds; recovery after a crash may take its time


@dataclass(frozen=True)
class Postmaster:
    """What `postmaster.pid` says."""

    data_dir: Path
    pid: int
    started_in: Path
    port: int
    socket_dir: Path
    listen: str
    status: str

    @property
    def moved(self) -> bool:
        """Was the data folder renamed under the running server?"""
        return self.started_in != self.data_dir

    @property
    def ready(self) -> bool:
        return self.status in READY

    def peer(self) -> int | None:
        """Who listens on the socket: a pid, -1 if the system cannot tell, None if nobody does."""
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

    def answers(self) -> bool:
        """Is it the process of the pid file that listens there?"""
        return self.peer() in (self.pid, -1)

    def is_genuine(self) -> bool:
        """Alive, and this data folder's postmaster, in whatever state."""
        if not alive(self.pid):
            return False
        try:
            return Path(f"/proc/{self.pid}/cwd").samefile(self.data_dir)
        except OSError:  # no /proc (macOS), or not allowed to look (a container's root)
            return self.answers()

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it and wait; if it will not, make it. Then tidy up its socket."""
        for number in (how, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            if wait(lambda: not alive(self.pid), 60):
                return self._tidy()
        raise ServerError(
            f"The embedded PostgreSQL (process {self.pid}) does not stop.",
            hint=f"See {log_of(self.data_dir)}. Nothing is lost.",
        )

    def _tidy(self) -> None:
        """What a server leaves behind whose folder has moved, and our short socket folder."""
        with contextlib.suppress(OSError):
            for left in (*self.socket_dir.glob(".s.PGSQL.*"),):
                left.unlink()
            if self.socket_dir != self.data_dir:
                self.socket_dir.rmdir()


def read(data_dir: Path) -> Postmaster | None:
    """The pid file, if there is one and it is whole enough to be read."""
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


def living(data_dir: Path) -> Postmaster | None:
    """The postmaster that works in this folder now, whatever state it is in."""
    seen = read(data_dir)
    return seen if seen and seen.is_genuine() else None


def settled(data_dir: Path) -> Postmaster | None:
    """The running postmaster, once one that is just starting or stopping has made up its mind."""
    seen = read(data_dir)
    if seen is None or not alive(seen.pid):
        return None
    # So young that it has no socket yet, where the socket is all we may look at?
    if not seen.is_genuine() and not (
        looks_like_postgres(seen.pid) and wait(lambda: living(data_dir) is not None, 3)
    ):
        return None
    return ready_as(data_dir, seen.pid)


def ready_as(data: Path, pid: int) -> Postmaster | None:
    """The postmaster of this pid once it takes connections; None when it has died."""

    def decided() -> bool:
        seen = read(data)
        return bool(seen and seen.pid == pid and seen.ready) or not alive(pid)

    if not wait(decided, PATIENCE):
        raise ServerError(
            f"The embedded PostgreSQL is still not ready after {PATIENCE:.0f} seconds.",
            hint=f"It may be recovering, and goes on. See {log_of(data)}, then try again.",
        )
    return read(data) if alive(pid) else None


def log_of(data: Path) -> Path:
    return data.with_name(f"{data.name}.log")


def tail(text: str, lines: int = 10) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


def alive(pid: int) -> bool:
    """Is there such a process, and is it more than a zombie nobody has buried?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # without /proc, the signal's answer counts
    return state.split()[0] not in ("Z", "X")


def looks_like_postgres(pid: int) -> bool:
    """A guess by name; where it cannot be had, a yes."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except OSError:
        return not Path("/proc/self").exists()


def wait(condition: Callable[[], bool], within: float) -> bool:
    """Poll until the condition holds; False when the time is up."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
