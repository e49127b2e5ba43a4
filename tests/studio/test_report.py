"""The command `report`: the pages as files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from checkout import Checkout
from conftest import SQL_DIR, Database, one_server

from .conftest import MAREN, SEEDS, STRANGER, WILMA, Text


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
def test_report_has_pages_of_every_person_and_only_internal_links(
    checkout: Checkout,
) -> None:
    """The report replaces an earlier one, and nothing but a report."""
    assert checkout.runner("seed", "--yes").code == 0
    checkout.file("out/report/report.json", "{}")
    checkout.file("out/report/as/left-over.html", "of an earlier report")
    checkout.file("seed.txt", "public.users 8 <b>rows</b>\n")
    result = checkout.runner("report", "--out", "out/report", "--attach", "seed.txt")
    assert result.code == 0, result
    assert "written: out/report/index.html" in result.out
    folder = checkout.folder / "out" / "report"
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
    assert "as/left-over.html" not in found
    assert json.loads((folder / "report.json").read_text())["tables"]
    (folder / "report.json").unlink()
    result = checkout.runner("report", "--out", "out/report")
    assert result.code == 64
    assert "is not a report" in result.err
    assert (folder / "index.html").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


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
def test_report_of_empty_database_says_not_proven(
    checkout: Checkout, empty_database: Database
) -> None:
    result = checkout.runner("report", "--out", "r", DATABASE_URL=empty_database.conninfo())
    assert result.code == 0
    assert "isolation not proven" in result.out
    found = pages(checkout.folder / "r")
    assert "There are no tables" in found["as/owner/index.html"]
    assert "could not be run" in found["as/owner/isolation.html"]
    assert found["as/owner/history.html"].count('class="state pending"') == 9


@one_server
def test_people_who_cannot_be_viewed_as_are_left_out_with_a_note(checkout: Checkout) -> None:
    assert checkout.database
    checkout.do("create role report_reader login password 'only for this test'")
    url = checkout.database.conninfo(user="report_reader", password="only for this test")
    result = checkout.runner("report", "--out", "r", DATABASE_URL=url)
    assert result.code == 0
    assert "anon is left out: report_reader is not allowed to SET ROLE anon" in result.err
    assert "grant anon to report_reader;" in result.err
    assert "only for this test" not in result.err
    found = pages(checkout.folder / "r")
    assert not [name for name in found if name.startswith("as/anon/")]
    assert "may not read the migration tables" in found["as/owner/history.html"]
