"""What let a role through is found, and what is offered as a fix is a statement that fixes it."""

from __future__ import annotations

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation.matrix.root_cause import Faults

HOLDS = "select has_table_privilege(%s, 'public.projects', %s)"


@pytest.mark.parametrize(
    ("given", "role", "command", "fault"),
    [
        (
            "grant delete on public.projects to authenticated",
            "authenticated",
            "delete",
            "grant delete on public.projects to authenticated",
        ),
        (
            "alter role anon inherit; grant pg_write_all_data to anon",
            "anon",
            "delete",
            "grant pg_write_all_data to anon",
        ),
        (
            'create role "Readers"; grant pg_read_all_data to "Readers";'
            ' alter role anon inherit; grant "Readers" to anon',
            "anon",
            "select",
            'grant pg_read_all_data to "Readers"',
        ),
        ("alter role anon superuser", "anon", "select", "role anon passes every policy: it is"),
        (
            "alter table public.projects owner to anon",
            "anon",
            "delete",
            "anon owns public.projects",
        ),
    ],
)
def test_what_gives_a_privilege_is_named_and_taken_away(
    ground: Connection[TupleRow], given: str, role: str, command: str, fault: str
) -> None:
    ground.execute(given.encode())
    assert ground.execute(HOLDS, [role, command]).fetchone() == (True,)
    found, fix = Faults(ground).held("projects", command, role)
    assert found.startswith(fault)
    ground.execute(fix.encode())
    assert ground.execute(HOLDS, [role, command]).fetchone() == (False,)


def test_a_policy_is_told_with_the_helpers_that_it_asks(ground: Connection[TupleRow]) -> None:
    fault, fix = Faults(ground).let_through("projects", "insert", "authenticated")
    assert "app.caller_org_as(user_role[]) is asked by insert_admin" in fault
    assert "app.caller_org() is asked by tenant_isolation" in fault
    assert fix.startswith("psql -1 -f sql/0006_create_caller_helpers.sql")
    ground.execute("alter policy insert_admin on public.projects with check (true)")
    ground.execute("drop policy tenant_isolation on public.projects")
    _, fix = Faults(ground).let_through("projects", "insert", "authenticated")
    assert fix.startswith("psql -1 -f sql/0009_enable_row_level_security.sql")


@pytest.mark.parametrize(
    ("taken", "said", "fault"),
    [
        ("", ("23514", "no"), "23514: no"),
        ("revoke insert on public.projects from authenticated", ("42501", ""), "missing: grant"),
        ("", ("42501", "permission denied for"), "missing: a privilege"),
        ("drop policy insert_admin on public.projects", ("42501", ""), "missing: a permissive"),
        ("", ("42501", ""), "no row is within sight; there is policy insert_admin"),
    ],
)
def test_what_stands_in_the_way_is_named_with_the_pages_that_put_it_right(
    ground: Connection[TupleRow], taken: str, said: tuple[str, str], fault: str
) -> None:
    if taken:
        ground.execute(taken.encode())
    found, fix = Faults(ground).stood_in_the_way("projects", "insert", "authenticated", *said)
    assert found.startswith(fault)
    assert all(line.startswith("psql -1 -f sql/") for line in fix.splitlines())
