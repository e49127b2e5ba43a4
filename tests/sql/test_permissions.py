"""Every right of isolation.toml × every caller × own and other organization."""

from __future__ import annotations

import pytest
from permission_table import markdown
from promises import PROJECT
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation.matrix.permissions import COMMANDS, Permission

from .fixture_rows import CALLERS, TABLES, breach, breaches


def name_of(right: Permission) -> str:
    return f"{right.command}-{right.table}-{right.what}".replace(" ", "_")


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("where", ["own", "other"])
@pytest.mark.parametrize("right", PROJECT.rights, ids=name_of)
def test_each_right_is_allowed_or_denied_as_declared(
    conn: Connection[TupleRow], right: Permission, where: str, who: str
) -> None:
    assert breach(conn, right, who, own_org=where == "own") is None


def test_permissive_policies_are_sufficient_on_their_own(conn: Connection[TupleRow]) -> None:
    """All permissions without the restrictive policies, which Citus does not support."""
    for table in TABLES:
        conn.execute(f"drop policy tenant_isolation on public.{table}")
    assert breaches(conn) == []


def test_restrictive_policies_are_sufficient_on_their_own(conn: Connection[TupleRow]) -> None:
    """A permissive policy that is too broad gives no access to another organization."""
    for table in TABLES:
        conn.execute(
            f"create policy too_broad on public.{table} to authenticated"
            " using (true) with check (true)"
        )
    assert breaches(conn, own_org=False) == []


@pytest.mark.parametrize("table", TABLES)
def test_permissions_cover_every_command(table: str) -> None:
    assert {right.command for right in PROJECT.rights if right.table == table} == set(COMMANDS)


@pytest.mark.parametrize("table", TABLES)
def test_permissions_cover_every_column(conn: Connection[TupleRow], table: str) -> None:
    """For a new column, isolation.toml must state who may write it."""
    columns = conn.execute(
        "select attname from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [f"public.{table}"],
    )
    updates = " ".join(
        right.sql for right in PROJECT.rights if (right.table, right.command) == (table, "update")
    )
    assert [name for (name,) in columns if f"{name} =" not in updates.replace("where", "")] == []


def test_service_role_has_every_tenant_right_except_approve() -> None:
    more = [
        p.what
        for p in PROJECT.rights
        if PROJECT.members_with(p) and "service_role" not in p.allowed
    ]
    assert more == ["approve"]


def test_markdown_lists_every_table_and_no_tenant_deletes() -> None:
    lines = markdown(PROJECT).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(TABLES)
    assert not [
        p for p in PROJECT.rights if p.command in ("delete", "truncate") and PROJECT.members_with(p)
    ]
