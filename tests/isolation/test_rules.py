"""Each rule finds nothing, then exactly what was planted, then nothing again."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from conftest import one_server
from promises import PROJECT
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.errors import UsageError
from runner.isolation import server_advisories
from runner.isolation.sql_cases import case_file, rule_runner
from runner.isolation.verdict import Breach

RULES = {rule.name: rule for rule in PROJECT.rules}
RESTRICTIVE = "policy tenant_isolation on public.projects"


def policy(condition: str, *, name: str = "select_member", table: str = "projects") -> str:
    """Return the statement that changes a policy's condition."""
    return f"alter policy {name} on public.{table} using ({condition})"


ORG = "org_id = (select app.caller_org())"
SELECT = "policy select_member on public.projects"
SPY = "create function public.spy() returns {} language plpgsql as $$ begin return null; end $$"

# (rule, statement that plants a violation, all objects that the rule must name)
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
        "create foreign data wrapper remote; create server remote foreign data wrapper remote;"
        " create foreign table public.far (id int) server remote",
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
        "11",
        f"create policy second on public.projects for select to authenticated using ({ORG})",
        "table public.projects",
    ),
    (
        "11",
        f"create policy second on public.ai_agents for all to public using ({ORG})",
        ["table public.ai_agents"],
    ),
    ("12", f"drop {RESTRICTIVE}", "table public.projects"),
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
    ("15", policy("org_id in (select app.caller_org() limit 1)"), SELECT),
    ("15", policy(f"{ORG} and exists (select from public.users)"), SELECT),
    ("16", policy("org_id <> (select app.caller_org())"), SELECT),
    ("16", policy(f"not ({ORG})"), SELECT),
    ("16", policy("org_id is not distinct from (select app.caller_org())"), SELECT),
    ("17", policy("org_id = (select auth.jwt() ->> 'org_id')"), SELECT),
    ("17", policy(f"{ORG} and current_setting('app.on', true) = '1'"), SELECT),
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
        "alter function app.touch_updated_at() set search_path = public",
        "function app.touch_updated_at()",
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
    (
        "30",
        "create table public.added (id text); grant select on public.added to authenticated",
        "table public.added",
    ),
    ("30", "alter table public.ai_agents add org text", []),
    (
        "30",
        "alter table public.ai_agents drop constraint ai_agents_pkey;"
        " alter table public.ai_agents alter column org_id drop not null",
        "table public.ai_agents",
    ),
    (
        "31",
        "alter table public.ai_agents drop constraint ai_agents_pkey, add primary key (id)",
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
        "create role api_login login; create role team; create role above bypassrls;"
        " grant team to api_login; grant anon, above to team",
        "role api_login",
    ),
    (
        "55",
        "create role api_login login bypassrls; grant authenticated to api_login",
        "role api_login",
    ),
    (
        "55",
        "create role plain; alter table public.users owner to plain; create role api_login login;"
        " grant anon, plain to api_login",
        "role api_login",
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
        "create table public.added (org_id text, updated_at timestamptz);"
        " create trigger record_audit after update or delete on public.added"
        " for each row execute function app.record_audit('added')",
        ["trigger record_insert on public.added", "trigger touch_updated_at on public.added"],
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


def rule(number: str) -> case_file.CaseFile:
    [found] = [each for name, each in RULES.items() if name.startswith(number)]
    return found


def found(connection: Connection[TupleRow], number: str) -> list[str]:
    return sorted(
        {thing for thing, _, _ in rule_runner.violations(connection, PROJECT, rule(number))}
    )


@pytest.mark.parametrize("name", RULES)
def test_rule_finds_nothing_in_new_database(connection: Connection[TupleRow], name: str) -> None:
    assert rule_runner.violations(connection, PROJECT, RULES[name]) == []


@pytest.mark.parametrize(
    ("number", "planting", "objects"),
    PLANTED,
    ids=[f"{number}-{re.sub(r'[^a-z_]+', ' ', sql)[:60].strip()}" for number, sql, _ in PLANTED],
)
def test_rule_finds_exactly_what_was_planted(
    connection: Connection[TupleRow], number: str, planting: str, objects: str | list[str]
) -> None:
    if planting.startswith("{temporary"):
        planting = f'grant temporary on database "{connection.info.dbname}" {planting[11:-1]}'
    connection.execute(planting.encode())
    wanted = [objects] if isinstance(objects, str) else objects
    names = {"me": connection.info.user, "database": f"database {connection.info.dbname}"}
    assert found(connection, number) == [name.format(**names) for name in wanted]


def test_every_rule_has_a_planted_violation() -> None:
    """Rule 49 depends on the owner of the database and has its own test."""
    assert {name[:2] for name in RULES} - {number for number, *_ in PLANTED} == {"49"}


@pytest.mark.parametrize(
    ("number", "planting"),
    [(number, sql) for number, sql, _ in PLANTED if number in {"01", "05", "06", "25", "53", "54"}],
)
def test_fix_removes_the_violation(
    connection: Connection[TupleRow], number: str, planting: str
) -> None:
    """For the rules whose fix is a single definite statement."""
    if "create table" in planting or "owner to" in planting:
        return
    connection.execute(planting.encode())
    for _, _, fix in rule_runner.violations(connection, PROJECT, rule(number)):
        connection.execute(fix.encode())
    assert found(connection, number) == []


@one_server
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
        "alter table public.projects add constraint taken unique (name)",
        "grant set on parameter session_replication_role to authenticated",
        "alter role authenticated set request.jwt.claims = '{}'",
    ],
)
def test_fixes_of_a_run_remove_all_its_breaches(
    connection: Connection[TupleRow], planting: str
) -> None:
    connection.execute(planting.encode())
    _, breaches = rule_runner.run(connection, PROJECT, None)
    assert breaches
    for breach in breaches:
        connection.execute(breach.fix.encode())
    assert rule_runner.run(connection, PROJECT, None)[1] == []


