"""docs/isolation.md shows the permission table that is tested."""

from __future__ import annotations

from pages import ROOT, text
from permission_table import markdown
from promises import PROJECT

PAGE = ROOT / "docs" / "isolation.md"


def test_isolation_page_shows_the_permission_table() -> None:
    assert markdown(PROJECT) in text(PAGE), "python tests/permission_table.py"
