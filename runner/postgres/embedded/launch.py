"""Launch PostgreSQL in its data folder, and let the right ones in.

The server takes who may connect from two files in its folder, written anew at each start: by
socket the one operating-system user who invoked us, as any role; by TCP, if there is a port, the
role that has a password.
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

from runner.errors import ServerError
from runner.postgres.embedded import data_folder, os_user, postmaster, wheel
from runner.postgres.embedded.os_user import OsUser
from runner.postgres.embedded.postmaster import Postmaster

LOG_LIMIT = 5_000_000
_LAST_BREATH = 2.0  # seconds

# The files are written by the server's own user: what lies in its folder may be a link, and root
# must not follow it. The shell is gone as soon as the server is on its way.
LAUNCH = """
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
    """Start postgres in a session of its own, and wait until it takes connections."""
    stale = postmaster.read(data)
    # The children of one that was killed hold its socket until they notice.
    if stale and not postmaster.wait(lambda: stale.peer() is None, _LAST_BREATH):
        raise ServerError(
            f"A PostgreSQL that is no process of this machine already serves {data}.",
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
    shell: list[str | Path] = ["/bin/sh", "-c", LAUNCH, data, _hba(tcp=tcp), _ident()]
    command: list[str | Path] = [bin_dir / "postgres", "-D", data]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    # So told, PostgreSQL does not take the number in a stale pid file for a living rival. Its
    # other guard, the shared memory that a real rival would hold, stays in force.
    environment = {"PG_GRANDPARENT_PID": str(stale.pid)} if stale else {}
    log = postmaster.log_of(data)
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
        if pid and (running := postmaster.ready_as(data, pid)):
            return running
        said = log.read_bytes()[begin:].decode(errors="replace")
        if "pre-existing shared memory block" not in said:
            break
        _end_leftovers(data)
    if socket_dir != data:
        with contextlib.suppress(OSError):  # not empty: then it is not ours to remove
            socket_dir.rmdir()
    raise ServerError(
        f"The embedded PostgreSQL did not start. Its log ends:\n{postmaster.tail(said)}",
        hint=f"{data_folder.full(data)}The whole log is {log}. The data in {data} is as it was.",
    )


def _socket_folder(user: OsUser, data: Path) -> Path:
    """The data folder itself, or a short private one where a socket cannot be in it."""
    if "," not in str(data) and _takes_sockets(data):  # libpq takes a comma for two hosts
        return data
    name = f"plain-sql-{os.geteuid()}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    tried = []
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108  verified below
        folder = Path(base).resolve() / name
        try:
            folder.mkdir(mode=0o700)
            user.give(folder)
        except FileExistsError:
            pass
        except OSError:
            continue
        seen = folder.lstat()
        private = stat.S_ISDIR(seen.st_mode) and stat.S_IMODE(seen.st_mode) == 0o700
        if private and seen.st_uid == user.uid and user.can("-w", folder):
            if _takes_sockets(folder):
                return folder
            folder.rmdir()
        tried.append(str(folder))
    raise ServerError(
        f"{data} cannot hold a socket (its path is too long, or has a comma), "
        f"and no short private folder can be used instead ({', '.join(tried)}).",
        hint=f"Use a shorter path, or remove that folder if it is yours. {data_folder.UNCHANGED}",
    )


def _takes_sockets(folder: Path) -> bool:
    """Try: the path may be too long (its limit is some 100 bytes), or sockets unknown there.

    The probe's name is as long as that of any socket of PostgreSQL.
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
    """Who may connect: the user behind the map `invoker`; by TCP, who has a password."""
    lines = ["# Written by the runner at each start.", "local all all peer map=invoker"]
    if tcp:
        lines.append("host all all 127.0.0.1/32 scram-sha-256")
    return "\n".join(lines) + "\n"


def _ident() -> str:
    name = os_user.invoker().replace('"', '""')
    return f'# Written by the runner at each start.\ninvoker "{name}" all\n'


def prepare(running: Postmaster, version: int, database: str) -> None:
    """Make sure of the database, and of the password where there is a port."""
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
            f"The embedded PostgreSQL runs, but refused us:\n{postmaster.tail(done.stderr)}",
            hint=f"{data_folder.full(running.data_dir)}"
            f"See its log, {postmaster.log_of(running.data_dir)}.",
        )


def password(data: Path) -> str:
    """The random password of the role postgres, for TCP; made once."""
    path = data_folder.beside(data, "password")
    with data_folder.explained(path):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(handle, "w") as file:
            file.write(made := secrets.token_urlsafe(24))
    return made


def _verifier(secret: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803); it never sees the password itself."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, 4096)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256$4096:{}${}:{}".format(*parts)


def _open_log(path: Path) -> BinaryIO:
    """The log, to be continued; a big one is put aside first."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_name(f"{path.name}.old"))
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    file = os.fdopen(handle, "ab")
    file.seek(0, os.SEEK_END)
    return file


def _leftovers(data_dir: Path) -> list[int]:
    """Server processes that outlived their postmaster and still work in this folder (Linux)."""
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
    """End what a killed postmaster left behind; the next start recovers from the log anyway."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _leftovers(data_dir):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if postmaster.wait(lambda: not _leftovers(data_dir), 2):
            return
