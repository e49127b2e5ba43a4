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

from runner.files.loader import Migration
from runner.schema import snapshot

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


@one_server
def test_migrations_run_twice_and_roll_back(database: Database, tmp_path: Path) -> None:
    ids = write_migrations(tmp_path)
    assert len(ids) == 5
    checkout = Checkout(tmp_path, database)
    files = {file.id: file for file in checkout.migrations()}

    def apply(migration: Migration) -> snapshot.Snapshot:
        with checkout.migrator() as migrator:
            migrator.apply([migration])
            return snapshot.take(migrator.connection)

    for id_ in ids:
        with checkout.migrator() as migrator:
            before = snapshot.take(migrator.connection)
        applied = apply(files[id_])
        with checkout.migrator() as migrator:
            migrator.record(files[id_], "unmark")
        assert apply(files[id_]).facts == applied.facts, id_
        with checkout.migrator() as migrator:
            migrator.roll_back([files[id_]])
            assert snapshot.take(migrator.connection).facts == before.facts, id_
        apply(files[id_])


@one_server
def test_new_table_passes_verify(database: Database, tmp_path: Path) -> None:
    """With the rights that the page adds, in six lines; no file of the package changes."""
    write_migrations(tmp_path)
    page = section(PAGE, "A new table")
    [rights] = blocks(page, "toml")
    assert len(rights.strip().splitlines()) <= 6
    with (tmp_path / "sql" / "isolation.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{rights}")
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
    assert [cell for cell in result.document["cells"] if cell["table"] == "public.teams"]


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
