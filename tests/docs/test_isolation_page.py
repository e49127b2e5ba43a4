"""docs/isolation.md shows the permission tables that are tested."""

from __future__ import annotations

from pages import ROOT, text
from permission_table import cases, markdown
from promises import PROJECT

PAGE = ROOT / "docs" / "isolation.md"


def test_isolation_page_shows_the_permission_tables() -> None:
    for table in (markdown(PROJECT), cases(PROJECT)):
        assert table in text(PAGE), "python tests/permission_table.py"
