"""`new NAME --table`: files from the templates of the project, and an error for what cannot be."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import SQL_DIR

TEMPLATES = SQL_DIR / "isolation"
HEAD = '# A comment.\r\n[tenant]\r\ncolumn = "org_id"\r\n\r\n[rights]\r\na = { select = [] }\r\n'
TAIL = '\r\n# Of the next section.\r\n[[accept]]\r\nrule = "a"\r\nobject = "b"\r\nbecause = "c"\r\n'


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    """A project with one migration, the templates of this schema and a small isolation.toml."""
    checkout = Checkout(tmp_path)
    checkout.write(
        _0007_a="""
            -- 0007_a
            create unlogged table if not exists public.projects (id int);
            create view public."Totals" as select 1;
            create table public.gone (id int);
            drop table public.gone;
        """,
        _0007_a__rollback="select 1;",
    )
    folder = tmp_path / "sql" / "isolation"
    folder.mkdir()
    for template in TEMPLATES.glob("new_table.*"):
        shutil.copy(template, folder)
    (tmp_path / "sql" / "isolation.toml").write_bytes((HEAD + TAIL).encode())
    return checkout


def contents(project: Checkout) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (project.folder / "sql").rglob("*") if p.is_file()}


def test_table_gets_its_files_and_its_rights_behind_the_last_ones(project: Checkout) -> None:
    before = contents(project)
    for name, table, id_ in (
        ("Team members", "team_members", "0008_create_team_members"),
        ("add_gone", "gone", "0009_add_gone"),  # a later migration dropped that table
    ):
        result = project.runner("new", name, "--table", "--json")
        assert result.code == 0, result.err
        assert result.document["files"] == [
            f"sql/{id_}.sql",
            f"sql/{id_}.rollback.sql",
            "sql/isolation.toml",
        ]
        migration = project.migrations()[-1]
        assert migration.id == id_
        words = table.replace("_", " ")
        assert migration.text.startswith(f"-- {id_}\n-- Create the table of {words}, ")
        assert f"create table if not exists public.{table} (" in migration.text
        assert f"drop table if exists public.{table};" in migration.rollback.text
        assert not re.search("new.things|0000", migration.text + migration.rollback.text)
    assert project.migrations()[-1].header.depends == ("0008_create_team_members",)
    after = contents(project)
    rights = after.pop("isolation.toml").decode()
    assert rights.startswith(f"{HEAD}\r\n[rights.team_members]\r\nselect = ")
    assert rights.endswith(TAIL)
    assert "\n\r\n[rights.gone]\r\nselect = " in rights
    assert not re.search(r"(?<!\r)\n|\n\r\n\r\n", rights)
    assert {name: after[name] for name in before if name in after} == {
        name: text for name, text in before.items() if name in after
    }
    for path in (project.folder / "sql").glob("0009*"):
        path.unlink()
    assert project.runner("new", "gone", "--table").code == 0
    assert contents(project)["isolation.toml"].decode() == rights


@pytest.mark.parametrize(
    ("name", "change", "problem", "hint"),
    [
        ("1st", "", "'1st' cannot be the name of a table", "begin with a letter"),
        ("public.teams", "", "cannot be the name of a table", "in which schema"),
        ("équipes", "", "cannot be the name of a table", "a to z"),
        ("add_", "", "cannot be the name of a table", "a to z"),
        ("t" * 50, "", "_created_at_id_idx has 75 characters", "At most 38 characters fit"),
        ("projects", "", "public.projects exists already: sql/0007_a.sql creates it", "Choose"),
        ("add_totals", "", "public.totals exists already", "Choose another name"),
        ("teams", "new_table.sql", "new_table.sql does not exist", "the migration that --table"),
        ("teams", "new_table.rollback.sql", "rollback.sql does not exist", "new_things"),
        ("teams", "isolation.toml", "isolation.toml does not exist", "verify --init"),
        ("teams", "rights = {}\n", "cannot take the rights of teams", "select = "),
        ("teams", "[rights\n", "isolation.toml:1:8: ", ""),
    ],
)
def test_what_cannot_be_created_is_an_error_and_changes_nothing(
    project: Checkout, name: str, change: str, problem: str, hint: str
) -> None:
    if change.endswith("\n"):
        (project.folder / "sql" / "isolation.toml").write_text(change, encoding="utf-8")
    elif change:
        next((project.folder / "sql").rglob(change)).unlink()
    before = contents(project)
    result = project.runner("new", name, "--table")
    assert result.code == 64
    assert problem in result.err
    assert hint in result.err
    assert "No changes were made." in result.err
    assert contents(project) == before