def test_temporary_objects_for_public_are_a_warning_if_the_owner_cannot_revoke_it(
    connection: Connection[TupleRow],
) -> None:
    """As on Supabase: the tables' owner does not own the database."""
    connection.execute(f'grant temporary on database "{connection.info.dbname}" to public'.encode())
    assert found(connection, "49") == []
    connection.execute("create role plain")
    for table in PROJECT.config.rights:
        connection.execute(f"alter table public.{table} owner to plain".encode())
    assert found(connection, "48") == []
    assert found(connection, "49") == [f"database {connection.info.dbname}"]
    assert any("TEMPORARY" in line.upper() for line in rule_runner.warnings(connection, PROJECT))


def test_run_returns_checks_and_breaches_and_keeps_transaction_settings(
    connection: Connection[TupleRow],
) -> None:
    path = connection.execute("show search_path").fetchall()
    connection.execute("alter table public.projects disable row level security")
    checks, breaches = rule_runner.run(connection, PROJECT, None)
    assert connection.execute("show search_path").fetchall() == path
    assert [check.name for check in checks] == list(RULES)
    assert [check.name for check in checks if not check.passed] == ["05_row_security_off"]
    assert breaches == [
        Breach(
            proof="05_row_security_off",
            subject="table public.projects",
            summary="table public.projects: row-level security is not enabled",
            exposed=RULES["05_row_security_off"].fields["why"],
            cause="table public.projects",
            fix="alter table public.projects enable row level security;",
        )
    ]


def test_partition_that_no_role_may_use_needs_no_row_security(
    connection: Connection[TupleRow],
) -> None:
    connection.execute(
        "create table public.hits (org_id text) partition by list (org_id);"
        "alter table public.hits enable row level security;"
        "create table public.hits_made_by_a_job partition of public.hits default"
    )
    assert found(connection, "05") == []
    connection.execute("grant select on public.hits_made_by_a_job to anon")
    assert found(connection, "05") == ["table public.hits_made_by_a_job"]


def test_indirect_membership_is_reported(connection: Connection[TupleRow]) -> None:
    connection.execute(
        "create role above noinherit bypassrls login; create role team;"
        "grant above to team; grant team to anon"
    )
    assert rule_runner.violations(connection, PROJECT, rule("54")) == [
        (
            "role anon",
            "it is a member of team, and through it of above",
            "revoke team from anon;  -- it includes above",
        )
    ]


def test_fix_of_table_privilege_restores_column_grants(
    connection: Connection[TupleRow],
) -> None:
    """A revoke on the whole table also removes its column grants."""
    connection.execute("grant update on public.projects to authenticated")
    [(_, _, fix)] = rule_runner.violations(connection, PROJECT, rule("41"))
    first, second = fix.splitlines()
    assert first == "revoke update on public.projects from authenticated;"
    assert second == (
        "grant update (config, description, name, status) on public.projects to authenticated;"
    )


