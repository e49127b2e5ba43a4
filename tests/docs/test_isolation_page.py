"""docs/isolation.md shows the permission table that is tested."""

from __future__ import annotations

from pages import ROOT, text

from runner.isolation.matrix import permissions

PAGE = ROOT / "docs" / "isolation.md"


def test_isolation_page_shows_the_permission_table() -> None:
    assert permissions.markdown() in text(PAGE), "python tests/docs/pages.py permissions"
