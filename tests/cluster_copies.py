"""Copy the data folder of a temporary server: initdb, which makes it, takes six times as long."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

from runner.embedded import data_folder
from runner.embedded.os_user import OsUser

FOLDER = "TEST_CLUSTERS"  # the variable; processes inherit it
_initialize = data_folder.initialize


def install(folder: str) -> None:
    """Copy from now on what initdb has made in `folder`, in this process."""
    os.environ[FOLDER] = folder
    data_folder.initialize = partial(_copied, Path(folder))


def _copied(
    folder: Path, user: OsUser, bin_dir: Path, data: Path, version: int, *, durable: bool
) -> None:
    """Replace `initialize`; a durable cluster, which is no temporary one, is made by initdb."""
    if durable or not folder.exists():
        _initialize(user, bin_dir, data, version, durable=durable)
        return
    made = folder / str(version)
    with data_folder.locked(made):
        if not data_folder.version_of(made):
            _initialize(user, bin_dir, made, version, durable=False)
    staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=data.parent))
    user.take_ownership(staging)
    done = user.run("/bin/cp", "-R", f"{made}/.", staging)
    assert done.returncode == 0, done.stderr
    if data.exists():
        data.rmdir()
    staging.rename(data)
