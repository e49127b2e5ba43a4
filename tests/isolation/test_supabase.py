"""A project of Supabase: what the platform decides is named, and neither a breach nor a proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import psycopg
import pytest
from checkout import Checkout
from conftest import SQL_DIR, Server, one_server
from promises import PROJECT
from supabase_shape import SUPABASE

from runner.isolation.proof import prove

ATTACK = "309_inherit_an_identity"
# As docs/isolation.md has it.
PRE_REQUEST = """
create function public.pre_request() returns void language sql set search_path = pg_catalog, pg_temp
as $$ select set_config('request.jwt.claim.sub', coalesce(nullif(
    current_setting('request.jwt.claims', true), '')::json ->> 'sub', ''), true) $$;
grant execute on function public.pre_request() to anon, authenticated, service_role
"""
# A helper that takes the setting of a single claim itself.
WEAKNESS = """
create or replace function app.caller_org() returns text language sql stable security definer
set search_path = pg_catalog, pg_temp as $$
    select org_id from public.users where auth_user_id::text = coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''), auth.uid()::text)
$$
"""
# Made by the role that deploys, in a schema of the platform.
OWN = """
grant create on schema storage to {owner};
set role {owner};
create function storage.leak() returns setof public.projects language sql security definer
set search_path = pg_catalog, pg_temp as 'select * from public.projects';
grant execute on function storage.leak() to anon, authenticated;
create view storage.leaks as select * from public.projects;
grant select on storage.leaks to anon;
create function storage.my_org() returns text language sql stable
set search_path = pg_catalog, pg_temp as $$ select current_setting('request.my_org', true) $$;
create or replace function app.caller_org() returns text language sql stable security definer
set search_path = pg_catalog, pg_temp as $$
    select coalesce(storage.my_org(), (
        select org_id from public.users where auth_user_id = auth.uid()
    ))
$$;
reset role
"""


@pytest.fixture
def project(server: Server, template: str, tmp_path: Path) -> Iterator[Checkout]:
    """A project of Supabase to which sql/ is applied, by the role that deploys there."""
    assert template  # makes the API roles
    with server.database() as database:
        owner, auth_admin = f"owner_of_{database.name}", f"supabase_of_{database.name}"
        names = {"owner": owner, "auth_admin": auth_admin, "database": database.name}
        checkout = Checkout(tmp_path, database)
        checkout.do(SUPABASE.format(**names))
        checkout.environ["DATABASE_URL"] = database.conninfo(user=owner, password="applies")
        (tmp_path / "sql").symlink_to(SQL_DIR)
        checkout.apply()
        yield checkout
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        conn.execute(f"drop role {owner}, {auth_admin}".encode())


@one_server
def test_what_the_platform_decides_is_neither_a_breach_nor_a_proof(project: Checkout) -> None:
    result = project.runner("verify", "--json", "--junit", "proof.xml")
    found = result.document
    assert (result.code, found["breaches"]) == (0, []), result.err
    assert found["counts"]["not_tried"] == 1
    [untried] = [check for check in found["checks"] if check["passed"] is None]
    reason = "auth.uid() belongs to the platform: it reads this setting before the claims"
    assert (untried["name"], reason in untried["outcome"]) == (ATTACK, True)
    assert any(
        warning.startswith(f"{ATTACK} was not tried: {reason}") for warning in found["warnings"]
    )
    assert (
        "note: not tried, because they belong to the platform: storage.objects, 3 functions."
        in ("".join(found["warnings"]))
    )
    page = (project.folder / "proof.xml").read_text(encoding="utf-8")
    [skipped] = Xml.fromstring(page).findall(".//testcase/skipped/..")  # noqa: S314 - our own
    assert skipped.get("name") == ATTACK
    alone = project.runner("verify", "--only", "309")
    assert alone.code == 0
    assert alone.out.startswith("– attacks     0 passed, 1 not tried\n"), alone.out
    assert " 1 not tried, 0 breaches," in alone.out
    # Where requests rule it out, it is tried.
    project.do(PRE_REQUEST)
    with psycopg.connect(project.environ["DATABASE_URL"], autocommit=True) as conn:
        config = replace(PROJECT.config, pre_request="public.pre_request")
        verdict = prove(conn, replace(PROJECT, config=config), only="309")
        assert ([c.passed for c in verdict.checks], verdict.breaches) == ([True], ())
        # What the files decide is still tried, and a weakness of theirs is named.
        conn.execute(WEAKNESS.encode())
        verdict = prove(conn, PROJECT, only="projects", without_restrictive_policies=False)
        assert any("with forged request.jwt.claim.sub" in b.actor for b in verdict.breaches)
        assert any("app.caller_org()" in b.cause for b in verdict.breaches)
    # The publication of the platform is no change only without tables.
    project.do("alter publication supabase_realtime add table public.users")
    drift = project.runner("verify", "--only", "drift")
    assert (drift.code, "publication supabase_realtime" in drift.out) == (4, True)


@one_server
def test_what_files_make_in_a_schema_of_the_platform_is_tried(project: Checkout) -> None:
    assert project.database
    project.do(OWN.format(owner=f"owner_of_{project.database.name}"))
    found = project.runner("verify", "--json").document
    named = "".join(f"{b['proof']} {b['subject']} {b['actor']}\n" for b in found["breaches"])
    for name in ("storage.leak()", "storage.leaks", "with forged request.my_org"):
        assert name in named, named
    assert "storage.objects" not in named
    notes = [w for w in found["warnings"] if w.startswith("note: not tried")]
    assert "platform: storage.objects, 3 functions." in "".join(notes)


@one_server
def test_a_superuser_does_not_try_what_the_platform_decides_either(project: Checkout) -> None:
    assert project.database
    project.environ["DATABASE_URL"] = project.database.conninfo()
    alone = project.runner("verify", "--only", "309", "--json")
    assert (alone.code, alone.document["counts"]["not_tried"]) == (0, 1), alone.out
