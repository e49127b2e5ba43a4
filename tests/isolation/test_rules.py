"""Each rule finds nothing, then just what was planted, then nothing again."""

from __future__ import annotations

import re

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation import server_advisories
from runner.isolation.matrix.permissions import TENANTS, permissions
from runner.isolation.sql_cases import case_file, rule_runner
from runner.isolation.verdict import Breach

RULES = {rule.name: rule for rule in rule_runner.rules()}
BELT = "policy tenant_isolation on public.projects"


def policy(condition: str, *, name: str = "select_member", table: str = "projects") -> str:
    """Change what a policy asks."""
    return f"alter policy {name} on public.{table} using ({condition})"


ORG = "org_id = (select app.caller_org())"
SELECT = "policy select_member on public.projects"
SPY = "create function public.spy() returns {} language plpgsql as $$ begin return null; end $$"

# rule: what is planted, and the objects that the rule must name, and no other
PLANTED: list[tuple[str, str, str | list[str]]] = [
    ("01", "create view public.everything as select * from public.users", "view public.everything"),
    (
        "01",
        "create view public.everything with (security_invoker = false) as select 1",
        "view public.everything",
    ),
    (
        "02",
        "create materialized view public.sums as select 1",
        "materialized view public.sums",
    ),
    (
        "03",
        "create foreign data wrapper far; create server far foreign data wrapper far;"
        " create foreign table public.far (id int) server far",
        "foreign table public.far",
    ),
    (
        "04",
        "create table public.part () inherits (public.projects);"
        " grant select on public.part to authenticated",
        "table public.part",
    ),
    ("05", "alter table public.projects disable row level security", "table public.projects"),
    ("05", "create table public.added (org_id text)", "table public.added"),
    ("06", "alter table public.users no force row level security", "table public.users"),
    (
        "06",
        "create role plain; alter table public.users owner to plain",
        "table public.users",
    ),
    ("07", "alter table public.projects owner to authenticated", "table public.projects"),
    ("07", "alter schema app owner to service_role", "schema app"),
    ("07", "alter function app.new_id() owner to anon", "routine app.new_id()"),
    ("10", "alter policy select_member on public.projects to public", SELECT),
    ("10", "alter policy select_member on public.projects to authenticated, anon", SELECT),
    (
        "10",
        "create role other; alter policy select_member on public.projects to other",
        SELECT,
    ),
    (
        "11",
        f"create policy second on public.projects for select to authenticated using ({ORG})",
        "table public.projects",
    ),
    (
        "11",
        f"create policy second on public.ai_agents for all to public using ({ORG})",
        ["table public.ai_agents"],
    ),
    ("12", f"drop {BELT}", "table public.projects"),
    (
        "12",
        policy("true", name="tenant_isolation"),
        "table public.projects",
    ),
    (
        "12",
        "drop policy tenant_isolation on public.projects;"
        " create policy tenant_isolation on public.projects as restrictive for select"
        f" to authenticated using ({ORG})",
        "table public.projects",
    ),
    ("13", policy("true"), SELECT),
    ("13", policy(f"{ORG} or name = 'shared'"), SELECT),
    ("13", policy("status = 'active'"), SELECT),
    ("13", policy(f"coalesce({ORG}, true)"), SELECT),
    ("13", policy(f"case when status = 'draft' then true else {ORG} end"), SELECT),
    ("13", policy(f"not ({ORG})"), SELECT),
    ("13", policy(f"({ORG}) is not false"), SELECT),
    ("13", policy("org_id = (select app.caller_org_as('OWNER')) or id = 'x' or true"), SELECT),
    ("13", policy("id = (select app.caller_org())"), SELECT),
    ("13", policy("org_id = org_id"), SELECT),
    ("13", policy("name = 'a (org_id = ( SELECT app.caller_org() AS caller_org))'"), SELECT),
    (
        "13",
        "alter policy insert_admin on public.projects with check (true)",
        "policy insert_admin on public.projects",
    ),
    ("14", policy("org_id = app.caller_org()"), SELECT),
    ("14", policy(f"{ORG} and id = app.caller_user()"), SELECT),
    ("15", policy("org_id in (select app.caller_org())"), SELECT),
    ("15", policy(f"{ORG} and exists (select from public.users)"), SELECT),
    ("16", policy("org_id <> (select app.caller_org())"), SELECT),
    ("16", policy(f"not ({ORG})"), SELECT),
    ("16", policy("org_id is not distinct from (select app.caller_org())"), SELECT),
    ("17", policy("org_id = (select auth.jwt() ->> 'org_id')"), SELECT),
    ("17", policy(f"{ORG} and current_setting('app.on', true) = '1'"), SELECT),
    (
        "18",
        "drop policy update_admin on public.projects; create policy update_admin"
        f" on public.projects for update to authenticated using ({ORG})",
        "policy update_admin on public.projects",
    ),
    ("20", "grant execute on function app.caller_org() to anon", "function app.caller_org()"),
    (
        "20",
        "create function public.f() returns int language sql set search_path = pg_catalog, pg_temp"
        " return 1; grant execute on function public.f() to public",
        "function public.f()",
    ),
    ("21", "alter function app.caller_org() set search_path = ''", "function app.caller_org()"),
    ("21", "alter function app.new_id() reset search_path", "function app.new_id()"),
    (
        "21",
        "alter function app.record_audit() set search_path = public, pg_temp",
        "function app.record_audit()",
    ),
    (
        "21",
        "create or replace function auth.uid() returns uuid language sql stable"
        " as 'select null::uuid'",
        "function auth.uid()",
    ),
    (
        "21",
        "create function public.f() returns bigint language sql security definer"
        " return (select count(*) from public.users)",
        "function public.f()",
    ),
    (
        "21",
        "alter function app.keep_audit() set search_path = 'pg_catalog, pg_temp'",
        "function app.keep_audit()",
    ),
    (
        "22",
        "create role other superuser; alter function app.caller_user() owner to other",
        "function app.caller_user()",
    ),
    (
        "23",
        "create function public.f() returns int language sql security definer return 1;"
        " grant execute on function public.f() to authenticated",
        "function public.f()",
    ),
    ("24", "alter function app.caller_org() immutable", "function app.caller_org()"),
    ("24", "alter function app.caller_user() volatile", "function app.caller_user()"),
    ("24", "alter function app.caller_org() parallel restricted", "function app.caller_org()"),
    ("24", "alter function app.caller_user() security invoker", "function app.caller_user()"),
    (
        "24",
        "create function public.org() returns text language sql stable return 'x';"
        + policy("org_id = (select public.org())"),
        [],  # rule 13 names the policy
    ),
    ("25", "alter function app.caller_org() leakproof", "function app.caller_org()"),
    ("30", "create table public.added (id text)", "table public.added"),
    ("30", "alter table public.ai_agents add org text", []),
    (
        "30",
        "alter table public.ai_agents drop constraint ai_agents_pkey;"
        " alter table public.ai_agents alter column org_id drop not null",
        "table public.ai_agents",
    ),
    (
        "31",
        "alter table public.ai_agents drop constraint ai_agents_pkey, add primary key (id, org_id)",
        "table public.ai_agents",
    ),
    ("31", "alter table public.ai_agents drop constraint ai_agents_pkey", "table public.ai_agents"),
    (
        "32",
        "create table public.far (id text primary key);"
        " alter table public.projects add constraint far_fkey foreign key (name)"
        " references public.far (id)",
        "constraint far_fkey on public.projects",
    ),
    (
        "32",
        "alter table public.projects add unique (id);"
        " alter table public.workflows add constraint crossing_fkey foreign key (project_id)"
        " references public.projects (id)",
        "constraint crossing_fkey on public.workflows",
    ),
    (
        "33",
        "alter table public.workflows drop constraint workflows_org_id_project_id_fkey,"
        " add constraint acting_fkey foreign key (org_id, project_id)"
        " references public.projects (org_id, id) on delete cascade",
        "constraint acting_fkey on public.workflows",
    ),
    (
        "34",
        "drop index public.workflows_org_id_approver_id_idx",
        "constraint workflows_org_id_approver_id_fkey on public.workflows",
    ),
    (
        "34",
        "drop index public.workflows_org_id_approver_id_idx;"
        " create index on public.workflows (org_id, approver_id) where status = 'approved'",
        "constraint workflows_org_id_approver_id_fkey on public.workflows",
    ),
    ("35", "create index named on public.projects (name)", "index public.named"),
    ("35", "create index named on public.projects (name) include (org_id)", "index public.named"),
    ("35", "create unique index named on public.projects (id)", "index public.named"),
    (
        "36",
        "alter table public.projects add constraint later_check check (name <> 'x') not valid",
        "constraint later_check on public.projects",
    ),
    (
        "34",
        "alter table public.projects add unique (id);"
        " alter table public.workflows add constraint crossing_fkey foreign key (approver_id)"
        " references public.projects (id)",
        [],  # rule 32 names it
    ),
    (
        "37",
        "alter table public.ai_agents drop constraint ai_agents_org_id_fkey",
        "table public.ai_agents",
    ),
    (
        "37",
        "alter table public.workflows drop constraint workflows_org_id_approver_id_fkey",
        "table public.workflows",
    ),
    ("37", "create table public.added (org_id text)", "table public.added"),
    ("38", "alter table public.users drop constraint users_email_key", "table public.users"),
    (
        "38",
        "alter table public.users drop constraint users_auth_user_id_key;"
        " create unique index named on public.users (auth_user_id) where name <> 'x'",
        "table public.users",
    ),
    ("40", "grant select on public.projects to anon", "relation public.projects"),
    ("40", "grant select (name) on public.projects to public", "relation public.projects"),
    ("40", "grant select on app.privileges_before to anon", "relation app.privileges_before"),
    ("41", "grant update on public.projects to authenticated", "table public.projects"),
    ("41", "grant delete on public.users to authenticated", "table public.users"),
    ("41", "grant truncate on public.users to authenticated", "table public.users"),
    ("41", "grant trigger on public.users to authenticated", "table public.users"),
    ("41", "grant references on public.users to authenticated", "table public.users"),
    ("41", "grant insert on public.organizations to authenticated", "table public.organizations"),
    (
        "42",
        "grant update (auth_user_id) on public.users to authenticated",
        "column public.users.auth_user_id",
    ),
    (
        "42",
        "grant insert (id) on public.projects to authenticated",
        "column public.projects.id",
    ),
    (
        "42",
        "grant references (id) on public.projects to authenticated",
        "column public.projects.id",
    ),
    ("43", "grant update on public.audit_logs to service_role", "relation public.audit_logs"),
    ("43", "grant trigger on public.users to service_role", "relation public.users"),
    (
        "44",
        "grant select on public.users to authenticated with grant option",
        "relation public.users",
    ),
    (
        "44",
        "grant execute on function app.new_id() to service_role with grant option",
        "function app.new_id()",
    ),
    (
        "45",
        "create sequence public.numbers; grant usage on sequence public.numbers to authenticated",
        "sequence public.numbers",
    ),
    ("46", "grant usage on schema app to anon", "schema app"),
    (
        "46",
        "create schema if not exists yoyo; grant usage on schema yoyo to service_role",
        "schema yoyo",
    ),
    (
        "46",
        "grant select on app.privileges_before to authenticated",
        "relation app.privileges_before",
    ),
    ("47", "grant create on schema public to authenticated", "schema public"),
    ("47", "grant create on schema public to public", "schema public"),
    ("48", "{temporary to authenticated}", "{database}"),
    ("48", "{temporary to public}", "{database}"),
    ("48", "{temporary to service_role}", "{database}"),
    (
        "50",
        "alter default privileges grant select on tables to anon",
        "default privileges of {me}",
    ),
    (
        "50",
        "alter default privileges in schema public grant usage on sequences to authenticated",
        "default privileges of {me} in schema public",
    ),
    (
        "50",
        "alter default privileges grant execute on functions to public",
        "default privileges of {me}",
    ),
    (
        "51",
        "grant set on parameter session_replication_role to authenticated",
        "parameter session_replication_role",
    ),
    (
        "52",
        "alter role authenticated set request.jwt.claims = '{}'",
        "role authenticated",
    ),
    (
        "52",
        "alter role anon set session_replication_role = replica",
        "role anon",
    ),
    (
        "52",
        "do $$ begin execute format('alter database %I set request.jwt.claim.sub = %L',"
        " current_database(), 'x'); end $$",
        "all roles in {database}",
    ),
    ("53", "alter role authenticated bypassrls", "role authenticated"),
    ("53", "alter role anon superuser", "role anon"),
    ("53", "alter role service_role createrole", "role service_role"),
    ("54", "grant pg_read_all_data to authenticated", "role authenticated"),
    ("54", "grant service_role to anon", "role anon"),
    (
        "55",
        "create role door login; create role hall; create role above bypassrls;"
        " grant hall to door; grant anon, above to hall",
        "role door",
    ),
    (
        "55",
        "create role door login bypassrls; grant authenticated to door",
        "role door",
    ),
    (
        "55",
        "create role plain; alter table public.users owner to plain; create role door login;"
        " grant anon, plain to door",
        "role door",
    ),
    (
        "60",
        "drop trigger guard_roles on public.users",
        "trigger guard_roles on public.users",
    ),
    (
        "60",
        "alter table public.audit_logs disable trigger keep_audit",
        "trigger keep_audit on public.audit_logs",
    ),
    (
        "60",
        "drop trigger keep_audit_whole on public.audit_logs",
        "trigger keep_audit on public.audit_logs",
    ),
    (
        "60",
        "alter table public.projects enable replica trigger record_audit",
        "trigger record_audit on public.projects",
    ),
    (
        "60",
        "create or replace trigger record_audit after update on public.projects"
        " for each row execute function app.record_audit('projects')",
        "trigger record_audit on public.projects",
    ),
    (
        "60",
        "create or replace trigger guard_approval before insert or update on public.workflows"
        " for each row when (new.status <> 'approved') execute function app.guard_approval()",
        "trigger guard_approval on public.workflows",
    ),
    (
        "60",
        "create or replace trigger keep_last_owner after update of roles or delete"
        " on public.users for each row execute function app.keep_last_owner()",
        "trigger keep_last_owner on public.users",
    ),
    (
        "60",
        "create or replace trigger keep_id after insert on public.organizations"
        " for each row execute function app.keep_id()",
        "trigger keep_id on public.organizations",
    ),
    (
        "60",
        "drop trigger record_insert on public.projects; create trigger record_insert"
        " after insert on public.projects referencing new table as new_rows"
        " for each row execute function app.record_insert('projects')",
        "trigger record_insert on public.projects",
    ),
    (
        "60",
        "create table public.added (org_id text, updated_at timestamptz)",
        [
            "trigger record_audit on public.added",
            "trigger record_insert on public.added",
            "trigger touch_updated_at on public.added",
        ],
    ),
    (
        "61",
        f"{SPY.format('trigger')}; create trigger spy before insert on public.users"
        " for each row execute function public.spy()",
        "trigger spy on public.users",
    ),
    (
        "62",
        "create rule quiet as on delete to public.projects do instead nothing",
        "rule quiet on public.projects",
    ),
    (
        "63",
        f"{SPY.format('event_trigger').replace('return null;', 'null;')};"
        " create event trigger spy on ddl_command_end execute function public.spy()",
        "event trigger spy",
    ),
    (
        "65",
        "alter table public.ai_agents disable trigger all",
        [
            "constraint ai_agents_org_id_fkey on public.ai_agents",
            "trigger record_audit on public.ai_agents",
            "trigger record_insert on public.ai_agents",
        ],
    ),
    (
        "65",
        "alter table public.users enable replica trigger guard_roles",
        "trigger guard_roles on public.users",
    ),
    ("56", "alter role service_role bypassrls", "role service_role"),
    ("64", "create publication away for table public.users", "publication away"),
]


