"""Start, find and stop the PostgreSQL server that comes in the wheel.

    .runner/postgres            the data and the socket, mode 0700
    .runner/postgres.lock       locked while the server is started or stopped
    .runner/postgres.log        the server's log
    .runner/postgres.password   only after `port` was requested, mode 0600
    .runner/postgres.place      only if root's data is stored elsewhere: the path to them

Only the operating-system user who started the server can connect: the folder of the socket is
private, and pg_hba.conf (rewritten at each start) accepts that user as any role and no other user.
There is no TCP port unless one is requested, and then only on 127.0.0.1 with a random password. The
server keeps running after the program ends. After a kill or a power failure, the next start
recovers automatically.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from runner.errors import NO_CHANGES, ServerError
from runner.postgres.embedded import data_folder, launch, postmaster, wheel
from runner.postgres.embedded.os_user import ReportLine
from runner.postgres.embedded.postmaster import Postmaster

DATABASE = "blueprint"
VERSION = 18
PORT = 5432  # without TCP, only part of the socket's file name


@dataclass(frozen=True)
class Server:
    """A running embedded PostgreSQL. `port` names the socket file, too; `tcp`: it is open."""

    data_dir: Path
    socket_dir: Path
    port: int
    tcp: bool
    version: int

    def url(self, database: str = DATABASE, *, user: str = "postgres") -> str:
        """Return a connection URL for psycopg, psql and every other libpq program.

        With TCP, the role `postgres` connects over TCP and the URL contains its password; every
        other role connects over the socket.
        """
        if self.tcp and user == "postgres":
            password = quote(launch.password(self.data_dir), "")
            return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{quote(database, '')}"
        return (
            f"postgresql:///{quote(database, '')}?host={quote(os.fsencode(self.socket_dir))}"
            f"&port={self.port}&user={quote(user, '')}"
        )

    @property
    def pid(self) -> int | None:
        """The pid of the postmaster; None once it has stopped."""
        running = postmaster.find_running(self.data_dir)
        return running.pid if running else None

    @property
    def log(self) -> Path:
        return postmaster.log_path(self.data_dir)


def start(
    data_dir: Path,
    *,
    version: int = VERSION,
    port: int | None = None,
    report: ReportLine | None = None,
) -> Server:
    """Start the server of a data folder and return it; one that is running already is kept.

    The steps: create the cluster if the folder is absent or empty, start the server, create the
    database DATABASE if it is missing.

    Args:
        data_dir: where the data is or will be; for root it may be stored elsewhere.
        version: major version, 16 or 18.
        port: open this TCP port on 127.0.0.1 as well (1 to 65535); a running server without it is
            restarted. Without `port` a running server keeps its port, and a stopped one has none.
        report: called with one line of text before each step that takes time.

    Raises ServerError if the server cannot be started, or the data folder has other contents,
    another version or another owner.
    """
    path = data_folder.resolve(data_dir)
    if port is not None and not 1 <= port <= 65535:
        raise ServerError(f"Invalid TCP port {port}.", hint="Ports range from 1 to 65535.")
    wheel.folder(version)
    data_folder.create_parent(path)
    with data_folder.locked(path), data_folder.translate_os_errors(path):
        return start_unlocked(path, version, port, {}, report or ignore_line)


def find(data_dir: Path) -> Server | None:
    """Return the server of a data folder if it accepts connections, else None.

    Starts no process. Raise ServerError if the folder belongs to another operating-system user.
    """
    path = data_folder.resolve(data_dir)
    if not data_folder.was_used(path):
        return None
    data = data_folder.locate(path)
    with data_folder.translate_os_errors(data):
        running = postmaster.find_running(data)
        if running and running.ready and running.owns_socket():
            return _server(running)
    return None


def exists(data_dir: Path) -> bool:
    """Return whether a data folder has a cluster, running or not.

    Raise ServerError if it belongs to another operating-system user.
    """
    path = data_folder.resolve(data_dir)
    return data_folder.was_used(path) and bool(data_folder.version_of(data_folder.locate(path)))


def stop(data_dir: Path) -> bool:
    """Stop the server of a data folder; return whether one was running.

    Its clients are disconnected and their transactions rolled back (fast shutdown). Raise
    ServerError if the folder belongs to another operating-system user or the server does not stop.
    """
    path = data_folder.resolve(data_dir)
    if not data_folder.was_used(path):
        return False
    with data_folder.locked(path):
        data = data_folder.locate(path)
        with data_folder.translate_os_errors(data):
            running = postmaster.find_running(data)
            if running:
                running.stop()
            return running is not None


def program(name: str, version: int = VERSION) -> Path:
    """Return the path of psql, pg_dump or another client program of this major version.

    Raise ServerError if the wheel has no such program or version.
    """
    return wheel.program(name, version)


def start_unlocked(
    path: Path, version: int, port: int | None, settings: Mapping[str, str], report: ReportLine
) -> Server:
    """Like `start`, without the lock of the data folder; `settings` are for this start only."""
    user, data = data_folder.choose_user_and_location(path, report)
    data_folder.validate(data, version)
    running = postmaster.find_ready(data)
    if running and (reason := _restart_reason(running, port)):
        if port is None and running.listen:
            port = running.port
        elif port is not None:
            _require_free(port)
        report(f"restarting PostgreSQL {version}: {reason}")
        running.stop()
        running = None
    if running is None:
        if port is not None:
            _require_free(port)
        bin_dir = wheel.programs(user, version, report)
        if not data_folder.version_of(data):
            report(f"creating a new PostgreSQL {version} cluster in {data}")
            data_folder.initialize(user, bin_dir, data, version, durable=not settings)
        report(f"starting PostgreSQL {version}")
        tcp = port is not None
        running = launch.launch(user, bin_dir, data, port=port or PORT, tcp=tcp, settings=settings)
    launch.prepare(running, version, DATABASE)
    return _server(running)


def _restart_reason(running: Postmaster, port: int | None) -> str:
    """Return why a running server must be restarted; empty if it need not be."""
    if port is not None and not (running.listen and running.port == port):
        return f"to listen on 127.0.0.1:{port}"
    if running.was_moved or not running.owns_socket():
        return "its data folder was moved"
    try:
        command = (running.data_dir / "postmaster.opts").read_text()
    except OSError:
        return ""
    exists = Path(command.split(' "')[0].strip()).exists()
    return "" if exists else "its program files no longer exist"


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerError(
                f"Port {port} on 127.0.0.1 cannot be used: {error.strerror}.",
                hint="Choose another port.",
                state=NO_CHANGES,
            ) from error


def _server(running: Postmaster) -> Server:
    return Server(
        data_dir=running.data_dir,
        socket_dir=running.socket_dir,
        port=running.port,
        tcp=bool(running.listen),
        version=int((running.data_dir / "PG_VERSION").read_text()),
    )


def ignore_line(_: str) -> None:
    pass
