"""Fixes: their order, what they say without a statement, and the lines that declare a right.

tests/isolation/test_planted_breaches.py applies every printed fix.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import SQL_DIR, Database, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.errors import ServerError
from runner.isolation import drift
from runner.isolation.fixes import declare
from runner.isolation.fixes.declared import Declared
from runner.isolation.probes.generic import tried
from runner.isolation.report import groups, text
from runner.isolation.tenancy import config
from runner.isolation.verdict import Breach, Verdict
from runner.isolation.verify import verify
from runner.migrate.migrator import Migrator
from runner.preflight import order

SCHEMAS = Path(__file__).parent / "schemas"


def test_statements_are_in_an_order_that_postgresql_accepts() -> None:
    fixes = [
        "drop function f(text);",
        "-- a note",
        "alter policy p on t using (true);  -- of t",
        "drop view v;",
        "drop policy if exists q on t;\ncreate policy q on t to x;",
        "revoke all on v from b;\ndrop view v;",
        "create or replace function g() returns int language sql as $$select 1; -- one$$;",
    ]
    assert order.joined(fixes).splitlines() == [
        "create or replace function g() returns int language sql as $$select 1; -- one$$;",
        "drop policy if exists q on t;",
        "create policy q on t to x;",
        "alter policy p on t using (true);  -- of t",
        "drop view v;",
        "revoke all on v from b;",
        "drop function f(text);",
        "-- a note",
    ]


@pytest.mark.parametrize("owner", ["a superuser", "a plain owner"])
def test_force_is_decided_by_the_owner(connection: Connection[TupleRow], owner: str) -> None:
    is_super = owner == "a superuser"
    if not is_super:
        connection.execute("""
            create role plain_owner; grant create on schema public to plain_owner;
            alter table public.users owner to plain_owner""")
    for wrong in ("force", "no force"):
        connection.execute(f"alter table public.users {wrong} row level security".encode())
        fix = order.decided_by_owner(f"alter table public.users {wrong} row level security;")
        connection.execute(order.decided_by_owner(fix).encode())
        forced = "select relforcerowsecurity from pg_class where oid = 'public.users'::regclass"
        assert connection.execute(forced).fetchone() == (is_super,)


def test_breaches_of_a_cause_are_one_group_and_the_others_follow() -> None:
    cell = Breach(
        "t.select.rows as A in other org", "t", "A read", sql="select", fix="drop policy p on t;"
    )
    breaches = (
        Breach("rows.u", "u", "no row", fix="-- insert into u"),
        Breach("u.select.rows as A in other org", "u", "could not be tried on u", sql="select"),
        cell,
        Breach("drift", "policy t.p", "policy t.p: here and not in the files", fix=cell.fix),
    )
    found = groups.of(breaches)
    assert [[b.proof for b in group.breaches] for group in found] == [
        ["rows.u", "u.select.rows as A in other org"],
        ["t.select.rows as A in other org", "drift"],
    ]
    shown = "\n".join(text.verdict_lines(Verdict(breaches=breaches), lambda line, _: line))
    assert "breach 2 of 2: t.select.rows as A in other org (1 cell, drift)" in shown
    assert "cause         policy t.p: here and not in the files\n" in shown
    assert shown.count("drop policy p on t;") == 1
    assert "4 breaches of 2 causes:\n" in shown


@one_server
def test_without_a_scratch_server_the_file_to_compare_with_is_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no statement that may harm; only a policy that no file creates is dropped."""

    def no_server(*_: object, **__: object) -> None:
        raise ServerError("There is no server")

    monkeypatch.setattr(drift, "scratch_server", no_server)
    with database.connect(autocommit=True) as conn:
        conn.execute(f"revoke temporary on database {database.name} from public".encode())
        conn.execute("""
            create policy debug on public.projects for select to authenticated using (true);
            create or replace function app.caller_org_as(variadic wanted public.user_role[])
            returns text language plpgsql stable parallel safe security definer
            set search_path = pg_catalog, pg_temp as $$ begin return app.caller_org(); end $$;
            alter policy select_member on public.ai_agents using (true);
            alter table public.users disable trigger guard_roles;
            grant update (email) on public.users to authenticated""")
        breaches = verify(Migrator(conn), SQL_DIR).breaches
    fixes = {breach.subject: breach.fix for breach in breaches}
    place = SQL_DIR.relative_to(SQL_DIR.parent) / "0006_create_caller_helpers.sql"
    assert f"-- compare function app.caller_org_as(public.user_role[]) with {place}:" in "".join(
        fix for subject, fix in fixes.items() if "caller_org_as" in subject
    )
    assert fixes["policy public.projects.debug"] == "drop policy debug on public.projects;"
    assert fixes["policy public.ai_agents.select_member"].startswith("alter policy select_member")
    enable = "alter table public.users enable trigger guard_roles;"
    assert fixes["trigger public.users.guard_roles"] == enable
    [lines] = {b.intended for b in breaches if b.fix.startswith("revoke update (email)")}
    first, line, *_ = lines.splitlines()
    assert first.endswith(": add email to the list of update of users; the new line:")
    assert [*tomllib.loads(line)["update"]["OWNER"]][-1] == "email"
    assert not [fix for fix in fixes.values() if "psql" in fix]