def rule(number: str) -> case_file.Sheet:
    [found] = [each for name, each in RULES.items() if name.startswith(number)]
    return found


def found(ground: Connection[TupleRow], number: str) -> list[str]:
    return sorted({thing for thing, _, _ in rule_runner.ask(ground, rule(number))})


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_nothing_in_a_fresh_database(ground: Connection[TupleRow], name: str) -> None:
    assert rule_runner.ask(ground, RULES[name]) == []


@pytest.mark.parametrize(
    ("number", "planting", "objects"),
    PLANTED,
    ids=[f"{number}-{re.sub(r'[^a-z_]+', ' ', sql)[:60].strip()}" for number, sql, _ in PLANTED],
)
def test_a_rule_finds_what_was_planted_and_nothing_else(
    ground: Connection[TupleRow], number: str, planting: str, objects: str | list[str]
) -> None:
    if planting.startswith("{temporary"):
        planting = f'grant temporary on database "{ground.info.dbname}" {planting[11:-1]}'
    ground.execute(planting.encode())
    wanted = [objects] if isinstance(objects, str) else objects
    names = {"me": ground.info.user, "database": f"database {ground.info.dbname}"}
    assert found(ground, number) == [name.format(**names) for name in wanted]
    ground.rollback()
    assert found(ground, number) == []