def test_rule_that_fails_is_a_breach_and_other_rules_still_run(
    connection: Connection[TupleRow],
) -> None:
    head = "-- 99_rule\n-- It fails.\n-- source: a page\n-- why: So.\n\n"
    broken = case_file.parse(
        "rules", "99_rule", f"{head}select format('%I', null)", ("source", "why")
    )
    project = replace(PROJECT, rules=(broken, rule("05")))
    checks, [breach] = rule_runner.run(connection, project, None)
    assert [(check.name[:2], check.passed) for check in checks] == [("99", False), ("05", True)]
    assert breach.subject == "rule 99_rule"
    assert "null values cannot be formatted" in breach.cause


def test_warning_is_reported_and_is_not_a_breach(connection: Connection[TupleRow]) -> None:
    connection.execute("create publication away for all tables")
    checks, breaches = rule_runner.run(connection, PROJECT, "publication")
    assert breaches == []
    assert [(check.passed, check.outcome) for check in checks] == [(True, "1 warning")]
    assert any(
        "publication away" in line for line in server_advisories.warnings(connection, PROJECT)
    )


@pytest.mark.parametrize("only", ["05_row_security_off", "row_security_off", "05"])
def test_rule_can_be_selected_by_name(connection: Connection[TupleRow], only: str) -> None:
    assert [check.name for check in rule_runner.run(connection, PROJECT, only)[0]] == [
        "05_row_security_off"
    ]
    assert rule_runner.run(connection, PROJECT, "nothing of that name") == ([], [])


def test_objects_of_extensions_are_not_checked(connection: Connection[TupleRow]) -> None:
    available = connection.execute(
        "select name from pg_available_extensions where name in ('citext', 'pgcrypto', 'pg_trgm')"
    ).fetchall()
    if not available:
        pytest.skip("this server has none of these extensions")
    for (name,) in available:
        connection.execute(f"create extension {name} schema public".encode())
    assert rule_runner.run(connection, PROJECT, None)[1] == []


def test_any_schema_that_an_api_role_may_use_is_checked(connection: Connection[TupleRow]) -> None:
    connection.execute("create schema sales; create table sales.orders (id int)")
    assert rule_runner.run(connection, PROJECT, None)[1] == []
    connection.execute("grant usage on schema sales to authenticated")
    assert found(connection, "05") == ["table sales.orders"]


def test_any_role_of_the_login_role_is_an_api_role(connection: Connection[TupleRow]) -> None:
    connection.execute(
        "do $$ begin if to_regrole('authenticator') is null"
        " then create role authenticator noinherit login; end if; end $$;"
        "create role partner; grant partner to authenticator;"
        "grant insert on public.projects to partner"
    )
    assert found(connection, "41") == ["table public.projects"]


PARTNER = """
    do $$ begin
        if to_regrole('authenticator') is null then
            create role authenticator noinherit login;
        end if;
        execute format('grant temporary on database %I to "Partner Role"', current_database());
    end $$;
    grant "Partner Role" to authenticator;
    grant insert, update (name) on public.projects to "Partner Role";
    grant usage on schema app to "Partner Role";
    grant create on schema public to "Partner Role";
    grant set on parameter session_replication_role to "Partner Role";
    alter default privileges grant select on tables to "Partner Role";
    create sequence public."Numbers";
    grant usage on sequence public."Numbers" to "Partner Role";
    drop policy tenant_isolation on public.projects;
    alter policy select_member on public.projects to "Partner Role";
"""


def test_fixes_quote_role_names(connection: Connection[TupleRow]) -> None:
    connection.execute('create role "Partner Role"')
    connection.execute(PARTNER)
    _, breaches = rule_runner.run(connection, PROJECT, None)
    of_partner = {b.proof[:2]: b for b in breaches if '"Partner Role"' in b.fix}
    assert set(of_partner) == {"12", "41", "42", "45", "46", "47", "48", "50", "51"}
    for breach in breaches:
        connection.execute(breach.fix.encode())
    # The fixes of rule 12 for the two roles replace each other's policy, in any order.
    left = {
        b.proof[:2] for b in rule_runner.run(connection, PROJECT, None)[1] if "Partner" in b.fix
    }
    assert left <= {"12"}


def test_fixes_quote_table_and_column_names(connection: Connection[TupleRow]) -> None:
    connection.execute(
        'create table public."Order" (org_id text, id text, "user" text, updated_at timestamptz);'
        ' grant update ("user"), truncate on public."Order" to authenticated;'
        ' create index "By User" on public."Order" ("user")'
    )
    _, breaches = rule_runner.run(connection, PROJECT, None)
    assert {b.proof[:2] for b in breaches} >= {"05", "30", "31", "35", "37", "41", "42", "60"}
    for _ in range(3):  # some fixes reveal the next violation
        for breach in breaches:
            fix = re.sub(" concurrently", "", breach.fix, flags=re.I)  # not in a transaction
            connection.execute(fix.encode())
        _, breaches = rule_runner.run(connection, PROJECT, None)
    assert breaches == []


