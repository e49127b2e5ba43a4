"""The data folder of the embedded PostgreSQL: where it is, whose it is, made whole or not at all.

What belongs to it lies beside it, named after it: `.lock`, `.log`, `.password`, and `.place`, which
says where the data went when the user that runs root's server cannot reach the project.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner.errors import ServerError
from runner.postgres.embedded import os_user, postmaster
from runner.postgres.embedded.os_user import OsUser, Report

with contextlib.suppress(ImportError):  # Windows: home() refuses before it is missed
    import fcntl

UNCHANGED = "Nothing was changed."
_ADVICE = {
    errno.ENOSPC: "The disk is full, or nearly: make room, then run the same command again.",
    errno.EROFS: "Name a folder that can be written, RUNNER_HOME, or a server, DATABASE_URL. "
    + UNCHANGED,
}
_LITTLE = 16 * 2**20  # bytes: what PostgreSQL may need to start, a new piece of its log


def beside(data: Path, what: str) -> Path:
    return data.with_name(f"{data.name}.{what}")


def only_posix() -> None:
    if os.name != "posix":
        raise ServerError(
            "The embedded PostgreSQL runs on Linux and macOS only.",
            hint="Set DATABASE_URL to a PostgreSQL of your own, or use WSL.",
        )


def home(data_dir: Path) -> Path:
    """The folder the caller means, as one absolute path."""
    only_posix()
    with explained(data_dir):
        path = Path(data_dir).resolve()
    if "\n" in os.fspath(path):
        raise ServerError("PostgreSQL cannot live in a folder with a line break in its name.")
    return path


def make_parent(path: Path) -> None:
    """The folder the data folder lies in. One that root makes can be passed through."""
    with explained(path):
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            try:
                folder.mkdir()
            except FileExistsError:  # somebody was quicker, and it is theirs
                continue
            if os.geteuid() == 0:
                folder.chmod(0o755)


# --- whose it is ------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock dies with its holder."""
    lock = beside(path, "lock")
    with explained(lock):
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        check_owner(lock, os.fstat(handle).st_uid, os.geteuid())

        def taken() -> bool:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not postmaster.wait(taken, postmaster.PATIENCE):
            raise ServerError(
                f"Another process is starting or stopping the server ({lock} is held).",
                hint="Wait for it, or end it.",
            )
        yield
    finally:
        os.close(handle)


def is_known(path: Path) -> bool:
    """Is there anything of a server here, and is it ours? Somebody else's is an error."""
    lock = beside(path, "lock")
    with explained(lock):
        try:
            check_owner(lock, lock.lstat().st_uid, os.geteuid())
        except (FileNotFoundError, NotADirectoryError):
            return os.path.lexists(path)
    return True


