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
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from runner.embedded import data_folder
from runner.errors import ServerError

DATABASE = "blueprint"
_STOP_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """An embedded PostgreSQL, as its `postmaster.pid` describes it."""

    data_dir: Path
    pid: int
    started_in: Path  # where data_dir was then: it may have been moved
    port: int  # names the socket file, too
    socket_dir: Path
    tcp: bool  # whether the port is open, on 127.0.0.1
    ready: bool

    def url(self, database: str = DATABASE, *, user: str = "postgres") -> str:
        """Return a connection URL for psycopg, psql and every other libpq program.

        With TCP, the role `postgres` connects over TCP and the URL contains its password; every
        other role connects over the socket.
        """
        if self.tcp and user == "postgres":
            password = quote(data_folder.password(self.data_dir), "")
            return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{quote(database, '')}"
        return (
            f"postgresql:///{quote(database, '')}?host={quote(os.fsencode(self.socket_dir))}"
            f"&port={self.port}&user={quote(user, '')}"
        )

    @property
    def version(self) -> int:
        return int(data_folder.version_of(self.data_dir))

    def listener_pid(self) -> int | None:
        """Return the pid that listens on the socket, as far as known; None if none does."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(os.fspath(self.socket_dir / f".s.PGSQL.{self.port}"))
                if sys.platform != "linux":  # macOS does not tell
                    return self.pid
                peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            except OSError:
                return None
        return int(struct.unpack("3i", peer)[0])

    def is_running(self) -> bool:
        """Return whether the process is alive and is the postmaster of this data folder."""
        if not alive(self.pid):
            return False
        try:
            return Path(f"/proc/{self.pid}/cwd").samefile(self.data_dir)
        except OSError:  # no /proc (macOS), or not allowed to read it (root in a container)
            return self.listener_pid() == self.pid

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Send `how` and wait for the process to end; send SIGQUIT if it has not after 60 seconds.

        SIGINT is PostgreSQL's fast shutdown. The socket files are removed afterwards. Raise
        ServerError if the process is still alive 60 seconds after SIGQUIT.
        """
        for number in (how, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            if data_folder.wait_until(lambda: not alive(self.pid), _STOP_TIMEOUT_SECONDS):
                return self._remove_sockets()
        raise ServerError(
            f"The embedded PostgreSQL (process {self.pid}) does not stop.",
            hint=f"See its log, {data_folder.beside(self.data_dir, 'log')}. No data is lost.",
        )

    def _remove_sockets(self) -> None:
        """Remove the socket that a moved server leaves behind, and the short socket folder."""
        with contextlib.suppress(OSError):
            for name in (f".s.PGSQL.{self.port}", f".s.PGSQL.{self.port}.lock"):
                (self.socket_dir / name).unlink(missing_ok=True)
            if self.socket_dir != self.data_dir:
                self.socket_dir.rmdir()


def read(data_dir: Path) -> Server | None:
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
    ready = lines[7].strip() in ("ready", "standby")
    return Server(data_dir, pid, started_in, port, socket_dir, bool(lines[5]), ready)


def find_running(data_dir: Path) -> Server | None:
    """Return the server of this data folder in any state, also starting or stopping."""
    found = read(data_dir)
    return found if found and found.is_running() else None


def find_ready(data_dir: Path) -> Server | None:
    """Return the running server once startup or shutdown has finished; None if it stopped."""
    found = read(data_dir)
    if found and looks_like_postgres(found.pid):
        # Where only the socket can be checked, one that has just started may not have it yet.
        data_folder.wait_until(lambda: find_running(data_dir) is not None, 3)
    return wait_until_ready(data_dir, found.pid) if found and find_running(data_dir) else None


def wait_until_ready(data: Path, pid: int) -> Server | None:
    """Return the server with this pid once it accepts connections; None if it has ended.

    Raise ServerError after STARTUP_TIMEOUT_SECONDS.
    """

    def finished() -> bool:
        found = read(data)
        return bool(found and found.pid == pid and found.ready) or not alive(pid)

    if not data_folder.wait_until(finished, data_folder.STARTUP_TIMEOUT_SECONDS):
        raise ServerError(
            "The embedded PostgreSQL is still not ready after "
            f"{data_folder.STARTUP_TIMEOUT_SECONDS:.0f} seconds.",
            hint="It is still running and may be recovering. "
            f"See its log, {data_folder.beside(data, 'log')}, then try again.",
        )
    return read(data) if alive(pid) else None


def alive(pid: int) -> bool:
    """Return whether a process with this pid exists and is not a zombie."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # without /proc, the result of os.kill counts
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def looks_like_postgres(pid: int) -> bool:
    """Return whether the process is alive and named `postgres`; without /proc, whether alive."""
    try:
        return alive(pid) and Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except OSError:
        return not Path("/proc/self").exists()
