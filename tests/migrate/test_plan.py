"""Files compared with recorded migrations: states, and what apply may run. No database."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest

from runner.errors import PlanError
from runner.files import loader
from runner.files.loader import Migration
from runner.migrate import plan
from runner.migrate.plan import ADVICE, Plan, Record, State, compare, require_recorded
from runner.preflight import lookup
from runner.preflight.rollbacks import refuse_needed

IDS = ("0001_a", "0002_b", "0003_c", "0004_d")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for id_ in IDS:
        (tmp_path / f"{id_}.sql").write_text(f"-- {id_}\ncreate table {id_[5:]} ();\n")
    return tmp_path


def recorded(folder: Path, *ids: str) -> dict[str, Record]:
    """Return the records of these files as they are now."""
    files = {file.id: file for file in loader.read(folder)}
    return {
        id_: Record(id_, sha256=files[id_].sha256, code_sha256=files[id_].code_sha256)
        for id_ in ids
    }


def compared(folder: Path, records: dict[str, Record]) -> Plan:
    return compare(loader.read(folder), records)


def states(found: Plan) -> list[str]:
    return [f"{entry.id[:4]} {entry.state}" for entry in found.entries]


def ids(files: list[Migration]) -> list[str]:
    return [file.id for file in files]


def test_without_records_everything_is_pending(folder: Path) -> None:
    found = compared(folder, {})
    assert states(found) == ["0001 pending", "0002 pending", "0003 pending", "0004 pending"]
    assert ids(found.pending()) == list(IDS)
    assert not found.clean
    assert found.applied() == []


def test_with_all_records_everything_is_applied(folder: Path) -> None:
    found = compared(folder, recorded(folder, *IDS))
    assert set(states(found)) == {f"{id_[:4]} applied" for id_ in IDS}
    assert found.clean
    assert found.pending() == []
    assert [entry.id for entry in found.applied()] == list(reversed(IDS))


def test_file_numbered_below_the_newest_applied_is_out_of_order(folder: Path) -> None:
    found = compared(folder, recorded(folder, "0001_a", "0003_c"))
    assert states(found) == ["0001 applied", "0002 out_of_order", "0003 applied", "0004 pending"]


def test_out_of_order_file_is_refused_by_name_unless_allowed(folder: Path) -> None:
    found = compared(folder, recorded(folder, "0003_c"))
    with pytest.raises(PlanError, match="0001_a, 0002_b are out of order") as caught:
        found.pending()
    assert "--out-of-order" in caught.value.hint
    assert ids(found.pending(out_of_order=True)) == ["0001_a", "0002_b", "0004_d"]


def test_independent_out_of_order_file_is_applied(folder: Path) -> None:
    (folder / "0002_b.sql").write_text("-- independent: true\nselect 1;\n")
    found = compared(folder, recorded(folder, "0001_a", "0003_c"))
    assert ids(found.pending()) == ["0002_b", "0004_d"]
    assert states(found)[1] == "0002 out_of_order"


def test_edited_file_stops_the_whole_run(folder: Path) -> None:
    records = recorded(folder, "0001_a", "0002_b")
    (folder / "0001_a.sql").write_text("-- 0001_a\ncreate table aa ();\n")
    found = compared(folder, records)
    assert states(found)[0] == "0001 edited"
    for to in (None, found.entries[2].migration):
        with pytest.raises(PlanError, match="0001_a was edited after being applied"):
            found.pending(to=to, out_of_order=True)


def test_edit_of_comments_and_spacing_is_cosmetic(folder: Path) -> None:
    records = recorded(folder, "0001_a")
    (folder / "0001_a.sql").write_text("-- License.\ncreate  table a\n();\n")
    found = compared(folder, records)
    assert states(found)[0] == "0001 cosmetic"
    assert ids(found.pending()) == ["0002_b", "0003_c", "0004_d"]


def test_cosmetic_edits_leave_the_plan_clean(folder: Path) -> None:
    records = recorded(folder, *IDS)
    (folder / "0001_a.sql").write_text("create table a (); -- only this")
    assert compared(folder, records).clean


def test_changed_line_endings_are_not_an_edit(folder: Path) -> None:
    records = recorded(folder, *IDS)
    path = folder / "0001_a.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert states(compared(folder, records))[0] == "0001 applied"


def test_record_of_stock_yoyo_without_hash_counts_as_applied(folder: Path) -> None:
    """yoyo: a migration's hash is of its name; an edited applied file is never noticed."""
    assert states(compared(folder, {"0001_a": Record("0001_a")}))[0] == "0001 applied"