def check_owner(path: Path, uid: int, expected: int) -> None:
    if uid != expected:
        raise ServerError(
            f"{path} belongs to the operating-system user {os_user.name_of(uid)}, "
            f"and you are {os_user.name_of(os.geteuid())}.",
            hint=f"Run this as the user who made it, or choose another folder. {UNCHANGED}",
        )


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the file system refuses, in our words."""
    try:
        yield
    except PermissionError as error:
        where = Path(error.filename or path).absolute()
        owner = where
        while not os.access(owner.parent, os.X_OK) or not owner.exists():
            owner = owner.parent
        raise ServerError(
            f"The operating-system user {os_user.name_of(os.geteuid())} may not use {where}: "
            f"{owner} belongs to {os_user.name_of(owner.stat().st_uid)}.",
            hint=f"Run this as the user who made it, or choose another folder. {UNCHANGED}",
        ) from error
    except OSError as error:
        raise ServerError(
            f"{error.filename or path}: {error.strerror or error}.",
            hint=_ADVICE.get(error.errno or 0, ""),
        ) from error


def full(path: Path) -> str:
    """The advice for a full disk, if that is what it is; the log of PostgreSQL may be on it too."""
    return f"{_ADVICE[errno.ENOSPC]}\n" if shutil.disk_usage(path).free < _LITTLE else ""


# --- where it is ------------------------------------------------------------------------------


def followed(path: Path) -> Path:
    """Where the data of this folder really is: here, or where `.place` says.

    The place names its project in turn. If that project is still where it was, we are a copy of
    it and get data of our own; if it is gone, it is us, moved.
    """
    pointer = beside(path, "place")
    with explained(pointer):
        try:
            check_owner(pointer, pointer.lstat().st_uid, os.geteuid())
            data = _noted(pointer)
            owner = _noted(data.parent / "project")
        except (FileNotFoundError, NotADirectoryError):
            return path
        return path if owner != path and beside(owner, "place").exists() else data


def settle(path: Path, report: Report) -> tuple[OsUser, Path]:
    """Who runs the server, and where its data is or shall be."""
    data = followed(path)
    with explained(data):
        owner = data.stat().st_uid if data.exists() else None
    user = os_user.server_user(owner)
    if owner is not None:
        check_owner(data, owner, user.uid)
    if user.can("-x", data.parent):
        if data != path:
            _note(data.parent / "project", path)
        return user, data
    if owner is not None:
        raise ServerError(
            f"The server runs as {user.name}, who can no longer reach {data}.",
            hint=f"Move the project back to where it was. {UNCHANGED}",
        )
    place = os_user.place()
    for other in place.glob("data-*/project"):
        gone = _noted(other)
        if not beside(gone, "place").exists():
            report(f"{other.parent} is left from {gone}, which is gone; remove it if you like")
    own = Path(tempfile.mkdtemp(prefix="data-", dir=place))
    own.chmod(0o755)
    data = own / "postgres"
    _note(own / "project", path)
    _note(beside(path, "place"), data)
    report(f"{user.name}, who runs the server, cannot reach {path}: the data goes to {data}")
    return user, data


def _note(file: Path, path: Path) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "wb") as written:
        written.write(os.fsencode(path) + b"\n")


def _noted(file: Path) -> Path:
    return Path(os.fsdecode(file.read_bytes().rstrip(b"\n")))


# --- what is in it ----------------------------------------------------------------------------


def check(data: Path, version: int) -> None:
    """Is this a folder we may use?"""
    if not data.exists():
        return
    if not data.is_dir():
        raise ServerError(f"{data} is not a folder.", hint=UNCHANGED)
    mark = data / "PG_VERSION"
    if mark.exists():
        found = mark.read_text().strip()
        if found != str(version):
            raise ServerError(
                f"{data} holds a PostgreSQL {found} database, and version {version} was asked for.",
                hint=f"Ask for version {found}, or move the folder away to start anew with "
                f"version {version}. {UNCHANGED}",
            )
    elif any(data.iterdir()):
        raise ServerError(
            f"{data} is not empty and holds no PostgreSQL database.",
            hint=f"Choose another folder. {UNCHANGED}",
        )


def make(user: OsUser, bin_dir: Path, data: Path, version: int, *, durable: bool) -> None:
    """initdb under another name, then rename: one that was interrupted is never taken for data."""
    prefix = f".{data.name}.new-"
    for half_done in data.parent.glob(f"{prefix}*"):
        shutil.rmtree(half_done, ignore_errors=True)
    if version >= 17:
        locales = [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    else:
        locales = [["--locale=C.UTF-8"], ["--locale=C"]]
    for locale in locales:
        staging = Path(tempfile.mkdtemp(prefix=prefix, dir=data.parent))
        try:
            user.give(staging)
            done = user.run(
                *(bin_dir / "initdb", "--pgdata", staging, "--username=postgres"),
                *("--encoding=UTF8", *locale, "--data-checksums", "--no-instructions"),
                *("--auth-local=peer", "--auth-host=scram-sha-256"),
                *(() if durable else ("--no-sync",)),
            )
            if done.returncode == 0:
                if data.exists():
                    data.rmdir()  # an empty one: check() has seen to that
                staging.rename(data)
                return
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    raise ServerError(
        f"A new PostgreSQL {version} could not be made in {data}:\n{postmaster.tail(done.stderr)}",
        hint=f"{full(data.parent)}Nothing was kept. Put right what the lines above name, and try "
        "again.",
    )