def test_every_rule_has_something_planted_for_it() -> None:
    """All but the one that asks who owns the database: it has a test of its own."""
    assert {name[:2] for name in RULES} - {number for number, *_ in PLANTED} == {"49"}


@pytest.mark.parametrize(
    ("number", "planting"),
    [(number, sql) for number, sql, _ in PLANTED if number in {"01", "05", "06", "25", "53", "54"}],
)
def test_a_mend_mends(ground: Connection[TupleRow], number: str, planting: str) -> None:
    """Where the statement is certain, it closes what was found."""
    if "create table" in planting or "owner to" in planting:
        return
    ground.execute(planting.encode())
    for _, _, fix in rule_runner.ask(ground, rule(number)):
        ground.execute(fix.encode())
    assert found(ground, number) == []


@pytest.mark.parametrize(
    "planting",
    [
        "grant update (auth_user_id) on public.users to authenticated",
        "grant delete on public.users to authenticated",
        "grant select on public.projects to anon",
        "grant usage on schema app to anon",
        "grant trigger on public.users to service_role",
        "grant select on public.users to authenticated with grant option",
        "grant execute on function app.caller_org() to anon",
        "grant create on schema public to authenticated",
        "alter function app.caller_org() set search_path = ''",
        "alter function app.caller_org() volatile",
        "alter default privileges grant select on tables to anon",
        "alter table public.audit_logs disable trigger keep_audit",
        "drop trigger guard_roles on public.users",
        "drop trigger record_audit on public.projects",
        "drop trigger record_insert on public.projects",
        "drop trigger keep_last_owner on public.users",
        "drop trigger keep_id on public.organizations",
        "drop trigger keep_audit_whole on public.audit_logs",
        "drop trigger guard_approval on public.workflows",
        "drop trigger touch_updated_at on public.projects",
        "drop policy tenant_isolation on public.projects",
        "alter policy select_member on public.projects to public",
        "alter table public.projects disable trigger all",
        "alter table public.workflows drop constraint workflows_org_id_approver_id_fkey",
        "alter table public.users drop constraint users_auth_user_id_key",
        "drop policy update_admin on public.projects; create policy update_admin"
        " on public.projects for update to authenticated"
        " using (org_id = (select app.caller_org_as('OWNER', 'ADMIN')))",
        "alter table public.projects add constraint taken unique (name)",
        "grant set on parameter session_replication_role to authenticated",
        "alter role authenticated set request.jwt.claims = '{}'",
    ],
)
def test_what_a_run_finds_its_mends_close(ground: Connection[TupleRow], planting: str) -> None:
    ground.execute(planting.encode())
    _, breaches = rule_runner.run(ground, None)
    assert breaches
    for breach in breaches:
        ground.execute(breach.fix.encode())
    assert rule_runner.run(ground, None)[1] == []