def test_what_is_declared_already_is_not_to_be_declared_again() -> None:
    by_role, file = declare.actors(SQL_DIR), SQL_DIR / "isolation.toml"
    for privilege in ("select on", "insert (org_id, name) on", "update (name) on"):
        fix = f"revoke {privilege} public.projects from authenticated;"
        assert declare.of_revokes(fix, by_role, file) == ""
    lines = declare.of_revokes(
        "revoke update (name, id) on public.projects from authenticated;", by_role, file
    )
    assert lines.endswith(
        ": add id to the list of update of projects; the new line:\n"
        'update = { "OWNER ADMIN" = ["name", "description", "status", "config", "id"],'
        " service_role = true }"
    )


@one_server
def test_what_is_printed_for_a_table_of_a_migration_is_complete(
    tmp_path: Path, empty_database: Database
) -> None:
    """Its columns too; no other breach has the advice for the reviewed surface."""
    checkout = Checkout(tmp_path, empty_database)
    shutil.copytree(SQL_DIR, tmp_path / "sql")
    checkout.write(
        _9999_shelves="""
        create table public.shelves (
            org_id text collate "C" not null references public.organizations (id),
            label text not null
        ) partition by list (org_id);
        create table public.boxes partition of public.shelves default;
        grant select on public.boxes to service_role;
        alter table public.shelves enable row level security;
        create policy own on public.shelves to authenticated
        using (org_id = (select app.caller_org()));
        grant select on public.shelves to authenticated;
        grant insert (org_id, label) on public.shelves to authenticated;
        """
    )
    checkout.apply()
    found = checkout.runner("verify", "--json").document
    assert found["exit_code"] == 4, found.get("error")
    assert "belongs in a new migration" in found["warnings"][-1]
    by = {(b["subject"], b["proof"]): b for b in found["breaches"]}
    added = by["table public.shelves", "surface"]
    rights = tomllib.loads(added["intended"].partition("python -m")[0])["rights"]["shelves"]
    assert rights["insert"] == "OWNER ADMIN MEMBER"  # both columns: all
    by_rule = by["table public.boxes", "05_row_security_off"]
    assert "--accept" not in by_rule["intended"]
    checkout.do(added["fix"])
    left = checkout.runner("verify", "--only", "surface", "--json").document["breaches"]
    assert "table public.shelves" not in {b["subject"] for b in left}


def test_what_another_role_holds_on_the_table_hides_no_lines() -> None:
    """Declared cannot be what is of a role that no actor has; the rest can."""
    declared = Declared(declare.actors(SQL_DIR), SQL_DIR)
    column = "revoke update (id) on public.projects from authenticated;"
    whole = "revoke select on public.projects from bot;"
    breaches = [Breach(f"p{n}", "s", "x", fix=fix) for n, fix in enumerate((column, whole))]
    first, second = declared.offered([(breach, False) for breach in breaches])
    assert "add id to the list of update of projects" in first.intended
    assert ("bot" in first.intended, second.intended) == (False, "")


@one_server
def test_lines_that_declare_a_new_table_are_all_that_is_missing(
    empty_database: Database, tmp_path: Path
) -> None:
    with empty_database.connect() as conn:
        conn.execute((SCHEMAS / "setting.sql").read_bytes())
        conn.execute("""
            reset role;
            create table chain.shelves (
                id bigint generated always as identity primary key,
                branch_id int not null default chain.branch() references chain.branches (id),
                label text not null
            );
            alter table chain.shelves enable row level security, owner to chain_owner;
            create policy own on chain.shelves to clerk using (branch_id = chain.branch());
            grant select, insert, delete, update (label) on chain.shelves to clerk""")
        declared = (SCHEMAS / "setting.toml").read_text(encoding="utf-8")
        file = tmp_path / "isolation.toml"
        file.write_text(declared, encoding="utf-8")
        [breach] = tried(conn, config.read(file)).findings.breaches
        assert breach.proof == "undecided.chain.shelves"
        assert breach.fix == "revoke all on chain.shelves from clerk;"
        rights = tomllib.loads(breach.intended)["rights"]
        assert rights["chain.shelves"]["update"] == {"clerk": ["label"]}
        file.write_text(f"{declared}\n{breach.intended}\n", encoding="utf-8")
        assert tried(conn, config.read(file)).findings.breaches == []
