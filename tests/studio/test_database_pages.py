"""Pages about the database itself: schema, isolation, history."""

from __future__ import annotations

import re
import shutil
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import SQL_DIR, Database, one_server

from runner import settings
from runner.isolation.verdict import Check, Verdict
from runner.studio.actions import Actions, Result, isolation_page
from runner.studio.web import render

from .conftest import MAREN, WILMA, RunningStudio


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """A copy of sql/ that a test may change."""
    return Path(shutil.copytree(SQL_DIR, tmp_path / "sql"))


def test_schema_shows_diagram_and_definition_of_every_table(studio: RunningStudio) -> None:
    page = studio.get(f"as/{MAREN}/schema")
    (picture,) = {link for link in page.links if link.endswith("diagram/public.svg")}
    drawn = studio.request("GET", picture)
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in drawn.headers["content-security-policy"]
    for table in ("ai_agents", "audit_logs", "organizations", "projects", "users", "workflows"):
        assert table in drawn.body
        shown = studio.get(f"as/{MAREN}/schema/{table}").text
        for part in ("Columns", "Indexes", "Policies", "Grants", "Triggers", "tenant_isolation"):
            assert part in shown, (table, part)
    shown = studio.get("as/owner/schema/projects").text
    assert "An OWNER or ADMIN starts a project." in shown
    assert "create policy insert_admin on public.projects" in shown
    assert "authenticated update name, status, config, description" in shown
    assert re.search(r"projects_pkey primary [\d,]+ kB \d+ CREATE UNIQUE INDEX", shown)