def test_temporary_objects_for_all_are_a_warning_where_the_owner_cannot_help_it(
    ground: Connection[TupleRow],
) -> None:
    """As on Supabase: the tables' owner does not own the database."""
    ground.execute(f'grant temporary on database "{ground.info.dbname}" to public'.encode())
    assert found(ground, "49") == []
    ground.execute("create role plain")
    for table in {permission.table for permission in permissions()}:
        ground.execute(f"alter table public.{table} owner to plain".encode())
    assert found(ground, "48") == []
    assert found(ground, "49") == [f"database {ground.info.dbname}"]
    assert any("TEMPORARY" in line.upper() for line in rule_runner.warnings(ground))


def test_a_run_is_checks_and_breaches_and_leaves_the_transaction_as_it_was(
    ground: Connection[TupleRow],
) -> None:
    path = ground.execute("show search_path").fetchall()
    ground.execute("alter table public.projects disable row level security")
    checks, breaches = rule_runner.run(ground, None)
    assert ground.execute("show search_path").fetchall() == path
    assert [check.name for check in checks] == list(RULES)
    assert [check.name for check in checks if not check.passed] == ["05_row_security_off"]
    assert breaches == [
        Breach(
            proof="05_row_security_off",
            subject="table public.projects",
            what="table public.projects: row-level security is not enabled",
            reached=RULES["05_row_security_off"].fields["why"],
            fault="table public.projects",
            fix="alter table public.projects enable row level security;",
        )
    ]


