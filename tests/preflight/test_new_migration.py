"""The name of a new migration."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.preflight.new_migration import next_name

_NOW = datetime(2026, 11, 28, 9, 5, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "0001_add_teams"),
        (["009_a", "009_a.rollback"], "010_add_teams"),
        (["0001_a", "20261128090506_b"], "20261128090507_add_teams"),
        (["20261128090507_b"], "20261128090508_add_teams"),
        (["20991231235959_b"], "20991231235960_add_teams"),
        (["20261127_b"], "20261128_add_teams"),
        (["202611271200_b"], "202611280905_add_teams"),
        (["1670000000_b"], "1670000001_add_teams"),  # seconds
        (["20261128_09_ab3xz-b", "20261127_11_ab3xz-a"], r"20261128_10_[a-z0-9]{5}-add-teams"),
        (["0001.a", "20261127_09_ab3xz"], r"20261128_01_[a-z0-9]{5}-add-teams"),
    ],
)
def test_new_migration_is_named_as_the_newest_is(
    tmp_path: Path, names: list[str], expected: str
) -> None:
    for name in names:
        (tmp_path / f"{name}.sql").touch()
    assert re.fullmatch(expected, next_name(tmp_path, "Add  teams!", _NOW))
    assert next_name(tmp_path / "none", "x") == "0001_x"
    for name in (*names, "0003_other_teams", "20261127_09_ab3xz-new-teams"):
        (tmp_path / f"{name}.sql").touch()
        (tmp_path / f"{name}.rollback.sql").touch()
    for same in ("Other-Teams", "new teams"):
        with pytest.raises(UsageError, match=r"[-_]teams\.sql has this name already"):
            next_name(tmp_path, same, _NOW)
    assert next_name(tmp_path, "teams", _NOW)
    with pytest.raises(UsageError, match="contains no letters or digits"):
        next_name(tmp_path, "../…")
