"""Who can, who cannot: every right of permissions.toml × everybody × own and other organization."""

from __future__ import annotations

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation.matrix.permissions import COMMANDS, Permission, markdown, permissions

from .world import EVERYBODY, TABLES, breach, breaches


def name_of(right: Permission) -> str:
    return f"{right.command}-{right.table}-{right.what}".replace(" ", "_")


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("where", ["own", "other"])
@pytest.mark.parametrize("right", permissions(), ids=name_of)
def test_who_can_and_who_cannot(
    conn: Connection[TupleRow], right: Permission, where: str, who: str
) -> None:
    assert breach(conn, right, who, own_org=where == "own") is None


def test_every_permissive_policy_is_right_on_its_own(conn: Connection[TupleRow]) -> None:
    """The whole table once more without the second lock: Citus, for one, does without it."""
    for table in TABLES:
        conn.execute(f"drop policy tenant_isolation on public.{table}")
    assert breaches(conn) == []


def test_the_second_lock_holds_on_its_own(conn: Connection[TupleRow]) -> None:
    """Whatever a later policy allows, it does not allow it in another organization."""
    for table in TABLES:
        conn.execute(
            f"create policy too_wide on public.{table} to authenticated"
            " using (true) with check (true)"
        )
    assert breaches(conn, own_org=False) == []


@pytest.mark.parametrize("table", TABLES)
def test_the_table_says_something_about_every_command(table: str) -> None:
    assert {right.command for right in permissions() if right.table == table} == set(COMMANDS)


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_its_say_in_the_table(conn: Connection[TupleRow], table: str) -> None:
    """A column that is new must be decided on: who may write it?"""
    columns = conn.execute(
        "select attname from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [f"public.{table}"],
    )
    updates = " ".join(
        right.sql for right in permissions() if (right.table, right.command) == (table, "update")
    )
    assert [name for (name,) in columns if f"{name} =" not in updates.replace("where", "")] == []


def test_service_role_never_has_less_than_a_tenant_except_for_approving_as_oneself() -> None:
    more = [p.what for p in permissions() if p.tenants and "service_role" not in p.allowed]
    assert more == ["approve"]


def test_the_readable_table_has_a_row_per_table_and_no_tenant_deletes() -> None:
    lines = markdown().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(TABLES)
    assert not [p for p in permissions() if p.command in ("delete", "truncate") and p.tenants]
