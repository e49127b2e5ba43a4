"""Discovery of migration files: names, numbers, order, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import FileError, RunnerError, UsageError
from runner.files import loader
from runner.preflight import lookup


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write_files(folder: Path, *names: str, **headers: str) -> Path:
    """Write migrations: `names` without a header, `headers` as `_0002_b="depends: 0001_a"`."""
    for name in names:
        (folder / f"{name}.sql").write_text("select 1;\n", encoding="utf-8")
    for name, header in headers.items():
        (folder / f"{name.lstrip('_')}.sql").write_text(f"-- {header}\nselect 1;\n")
    return folder


def ids(folder: Path) -> list[str]:
    return [migration.id for migration in loader.read(folder)]


def test_files_are_ordered_by_number(folder: Path) -> None:
    write_files(folder, "0010_c", "0002_b", "0001_a", "0003-with.dots-and-dashes")
    assert ids(folder) == ["0001_a", "0002_b", "0003-with.dots-and-dashes", "0010_c"]
    assert [m.number for m in loader.read(folder)] == [1, 2, 3, 10]


@pytest.mark.parametrize(
    "names",
    [
        ["20230102030405_a", "20240102030405_b"],
        ["20261128_01_ab3Xz-create-table", "20261128_02_0aaaa", "20261129_01_zzzzz-drop-table"],
        ["0001.create-x", "0002-drop-x", "20261128_01_ab3xz-create-table"],
        ["20251129101500_x", "20261128_01_ab3xz-y", "20261128_10_ab3xz-z", "20261129_w"],
        ["20261128_a", "20261128_b"],
    ],
)
def test_order_of_timestamps_and_of_names_that_yoyo_writes_is_that_of_yoyo(
    folder: Path, names: list[str]
) -> None:
    write_files(folder, *reversed(names))
    assert ids(folder) == names
    [*_, newest] = loader.read(folder)
    assert lookup.find([newest], names[-1].partition("_")[0]) == newest


@pytest.mark.parametrize(
    "name", ["0001_a.up", "0001_a.down", "V1__a", "V1.2.3__a", "R__a", "1.undo.a"]
)
def test_name_of_another_tool_is_refused_with_the_way_to_convert_it(
    folder: Path, name: str
) -> None:
    write_files(folder, name)
    with pytest.raises(FileError, match="has a name of ") as caught:
        loader.read(folder)
    assert "Rename it to NUMBER_NAME.sql, or to NUMBER_NAME.rollback.sql" in caught.value.hint
    assert f"python -m runner import {folder} --sql-dir NEW" in caught.value.hint


def test_other_files_are_ignored(folder: Path) -> None:
    write_files(folder, "0001_a", ".hidden", "_draft")
    (folder / "README.md").write_text("about")
    (folder / "__pycache__").mkdir()
    assert ids(folder) == ["0001_a"]


def test_dependency_precedes_its_dependent_regardless_of_number(folder: Path) -> None:
    write_files(folder, "0003_c", _0001_a="depends: 0002_b", _0002_b="depends: 0003_c")
    assert ids(folder) == ["0003_c", "0002_b", "0001_a"]


def test_rollback_file_is_found_beside_its_migration(folder: Path) -> None:
    write_files(folder, "0001_a", "0001_a.rollback", "0002_b")
    first, second = loader.read(folder)
    assert first.rollback.path == folder / "0001_a.rollback.sql"
    with pytest.raises(FileError, match="0002_b has no rollback file") as caught:
        _ = second.rollback
    assert "0002_b.rollback.sql" in caught.value.message


@pytest.mark.parametrize("name", ["a", "0001", "0001_", "0001 a", "0001_a b", "a_0001", "0001_a "])
def test_file_with_malformed_name_is_refused(folder: Path, name: str) -> None:
    write_files(folder, "0009_good", name)
    with pytest.raises(FileError, match="does not have the name of a migration") as caught:
        loader.read(folder)
    assert f"{name}.sql" in caught.value.message


def test_folder_named_like_a_migration_is_refused(folder: Path) -> None:
    write_files(folder, "0001_a")
    (folder / "0002_b.sql").mkdir()
    with pytest.raises(FileError, match=r"0002_b\.sql is not a file"):
        loader.read(folder)


def test_link_without_a_file_is_refused_and_one_to_a_file_is_read(folder: Path) -> None:
    write_files(folder, "0001_a")
    link = folder / "0002_b.sql"
    for target in ("0002_b.sql", "0001_a.sql/x", "nowhere.sql"):
        link.symlink_to(target)
        with pytest.raises(FileError, match=r"0002_b\.sql is not a file: it is a symbolic link w"):
            loader.read(folder)
        link.unlink()
    link.symlink_to("0001_a.sql")
    assert len(loader.read(folder)) == 2


def test_python_migration_is_refused(folder: Path) -> None:
    write_files(folder, "0001_a")
    (folder / "0002_b.py").write_text("steps = []")
    with pytest.raises(FileError, match=r"0002_b\.py is a Python migration"):
        loader.read(folder)


def test_name_longer_than_id_column_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "_LONGEST_ID", 20)
    write_files(folder, "0001_" + "a" * 16)
    with pytest.raises(FileError, match="more than 20 characters"):
        loader.read(folder)


@pytest.mark.parametrize(("one", "other"), [("0002_b", "0002_c"), ("0002_b", "02_c")])
def test_duplicate_number_is_refused_with_both_names(folder: Path, one: str, other: str) -> None:
    write_files(folder, one, other)
    with pytest.raises(FileError, match="have the number 2") as caught:
        loader.read(folder)
    assert f"{one}.sql" in caught.value.message
    assert f"{other}.sql" in caught.value.message
    assert f"-- depends: {one}" in caught.value.hint  # an applied file keeps its name
    write_files(folder, **{f"_{other}": f"depends: {one}"})
    assert ids(folder) == [one, other]


def test_numbers_whose_text_order_differs_are_refused(folder: Path) -> None:
    write_files(folder, "2_b", "10_c")
    with pytest.raises(FileError, match=r"10_c\.sql sorts before 2_b\.sql") as caught:
        loader.read(folder)
    assert "Pad" in caught.value.hint


def test_rollback_file_without_migration_is_refused(folder: Path) -> None:
    write_files(folder, "0001_a", "0002_b.rollback")
    with pytest.raises(
        FileError, match=r"0002_b\.rollback\.sql is the rollback file of a migration"
    ):
        loader.read(folder)


def test_missing_dependency_is_refused_with_closest_name(folder: Path) -> None:
    write_files(folder, "0001_create_users", _0002_b="depends: 0001_create_user")
    with pytest.raises(FileError, match="depends on 0001_create_user, which") as caught:
        loader.read(folder)
    assert caught.value.hint == "Did you mean 0001_create_users?"
    assert str(caught.value.place) == f"{folder}/0002_b.sql:1:13"


def test_circular_dependency_is_refused_with_the_cycle(folder: Path) -> None:
    write_files(
        folder,
        "0001_a",
        _0002_b="depends: 0004_d",
        _0003_c="depends: 0002_b 0001_a",
        _0004_d="depends: 0003_c",
    )
    with pytest.raises(FileError, match="cycle") as caught:
        loader.read(folder)
    assert "0002_b → 0004_d → 0003_c → 0002_b" in caught.value.message


def test_dependency_chain_may_exceed_recursion_limit(folder: Path) -> None:
    count = 1200  # more than Python's recursion limit
    for number in range(count):
        write_files(folder, **{f"_{number:04}_x": f"depends: {number + 1:04}_x"})
    write_files(folder, f"{count:04}_x")
    assert ids(folder) == [f"{number:04}_x" for number in range(count, -1, -1)]


def test_file_that_depends_on_itself_is_refused(folder: Path) -> None:
    write_files(folder, _0001_a="depends: 0001_a")
    with pytest.raises(FileError, match="0001_a → 0001_a"):
        loader.read(folder)


def test_missing_or_empty_folder_is_a_usage_error(folder: Path) -> None:
    """yoyo: a missing directory counts as nothing to do."""
    with pytest.raises(UsageError, match="does not exist"):
        loader.read(folder / "sqll")
    (folder / "file").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        loader.read(folder / "file")
    with pytest.raises(UsageError, match=r"contains no \.sql file"):
        loader.read(folder)
    assert UsageError.exit_code == 64


@given(st.lists(st.text("0129_.-ab Ä%;'\"", min_size=1, max_size=9), max_size=6, unique=True))
def test_any_names_are_read_in_order_or_refused(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    write_files(folder, *names)
    try:
        found = loader.read(folder)
    except RunnerError as error:
        assert error.message
        return
    shown = [name for name in names if not name.startswith((".", "_"))]
    assert [m.id for m in found] == sorted(n for n in shown if not n.endswith(".rollback"))
    assert [m.number for m in found] == sorted({m.number for m in found})


# --- further sources ----------------------------------------------------------------------------


@pytest.fixture
def two_sources(folder: Path) -> Path:
    write_files(folder, "0001_a", "0002_b", "0003_c")
    for name in ("more", "other"):
        (folder / name).mkdir()
    write_files(folder / "more", "0002_y", _0001_x="depends: 0002_b", _0003_z="depends: 0003_c")
    write_files(folder / "other", _0001_o="depends: more/0002_y")
    return folder


def test_file_of_a_further_source_comes_after_what_it_depends_on(two_sources: Path) -> None:
    assert ids(two_sources) == ["0001_a", "0002_b", "0003_c"]
    assert [
        f"{file}".removeprefix(f"{two_sources}/") for file in loader.read(two_sources, ["more"])
    ] == [
        "0001_a.sql",
        "0002_b.sql",
        "more/0001_x.sql",
        "more/0002_y.sql",
        "0003_c.sql",
        "more/0003_z.sql",
    ]
    both = [file.id for file in loader.read(two_sources, ["other", "more"])]
    assert both[2:5] == ["more/0001_x", "more/0002_y", "other/0001_o"]
    write_files(two_sources / "more", _0001_x="depends on nothing")
    first = [file.id for file in loader.read(two_sources, ["more"])]
    assert first[2:] == ["0003_c", "more/0001_x", "more/0002_y", "more/0003_z"]


def test_sources_that_contradict_each_other_are_refused(two_sources: Path) -> None:
    with pytest.raises(UsageError, match=r"absent does not exist") as missing:
        loader.read(two_sources, ["absent"])
    assert "new NAME, with this option" in missing.value.hint
    for odd in ("../more", "..", "a/b", ""):
        with pytest.raises(UsageError, match="cannot be a source of migrations"):
            loader.read(two_sources, [odd])
    write_files(two_sources, _0004_d="depends: more/0001_x")
    with pytest.raises(FileError, match="depends on more/0001_x, a file of a further source"):
        loader.read(two_sources, ["more"])
    (two_sources / "0004_d.sql").unlink()
    write_files(two_sources / "more", "0001_a")
    (two_sources / "more" / "0001_x.sql").unlink()
    with pytest.raises(FileError, match="have one name, by which yoyo records a migration"):
        loader.read(two_sources, ["more"])