def test_record_without_file_is_missing_in_sort_order(folder: Path) -> None:
    records = recorded(folder, *IDS)
    (folder / "0002_b.sql").unlink()
    found = compared(folder, {**records, "0009_z": Record("0009_z")})
    assert states(found) == [
        "0001 applied",
        "0002 missing",
        "0003 applied",
        "0004 applied",
        "0009 missing",
    ]
    assert not found.clean
    assert found.pending() == []
    assert [entry.id for entry in found.applied()][:2] == ["0009_z", "0004_d"]


def test_missing_file_does_not_make_others_out_of_order(folder: Path) -> None:
    found = compared(folder, {"0009_z": Record("0009_z")})
    assert "0004 pending" in states(found)


def test_to_stops_after_the_named_file(folder: Path) -> None:
    found = compared(folder, recorded(folder, "0001_a"))
    third = lookup.find(loader.read(folder), "3")
    assert ids(found.pending(to=third)) == ["0002_b", "0003_c"]
    first = lookup.find(loader.read(folder), "1")
    assert found.pending(to=first) == []


def test_to_ignores_out_of_order_files_after_the_named_one(folder: Path) -> None:
    found = compared(folder, recorded(folder, "0004_d"))
    with pytest.raises(PlanError, match="0001_a is out of order"):
        found.pending(to=found.entries[0].migration)
    assert found.pending(to=None, out_of_order=True)


def test_plan_follows_dependency_order(folder: Path) -> None:
    (folder / "0001_a.sql").write_text("-- depends: 0004_d\nselect 1;\n")
    assert ids(compared(folder, {}).pending()) == ["0004_d", "0001_a", "0002_b", "0003_c"]


def test_every_state_but_applied_has_advice() -> None:
    assert set(ADVICE) == set(State) - {State.APPLIED}


def test_repeated_mark_or_unmark_is_refused(folder: Path) -> None:
    first = loader.read(folder)[0]
    records = recorded(folder, first.id)
    require_recorded(records, first, applied=True)
    require_recorded({}, first, applied=False)
    with pytest.raises(PlanError, match="0001_a is already applied"):
        require_recorded(records, first, applied=False)
    with pytest.raises(PlanError, match="0001_a is not applied"):
        require_recorded({}, first, applied=True)


def test_plan_imports_no_database_module() -> None:
    assert not {"psycopg", "yoyo"} & set(vars(plan))


def test_partially_rolled_back_migration_can_be_applied_or_rolled_back(folder: Path) -> None:
    records = recorded(folder, *IDS[:3])
    records["0003_c"] = records["0003_c"]._replace(partially_rolled_back=True)
    found = compared(folder, records)
    assert states(found) == ["0001 applied", "0002 applied", "0003 partial", "0004 pending"]
    assert ids(found.pending()) == ["0003_c", "0004_d"]
    assert [entry.id for entry in found.applied()] == ["0003_c", "0002_b", "0001_a"]
    assert not found.clean


# --- further sources ----------------------------------------------------------------------------


@pytest.fixture
def two_sources(folder: Path) -> Path:
    (folder / "more").mkdir()
    for name, depends in (("0001_x", "0002_b"), ("0002_y", "0001_x")):
        text = f"-- depends: {depends}\ncreate table {name[5:]} ();\n"
        (folder / "more" / f"{name}.sql").write_text(text)
    return folder


def at(hour: int, *ids: str) -> dict[str, Record]:
    return {id_: Record(id_, datetime(2027, 1, 1, hour)) for id_ in ids}


def test_recorded_source_is_used_without_being_chosen(two_sources: Path) -> None:
    records = at(1, *IDS[:2]) | at(2, "more/0001_x") | at(3, "0003_c")
    found = compare(loader.read(two_sources), records)
    assert [f"{entry.id} {entry.state}" for entry in found.entries] == [
        "0001_a applied",
        "0002_b applied",
        "more/0001_x applied",
        "more/0002_y pending",  # numbered below 0003_c, which is of another source
        "0003_c applied",
        "0004_d pending",
    ]
    assert ids(found.pending()) == ["more/0002_y", "0004_d"]
    assert [entry.id for entry in found.applied()] == [
        "0003_c",
        "more/0001_x",
        "0002_b",
        "0001_a",
    ]
    with pytest.raises(PlanError, match="0002_b cannot be rolled back: more/0001_x is applied"):
        refuse_needed(found, [file for file in found.files if file.number == 2])
    refuse_needed(found, [file for file in found.files if file.number < 3])

    shutil.rmtree(two_sources / "more")
    missing = compare(loader.read(two_sources), records)
    assert missing.entries[-1][:2] == ("more/0001_x", State.MISSING)
    with pytest.raises(PlanError, match=r"0003_c cannot be .* more/0001_x is applied and has no"):
        refuse_needed(missing, missing.files[2:3])
