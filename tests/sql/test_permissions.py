"""Every right and case of isolation.toml × every caller × own and other organization."""

from __future__ import annotations

import pytest
from permission_table import markdown
from promises import PROJECT
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation.proof import RIGHTS, prove

from .fixture_rows import TABLES


def test_each_right_is_allowed_or_denied_as_declared(conn: Connection[TupleRow]) -> None:
    verdict = prove(conn, PROJECT, only=RIGHTS)
    assert [breach.summary for breach in verdict.breaches] == []
    tried = {(cell.actor, cell.where) for cell in verdict.cells}
    assert tried >= {(name, where) for name in PROJECT.actors for where in ("own", "other")}


def test_permissive_policies_are_sufficient_on_their_own(conn: Connection[TupleRow]) -> None:
    """All permissions without the restrictive policies, which Citus does not support."""
    for table in TABLES:
        conn.execute(f"drop policy tenant_isolation on public.{table}")
    assert failed(conn) == []


def test_restrictive_policies_are_sufficient_on_their_own(conn: Connection[TupleRow]) -> None:
    """A permissive policy that is too broad gives no access to another organization."""
    for table in TABLES:
        conn.execute(
            f"create policy too_broad on public.{table} to authenticated"
            " using (true) with check (true)"
        )
    assert [title for title in failed(conn) if "in other org" in title] == []


def failed(conn: Connection[TupleRow]) -> list[str]:
    """Return what differs from isolation.toml."""
    verdict = prove(conn, PROJECT, only=RIGHTS, without_restrictive_policies=False)
    return [breach.proof for breach in verdict.breaches]


@pytest.mark.parametrize("table", TABLES)
def test_permissions_cover_every_table(table: str) -> None:
    assert PROJECT.config.rights[table]


def test_service_role_has_every_case_of_a_tenant_except_approve() -> None:
    more = [
        case.what
        for case in PROJECT.config.cases
        if set(PROJECT.members) & set(case.allowed) and "service_role" not in case.allowed
    ]
    assert more == ["approve"]


def test_markdown_lists_every_table_and_no_tenant_deletes() -> None:
    lines = markdown(PROJECT).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(PROJECT.config.rights)
    deletes = [right for each in PROJECT.config.rights.values() for right in each.get("delete", ())]
    assert {name for right in deletes for name in right.actors} == {"service_role"}
