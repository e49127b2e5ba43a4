"""Locate, check and create the data folder of the embedded PostgreSQL, and lock it.

The files that belong to it lie beside it and start with its name: `.lock`, `.log`, `.password`,
and `.place`, which points to the data where the user that runs root's server cannot access the
project.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner.errors import NO_CHANGES, ServerError
from runner.postgres.embedded import os_user, postmaster
from runner.postgres.embedded.os_user import OsUser, ReportLine

with contextlib.suppress(ImportError):  # Windows: resolve() raises before it is used
    import fcntl

_HINTS = {
    errno.ENOSPC: "The disk is full or almost full: free some space, then run the same command "
    "again.",
    errno.EROFS: "Set RUNNER_HOME to a folder that can be written to, or DATABASE_URL to a server.",
}
_LOW_DISK_SPACE = 16 * 2**20  # bytes; to start, PostgreSQL may need a new WAL segment of this size


def beside(data: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to the data folder, such as its lock."""
    return data.with_name(f"{data.name}.{suffix}")


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


def create_parent(path: Path) -> None:
    """Create the parent folders that are missing. Every user can enter those that root creates."""
    with translate_os_errors(path):
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            try:
                folder.mkdir()
            except FileExistsError:  # another process has created it and sets its mode
                continue
            if os.geteuid() == 0:
                folder.chmod(0o755)


# --- lock and owner ---------------------------------------------------------------------------


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a data folder. The operating system releases it if the process ends.

    Raise ServerError if the lock belongs to another user or is held by another process for longer
    than postmaster.STARTUP_TIMEOUT_SECONDS.
    """
    lock = beside(path, "lock")
    with translate_os_errors(lock):
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        check_owner(lock, os.fstat(handle).st_uid, os.geteuid())

        def acquired() -> bool:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not postmaster.wait_until(acquired, postmaster.STARTUP_TIMEOUT_SECONDS):
            raise ServerError(
                f"Another process is starting or stopping the server ({lock} is locked).",
                hint="Wait for it to finish, or stop it.",
            )
        yield
    finally:
        os.close(handle)


def was_used(path: Path) -> bool:
    """Return whether a server was ever started here; raise ServerError if by another user."""
    lock = beside(path, "lock")
    with translate_os_errors(lock):
        try:
            check_owner(lock, lock.lstat().st_uid, os.geteuid())
        except (FileNotFoundError, NotADirectoryError):
            return os.path.lexists(path)
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
def translate_os_errors(path: Path) -> Iterator[None]:
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
            state=NO_CHANGES,
        ) from error
    except OSError as error:
        raise ServerError(
            f"{error.filename or path}: {error.strerror or error}.",
            hint=_HINTS.get(error.errno or 0, ""),
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
    with translate_os_errors(pointer):
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
    with translate_os_errors(data):
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
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "wb") as opened:
        opened.write(os.fsencode(path) + b"\n")


def _read_path(file: Path) -> Path:
    return Path(os.fsdecode(file.read_bytes().rstrip(b"\n")))


# --- contents ---------------------------------------------------------------------------------


def version_of(data: Path) -> str:
    """Return the major version of the cluster in this folder; empty if there is no cluster."""
    try:
        return (data / "PG_VERSION").read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
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
        f"{postmaster.tail(done.stderr)}",
        hint=f"{disk_full_hint(data.parent)}Fix the cause named above, then try again.",
        state=NO_CHANGES,
    )
