"""The operating-system user that runs the embedded PostgreSQL, and a folder that it can access.

PostgreSQL refuses to run as root. When root invokes the runner, the server's programs are started
as an existing unprivileged user such as `nobody`; no user is created, and the mode and owner of
existing folders stay as they are. If that user cannot access the data or the programs (a clone or
a virtual environment in a private home), they go into a folder under `FALLBACK_FOLDERS`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

with contextlib.suppress(ImportError):  # Windows: data_folder.resolve() raises before it is used
    import pwd

from runner.errors import ServerError

ReportLine = Callable[[str], None]  # receives one line of text; events.Report receives an Event

UNPRIVILEGED_USERS = ("nobody", "_postgres", "postgres", "daemon")  # tried in this order
FALLBACK_FOLDERS = (
    Path("/var/lib/plain-sql-runner"),
    Path("/tmp/plain-sql-runner"),  # noqa: S108 - its owner and mode are verified
)
# Nothing is inherited: PGHOST would select another server, LD_LIBRARY_PATH other libraries.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class OsUser:
    """The user that starts programs: the invoking user, or for root, an unprivileged user."""

    name: str
    uid: int
    gid: int

    @property
    def is_current(self) -> bool:
        return self.uid == os.geteuid()

    def run(
        self,
        *args: str | Path,
        stdin: str = "",
        stderr: int = subprocess.PIPE,
        detached: bool = False,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this user in `/`, with ENVIRONMENT and `environment` only."""
        return subprocess.run(
            [os.fspath(arg) for arg in args],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=ENVIRONMENT | (environment or {}),
            umask=0o077,
            start_new_session=detached,
            user=None if self.is_current else self.uid,
            group=None if self.is_current else self.gid,
            extra_groups=None if self.is_current else [],
        )

    def can(self, test: str, path: Path) -> bool:
        """Return whether test(1) succeeds as this user, for example `-x`; True for ourselves.

        The kernel decides: mode bits alone do not show ACLs, mounts or parent folders. False if
        root cannot start a program as this user.
        """
        if self.is_current:
            return True
        try:
            return self.run("/bin/sh", "-c", 'test "$0" "$1"', test, path).returncode == 0
        except (OSError, ValueError, subprocess.SubprocessError):
            return False

    def claim(self, folder: Path, mode: int) -> bool:
        """Create a folder of this user if it is absent; return whether it can be trusted.

        It cannot if it is a link, belongs to another user or permits more than `mode` does.
        """
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            self.take_ownership(folder, mode)
        status = folder.lstat()
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == self.uid
        return is_ours and not status.st_mode & 0o777 & ~mode

    def take_ownership(self, folder: Path, mode: int = 0o700) -> None:
        """Give this user a folder that the invoking user has just created, and set its mode.

        The folder is opened first, so that it cannot be replaced by a link in between.
        """
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(handle).st_uid != os.geteuid():
                raise ServerError(f"{folder} was replaced while it was being created.")
            os.fchmod(handle, mode)  # regardless of the umask
            if not self.is_current:
                os.fchown(handle, self.uid, self.gid)
        finally:
            os.close(handle)


def tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-10:])


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def invoker() -> OsUser:
    """Return the invoking user; raise ServerError if it has no name.

    Peer authentication reports that name to PostgreSQL.
    """
    uid = os.geteuid()
    try:
        return OsUser(pwd.getpwuid(uid).pw_name, uid, os.getegid())
    except KeyError:
        raise ServerError(
            f"The operating-system user {uid} has no name (no entry in /etc/passwd), "
            "which PostgreSQL requires.",
            hint="Give the container a named user, or set DATABASE_URL to another PostgreSQL.",
        ) from None


def server_user(owner: int | None = None) -> OsUser:
    """Return the invoking user, or for root, the first of UNPRIVILEGED_USERS that can run programs.

    `owner` is the uid that owns an existing data folder; that user is tried first. Raise
    ServerError if the invoking user has no name or root finds no other user.
    """
    current = invoker()
    if current.uid != 0:
        return current
    found: list[OsUser] = []
    for name in UNPRIVILEGED_USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            found.append(OsUser(name, entry.pw_uid, entry.pw_gid))
    for user in sorted(found, key=lambda user: user.uid != owner):
        if user.uid > 0 and _can_run_programs(user):
            return user
    raise ServerError(
        "PostgreSQL refuses to run as root, and no unprivileged user could be used instead "
        f"(tried: {', '.join(UNPRIVILEGED_USERS)}).",
        hint="Run this as a normal user, or set DATABASE_URL to another PostgreSQL.",
    )


@functools.cache
def _can_run_programs(user: OsUser) -> bool:
    return user.can("-x", Path("/"))


def fallback_folder() -> Path:
    """Return the first of FALLBACK_FOLDERS that only root can write to and every user can enter.

    It is created if absent. Raise ServerError if none can be used.
    """
    user, tried = invoker(), []
    for folder in FALLBACK_FOLDERS:
        try:
            if user.claim(folder, 0o755):
                return folder
            tried.append(f"{folder}: not a folder that only {user.name} can write to")
        except OSError as error:
            tried.append(f"{folder}: {error.strerror}")
    raise ServerError(
        "PostgreSQL needs a folder that an unprivileged user can access, and none could be used "
        f"({'; '.join(tried)}).",
        hint="Move the project to where other users can access it, or do not run as root.",
    )
