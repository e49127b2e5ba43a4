"""Locate, check, create and lock the data folder of the embedded PostgreSQL."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from runner.embedded import os_user
from runner.embedded.os_user import OsUser, ReportLine
from runner.errors import NO_CHANGES, ServerError

with contextlib.suppress(ImportError):  # Windows: resolve() raises before it is used
    import fcntl

STARTUP_TIMEOUT_SECONDS = 300.0  # long enough for recovery after a crash
_HINTS = {
    errno.ENOSPC: "The disk is full or almost full: free some space, then run the same command "
    "again.",
    errno.EROFS: "Set RUNNER_HOME to a folder that can be written to, or DATABASE_URL to a server.",
}
_LOW_DISK_SPACE = 16 * 2**20  # bytes; to start, PostgreSQL may need a new WAL segment of this size


def beside(data: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to the data folder: lock, log, password or place."""
    return data.with_name(f"{data.name}.{suffix}")


def open_file(path: Path, mode: str, permissions: int = 0o600) -> IO[Any]:
    """Open a file as `open` does, except that a link raises OSError instead of being followed.

    A file that is created gets `permissions`, less the umask.
    """
    return open(
        path, mode, opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW, permissions)
    )


def password(data: Path) -> str:
    """Return the password of the role postgres over TCP; it is generated once and stored."""
    path = beside(data, "password")
    with translate_os_errors(path, f"The data in {data} is unchanged."):
        try:
            with open_file(path, "x") as file:
                file.write(generated := secrets.token_urlsafe(24))
        except FileExistsError:
            return path.read_text().strip()
    return generated


def require_posix() -> None:
    if os.name != "posix":
        raise ServerError(
            "The embedded PostgreSQL runs on Linux and macOS only.",
            hint="Set DATABASE_URL to a PostgreSQL of your own, or use WSL.",
        )


def resolve(data_dir: Path) -> Path:
    """Return the absolute path of a data folder, with links followed.

    Raise ServerError on Windows, for a line break in the path and where it cannot be resolved.
    """
    require_posix()
    with translate_os_errors(data_dir):
        path = Path(data_dir).resolve()
    if "\n" in os.fspath(path):
        raise ServerError(
            "The path of the data folder contains a line break, which PostgreSQL does not support."
        )
    return path


