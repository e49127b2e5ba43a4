"""Check the schema with pgrls, a static analyzer with a Z3 prover.

Its exceptions are in pgrls.toml, each with its reason.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Database, one_server

pytestmark = one_server  # it reads the text of the policies
ROOT = Path(__file__).parents[2]
PGRLS = Path(sys.executable).with_name("pgrls")
TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")
HELPERS = (
    "app.caller_org",
    "app.caller_org_as",
    "app.caller_user",
)  # identify the caller, as auth.uid does
OF_EVERY_TABLE = re.compile(
    r"SEC0(05|08|28|38)\b.*\ball_service_role\b|SEC013\b.*\b(record_(insert|audit)|touch_updated_at)\b"
)
PROVEN = {
    "anon": set(TABLES),
    "cross-tenant": set(TABLES),
    # It proves conditions with one equation. Those of users and audit_logs have two (organization,
    # and user or role). Updates of projects and ai_agents use two helpers, one to find the row and
    # one to check it; see pgrls.toml. They are left to verify, which executes them.
    "write": {"organizations", "workflows"},
}

WEAKNESSES = {  # by a word of what pgrls says
    "projects": "alter policy select_member on public.projects using (true)",
    "users": "alter policy all_service_role on public.users to public",
    "workflows": "alter table public.workflows disable row level security",
    "people": "create view public.people as select * from public.ai_agents",
    "caller_org": "alter function app.caller_org() reset search_path",
}


def pgrls(database: Database, *words: str) -> tuple[int, Any]:
    """Run pgrls with our exceptions; return its exit code and report."""
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
    """Return the verdict of Z3 on each table."""
    auth_functions = [word for helper in HELPERS for word in ("--auth-function", helper)]
    _, report = pgrls(database, "verify", "--schemas", "public", "--mode", mode, *auth_functions)
    return {table["table"].removeprefix("public."): table["verdict"] for table in report["tables"]}


def test_linter_finds_only_the_exceptions(database: Database) -> None:
    """A later table has the same policies for service_role and the same triggers as these."""
    _, report = pgrls(database, "lint")
    assert [found for found in report["violations"] if not OF_EVERY_TABLE.search(str(found))] == []


def test_linter_with_exceptions_still_detects_weaknesses(database: Database) -> None:
    with database.connect() as conn:
        for weakness in WEAKNESSES.values():
            conn.execute(weakness)
    code, report = pgrls(database, "lint")
    assert code == 1
    found = [str(one) for one in report["violations"] if not OF_EVERY_TABLE.search(str(one))]
    assert [name for name in WEAKNESSES if not any(name in one for one in found)] == []


@pytest.mark.parametrize("restrictive", [True, False], ids=["with", "without restrictive policies"])
@pytest.mark.parametrize("mode", PROVEN)
def test_z3_proves_policies_of_tenants(database: Database, mode: str, restrictive: bool) -> None:
    """On a copy without the policies of service_role, which pgrls would apply to tenants."""
    dropped = ("all_service_role",) if restrictive else ("all_service_role", "tenant_isolation")
    with database.connect() as conn:
        for statement in conn.execute(
            "select format('drop policy %%I on %%I.%%I', policyname, schemaname, tablename)"
            " from pg_policies where policyname = any (%s)",
            [list(dropped)],
        ).fetchall():
            conn.execute(statement[0])
    found = verdicts(database, mode)
    isolated = {table for table, verdict in found.items() if verdict == "isolated"}
    assert isolated & set(TABLES) == PROVEN[mode]
    assert "leak" not in found.values()


def test_z3_finds_no_escalation_for_anon(database: Database) -> None:
    for mode in ("escalation", "reachability"):
        code, _ = pgrls(database, "verify", "--strict", "--schemas", "public", "--mode", mode)
        assert code == 0
