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

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from runner.embedded import data_folder, launch, postmaster, wheel
from runner.embedded.os_user import ReportLine
from runner.embedded.postmaster import DATABASE, Server
from runner.embedded.wheel import VERSION, program
from runner.errors import NO_CHANGES, ServerError

__all__ = ["DATABASE", "VERSION", "Server", "exists", "program", "start", "start_unlocked", "stop"]


def start(
    data_dir: Path,
    *,
    version: int = VERSION,
    port: int | None = None,
    report: ReportLine = lambda _: None,
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
    with data_folder.locked(path), data_folder.translate_os_errors(path):
        return start_unlocked(path, version, port, {}, report)


def exists(data_dir: Path) -> bool:
    """Return whether a data folder has a cluster, running or not.

    Raise ServerError if it belongs to another operating-system user.
    """
    path = data_folder.resolve(data_dir)
    lock = data_folder.beside(path, "lock")
    with data_folder.translate_os_errors(lock):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            data_folder.check_owner(lock, lock.lstat().st_uid, os.geteuid())
        return bool(data_folder.version_of(data_folder.locate(path)))


def stop(data_dir: Path) -> bool:
    """Stop the server of a data folder; return whether one was running.

    Its clients are disconnected and their transactions rolled back (fast shutdown). Raise
    ServerError if the folder belongs to another operating-system user or the server does not stop.
    """
    path = data_folder.resolve(data_dir)
    # The lock exists without a cluster while another process creates one: wait for it.
    if not exists(path) and not data_folder.beside(path, "lock").exists():
        return False
    with data_folder.locked(path), data_folder.translate_os_errors(path):
        running = postmaster.find_running(data_folder.locate(path))
        if running:
            running.stop()
        return running is not None


def start_unlocked(
    path: Path, version: int, port: int | None, settings: Mapping[str, str], report: ReportLine
) -> Server:
    """Like `start`, without the lock of the data folder; `settings` are for this start only."""
    user, data = data_folder.choose_user_and_location(path, report)
    data_folder.validate(data, version)
    running = postmaster.find_ready(data)
    open_port = running.port if running and running.tcp else None
    port = port or open_port
    if port and port != open_port:
        _require_free(port)
    if running and (reason := _restart_reason(running, port)):
        report(f"restarting PostgreSQL {version}: {reason}")
        running.stop()
        running = None
    if running is None:
        bin_dir = wheel.programs(user, version, report)
        if not data_folder.version_of(data):
            report(f"creating a new PostgreSQL {version} cluster in {data}")
            data_folder.initialize(user, bin_dir, data, version, durable=not settings)
        report(f"starting PostgreSQL {version}")
        with data_folder.translate_os_errors(data, f"The data in {data} is unchanged."):
            running = launch.launch(user, bin_dir, data, port, settings)
    launch.prepare(running)
    return running


def _restart_reason(running: Server, port: int | None) -> str:
    """Return why a running server must be restarted; empty if it need not be."""
    if port and (running.port, running.tcp) != (port, True):
        return f"to listen on 127.0.0.1:{port}"
    if running.started_in != running.data_dir or running.listener_pid() != running.pid:
        return "its data folder was moved"
    with contextlib.suppress(OSError):
        command = (running.data_dir / "postmaster.opts").read_text()
        if not Path(command.split(' "')[0].strip()).exists():
            return "its program files no longer exist"
    return ""


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