def test_declared_privileges_list_the_columns_that_tenants_write() -> None:
    declared = {tuple(right.values()) for right in rule_runner.declared_privileges(PROJECT)}
    assert ("authenticated", "users", "UPDATE", "roles") in declared
    assert ("authenticated", "users", "INSERT", "email") in declared
    assert ("authenticated", "users", "UPDATE", "email") not in declared
    assert ("service_role", "audit_logs", "INSERT", None) in declared
    assert ("service_role", "audit_logs", "DELETE", None) not in declared


# --- files ---------------------------------------------------------------------------------------

HEAD = "-- 01_rule\n-- What it finds.\n-- source: a page\n-- why: a reason\n"


@pytest.mark.parametrize("name", RULES)
def test_rule_has_header_and_result_columns(name: str) -> None:
    found = RULES[name]
    assert found.title.endswith(".")
    assert found.fields["source"]
    assert found.fields["why"].endswith(".")
    assert found.fields.get("level", "warning") == "warning"
    assert {"object", "problem", "fix"} <= set(re.findall(r"\bas (\w+)", found.body))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rule", HEAD, "the name of a case file must look like NN_what_it_tests"),
        ("02_rule", f"{HEAD}\nselect 1", "the first line must be its name"),
        ("01_rule", "", "the first line must be its name"),
        ("01_rule", "-- 01_rule\n-- source: a page\n\nselect 1", "the second line must be a title"),
        ("01_rule", "-- 01_rule\n\nselect 1", "the second line must be a title"),
        (
            "01_rule",
            "-- 01_rule\n-- What.\n-- source: a page\n\nselect 1",
            "missing header field: -- why:",
        ),
        ("01_rule", f"{HEAD}-- maybe: so\n\nselect 1", "unknown header field: -- maybe: so"),
        ("01_rule", f"{HEAD}-- why: again\n\nselect 1", "duplicate header field: why"),
        ("01_rule", HEAD, "no SQL below the header"),
    ],
)
def test_malformed_case_file_is_rejected(name: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        case_file.parse("rules", name, text, ("source", "why"))
    assert f"rules/{name}.sql" in str(error.value)


def test_header_field_continues_on_next_line() -> None:
    text = "-- 01_rule\n-- What it\n--   finds.\n-- source: one\n--   page\n-- why: so\n\nselect 1"
    found = case_file.parse("rules", "01_rule", text, ("source", "why"))
    assert (found.title, found.fields["source"]) == ("What it finds.", "one page")


# --- server --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "cves", "to"),
    [
        (
            150008,
            ["CVE-2024-10976", "CVE-2025-8713", "CVE-2026-14666", "CVE-2026-116311"],
            "15.20",
        ),
        (160009, ["CVE-2025-8713", "CVE-2026-14666", "CVE-2026-116311"], "16.16"),
        (170010, ["CVE-2026-14666", "CVE-2026-116311"], "17.12"),
        (180004, ["CVE-2026-14666", "CVE-2026-116311"], "18.7"),
        (180006, ["CVE-2026-116311"], "18.7"),
        (180007, [], ""),
        (150020, [], ""),
        (190000, [], ""),
    ],
)
def test_vulnerable_versions_are_named(version: int, cves: list[str], to: str) -> None:
    affecting = [each for each in server_advisories.VULNERABILITIES if each.affects(version)]
    assert [each.cve for each in affecting] == cves
    if affecting:
        lines = server_advisories.messages(version, affecting, embedded=False)
        assert all(
            cve in line and f"Update to {to}." in line
            for cve, line in zip(cves, lines, strict=True)
        )
        [note] = server_advisories.messages(version, affecting, embedded=True)
        assert note.startswith("note: the embedded PostgreSQL")
        assert to in note


def test_embedded_server_gets_a_single_note(connection: Connection[TupleRow]) -> None:
    [(embedded,)] = connection.execute(
        server_advisories._IS_EMBEDDED, [server_advisories._WHEEL]
    ).fetchall()
    lines = server_advisories.warnings(connection, PROJECT)
    if embedded and any(
        each.affects(connection.info.server_version) for each in server_advisories.VULNERABILITIES
    ):
        assert lines[0].startswith("note: the embedded PostgreSQL")
