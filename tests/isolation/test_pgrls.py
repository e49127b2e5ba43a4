"""pgrls, a static analyser with a Z3 prover, looks at the same schema from another side.

Its exceptions are in pgrls.toml, each with its reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Database

ROOT = Path(__file__).parents[2]
PGRLS = Path(sys.executable).with_name("pgrls")
TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")
HELPERS = ("app.caller_org", "app.caller_org_as", "app.caller_user")  # who is asking, as auth.uid
PROVEN = {
    "anon": set(TABLES),
    "cross-tenant": set(TABLES),
    # It proves conditions with one equation. Those of users and audit_logs ask two things (whose
    # organization, and which person or role), and are left to verify, which tries them.
    "write": set(TABLES) - {"users", "audit_logs"},
}


def pgrls(database: Database, *words: str) -> tuple[int, Any]:
    """Run it with our exceptions; return its exit code and its report."""
    url = database.conninfo()
    ran = subprocess.run(
        [PGRLS, *words, "--config", ROOT / "pgrls.toml", "--format", "json"],
        env={"DATABASE_URL": url, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.startswith(("{", "[")), ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def verdicts(database: Database, mode: str) -> dict[str, str]:
    """What Z3 says of each table."""
    knows = [word for helper in HELPERS for word in ("--auth-function", helper)]
    _, report = pgrls(database, "verify", "--schemas", "public", "--mode", mode, *knows)
    return {table["table"].removeprefix("public."): table["verdict"] for table in report["tables"]}


def test_the_linter_finds_nothing_beyond_the_exceptions(database: Database) -> None:
    code, report = pgrls(database, "lint")
    assert (code, report["violations"]) == (0, [])


@pytest.mark.parametrize(
    "weakness",
    [
        "alter policy select_member on public.projects using (true)",
        "alter policy all_service_role on public.users to public",
        "alter table public.workflows disable row level security",
        "create view public.people as select * from public.users",
        "alter function app.caller_org() reset search_path",
    ],
)
def test_the_exceptions_do_not_blind_the_linter(database: Database, weakness: str) -> None:
    with database.connect() as conn:
        conn.execute(weakness)
    code, report = pgrls(database, "lint")
    assert code == 1
    assert report["violations"]


@pytest.mark.parametrize("belt", [True, False], ids=["as it is", "without the second lock"])
@pytest.mark.parametrize("mode", PROVEN)
def test_z3_proves_what_binds_a_tenant(database: Database, mode: str, belt: bool) -> None:
    """On a copy without the policies of service_role: it reads them as if they bound tenants."""
    aside = ("all_service_role",) if belt else ("all_service_role", "tenant_isolation")
    with database.connect() as conn:
        for table in TABLES:
            for policy in aside:
                conn.execute(f"drop policy {policy} on public.{table}")
    found = verdicts(database, mode)
    assert {table for table, verdict in found.items() if verdict == "isolated"} == PROVEN[mode]
    assert "leak" not in found.values()


def test_z3_finds_no_way_for_anon_to_climb(database: Database) -> None:
    for mode in ("escalation", "reachability"):
        code, _ = pgrls(database, "verify", "--strict", "--schemas", "public", "--mode", mode)
        assert code == 0
