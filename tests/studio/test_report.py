"""The command `report`: the pages as files."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from checkout import Checkout
from conftest import SQL_DIR, Database, one_server

from runner import settings
from runner.errors import UsageError
from runner.postgres.target import Target, parse
from runner.studio.actions import Actions
from runner.studio.data import viewer
from runner.studio.web import static_export

from .conftest import MAREN, SEEDS, STRANGER, WILMA, Report, Text


@pytest.fixture
def checkout(tmp_path: Path, seeded: Database) -> Checkout:
    checkout = Checkout(tmp_path, seeded)
    (checkout.folder / "sql").symlink_to(SQL_DIR)
    (checkout.folder / "seeds").symlink_to(SEEDS)
    return checkout


def pages(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.html")
    }


@one_server
def test_report_has_pages_of_every_person_and_only_internal_links(report: Report) -> None:
    assert "written: out/report/index.html" in report.output
    folder = report.folder
    found = pages(folder)
    for who in ("owner", "service_role", "anon", STRANGER, MAREN, WILMA):
        assert f"as/{who}/index.html" in found
        assert f"as/{who}/tables/projects.html" in found
    for name in ("comparison", "schema", "isolation", "history", "runs", "schema/users"):
        assert f"as/owner/{name}.html" in found
    assert "Tidebook" in found[f"as/{MAREN}/tables/projects.html"]
    assert "Tidebook" not in found[f"as/{WILMA}/tables/projects.html"]
    assert "Permission denied" in found["as/anon/tables/users.html"]
    assert "<svg" in (folder / "as/owner/diagram/public.svg").read_text()
    assert re.search(r"select .* from public\.organizations", found["as/owner/isolation.html"])
    assert "Matches the files" in found["as/owner/history.html"]
    assert "public.users 8 &lt;b&gt;rows" in found["as/owner/runs.html"]
    assert "04_workflows" in found["as/owner/runs.html"]
    for name, text in found.items():
        for link in Text(text).links:
            assert "://" not in link
            assert not link.startswith("/"), (name, link)
            path, _, part = link.partition("#")
            file = Path(os.path.normpath(folder / Path(name).parent / unquote(path)))
            assert not path or file.is_file(), (name, link)
            if part and path:
                assert f'id="{part}"' in file.read_text(encoding="utf-8"), (name, link)
        assert "<form" not in text
    assert json.loads((folder / "report.json").read_text())["tables"]
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


def _full_disk_at(name: str) -> Callable[[Path, Path], None]:
    full = [name]

    def move(source: Path, to: Path) -> None:
        if source.name in full and "report-" in str(source):
            full.clear()
            raise OSError(errno.ENOSPC, "No space left on device")
        source.rename(to)

    return move


@one_server
def test_report_replaces_its_own_files_and_nothing_else(
    tmp_path: Path, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(parse(empty_database.conninfo()), "a test", embedded=False)
    environ = {"DATABASE_URL": empty_database.conninfo()}
    actions = Actions(settings.load(environ=environ, sql_dir=str(tmp_path / "sql")))
    folder, other = tmp_path / "report", tmp_path / "other.txt"
    folder.mkdir()
    other.write_text("of another person")
    marker, page = folder / "report.json", folder / "as/owner/runs.html"

    def write() -> None:
        with viewer.opened(target, tmp_path / "sql") as source:
            static_export.write(source, target, actions, folder)

    def refused(content: dict[str, Any] | str) -> None:
        marker.write_text(content if isinstance(content, str) else json.dumps(content))
        before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
        with pytest.raises(UsageError, match=r"not a report|not of the report|cannot be written"):
            write()
        assert {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()} == before

    for text in ('{"tool": "another", "files": 3}', "[" * 200_000, '{"made_by": {}}', "\0"):
        refused(text)
    marker.unlink()
    write()
    made = json.loads(marker.read_text())
    (folder / "notes.txt").write_text("of a person")
    (folder / "as/left-over.html").write_text("of an earlier report")
    marker.write_text(json.dumps({**made, "written": [*made["written"], "as/left-over.html"]}))
    page.write_text("")
    write()
    assert page.read_text()
    assert not (folder / "as/left-over.html").exists()
    assert (folder / "notes.txt").read_text() == "of a person"
    assert json.loads(marker.read_text()) == made
    for outside in ("../other.txt", str(other)):
        refused({**made, "written": [*made["written"], outside]})
    refused({**made, "written": [name for name in made["written"] if "runs" not in name]})
    for odd in ("\0", "a/\ud800", 5, "as", "", "a" * 300):
        refused({**made, "written": [*made["written"], odd]})
    refused({**made, "written": json.loads("[" * 900 + "]" * 900)})
    (folder / "index.html").rename(tmp_path / "index.html")
    (folder / "index.html").mkdir()
    (folder / "index.html/notes.txt").write_text("of a person")
    refused(made)
    (folder / "index.html").rename(tmp_path / "notes")
    # All is put back if the disk refuses a file.
    with monkeypatch.context() as patched:
        patched.setattr("shutil.move", _full_disk_at("index.html"))
        refused(made)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    write()
    assert folder.is_symlink()
    assert json.loads(marker.read_text()) == made
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()
    (folder / "as").rename(tmp_path / "elsewhere")
    (folder / "as").symlink_to(tmp_path / "elsewhere")
    refused(made)


@one_server
def test_report_without_directory_or_with_missing_attachment_is_refused(
    checkout: Checkout,
) -> None:
    assert "--out DIR" in checkout.runner("report").err
    result = checkout.runner("report", "--out", "report", "--attach", "nothing.txt")
    assert result.code == 64
    assert "nothing.txt cannot be attached" in result.err
    assert not (checkout.folder / "report").exists()


@one_server
def test_people_who_cannot_be_viewed_as_are_left_out_with_a_note(checkout: Checkout) -> None:
    assert checkout.database
    checkout.do("create role report_reader login password 'only for this test'")
    url = checkout.database.conninfo(user="report_reader", password="only for this test")
    result = checkout.runner("report", "--out", "r", DATABASE_URL=url)
    assert result.code == 0
    assert "isolation not proven" in result.out
    assert "anon is left out: report_reader is not allowed to SET ROLE anon" in result.err
    assert "grant anon to report_reader;" in result.err
    assert "only for this test" not in result.err
    found = pages(checkout.folder / "r")
    assert not [name for name in found if name.startswith("as/anon/")]
    assert "may not read the migration tables" in found["as/owner/history.html"]
    assert "could not be run" in found["as/owner/isolation.html"]
