"""Launch PostgreSQL in its data folder and configure who can connect.

pg_hba.conf and pg_ident.conf are rewritten at each start: the operating-system user who invoked the
runner can connect over the socket as any role; over TCP, if there is a port, the role that has a
password.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from runner.errors import NO_CHANGES, ServerError
from runner.postgres.embedded import data_folder, os_user, postmaster, wheel
from runner.postgres.embedded.os_user import OsUser
from runner.postgres.embedded.postmaster import Postmaster

LOG_LIMIT = 5_000_000  # bytes
_SOCKET_RELEASE_TIMEOUT = 2.0  # seconds

# Run as the server's user, who owns the data folder: a file in it may be a link, which root must
# not follow. The shell ends as soon as it has started the server.
LAUNCH_SCRIPT = """
umask 077
printf %s "$1" > "$0/pg_hba.conf" && printf %s "$2" > "$0/pg_ident.conf" || exit 1
shift 2
"$@" >&2 &
echo $!
"""


def launch(
    user: OsUser,
    bin_dir: Path,
    data: Path,
    *,
    port: int,
    tcp: bool,
    settings: Mapping[str, str],
) -> Postmaster:
    """Start postgres in a session of its own and wait until it accepts connections.

    `port` names the socket file, too; `tcp` opens it on 127.0.0.1. `settings` are passed as
    command-line options, which override postgresql.conf. Raise ServerError with the end of the log
    if the server does not start, or if a server outside this PID namespace uses the folder.
    """
    stale = postmaster.read(data)
    # The backends of a killed postmaster hold its socket until they notice that it is gone.
    if stale and not postmaster.wait_until(
        lambda: stale.listener_pid() is None, _SOCKET_RELEASE_TIMEOUT
    ):
        raise ServerError(
            f"{data} is already served by a PostgreSQL outside this PID namespace.",
            hint="It probably runs in a container that shares the folder. Stop it there first.",
        )
    socket_dir = _socket_folder(user, data)
    options = {
        "port": str(port),
        "listen_addresses": "127.0.0.1" if tcp else "",
        "unix_socket_directories": '"' + os.fspath(socket_dir).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
        "hba_file": os.fspath(data / "pg_hba.conf"),
        "ident_file": os.fspath(data / "pg_ident.conf"),
        "logging_collector": "off",
        "log_destination": "stderr",
        **settings,
    }
    shell: list[str | Path] = ["/bin/sh", "-c", LAUNCH_SCRIPT, data, _hba(tcp=tcp), _ident()]
    command: list[str | Path] = [bin_dir / "postgres", "-D", data]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    # Makes PostgreSQL ignore the pid of a stale pid file, which another process may have by now.
    # It still checks the shared memory that a running postmaster of this folder would hold.
    environment = {"PG_GRANDPARENT_PID": str(stale.pid)} if stale else {}
    log = postmaster.log_path(data)
    for _ in range(10):
        with _open_log(log) as file:
            begin = file.tell()
            done = user.run(
                *shell,
                *command,
                stderr=file.fileno(),
                detached=True,
                environment=environment,
            )
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
        f"The embedded PostgreSQL did not start. Its log ends:\n{postmaster.tail(output)}",
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
        try:
            folder.mkdir(mode=0o700)
            user.take_ownership(folder)
        except FileExistsError:
            pass
        except OSError:
            continue
        status = folder.lstat()
        private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700
        if private and status.st_uid == user.uid and user.can("-w", folder):
            if _supports_sockets(folder):
                return folder
            folder.rmdir()
        tried.append(str(folder))
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
    with socket.socket(socket.AF_UNIX) as server:
        try:
            probe.unlink(missing_ok=True)
            server.bind(os.fspath(probe))
            probe.unlink()
        except OSError:
            return False
    return True


def _hba(*, tcp: bool) -> str:
    """Return pg_hba.conf: the users of the map `invoker`; over TCP, roles with a password."""
    lines = ["# Written by the runner at each start.", "local all all peer map=invoker"]
    if tcp:
        lines.append("host all all 127.0.0.1/32 scram-sha-256")
    return "\n".join(lines) + "\n"


def _ident() -> str:
    """Return pg_ident.conf: the map `invoker` lets the invoking user connect as any role."""
    name = os_user.invoker().replace('"', '""')
    return f'# Written by the runner at each start.\ninvoker "{name}" all\n'


def prepare(running: Postmaster, version: int, database: str) -> None:
    """Create the database if it is missing; if there is a port, set the password of `postgres`.

    Raise ServerError with psql's last lines if that fails.
    """
    sql = (
        f"select 'create database {database}' where not exists "  # noqa: S608  our own constant
        f"(select from pg_catalog.pg_database where datname = '{database}') \\gexec\n"
    )
    if running.listen:
        sql += f"alter role postgres password '{_verifier(password(running.data_dir))}';\n"
    done = subprocess.run(
        [
            *(wheel.program("psql", version), "--no-psqlrc", "--quiet", "--no-password"),
            *("--set=ON_ERROR_STOP=1", f"--host={running.socket_dir}", f"--port={running.port}"),
            *("--username=postgres", "--dbname=postgres"),
        ],
        input=sql,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=os_user.ENVIRONMENT,
    )
    if done.returncode != 0:
        raise ServerError(
            "The embedded PostgreSQL is running, but its database could not be set up:\n"
            f"{postmaster.tail(done.stderr)}",
            hint=f"{data_folder.disk_full_hint(running.data_dir)}"
            f"See its log, {postmaster.log_path(running.data_dir)}.",
        )


def password(data: Path) -> str:
    """Return the password of the role postgres over TCP; it is generated once and stored."""
    path = data_folder.beside(data, "password")
    with data_folder.translate_os_errors(path):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(handle, "w") as file:
            file.write(generated := secrets.token_urlsafe(24))
    return generated


def _verifier(secret: str) -> str:
    """Return the SCRAM verifier of a password (RFC 5803), so that no log holds the password."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, 4096)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256$4096:{}${}:{}".format(*parts)


def _open_log(path: Path) -> BinaryIO:
    """Open the log for appending; rename one that is larger than LOG_LIMIT to `.old` first."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_name(f"{path.name}.old"))
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    file = os.fdopen(handle, "ab")
    file.seek(0, os.SEEK_END)
    return file


def _leftovers(data_dir: Path) -> list[int]:
    """Return the pids of server processes that outlived their postmaster (Linux only)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").samefile(data_dir)
        except OSError:
            continue
        if (
            here
            and postmaster.looks_like_postgres(int(process.name))
            and postmaster.alive(int(process.name))
        ):
            found.append(int(process.name))
    return found


def _end_leftovers(data_dir: Path) -> None:
    """End the processes that a killed postmaster left behind; the next start recovers from WAL."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _leftovers(data_dir):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if postmaster.wait_until(lambda: not _leftovers(data_dir), 2):
            return
