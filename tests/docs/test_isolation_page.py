"""docs/isolation.md shows the permission table that is tested."""

from __future__ import annotations

from pages import ROOT, text
from promises import PROJECT

from runner.isolation.matrix.permissions import markdown

PAGE = ROOT / "docs" / "isolation.md"


def test_isolation_page_shows_the_permission_table() -> None:
    assert markdown(PROJECT) in text(PAGE), "python tests/docs/pages.py permissions"