def test_a_membership_is_followed_to_its_end(ground: Connection[TupleRow]) -> None:
    ground.execute(
        "create role above noinherit bypassrls login; create role hall;"
        "grant above to hall; grant hall to anon"
    )
    assert rule_runner.ask(ground, rule("54")) == [
        (
            "role anon",
            "it is a member of hall, and through it of above",
            "revoke hall from anon;  -- it leads on to above",
        )
    ]


def test_a_table_whose_columns_are_granted_gets_those_grants_back(
    ground: Connection[TupleRow],
) -> None:
    """A revoke from the whole table takes the grants by column with it."""
    ground.execute("grant update on public.projects to authenticated")
    [(_, _, fix)] = rule_runner.ask(ground, rule("41"))
    first, second = fix.splitlines()
    assert first == "revoke update on public.projects from authenticated;"
    assert second.startswith("psql -1 -f sql/0009_enable_row_level_security.sql  -- ")


def test_a_rule_that_breaks_off_is_a_breach_and_stops_no_other(
    ground: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "-- 99_rule\n-- It breaks.\n-- source: a page\n-- why: So.\n\n"
    broken = case_file.parse(
        "rules", "99_rule", f"{head}select format('%I', null)", ("source", "why")
    )
    monkeypatch.setattr(rule_runner, "rules", lambda: (broken, rule("05")))
    checks, [breach] = rule_runner.run(ground, None)
    assert [(check.name[:2], check.passed) for check in checks] == [("99", False), ("05", True)]
    assert breach.subject == "rule 99_rule"
    assert "null values cannot be formatted" in breach.fault


def test_a_warning_is_told_and_is_no_breach(ground: Connection[TupleRow]) -> None:
    ground.execute("create publication away for all tables")
    checks, breaches = rule_runner.run(ground, "publication")
    assert breaches == []
    assert [(check.passed, check.outcome) for check in checks] == [(True, "1 warning")]
    assert any("publication away" in line for line in server_advisories.warnings(ground))


@pytest.mark.parametrize("only", ["05_row_security_off", "row_security_off", "05"])
def test_one_rule_can_be_asked_by_name(ground: Connection[TupleRow], only: str) -> None:
    assert [check.name for check in rule_runner.run(ground, only)[0]] == ["05_row_security_off"]
    assert rule_runner.run(ground, "nothing of that name") == ([], [])


def test_what_an_extension_brings_is_not_ours_to_judge(ground: Connection[TupleRow]) -> None:
    available = ground.execute(
        "select name from pg_available_extensions where name in ('citext', 'pgcrypto', 'pg_trgm')"
    ).fetchall()
    if not available:
        pytest.skip("this server has no extension to try it with")
    for (name,) in available:
        ground.execute(f"create extension {name} schema public".encode())
    assert rule_runner.run(ground, None)[1] == []


def test_another_schema_that_the_api_reaches_is_looked_at(ground: Connection[TupleRow]) -> None:
    ground.execute("create schema shop; create table shop.orders (id int)")
    assert rule_runner.run(ground, None)[1] == []
    ground.execute("grant usage on schema shop to authenticated")
    assert found(ground, "05") == ["table shop.orders"]
    assert found(ground, "30") == ["table shop.orders"]


def test_another_role_of_the_api_is_a_tenant(ground: Connection[TupleRow]) -> None:
    ground.execute(
        "do $$ begin if to_regrole('authenticator') is null"
        " then create role authenticator noinherit login; end if; end $$;"
        "create role partner; grant partner to authenticator;"
        "grant insert on public.projects to partner"
    )
    assert found(ground, "41") == ["table public.projects"]


def test_the_permission_table_says_which_columns_a_tenant_writes() -> None:
    promised = {tuple(right.values()) for right in rule_runner.promised()}
    assert ("authenticated", "users", "UPDATE", "roles") in promised
    assert ("authenticated", "users", "INSERT", "email") in promised
    assert ("authenticated", "users", "UPDATE", "email") not in promised
    assert ("service_role", "audit_logs", "INSERT", None) in promised
    assert ("service_role", "audit_logs", "DELETE", None) not in promised
    assert TENANTS


# --- the files -----------------------------------------------------------------------------------

HEAD = "-- 01_rule\n-- What it finds.\n-- source: a page\n-- why: a reason\n"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_a_page_that_a_reviewer_can_read(name: str) -> None:
    found = RULES[name]
    assert found.title.endswith(".")
    assert found.fields["source"]
    assert found.fields["why"].endswith(".")
    assert found.fields.get("level", "warning") == "warning"
    assert {"object", "problem", "fix"} <= set(re.findall(r"\bas (\w+)", found.body))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rule", HEAD, "a sheet is called NN_what_it_is"),
        ("02_rule", f"{HEAD}\nselect 1", "its first line is not its name"),
        ("01_rule", "", "its first line is not its name"),
        ("01_rule", "-- 01_rule\n-- source: a page\n\nselect 1", "does not say what it is about"),
        ("01_rule", "-- 01_rule\n\nselect 1", "does not say what it is about"),
        ("01_rule", "-- 01_rule\n-- What.\n-- source: a page\n\nselect 1", "no -- why:"),
        ("01_rule", f"{HEAD}-- maybe: so\n\nselect 1", "not one of its fields: -- maybe: so"),
        ("01_rule", f"{HEAD}-- why: again\n\nselect 1", "a second why"),
        ("01_rule", HEAD, "no SQL below its head"),
    ],
)
def test_a_malformed_sheet_is_refused_in_clear_words(name: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as refusal:
        case_file.parse("rules", name, text, ("source", "why"))
    assert f"rules/{name}.sql" in str(refusal.value)


def test_a_long_line_of_a_head_goes_on_in_the_next() -> None:
    text = "-- 01_rule\n-- What it\n--   finds.\n-- source: one\n--   page\n-- why: so\n\nselect 1"
    found = case_file.parse("rules", "01_rule", text, ("source", "why"))
    assert (found.title, found.fields["source"]) == ("What it finds.", "one page")


# --- the server ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "cves", "to"),
    [
        (150008, ["CVE-2024-10976", "CVE-2025-8713", "CVE-2026-14666"], "15.19"),
        (160009, ["CVE-2025-8713", "CVE-2026-14666"], "16.15"),
        (170010, ["CVE-2026-14666"], "17.11"),
        (180004, ["CVE-2026-14666"], "18.6"),
        (180006, [], ""),
        (150019, [], ""),
        (190000, [], ""),
    ],
)
def test_a_version_with_a_hole_in_row_security_is_named(
    version: int, cves: list[str], to: str
) -> None:
    holes = [hole for hole in server_advisories.HOLES if hole.is_open(version)]
    assert [hole.cve for hole in holes] == cves
    if holes:
        lines = server_advisories.words(version, holes, built_in=False)
        assert all(
            cve in line and f"Update to {to}." in line
            for cve, line in zip(cves, lines, strict=True)
        )
        [note] = server_advisories.words(version, holes, built_in=True)
        assert note.startswith("note: the embedded PostgreSQL")
        assert to in note


def test_the_embedded_server_is_told_by_itself(ground: Connection[TupleRow]) -> None:
    [(built_in,)] = ground.execute(
        server_advisories._BUILT_IN, [server_advisories._WHEEL]
    ).fetchall()
    lines = server_advisories.warnings(ground)
    if built_in and any(
        hole.is_open(ground.info.server_version) for hole in server_advisories.HOLES
    ):
        assert lines[0].startswith("note: the embedded PostgreSQL")
