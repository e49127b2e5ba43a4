"""The PostgreSQL that comes in the wheel: start, find, stop, scratch servers.

    .runner/postgres            the data, 0700; the socket lies in it
    .runner/postgres.lock       held while a server is started or stopped
    .runner/postgres.log        what the server says
    .runner/postgres.password   only after `port` was asked for, 0600
    .runner/postgres.place      only where root's data had to go elsewhere: says where

Nobody but the operating-system user who started it can connect: the socket's folder is private,
and pg_hba.conf (written anew at each start) lets that one user in, as any role. There is no TCP
port unless asked for, and then only on 127.0.0.1, with a random password. The server goes on after
the program ends. After a kill or a power cut, the next start recovers by itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from runner.errors import ServerError
from runner.postgres.embedded import data_folder, launch, os_user, postmaster, wheel
from runner.postgres.embedded.os_user import Report
from runner.postgres.embedded.postmaster import Postmaster

DATABASE = "blueprint"
VERSION = 18
PORT = 5432  # without TCP it only names the socket file
HASTE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Server:
    """A running embedded PostgreSQL."""

    data_dir: Path
    socket_dir: Path
    port: int
    tcp: bool
    version: int

    def url(self, database: str = DATABASE, *, user: str = "postgres") -> str:
        """For psycopg, psql and every other libpq program.

        With TCP, the one role that has a password goes by TCP; the others by the socket.
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
        """The process, while it runs."""
        running = postmaster.living(self.data_dir)
        return running.pid if running else None

    @property
    def log(self) -> Path:
        return postmaster.log_of(self.data_dir)


def start(
    data_dir: Path,
    *,
    version: int = VERSION,
    port: int | None = None,
    report: Report | None = None,
) -> Server:
    """The server of this data folder: made if absent, started if not running.

    `port` opens it on 127.0.0.1 too, restarting a server that has no such port. Without `port` a
    running server stays as it is, with or without TCP; a stopped one starts without.
    """
    home = data_folder.home(data_dir)
    if port is not None and not 1 <= port <= 65535:
        raise ServerError(f"There is no TCP port {port}.", hint="Ports go from 1 to 65535.")
    wheel.folder(version)
    data_folder.make_parent(home)
    with data_folder.locked(home), data_folder.explained(home):
        return _start(home, version, port, {}, report or _silence)


def find(data_dir: Path) -> Server | None:
    """The server of this data folder, if it runs and takes connections. Starts no process."""
    home = data_folder.home(data_dir)
    if not data_folder.is_known(home):
        return None
    data = data_folder.followed(home)
    with data_folder.explained(data):
        running = postmaster.living(data)
        if running and running.ready and running.answers():
            return _server(running)
    return None


def exists(data_dir: Path) -> bool:
    """Whether a server was ever made here, running or not."""
    home = data_folder.home(data_dir)
    return data_folder.is_known(home) and (data_folder.followed(home) / "PG_VERSION").exists()


def stop(data_dir: Path) -> bool:
    """Stop the server of this data folder (its clients are sent away). Was there one?"""
    home = data_folder.home(data_dir)
    if not data_folder.is_known(home):
        return False
    with data_folder.locked(home):
        data = data_folder.followed(home)
        with data_folder.explained(data):
            running = postmaster.living(data)
            if running:
                running.end()
            return running is not None


@contextlib.contextmanager
def scratch(
    version: int = VERSION, *, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server to throw away: fast, unsafe, gone at the end, also if this process is killed."""
    data_folder.only_posix()
    wheel.folder(version)
    folder = _scratch_folder()
    home = folder / "postgres"
    with _undertaker(folder) as undertaker:
        try:
            server = _start(home, version, None, {**HASTE, **(settings or {})}, _silence)
            undertaker.write(f"{server.pid}\n".encode())
            yield server
        finally:
            running = postmaster.living(home)
            if running:
                running.end(signal.SIGQUIT)
            shutil.rmtree(folder, ignore_errors=True)


def program(name: str, version: int = VERSION) -> Path:
    """psql, pg_dump and their like, for the invoking user to run."""
    return wheel.program(name, version)


def _start(
    home: Path, version: int, port: int | None, settings: Mapping[str, str], report: Report
) -> Server:
    user, data = data_folder.settle(home, report)
    data_folder.check(data, version)
    running = postmaster.settled(data)
    if running and (reason := _must_restart(running, port)):
        if port is None and running.listen:
            port = running.port
        elif port is not None:
            _check_free(port)
        report(f"restarting PostgreSQL {version}: {reason}")
        running.end()
        running = None
    if running is None:
        if port is not None:
            _check_free(port)
        bin_dir = wheel.programs(user, version, report)
        if not (data / "PG_VERSION").exists():
            report(f"making a new PostgreSQL {version} in {data}")
            data_folder.make(user, bin_dir, data, version, durable=not settings)
        report(f"starting PostgreSQL {version}")
        tcp = port is not None
        running = launch.launch(user, bin_dir, data, port=port or PORT, tcp=tcp, settings=settings)
    launch.prepare(running, version, DATABASE)
    return _server(running)


def _must_restart(running: Postmaster, port: int | None) -> str:
    """Why this server has to be started anew; empty if it can stay."""
    if port is not None and not (running.listen and running.port == port):
        return f"to listen on 127.0.0.1:{port}"
    if running.moved or not running.answers():
        return "its folder has moved"
    try:
        command = (running.data_dir / "postmaster.opts").read_text()
    except OSError:
        return ""
    return "" if Path(command.split(' "')[0].strip()).exists() else "its programs are gone"


def _check_free(port: int) -> None:
    with socket.socket(socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerError(
                f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}.",
                hint=f"Choose another port. {data_folder.UNCHANGED}",
            ) from error


def _server(running: Postmaster) -> Server:
    return Server(
        data_dir=running.data_dir,
        socket_dir=running.socket_dir,
        port=running.port,
        tcp=bool(running.listen),
        version=int((running.data_dir / "PG_VERSION").read_text()),
    )


def _scratch_folder() -> Path:
    user = os_user.server_user()
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108
        folder = Path(tempfile.mkdtemp(prefix="plain-sql-scratch-", dir=base)).resolve()
        if not user.is_us:
            folder.chmod(0o711)
        if user.can("-x", folder):
            return folder
        folder.rmdir()
    raise ServerError(f"There is no temporary folder that {user.name} can reach.")


@contextlib.contextmanager
def _undertaker(folder: Path) -> Iterator[IO[bytes]]:
    """A shell that acts only if we are killed: it ends the server and removes the folder.

    It reads a pipe that nobody but us holds: first the server's pid, then a word that all is well.
    """
    script = (
        'read -r pid; read -r word && exit; [ -n "$pid" ] && kill -QUIT "$pid"; '
        'for _ in 1 2 3 4 5 6 7 8 9; do rm -rf "$0" && exit; sleep 1; done'
    )
    with subprocess.Popen(
        ["/bin/sh", "-c", script, os.fspath(folder)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=os_user.ENVIRONMENT,
        start_new_session=True,
    ) as process:
        assert process.stdin  # noqa: S101  for mypy: we asked for it
        try:
            yield process.stdin
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"\ndone\n")


def _silence(_: str) -> None:
    pass