@one_server
def test_isolation_proof_runs_on_request_and_lists_its_statements_and_fixes(
    seeded: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    """With a breach here; test_browser has one that passes."""
    with seeded.connect(autocommit=True) as conn:
        conn.execute("grant delete on public.projects to authenticated")
    studio = start_studio(seeded.conninfo())
    before = studio.get(f"as/{WILMA}/isolation")
    assert "No proof has been run yet" in before.text
    response = studio.request("POST", f"/{studio.token}/as/{WILMA}/isolation")
    assert response.status == 303
    assert response.headers["location"] == f"/{studio.token}/as/{WILMA}/isolation"
    page = studio.get(f"as/{WILMA}/isolation")
    assert "Not proven" in page.text
    assert "revoke delete on public.projects from authenticated" in page.text.lower()
    assert re.search(r"select .* from public\.organizations", page.text)
    squares = re.findall(r'<td class="(?:yes|no)"><a href="#([^"]+)"', page.body)
    assert len(squares) > 100
    assert all(page.body.count(f'id="{square}"') == 1 for square in squares)


@one_server
def test_history_shows_state_time_hash_and_user(studio: RunningStudio) -> None:
    page = studio.get("as/owner/history")
    assert len(re.findall(r'class="state applied"', page.body)) == 9
    assert re.search(r"0006_create_caller_helpers applied \d{4}-\d\d-\d\d", page.text)
    assert "None: all migration files are applied." in page.text
    file = studio.get("as/owner/history/0006_create_caller_helpers")
    assert "create or replace function app.caller_org()" in file.text
    assert "Rollback file" in file.text
    assert '<span class="k">create</span>' in file.body
    assert studio.get("as/owner/history/0006_nothing").status == 404


def test_migration_tables_are_not_readable_by_api_roles(studio: RunningStudio) -> None:
    for who in (MAREN, "anon", "service_role"):
        page = studio.get(f"as/{who}/history")
        assert page.status == 200
        assert "may not read the migration tables" in page.text
        assert "permission denied for schema yoyo" in page.text


@one_server
def test_rehearsal_of_pending_files_is_rolled_back(
    seeded: Database, start_studio: Callable[..., RunningStudio], sql: Path
) -> None:
    (sql / "0010_add_note.sql").write_text(
        "-- 0010_add_note\n-- A note.\n\nalter table public.projects add column note text;\n"
        "create table public.notes (id int primary key);\n"
    )
    studio = start_studio(seeded.conninfo(), RUNNER_SQL_DIR=str(sql))
    assert "1 to apply" in studio.get("as/owner/history").text
    assert studio.request("POST", f"/{studio.token}/as/owner/history/rehearsal").status == 303
    page = studio.get("as/owner/history")
    assert "adds column public.projects.note" in page.text or "public.projects.note" in page.text
    assert "blocks reads and writes of" in page.text
    file = studio.get("as/owner/history/0010_add_note")
    assert "rehearsed" in file.text
    assert "There is none, so it cannot be rolled back." in file.text
    with seeded.connect() as conn:
        assert conn.execute("select to_regclass('public.notes')").fetchone() == (None,)


@one_server
def test_history_shows_edited_and_missing_files_and_drift(
    seeded: Database, start_studio: Callable[..., RunningStudio], sql: Path
) -> None:
    edited = sql / "0006_create_caller_helpers.sql"
    edited.write_text(edited.read_text() + "select 'edited after the fact';\n")
    (sql / "0009_enable_row_level_security.sql").unlink()
    (sql / "0009_enable_row_level_security.rollback.sql").unlink()
    with seeded.connect(autocommit=True) as conn:
        conn.execute("alter table public.projects alter column name drop not null")
    studio = start_studio(seeded.conninfo(), RUNNER_SQL_DIR=str(sql))
    page = studio.get("as/owner/history")
    assert re.findall(r'class="state (?!applied)(\w+)"', page.body) == ["edited", "missing"]
    assert "changed outside migrations since" in page.text
    assert "+select 'edited after the fact';" in studio.get(f"as/owner/history/{edited.stem}").text
    assert "create" in studio.get("as/owner/history/0009_enable_row_level_security").text
    assert studio.request("POST", f"/{studio.token}/as/owner/history/drift").status == 303


@one_server
def test_comparison_with_files_shows_manual_change_and_fix(
    seeded: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    with seeded.connect(autocommit=True) as conn:
        conn.execute("drop index public.projects_org_id_created_at_id_idx")
    studio = start_studio(seeded.conninfo(), RUNNER_SQL_DIR=str(SQL_DIR))
    studio.request("POST", f"/{studio.token}/as/owner/history/drift")
    page = studio.get("as/owner/history")
    assert "index public.projects_org_id_created_at_id_idx" in page.text
    assert "1 difference" in page.text
    assert "To fix it:" in page.text


@one_server
def test_history_without_files_lists_recorded_migrations(
    seeded: Database, start_studio: Callable[..., RunningStudio], tmp_path: Path
) -> None:
    studio = start_studio(seeded.conninfo(), RUNNER_SQL_DIR=str(tmp_path / "nothing"))
    page = studio.get("as/owner/history")
    assert "does not exist" in page.text
    assert page.body.count('class="state missing"') == 9


@one_server
def test_history_without_records_lists_files(
    empty_database: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    studio = start_studio(empty_database.conninfo(), RUNNER_SQL_DIR=str(SQL_DIR))
    page = studio.get("as/owner/history")
    assert page.body.count('class="state pending"') == 9
    assert "no tables" in studio.get("as/owner/schema").text
    assert studio.get("as/owner/diagram/public.svg").status == 404
    studio.request("POST", f"/{studio.token}/as/owner/isolation")
    assert "could not be run" in studio.get("as/owner/isolation").text


def test_check_that_was_not_tried_is_neither_passed_nor_failed() -> None:
    found = [Check("attack", f"{n}", "", "", "said", p) for n, p in enumerate((True, None, False))]
    for checks, counted in ((found[:2], "none failed, 1 not tried"), (found, "1 failed, 1 not tr")):
        proof = Result(datetime.now(UTC), 1.0, Verdict(checks=tuple(checks), facts={"role": "r"}))
        template = render._templates().get_template("isolation.html")
        given = {**isolation_page(Actions(settings.load(), proof)), "frame": Namespace(live=False)}
        page = "".join(template.blocks["main"](template.new_context(given)))
        assert f"<summary>{len(checks)} attacks, {counted}" in page
        assert '<span class="note">–</span> <code>1</code>' in page
