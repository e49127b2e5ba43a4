"""Run a temporary PostgreSQL server from the wheel; nothing of it remains, also after a kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from runner import embedded
from runner.embedded import data_folder, os_user, postmaster, wheel
from runner.errors import ServerError

UNSAFE_FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextlib.contextmanager
def temporary_server(
    version: int = embedded.VERSION, *, settings: Mapping[str, str] | None = None
) -> Iterator[embedded.Server]:
    """Run a temporary server; stop it and remove its data at the end, also if we are killed.

    It has UNSAFE_FAST_SETTINGS, so it may lose data in a crash; `settings` adds PostgreSQL settings
    or overrides these. Raise ServerError if it cannot be started.
    """
    data_folder.require_posix()
    wheel.folder(version)
    folder = _scratch_folder()
    path = folder / "postgres"
    options = {**UNSAFE_FAST_SETTINGS, **(settings or {})}
    with _cleanup_watchdog(folder) as watchdog:
        try:
            server = embedded.start_unlocked(path, version, None, options, lambda _: None)
            watchdog.write(f"{server.pid}\n".encode())
            yield server
        finally:
            running = postmaster.find_running(path)
            if running:
                running.stop(signal.SIGQUIT)
            shutil.rmtree(folder, ignore_errors=True)


def _scratch_folder() -> Path:
    user = os_user.server_user()
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108
        folder = Path(tempfile.mkdtemp(prefix="plain-sql-scratch-", dir=base)).resolve()
        if not user.is_current:
            folder.chmod(0o711)
        if user.can("-x", folder):
            return folder
        folder.rmdir()
    raise ServerError(f"No temporary folder is accessible to the user {user.name}.")


@contextlib.contextmanager
def _cleanup_watchdog(folder: Path) -> Iterator[IO[bytes]]:
    """Run a shell that ends the server and removes the folder if this process is killed.

    Only this process holds the other end of the shell's stdin, which is yielded. It carries the
    server's pid, then a line that is written at the end. End of file without that line means that
    this process was killed.
    """
    script = (
        'read -r pid; read -r word && exit; [ -n "$pid" ] && kill -QUIT "$pid"; '
        'for _ in 1 2 3 4 5 6 7 8 9; do rm -rf "$0" && exit; sleep 1; done'
    )
    with subprocess.Popen(
        ["/bin/sh", "-c", script, os.fspath(folder)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=os_user.ENVIRONMENT,
        start_new_session=True,
    ) as process:
        assert process.stdin  # noqa: S101  for mypy: stdin is a pipe
        try:
            yield process.stdin
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"\ndone\n")
