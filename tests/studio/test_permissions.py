"""What a person may do, and the policies that decide it."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from conftest import Database, one_server
from psycopg import sql

from runner.studio.web.urls import slug

from .conftest import MAREN, ODD, SKERRY, STRANGER, TOBIAS, WILMA, RunningStudio, commands


@pytest.mark.parametrize(
    ("who", "table", "may", "words"),
    [
        (MAREN, "projects", {"select", "insert", "update"}, "columns name, status, config"),
        (WILMA, "projects", {"select"}, "An OWNER or ADMIN starts a project."),
        (WILMA, "workflows", {"select", "insert", "update"}, f"org_id = '{ODD}'"),
        (WILMA, "users", {"select", "update"}, "May not insert"),
        (TOBIAS, "users", {"select", "insert", "update"}, "NOT ('OWNER'::user_role"),
        (WILMA, "audit_logs", {"insert"}, "actor_id = 'coddloafuser03wilma000000'"),
        (TOBIAS, "organizations", {"select"}, "UPDATE"),
        (STRANGER, "projects", set(), "DELETE is not granted"),
        ("anon", "users", set(), "SELECT is not granted"),
        ("service_role", "audit_logs", {"select", "insert"}, "UPDATE is not granted"),
        ("owner", "users", {"select", "insert", "update", "delete"}, "no policy applies"),
    ],
)
def test_rights_match_grants_and_policies(
    studio: RunningStudio, who: str, table: str, may: set[str], words: str
) -> None:
    response = studio.get(f"as/{who}/tables/{table}")
    shown = set(re.findall(r"✓ May (\w+)", response.text))
    if table == "organizations":  # an ADMIN holds the column grants of an OWNER, but no policy
        assert "update" not in shown
        words = "May not update"
    assert shown == may
    assert words in response.text


def test_rights_on_a_record_are_evaluated_for_that_record(studio: RunningStudio) -> None:
    """Maren may change some of her organization's people."""
    path = f"tables/users/record?org_id={SKERRY}&id=cskerryuser02tobias000000"
    assert "✓ May update" in studio.get(f"as/{MAREN}/{path}").text
    assert "– May not update" in studio.get(f"as/5ea51de0-0000-4000-8000-000000000003/{path}").text


@one_server
def test_shown_policy_recreates_the_policy(
    seeded: Database, start_studio: Callable[..., RunningStudio], role: str
) -> None:
    """With the same name for the table, its column, the policy and its role."""
    name = sql.Identifier(role)
    with seeded.connect(autocommit=True) as conn:
        conn.execute(
            sql.SQL(
                """
                create table public.{0} ({0} text primary key);
                insert into public.{0} values ('a'), ('b');
                alter table public.{0} enable row level security;
                create policy {0} on public.{0} as permissive for all to {0}, authenticated
                    using ({0} = 'a') with check ({0} = 'b');
                create policy {1} on public.{0} as restrictive for select to public
                    using ({0} <> 'c');
                grant select on public.{0} to authenticated;
                """
            ).format(name, sql.Identifier(f"{role} too"))
        )
    studio = start_studio(seeded.conninfo())
    page = next(link for link in studio.get("as/owner/schema").links if slug(role) in link)
    statements = [
        s for s in commands(studio.request("GET", page).body) if s.startswith("create policy")
    ]
    assert len(statements) == 2
    with seeded.connect(autocommit=True) as conn:
        before = policies(conn, role)
        for policy in (role, f"{role} too"):
            conn.execute(
                sql.SQL("drop policy {} on public.{}").format(sql.Identifier(policy), name)
            )
        for statement in statements:
            conn.execute(statement.encode())
        assert policies(conn, role) == before
    table = studio.get(f"as/{MAREN}/tables/{slug(role)}")
    assert table.status == 200
    assert "1 record" in table.text
    assert studio.get(f"as/owner/tables/{slug(role)}").text.count("2 records") == 1


def policies(conn: psycopg.Connection[tuple[object, ...]], table: str) -> list[tuple[object, ...]]:
    return conn.execute(
        "select policyname, permissive, roles, cmd, qual, with_check from pg_policies"
        " where schemaname = 'public' and tablename = %s order by policyname",
        [table],
    ).fetchall()
