"""README: short, with two commands that work, and true about the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from checkout import Checkout, seeded_checkout
from conftest import Database, one_server
from pages import README, ROOT, blocks, section, text


def test_readme_has_at_most_250_lines() -> None:
    assert len(text(README).splitlines()) <= 250


@pytest.mark.parametrize(
    ("title", "command"),
    [
        ("Run it", "-m pip install --quiet --editable . && .venv/bin/python -m runner up"),
        ("Test it", "-m pip install --quiet --editable '.[test]' && .venv/bin/python -m pytest"),
    ],
)
def test_section_begins_with_one_command(title: str, command: str) -> None:
    found = re.match(r"\s*```sh\n(.*)\n```\n", section(README, title))
    assert found
    assert found[1] == f"python3 -m venv .venv && .venv/bin/python {command}"


def test_readme_lists_the_first_pages_of_sql_in_order() -> None:
    """A new migration needs no line there."""
    pages = [f.stem for f in sorted((ROOT / "sql").glob("*.sql")) if ".rollback" not in f.name]
    listed = re.findall(r"^\| `(\d{4}_\w+)` \|", text(README), re.MULTILINE)
    assert len(listed) >= 9
    assert listed == pages[: len(listed)]


def test_layout_lists_every_package_of_the_runner() -> None:
    packages = {file.parent.name for file in (ROOT / "runner").glob("*/__init__.py")}
    listed = re.findall(r"^  (\w+)/ ", section(README, "Layout"), re.MULTILINE)
    assert set(listed) == packages
    assert len(listed) == len(packages)


def test_readme_links_every_page_of_docs() -> None:
    listed = set(re.findall(r"\]\((docs/[\w-]+\.md)", section(README, "Documentation")))
    assert listed >= {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}


def test_env_example_explains_each_variable() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    for name in ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE"):
        number = next(i for i, line in enumerate(lines) if line.lstrip("#").startswith(f"{name}="))
        assert lines[number - 1].startswith("#"), name


@pytest.fixture
def seeded(tmp_path: Path, database: Database) -> Checkout:
    """A database with the schema and the seeds."""
    return seeded_checkout(tmp_path, database)


@one_server
def test_two_tenants_get_different_rows_from_the_same_query(seeded: Checkout) -> None:
    """The example of "The first day"."""
    [sql] = re.findall(r"-f - <<'SQL'\n(.*?)^SQL$", section(README, "The first day"), re.S | re.M)
    (seeded.folder / "example.sql").write_text(sql, encoding="utf-8")
    result = seeded.runner("psql", "--", "-XAtq", "-f", "example.sql")
    assert result.code == 0, result.err
    names = [line.split("|")[0] for line in result.out.splitlines()]
    org_of = dict(seeded.rows("select name, org_id from public.projects"))
    skerry_line, odd_loaf = "cskerryline00000000000000", "coddloaf00000000000000000"
    assert [org_of[name] for name in names] == [skerry_line] * 4 + [odd_loaf] * 4


@one_server
def test_application_example_reads_one_tenants_rows(seeded: Checkout) -> None:
    """The example of "Connect your application", with the login of docs/application.md."""
    [example] = blocks(section(README, "Connect your application"), "python")
    [roles] = blocks(section(ROOT / "docs" / "application.md", "The login"), "sql")
    assert seeded.database
    user_id = "0dd10af0-0000-4000-8000-000000000003"
    seeded.do("drop role if exists app_login")  # of another test on this server
    seeded.do(roles)
    try:
        with seeded.database.connect(autocommit=True) as connection:
            connection.execute("set session authorization app_login")
            names: dict[str, Any] = {"connection": connection, "json": json, "user_id": user_id}
            exec(example, names)  # noqa: S102 - the example of the page
            assert len(names["projects"]) == 4
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("select name from public.projects")
    finally:
        seeded.do("drop role app_login")
