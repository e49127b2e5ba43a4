"""Launch PostgreSQL in its data folder, and create its database."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from runner.embedded import data_folder, os_user, postmaster, wheel
from runner.embedded.os_user import OsUser
from runner.embedded.postmaster import DATABASE, Server
from runner.errors import NO_CHANGES, ServerError

PORT = 5432  # without TCP, only part of the socket's file name
LOG_LIMIT = 5_000_000  # bytes
_SOCKET_RELEASE_TIMEOUT = 2.0  # seconds

_HBA = "# Written by the runner at each start.\nlocal all all peer map=invoker\n"
_HBA_TCP = "host all all 127.0.0.1/32 scram-sha-256\n"
_IDENT = '# Written by the runner at each start.\ninvoker "{}" all\n'  # as any role

# Run as the server's user, who owns the data folder: a file in it may be a link, which root must
# not follow. The shell ends as soon as it has started the server.
_LAUNCH_SCRIPT = """
umask 077
printf %s "$1" > "$0/pg_hba.conf" && printf %s "$2" > "$0/pg_ident.conf" || exit 1
shift 2
"$@" >&2 &
echo $!
"""


def launch(
    user: OsUser, bin_dir: Path, data: Path, port: int | None, settings: Mapping[str, str]
) -> Server:
    """Start postgres in a session of its own and wait until it accepts connections.

    `port` opens TCP on 127.0.0.1. `settings` are passed as command-line options, which override
    postgresql.conf. Raise ServerError with the end of the log if the server does not start, or if
    a server outside this PID namespace uses the folder.
    """
    stale = postmaster.read(data)
    # The backends of a killed postmaster hold its socket until they notice that it is gone.
    if stale and not data_folder.wait_until(
        lambda: stale.listener_pid() is None, _SOCKET_RELEASE_TIMEOUT
    ):
        raise ServerError(
            f"{data} is already served by a PostgreSQL outside this PID namespace.",
            hint="It probably runs in a container that shares the folder. Stop it there first.",
        )
    socket_dir = _socket_folder(user, data)
    options = {
        "port": str(port or PORT),
        "listen_addresses": "127.0.0.1" if port else "",
        "unix_socket_directories": '"' + os.fspath(socket_dir).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
        "hba_file": os.fspath(data / "pg_hba.conf"),
        "ident_file": os.fspath(data / "pg_ident.conf"),
        "logging_collector": "off",
        "log_destination": "stderr",
        **settings,
    }
    ident = _IDENT.format(os_user.invoker().name.replace('"', '""'))
    shell = ("/bin/sh", "-c", _LAUNCH_SCRIPT, data, _HBA + (_HBA_TCP if port else ""), ident)
    command: list[str | Path] = [*shell, bin_dir / "postgres", "-D", data]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    # Makes PostgreSQL ignore the pid of a stale pid file, which another process may have by now.
    # It still checks the shared memory that a running postmaster of this folder would hold.
    environment = {"PG_GRANDPARENT_PID": str(stale.pid)} if stale else {}
    log = data_folder.beside(data, "log")
    for _ in range(10):
        with _open_log(log) as file:
            begin = file.tell()
            done = user.run(*command, stderr=file.fileno(), detached=True, environment=environment)
        pid = int(done.stdout.strip() or 0)
        if pid and (running := postmaster.wait_until_ready(data, pid)):
            return running
        output = log.read_bytes()[begin:].decode(errors="replace")
        if "pre-existing shared memory block" not in output:
            break
        _end_leftovers(data)
    if socket_dir != data:
        with contextlib.suppress(OSError):  # not empty: it is in use
            socket_dir.rmdir()
    raise ServerError(
        f"The embedded PostgreSQL did not start. Its log ends:\n{os_user.tail(output)}",
        hint=f"{data_folder.disk_full_hint(data)}The whole log is {log}. The data in {data} is "
        "unchanged.",
    )


def _socket_folder(user: OsUser, data: Path) -> Path:
    """Return the data folder, or a short private one if a socket cannot be created in it.

    Raise ServerError if neither can be used.
    """
    if "," not in str(data) and _supports_sockets(data):  # libpq splits a host at its commas
        return data
    name = f"plain-sql-{os.geteuid()}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    tried = []
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108  verified below
        folder = Path(base).resolve() / name
        with contextlib.suppress(OSError):
            is_private = user.claim(folder, 0o700)
            tried.append(str(folder))
            if is_private and user.can("-w", folder):
                if _supports_sockets(folder):
                    return folder
                folder.rmdir()
    raise ServerError(
        f"{data} cannot hold a socket (its path is too long or contains a comma), "
        f"and no short private folder can be used instead ({', '.join(tried)}).",
        hint="Use a shorter path, or remove that folder if it is yours.",
        state=NO_CHANGES,
    )


def _supports_sockets(folder: Path) -> bool:
    """Return whether a socket can be created here, by creating one with as long a name.

    It fails if the path is longer than about 100 bytes, or on a file system without sockets.
    """
    probe = folder / ".s.PGSQL.probe"
    with socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
        probe.unlink(missing_ok=True)
        server.bind(os.fspath(probe))
        probe.unlink()
        return True
    return False


def prepare(running: Server) -> None:
    """Create the database if it is missing; if there is a port, set the password of `postgres`.

    Raise ServerError with psql's last lines if that fails.
    """
    sql = (
        f"select 'create database {DATABASE}' where not exists "  # noqa: S608  our own constant
        f"(select from pg_catalog.pg_database where datname = '{DATABASE}') \\gexec\n"
    )
    if running.tcp:
        secret = data_folder.password(running.data_dir)
        sql += f"alter role postgres password '{_verifier(secret)}';\n"
    done = os_user.invoker().run(
        *(wheel.program("psql", running.version), "--no-psqlrc", "--quiet", "--no-password"),
        *("--set=ON_ERROR_STOP=1", f"--host={running.socket_dir}", f"--port={running.port}"),
        *("--username=postgres", "--dbname=postgres"),
        stdin=sql,
    )
    if done.returncode != 0:
        raise ServerError(
            "The embedded PostgreSQL is running, but its database could not be set up:\n"
            f"{os_user.tail(done.stderr)}",
            hint=f"{data_folder.disk_full_hint(running.data_dir)}"
            f"See its log, {data_folder.beside(running.data_dir, 'log')}.",
        )


def _verifier(secret: str) -> str:
    """Return the SCRAM verifier of a password (RFC 5803), so that no log holds the password."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, 4096)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256$4096:{}${}:{}".format(*parts)


def _open_log(path: Path) -> IO[Any]:
    """Open the log for appending; rename one that is larger than LOG_LIMIT to `.old` first."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_name(f"{path.name}.old"))
    return data_folder.open_file(path, "ab")


def _leftovers(data_dir: Path) -> list[int]:
    """Return the pids of server processes that outlived their postmaster (Linux only)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with contextlib.suppress(OSError):
            if (process / "cwd").samefile(data_dir) and postmaster.looks_like_postgres(pid):
                found.append(pid)
    return found


def _end_leftovers(data_dir: Path) -> None:
    """End the processes that a killed postmaster left behind; the next start recovers from WAL."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _leftovers(data_dir):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if data_folder.wait_until(lambda: not _leftovers(data_dir), 2):
            return
