"""docs/migrations.md: its migrations work, and the new table passes verify."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server
from pages import ROOT, blocks, section, text

from runner.files import loader
from runner.preflight import checks
from runner.preflight.scratch import scratch_server

PAGE = ROOT / "docs" / "migrations.md"
_HEADER = re.compile(r"-- (?P<id>\d{4}_\w+)(?P<rollback>: rollback)?\n")


def write_migrations(folder: Path) -> list[str]:
    """Write the migrations of the page to a copy of sql/; return their ids."""
    shutil.copytree(ROOT / "sql", folder / "sql")
    ids = []
    for block in blocks(text(PAGE), "sql"):
        if header := _HEADER.match(block):
            name = header["id"] + (".rollback.sql" if header["rollback"] else ".sql")
            (folder / "sql" / name).write_text(block, encoding="utf-8")
            ids += [header["id"]] if not header["rollback"] else []
    return ids


def test_migrations_pass_check(tmp_path: Path) -> None:
    ids = write_migrations(tmp_path)
    assert len(ids) == 5
    with scratch_server(18, settings=checks.LIMITS) as scratch:
        found = checks.check(scratch, loader.read(tmp_path / "sql"))
    assert found.failed == []
    assert [file.id for file in found.files if not all(file.checks.values())] == []


@one_server
def test_new_table_passes_verify(database: Database, tmp_path: Path) -> None:
    """With the rights and the fixture row that the page adds; no file of the package changes."""
    write_migrations(tmp_path)
    page = section(PAGE, "A new table")
    [rights] = blocks(page, "toml")
    [row] = [block for block in blocks(page, "sql") if not _HEADER.match(block)]
    with (tmp_path / "sql" / "isolation.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{rights}")
    with (tmp_path / "sql" / "isolation" / "fixture.sql").open("a", encoding="utf-8") as file:
        file.write(f"\n{row}")
    checkout = Checkout(tmp_path, database)
    checkout.do(f'revoke temporary on database "{database.name}" from public')
    command = (sys.executable, "-W", "error", "-m", "runner")
    for later in (tmp_path / "sql").glob("001[1-9]*"):
        later.unlink()
    applied = checkout.run(*command, "apply")
    assert applied.code == 0, applied.err
    accepted = checkout.run(*command, "verify", "--accept")
    assert accepted.code == 0, accepted.err
    result = checkout.run(*command, "verify", "--json")
    assert result.document["breaches"] == []
    assert [cell for cell in result.document["cells"] if cell["table"] == "teams"]


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