# --- lock and owner ---------------------------------------------------------------------------


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a data folder. The operating system releases it if the process ends.

    Missing parent folders are created; every user can enter those that root creates. Raise
    ServerError if the lock belongs to another user or is held by another process for longer than
    STARTUP_TIMEOUT_SECONDS.
    """
    lock = beside(path, "lock")
    with translate_os_errors(lock):
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            with contextlib.suppress(FileExistsError):  # another process sets the mode of its own
                folder.mkdir()
                if os.geteuid() == 0:
                    folder.chmod(0o755)
        file = open_file(lock, "a")
    with file:
        check_owner(lock, os.fstat(file.fileno()).st_uid, os.geteuid())

        def acquired() -> bool:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False

        if not wait_until(acquired, STARTUP_TIMEOUT_SECONDS):
            raise ServerError(
                f"Another process is starting or stopping the server ({lock} is locked).",
                hint="Wait for it to finish, or stop it.",
            )
        yield


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Poll every 5 ms until the condition holds; return False after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def check_owner(path: Path, uid: int, expected: int) -> None:
    if uid != expected:
        raise ServerError(
            f"{path} belongs to the operating-system user {os_user.user_name(uid)}, "
            f"but you are {os_user.user_name(os.geteuid())}.",
            hint="Run this as the user that created it, or choose another folder.",
            state=NO_CHANGES,
        )


@contextlib.contextmanager
def translate_os_errors(path: Path, state: str = NO_CHANGES) -> Iterator[None]:
    """Convert an OSError to a ServerError that names the file and, if access is denied, its owner.

    `path` is named where the error itself names no file.
    """
    try:
        yield
    except PermissionError as error:
        denied = Path(error.filename or path).absolute()
        cause = denied
        while not os.access(cause.parent, os.X_OK) or not cause.exists():
            cause = cause.parent
        raise ServerError(
            f"The operating-system user {os_user.user_name(os.geteuid())} is not allowed to use "
            f"{denied}: {cause} belongs to {os_user.user_name(cause.stat().st_uid)}.",
            hint="Run this as the user that created it, or choose another folder.",
            state=state,
        ) from error
    except OSError as error:
        raise ServerError(
            f"{error.filename or path}: {error.strerror or error}.",
            hint=_HINTS.get(error.errno or 0, ""),
            state=state,
        ) from error


def disk_full_hint(path: Path) -> str:
    """Return the hint for a full disk, with a line break, if the disk of `path` is nearly full.

    PostgreSQL may not have been able to log that, because its log is on the same disk.
    """
    is_full = shutil.disk_usage(path).free < _LOW_DISK_SPACE
    return f"{_HINTS[errno.ENOSPC]}\n" if is_full else ""


# --- location ---------------------------------------------------------------------------------


def locate(path: Path) -> Path:
    """Return where the data of this folder is: here, or where its `.place` file points to.

    The data folder there names its project in turn. If that project still exists and is not this
    one, this one is a copy and gets its own data; if it no longer exists, the project was moved.
    """
    pointer = beside(path, "place")
    try:
        check_owner(pointer, pointer.lstat().st_uid, os.geteuid())
        data = _read_path(pointer)
        owner = _read_path(data.parent / "project")
    except (FileNotFoundError, NotADirectoryError):
        return path
    return path if owner != path and beside(owner, "place").exists() else data


def choose_user_and_location(path: Path, report: ReportLine) -> tuple[OsUser, Path]:
    """Return the user that runs the server, and the folder that has its data or will have it.

    That is `path`, or a new folder under os_user.FALLBACK_FOLDERS if the user cannot access it.
    Raise ServerError if existing data belongs to another user or can no longer be accessed.
    """
    data = locate(path)
    owner = data.stat().st_uid if data.exists() else None
    user = os_user.server_user(owner)
    if owner is not None:
        check_owner(data, owner, user.uid)
    if user.can("-x", data.parent):
        if data != path:
            _write_path(data.parent / "project", path)
        return user, data
    if owner is not None:
        raise ServerError(
            f"The server runs as {user.name}, which can no longer access {data}.",
            hint="Move the project back to where it was.",
            state=NO_CHANGES,
        )
    parent = os_user.fallback_folder()
    for project_file in parent.glob("data-*/project"):
        project = _read_path(project_file)
        if not beside(project, "place").exists():
            unused = project_file.parent
            report(f"{unused} is unused: {project} no longer exists; you can remove it")
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=parent))
    folder.chmod(0o755)
    data = folder / "postgres"
    _write_path(folder / "project", path)
    _write_path(beside(path, "place"), data)
    report(f"storing the data in {data}: {user.name}, which runs the server, cannot access {path}")
    return user, data


def _write_path(file: Path, path: Path) -> None:
    with open_file(file, "wb", 0o644) as opened:
        opened.write(os.fsencode(path) + b"\n")


def _read_path(file: Path) -> Path:
    return Path(os.fsdecode(file.read_bytes().rstrip(b"\n")))


# --- contents ---------------------------------------------------------------------------------


def version_of(data: Path) -> str:
    """Return the major version of the cluster in this folder; empty if there is no cluster."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return (data / "PG_VERSION").read_text().strip()
    return ""


def validate(data: Path, version: int) -> None:
    """Raise ServerError unless the folder is absent, empty or has a cluster of this version."""
    if not data.exists():
        return
    if not data.is_dir():
        raise ServerError(f"{data} is not a folder.", state=NO_CHANGES)
    found = version_of(data)
    if found and found != str(version):
        raise ServerError(
            f"{data} contains a PostgreSQL {found} cluster, but version {version} was requested.",
            hint=f"Request version {found}, or move the folder away to start with an empty "
            f"PostgreSQL {version}.",
            state=NO_CHANGES,
        )
    if not found and any(data.iterdir()):
        raise ServerError(
            f"{data} is not empty and contains no PostgreSQL cluster.",
            hint="Choose another folder.",
            state=NO_CHANGES,
        )


def initialize(user: OsUser, bin_dir: Path, data: Path, version: int, *, durable: bool) -> None:
    """Create the cluster with initdb, under another name that is changed at the end.

    So a cluster that initdb did not finish is never started. `durable` makes initdb write
    everything to disk. Raise ServerError with initdb's last lines if it fails.
    """
    prefix = f".{data.name}.new-"
    for unfinished in data.parent.glob(f"{prefix}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    if version >= 17:
        locales = [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    else:
        locales = [["--locale=C.UTF-8"], ["--locale=C"]]
    for locale in locales:
        staging = Path(tempfile.mkdtemp(prefix=prefix, dir=data.parent))
        try:
            user.take_ownership(staging)
            done = user.run(
                *(bin_dir / "initdb", "--pgdata", staging, "--username=postgres"),
                *("--encoding=UTF8", *locale, "--data-checksums", "--no-instructions"),
                *("--auth-local=peer", "--auth-host=scram-sha-256"),
                *(() if durable else ("--no-sync",)),
            )
            if done.returncode == 0:
                if data.exists():
                    data.rmdir()  # validate() has checked that it is empty
                staging.rename(data)
                return
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    raise ServerError(
        f"A new PostgreSQL {version} cluster could not be created in {data}:\n"
        f"{os_user.tail(done.stderr)}",
        hint=f"{disk_full_hint(data.parent)}Fix the cause named above, then try again.",
        state=NO_CHANGES,
    )
