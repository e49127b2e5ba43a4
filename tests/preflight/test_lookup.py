"""Migrations as a user names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.files import loader
from runner.preflight import lookup


def write_files(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.sql").write_text("select 1;\n", encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    ["0002_bee", "2", "0002", "002", "0002_b", "{}/0002_bee.sql", "0002_bee.rollback.sql"],
)
def test_find_accepts_path_id_number_or_unambiguous_prefix(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, "0001_bee", "0002_bee", "0020_bee")
    assert lookup.find(loader.read(tmp_path), name.format(tmp_path)).id == "0002_bee"


@pytest.mark.parametrize(
    ("name", "problem"), [("000", "more than one migration"), ("7", "no migration"), ("", "more")]
)
def test_find_refuses_unknown_or_ambiguous_name_with_the_list(
    tmp_path: Path, name: str, problem: str
) -> None:
    write_files(tmp_path, "0001_a", "0002_b")
    with pytest.raises(UsageError, match=problem) as caught:
        lookup.find(loader.read(tmp_path), name)
    assert caught.value.hint == "Migrations: 0001_a, 0002_b"


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("0002", "0002_b"),
        ("more/0002", "more/0002_y"),
        ("sql/more/0002_y.rollback.sql", "more/0002_y"),
        ("0002_y", "more/0002_y"),
        ("{}/0002_b.sql", "0002_b"),
    ],
)
def test_find_looks_in_a_further_source_if_it_is_named_or_nothing_else_matches(
    tmp_path: Path, name: str, id_: str
) -> None:
    write_files(tmp_path, "0001_a", "0002_b")
    write_files(tmp_path / "more", "0001_x", "0002_y")
    known = loader.read(tmp_path, ["more"])
    assert lookup.find(known, name.format(tmp_path)).id == id_
    with pytest.raises(UsageError, match="other is no source of migrations") as caught:
        lookup.find(known, "other/0002")  # must not act on 0002_b instead
    assert "--with other" in caught.value.hint
    assert lookup.in_folders([tmp_path / "more"]) == loader.read(tmp_path, ["more"])
