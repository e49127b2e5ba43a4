"""Root causes are found, and their fixes are statements that fix them."""

from __future__ import annotations

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation.matrix.root_cause import RootCauses

HOLDS = "select has_table_privilege(%s, 'public.projects', %s)"


@pytest.mark.parametrize(
    ("grant", "role", "command", "cause"),
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
        ("alter role anon superuser", "anon", "select", "role anon bypasses every policy: it is"),
        (
            "alter table public.projects owner to anon",
            "anon",
            "delete",
            "anon owns public.projects",
        ),
    ],
)
def test_excess_privilege_is_explained_and_fix_revokes_it(
    connection: Connection[TupleRow], grant: str, role: str, command: str, cause: str
) -> None:
    connection.execute(grant.encode())
    assert connection.execute(HOLDS, [role, command]).fetchone() == (True,)
    found, fix = RootCauses(connection).of_privilege("public.projects", command, role)
    assert found.startswith(cause)
    connection.execute(fix.encode())
    assert connection.execute(HOLDS, [role, command]).fetchone() == (False,)


def test_access_is_explained_by_policies_and_their_helpers(
    connection: Connection[TupleRow],
) -> None:
    cause, fix = RootCauses(connection).of_access("public.projects", "insert", "authenticated")
    assert "app.caller_org_as(user_role[]) is called by insert_admin" in cause
    assert "app.caller_org() is called by tenant_isolation" in cause
    assert fix.startswith("-- compare policy insert_admin, policy tenant_isolation, function app.")


@pytest.mark.parametrize(
    ("removed", "error", "cause", "fix"),
    [
        (
            "",
            ("23514", "no"),
            "23514: no",
            "-- compare triggers and constraints of public.projects",
        ),
        (
            "revoke insert on public.projects from authenticated",
            ("42501", ""),
            "missing: grant insert (name)",
            "grant insert (name) on public.projects to authenticated;",
        ),
        (
            "",
            ("42501", "permission denied for"),
            "missing: a privilege",
            "grant insert (name) on public.projects to authenticated;",
        ),
        (
            "drop policy insert_admin on public.projects",
            ("42501", ""),
            "missing: a permissive",
            "-- compare policies for insert of public.projects",
        ),
        (
            "",
            ("42501", ""),
            "no visible row; there is policy insert_admin",
            "-- compare policies of public.projects",
        ),
    ],
)
def test_refusal_is_explained_by_what_is_missing(
    connection: Connection[TupleRow],
    removed: str,
    error: tuple[str, str],
    cause: str,
    fix: str,
) -> None:
    if removed:
        connection.execute(removed.encode())
    causes = RootCauses(connection)
    found, shown = causes.of_refusal(
        "public.projects", "insert", "authenticated", *error, columns=["name"]
    )
    assert found.startswith(cause)
    assert shown == fix
