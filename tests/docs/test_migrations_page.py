"""docs/migrations.md. tests/isolation/test_second_day.py does what its recipes say."""

from __future__ import annotations

import pytest
from pages import ROOT, section

PAGE = ROOT / "docs" / "migrations.md"


def test_recipes_without_sql_of_their_own_name_the_files_they_change() -> None:
    assert "sql/isolation.toml" in section(PAGE, "A new table")
    assert "isolation.toml" in section(PAGE, "A changed column")


@pytest.mark.parametrize(
    "directive",
    [
        *("depends", "transactional", "lock_timeout", "statement_timeout", "independent"),
        "idle_in_transaction_session_timeout",
    ],
)
def test_every_directive_is_documented(directive: str) -> None:
    assert f"| `-- {directive}: " in section(PAGE, "Directives")
