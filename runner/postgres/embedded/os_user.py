"""Who runs the embedded PostgreSQL, what that user can reach, and a place to go when it cannot.

PostgreSQL refuses to run as root. Run by root, its programs are therefore started as an
unprivileged user that is already there (`nobody`); no user is made, and no folder that exists gets
another mode or owner. Where that user cannot reach the data or the programs (a clone or a venv
under a private home), both go into a folder of their own under `PLACES`.
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

with contextlib.suppress(ImportError):  # Windows: data_folder.home refuses before it is missed
    import pwd

from runner.errors import ServerError

Report = Callable[[str], None]

CANDIDATES = ("nobody", "_postgres", "postgres", "daemon")
PLACES = (Path("/var/lib/plain-sql-runner"), Path("/tmp/plain-sql-runner"))  # noqa: S108  verified
# Programs get this and nothing of ours: a PGHOST or an LD_LIBRARY_PATH would lead them astray.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class OsUser:
    """An operating-system user that starts programs: ourselves, or, for root, somebody lesser."""

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    def run(
        self,
        *args: str | Path,
        stderr: int = subprocess.PIPE,
        detached: bool = False,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, with a bare environment, from the root folder."""
        return subprocess.run(
            [os.fspath(arg) for arg in args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=ENVIRONMENT | (environment or {}),
            umask=0o077,
            start_new_session=detached,
            user=None if self.is_us else self.uid,
            group=None if self.is_us else self.gid,
            extra_groups=None if self.is_us else [],
        )

    def can(self, test: str, path: Path) -> bool:
        """Really try, as this user: the kernel's answer, not a reading of mode bits."""
        return self.is_us or self.run("/bin/sh", "-c", 'test "$0" "$1"', test, path).returncode == 0

    def give(self, folder: Path) -> None:
        """Hand over a folder we have just made. Through a handle: nobody can put a link there."""
        if self.is_us:
            return
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(handle).st_uid != os.geteuid():
                raise ServerError(f"{folder} was exchanged while it was being made.")
            os.fchown(handle, self.uid, self.gid)
        finally:
            os.close(handle)


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def invoker() -> str:
    """The name under which PostgreSQL will know us."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise ServerError(
            f"The operating-system user {uid} has no name (no line in /etc/passwd), "
            "and PostgreSQL will not run for a nameless user.",
            hint="Give the container a named user, or set DATABASE_URL to another PostgreSQL.",
        ) from None


def server_user(owner: int | None = None) -> OsUser:
    """Who runs the server: ourselves, or for root the first unprivileged user that works.

    `owner` is the uid that owns an existing data folder; that candidate is then preferred.
    """
    invoker()
    if os.geteuid() != 0:
        return OsUser(invoker(), os.geteuid(), os.getegid())
    found: list[OsUser] = []
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid > 0:
            found.append(OsUser(name, entry.pw_uid, entry.pw_gid))
    for account in sorted(found, key=lambda account: account.uid != owner):
        if _can_become(account):
            return account
    raise ServerError(
        "PostgreSQL refuses to run as root, and no unprivileged user could be used instead "
        f"(tried: {', '.join(CANDIDATES)}).",
        hint="Run this as a normal user, or set DATABASE_URL to another PostgreSQL.",
    )


@functools.cache
def _can_become(account: OsUser) -> bool:
    try:
        return account.run("/bin/sh", "-c", ":").returncode == 0
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


def place() -> Path:
    """A folder of root's own that everybody can pass through; made if absent."""
    tried: list[str] = []
    for folder in PLACES:
        try:
            try:
                folder.mkdir()
            except FileExistsError:
                pass
            else:
                folder.chmod(0o755)  # ours, and new: whatever the umask
            seen = folder.lstat()
        except OSError as error:
            tried.append(f"{folder}: {error.strerror}")
            continue
        if stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o022:
            return folder
        tried.append(f"{folder}: not a folder that is ours alone")
    raise ServerError(
        "PostgreSQL needs a folder that an unprivileged user can reach, and there is none "
        f"({'; '.join(tried)}).",
        hint="Move the project to where other users can reach it, or do not run as root.",
    )
