"""Each attack and invariant passes on a new database, and fails when its protection is removed."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from conftest import SQL_DIR, one_server
from promises import PROJECT
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from runner.errors import UsageError
from runner.isolation.probes.reads import Probe
from runner.isolation.report import export
from runner.isolation.report.places import Places
from runner.isolation.report.sarif import sarif
from runner.isolation.rows.identity import A, B
from runner.isolation.sql_cases import case_file, scenario, scenario_runner
from runner.isolation.sql_cases.substitution import Substitution
from runner.isolation.tenancy import relations
from runner.isolation.verdict import Breach, Check, Verdict

ALL = {attack.name: attack for attack in PROJECT.scenarios}
TENANT = "authenticated"


def off(table: str) -> str:
    return f"alter table public.{table} disable row level security;"


def grant(what: str, to: str = TENANT) -> str:
    return f"grant {what} to {to};"


def drop_trigger(name: str, table: str) -> str:
    return f"drop trigger {name} on public.{table};"


def drop_constraint(name: str) -> str:
    table = re.match(r"(ai_agents|[a-z]+)_", name)
    assert table
    return f"alter table public.{table[1]} drop constraint {name} cascade;"


_TWICE = "(select id from public.projects group by id having count(*) > 1)"
ONE_COLUMN = (
    f"delete from public.workflows where project_id in {_TWICE};"
    f" delete from public.projects where id in {_TWICE};"
    " alter table public.projects add unique (id);"
    " alter table public.workflows drop constraint workflows_org_id_project_id_fkey,"
    " add foreign key (project_id) references public.projects (id);"
)
TEMPORARY = (
    "do $$ begin execute format('grant temporary on database %I to authenticated',"
    " current_database()); end $$;"
)
TRUSTS_CLAIMS = """
    create or replace function app.caller_org() returns text language plpgsql stable
    parallel safe security definer as $$ begin
        return coalesce(
            auth.jwt() ->> 'org_id',
            (select u.org_id from public.users as u where u.auth_user_id = auth.uid())
        );
    end $$;
"""
IGNORES_ROLES = """
    create or replace function app.caller_org_as(variadic wanted public.user_role[])
    returns text language plpgsql stable parallel safe security definer as $$ begin
        return app.caller_org();
    end $$;
"""
USES_CALLERS_SEARCH_PATH = """
    create or replace function app.caller_org_as(variadic wanted public.user_role[])
    returns text language plpgsql stable parallel safe security definer
    set search_path = public as $$ begin
        return (
            select u.org_id from users as u
            where u.auth_user_id = auth.uid() and u.roles && wanted limit 1
        );
    end $$;
"""
ALWAYS_RETURNS_MEMBER = """
    create or replace function auth.uid() returns uuid language sql stable
    as $$ select auth_user_id from public.users where roles = '{MEMBER}' limit 1 $$;
    alter function auth.uid() security definer;
"""
LOGS_TOO_MUCH = """
    create function app.log_twice() returns trigger language plpgsql security definer as $$ begin
        insert into public.audit_logs (org_id, action, target_id) values (new.id, 'update', new.id);
        return null;
    end $$;
    create trigger log_twice after update on public.organizations
    for each row execute function app.log_twice();
"""
LOGS_FOREIGN_ACTORS = """
    do $$ begin
        execute replace(
            pg_get_functiondef('app.record_audit()'::regprocedure),
            'case subject_org when actor.org_id then actor.id end', 'actor.id'
        );
    end $$;
"""
MEMBERS_UPDATE_USERS = (
    "alter policy update_member on public.users using (org_id = (select app.caller_org()))"
    " with check (org_id = (select app.caller_org()));"
)

# The weakening that removes the protection of each attack or invariant.
WEAKENED = {
    "101": off("projects"),
    "102": off("users"),
    "103": off("workflows"),
    "104": off("ai_agents"),
    "105": off("audit_logs"),
    "106": off("projects"),
    "107": off("projects"),
    "108": off("projects"),
    "109": off("organizations"),
    "110": off("projects"),
    "111": off("projects"),
    "112": off("projects"),
    "113": off("projects") + "analyze public.projects",
    "114": off("projects"),
    "115": grant("pg_execute_server_program"),
    "116": off("projects"),
    "117": off("projects"),
    "119": off("projects"),
    "118": "alter policy select_admin on public.audit_logs"
    " using (org_id = (select app.caller_org()))",
    "120": "alter table public.users add unique (email)",
    "201": "alter policy insert_admin on public.projects with check (true);"
    " drop policy tenant_isolation on public.projects",
    "202": off("users"),
    "203": off("users"),
    "204": off("projects"),
    "205": off("projects"),
    "206": off("projects"),
    "207": off("ai_agents"),
    "208": off("ai_agents"),
    "209": off("projects") + grant("insert on public.projects"),
    "210": off("projects") + grant("delete on public.projects"),
    "211": grant("truncate on public.audit_logs"),
    "251": ONE_COLUMN,
    "252": "alter policy insert_member on public.audit_logs"
    " with check (org_id = (select app.caller_org()))",
    "253": ONE_COLUMN,
    "254": off("projects"),
    "301": drop_trigger("guard_roles", "users"),
    "302": "alter policy insert_admin on public.users"
    " with check (org_id = (select app.caller_org()));" + drop_trigger("guard_roles", "users"),
    "303": MEMBERS_UPDATE_USERS + drop_trigger("guard_roles", "users"),
    "304": grant("update (auth_user_id) on public.users"),
    "305": TRUSTS_CLAIMS + "drop policy tenant_isolation on public.projects",
    "306": IGNORES_ROLES,
    "307": off("projects"),
    "308": grant("update (billing_plan) on public.organizations"),
    "309": """
        create or replace function auth.uid() returns uuid language sql stable parallel safe
        return nullif(
            coalesce(
                nullif(current_setting('request.jwt.claim.sub', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub'
            ),
            ''
        )::uuid
    """,
    "401": grant("update (approver_id) on public.workflows"),
    "402": drop_trigger("guard_approval", "workflows"),
    "403": drop_trigger("guard_approval", "workflows"),
    "404": drop_trigger("guard_approval", "workflows"),
    "405": drop_trigger("guard_approval", "workflows"),
    "451": "alter policy insert_member on public.audit_logs"
    " with check (org_id = (select app.caller_org()))",
    "452": grant("update on public.audit_logs", "service_role"),
    "453": drop_trigger("keep_audit", "audit_logs"),
    "501": "alter table public.projects owner to authenticated",
    "502": grant("trigger on public.projects"),
    "503": grant("create on schema public"),
    "504": "alter role authenticated createrole",
    "505": "grant select on public.projects to authenticated with grant option",
    "506": TEMPORARY + USES_CALLERS_SEARCH_PATH,
    "507": TEMPORARY + "alter function app.caller_org() set search_path = ''",
    "508": drop_trigger("guard_approval", "workflows"),  # PostgreSQL itself prevents the rest
    "510": grant("select on pg_authid"),
    "511": grant("usage on schema yoyo"),
    "512": grant("create on schema app"),
    "513": "alter role authenticated createrole; grant service_role to authenticated"
    " with admin option",
    "514": "grant select on app.privileges_before to anon",
    "601": grant("select on public.projects", "anon"),
    "602": ALWAYS_RETURNS_MEMBER,
    "603": off("projects"),
    "604": "alter function app.caller_org() immutable",
    "605": "alter function app.caller_org() immutable",
    "606": off("projects"),
    "607": off("projects"),
    "701": drop_trigger("keep_last_owner", "users"),
    "702": drop_trigger("keep_last_owner", "users"),
    "703": drop_trigger("keep_id", "organizations"),
    "704": drop_trigger("keep_id", "organizations"),
    "711": drop_trigger("guard_approval", "workflows"),
    "712": drop_trigger("guard_approval", "workflows"),
    "713": drop_constraint("workflows_approval_check"),
    "714": drop_trigger("guard_approval", "workflows"),
    "715": drop_constraint("workflows_org_id_approver_id_fkey")
    + "alter table public.audit_logs drop constraint audit_logs_org_id_actor_id_fkey",
    "721": drop_trigger("keep_audit", "audit_logs"),
    "722": drop_trigger("record_audit", "ai_agents"),
    "723": LOGS_TOO_MUCH,
    "724": LOGS_FOREIGN_ACTORS,
    "725": """
        do $$ begin
            execute replace(
                pg_get_functiondef('app.record_audit()'::regprocedure), '{org_id,id}', '{}'
            );
        end $$
    """,
    "731": drop_constraint("users_roles_check"),
    "732": drop_constraint("projects_status_check"),
    "733": drop_constraint("ai_agents_config_check"),
    "734": drop_constraint("projects_id_check"),
    "735": drop_constraint("projects_name_check"),
    "736": drop_constraint("users_email_key"),
    "739": drop_constraint("projects_description_check"),
    "737": drop_trigger("touch_updated_at", "projects"),
    "738": drop_constraint("projects_org_id_fkey")
    + "alter table public.audit_logs drop constraint audit_logs_org_id_fkey",
}


NO_TABLE = scenario_runner._Table()


def name_of(number: str) -> str:
    return next(name for name in ALL if name.startswith(number))


def tried(rows: Probe, name: str) -> tuple[Check, list[Breach]]:
    [check], breaches = scenario_runner.run(rows, PROJECT, name)
    return check, breaches


@pytest.fixture
def populated(rows: Probe) -> Connection[TupleRow]:
    """The connection to a database that contains the rows."""
    return rows.findings.connection


@pytest.mark.parametrize("name", ALL)
def test_scenario_passes_on_new_database(
    populated: Connection[TupleRow], rows: Probe, name: str
) -> None:
    check, breaches = tried(rows, name)
    assert breaches == []
    assert check.passed
    assert check.outcome.startswith(ALL[name].fields["safe"])
    assert check.kind == {"attacks": "attack", "invariants": "invariant"}[ALL[name].folder]


@pytest.mark.parametrize("number", WEAKENED)
def test_scenario_fails_when_its_protection_is_removed(
    populated: Connection[TupleRow], rows: Probe, number: str
) -> None:
    populated.execute(WEAKENED[number].encode())
    check, breaches = tried(rows, number)
    assert not check.passed
    assert re.match(r"\d+ of \d+ steps succeeded", check.outcome)
    assert breaches
    for breach in breaches:
        assert breach.proof == check.name
        assert breach.sql
        assert breach.actor
        assert breach.exposed
        assert breach.cause
        assert breach.fix or "privilege or function" in breach.cause  # completed later
        assert breach.subject or number in (
            "115",
            "504",
            "510",
            "511",
            "514",
        )  # about the whole server


def test_each_scenario_has_a_weakening() -> None:
    assert {name[:3] for name in ALL} == set(WEAKENED)


def test_breach_names_actor_statement_and_cause(
    populated: Connection[TupleRow], rows: Probe
) -> None:
    populated.execute(
        "drop policy tenant_isolation on public.projects;"
        "alter policy select_member on public.projects using (true)"
    )
    _, breaches = tried(rows, "read_by_key")
    assert {breach.actor.split(":")[0] for breach in breaches} == {"OWNER", "ADMIN", "MEMBER"}
    other = rows.fixture.ids[B]
    for breach in breaches:
        assert breach.subject == "public.projects"
        assert breach.sql == f"select * from public.projects where org_id = '{other}' limit 1"
        assert breach.exposed == "1 row from public.projects; expected nothing or 42501"
        assert "select_member" in breach.cause


@pytest.mark.parametrize(
    ("number", "weakening", "cause"),
    [
        ("110", off("users"), "row-level security is off on public.users"),
        ("204", off("projects"), "row-level security is off on public.projects"),
        ("209", off("users") + grant("insert on public.users"), "grant insert on public.users"),
        ("211", grant("truncate on public.users"), "grant truncate on public.users"),
        ("301", drop_trigger("guard_roles", "users"), "no guard refused it"),
        ("731", drop_constraint("users_roles_check"), "of public.users refused it"),
    ],
)
def test_breach_names_the_root_cause(
    populated: Connection[TupleRow], rows: Probe, number: str, weakening: str, cause: str
) -> None:
    populated.execute(weakening.encode())
    assert any(cause in breach.cause for breach in tried(rows, number)[1])


def test_statement_that_would_lock_the_table_is_reported_not_run(
    populated: Connection[TupleRow],
    rows: Probe,
) -> None:
    populated.execute("grant truncate on public.audit_logs to authenticated")
    _, [breach, *_] = tried(rows, "211_truncate")
    assert breach.exposed.startswith("the rows of every tenant in ")
    assert ": the role may run the statement, which was not run; expected" in breach.exposed
    locks = populated.execute(
        "select mode from pg_locks where relation = 'public.audit_logs'::regclass"
        " and pid = pg_backend_pid() and mode in ('AccessExclusiveLock', 'ExclusiveLock')"
    ).fetchall()
    assert locks == []


@one_server
def test_no_scenario_takes_a_lock_that_blocks_writers(
    populated: Connection[TupleRow], rows: Probe
) -> None:
    """Check the locks after each step, including those of steps that failed."""
    held: set[str] = set()
    runner = scenario_runner._Runner(rows, PROJECT)
    for attack in ALL.values():
        for name in ("projects", "audit_logs"):
            table = scenario_runner._Table(f"public.{name}", "org_id")
            for _ in runner._tried(attack, table):
                populated.execute("set local role none")
                locks = populated.execute(
                    "select l.mode from pg_locks as l inner join pg_class as c"
                    " on c.oid = l.relation where l.pid = pg_backend_pid()"
                    " and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')"
                ).fetchall()
                held |= {mode for (mode,) in locks}
    assert held <= {"AccessShareLock", "RowShareLock", "RowExclusiveLock"}


@one_server
def test_run_leaves_no_changes(populated: Connection[TupleRow], rows: Probe) -> None:
    def everything() -> list[TupleRow]:
        found: list[TupleRow] = []
        for table in ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs"):
            found += populated.execute(
                f"select to_jsonb(t)::text from public.{table} as t order by 1"
            ).fetchall()
        for query in (
            "select name, setting from pg_settings where source = 'session'",
            "select name from pg_prepared_statements",
            "select name from pg_cursors where name <> ''",
            "select oid from pg_proc where oid > 16383",
            "select oid, relacl::text from pg_class where oid > 16383 order by oid",
            "select current_user, current_setting('request.jwt.claims', true)",
        ):
            found += populated.execute(query).fetchall()
        return found

    scenario_runner.run(rows, PROJECT, "101")  # defines the settings that it uses
    before = everything()
    scenario_runner.run(rows, PROJECT, None)
    assert everything() == before


def test_scenarios_write_only_rows_of_the_fixture_organizations() -> None:
    """Each update and delete names the organization, so it locks no other rows."""
    for attack in ALL.values():
        for step in scenario.steps(attack, PROJECT):
            for change in re.split(r";\s*\n", step.sql):
                if re.match(r"(update|delete)\b", change.strip()):
                    assert re.search(r":'(org|away\.org|new_id)'|current of", change), attack.name


def test_scenario_can_be_selected_by_name(populated: Connection[TupleRow], rows: Probe) -> None:
    for only in ("101_read_by_key", "read_by_key", "101", "attacks/101_read_by_key"):
        assert [check.name for check in scenario_runner.run(rows, PROJECT, only)[0]] == [
            "101_read_by_key"
        ]
    assert scenario_runner.run(rows, PROJECT, "nothing of that name") == ([], [])


def test_scenario_that_the_role_may_not_set_up_is_reported_as_not_tried(
    populated: Connection[TupleRow],
    rows: Probe,
) -> None:
    """The connecting role need not own the tables: what it cannot try is not a breach."""
    populated.execute("create role limited; grant limited to current_user with admin option")
    populated.execute("grant anon, authenticated, service_role to limited")
    populated.execute("set session authorization limited")
    check, breaches = tried(rows, "leaky_function")
    populated.execute("reset session authorization")
    assert breaches == []
    assert check.outcome.startswith("not tried: the connecting role may not set it up")
    verdict = Verdict(checks=(check,), facts={"database": "d"})  # which no output shows as passed
    assert check.passed is None
    assert ", 1 not tried, 0 breaches, in" in verdict.summary
    assert verdict.counts["not_tried"] == 1
    assert '<skipped message="not tried: the conn' in export.junit(verdict)
    assert 'tests="1" failures="0" skipped="1">' in export.junit(verdict)
    assert '<span class="warn">–</span>' in export.html(verdict)
    said = json.loads(sarif(verdict, Places(SQL_DIR)))["runs"][0]["invocations"][0]
    assert said["toolExecutionNotifications"][0]["associatedRule"]["id"] == check.name


def test_what_needs_a_row_that_is_not_there_is_not_tried(
    populated: Connection[TupleRow], rows: Probe
) -> None:
    """Neither a breach nor passed; what needs no row is judged."""
    relation = next(r for r in rows.fixture.tenants.relations.values() if r.name == "ai_agents")
    populated.execute("delete from public.ai_agents where org_id = %s", [rows.fixture.ids[B]])
    check, breaches = tried(rows, "109")  # as its first step finds none
    assert (breaches, check.passed) == ([], None)
    assert check.outcome == "not tried: public.ai_agents has no row to try it with"
    known = replace(rows.snapshot, rows={**rows.snapshot.rows, relation.oid: []})
    rows = replace(rows, snapshot=known)
    untried = {c.name[:3] for c in scenario_runner.run(rows, PROJECT, None)[0] if c.passed is None}
    assert {"101", "102", "109", "604"} <= untried
    assert not {"113", "116", "211", "501", "502"} & untried
    populated.execute(off("ai_agents").encode())
    assert tried(rows, "602")[0].passed is False  # by the own rows


def test_a_step_refused_for_lack_of_a_privilege_is_said_not_to_try_policies(
    populated: Connection[TupleRow], rows: Probe
) -> None:
    note = "steps were refused for lack of a privilege: these did not try row-level security."
    assert f"24 of 24 {note}" in tried(rows, "210")[0].outcome
    populated.execute("grant delete on public.projects to authenticated")
    assert f"21 of 24 {note}" in tried(rows, "210")[0].outcome
    for name in ("204", "206", "207"):  # and these are about nothing else
        steps = scenario_runner._Runner(rows, PROJECT)._tried(ALL[name_of(name)], NO_TABLE)
        assert not [step for step, _, outcome, _ in steps if outcome.unprivileged], name


def read_again(rows: Probe) -> Probe:
    """Return the rows with the relations that there are now."""
    tenants = relations.read(rows.findings.connection, PROJECT.config)
    return replace(rows, fixture=replace(rows.fixture, tenants=tenants))


def test_new_table_is_included_in_attacks(populated: Connection[TupleRow], rows: Probe) -> None:
    populated.execute(
        "create table public.invoices (org_id text, amount int);"
        "grant select on public.invoices to authenticated;"
        f"insert into public.invoices values ('{rows.fixture.ids[B]}', 1)"
    )
    _, breaches = tried(read_again(rows), "101")
    assert {breach.subject for breach in breaches} == {"public.invoices"}


@one_server
def test_table_names_that_need_quotes_are_attacked_and_fixed(
    populated: Connection[TupleRow],
    rows: Probe,
) -> None:
    names = ["Order", "user", """it's 100% "quoted" """]
    for name in names:
        for statement in (
            "create table {} (org_id text, id text)",
            "grant select, insert, update, truncate on {} to authenticated",
            "create policy own on {} to authenticated using (org_id = (select app.caller_org()))",
            "insert into {{}} values ('{A}', '1'), ('{B}', '2')".format(**rows.fixture.ids),
        ):
            populated.execute(sql.SQL(statement).format(sql.Identifier("public", name)))
    rows = read_again(rows)
    _, breaches = scenario_runner.run(rows, PROJECT, None)
    quoted = populated.execute(
        "select 'public.' || quote_ident(n) from unnest(%s::text[]) as n", [names]
    )
    assert {breach.subject for breach in breaches} == {subject for (subject,) in quoted}
    assert not [breach for breach in breaches if breach.exposed.startswith("42601")]
    for fix in {breach.fix for breach in breaches}:
        populated.execute(fix.encode())
    _, left = scenario_runner.run(rows, PROJECT, None)
    # SELECT is revoked: what is left expects the own rows.
    assert {b.exposed.rpartition("; ")[2] for b in left} <= {
        "expected own or nothing or 42501 or 26000",
    }


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_scenario_has_header_and_valid_steps(name: str) -> None:
    attack = ALL[name]
    assert attack.title.endswith(".")
    assert attack.fields["safe"].endswith(".")
    assert attack.fields["source"]
    assert name.startswith(
        ("7",) if attack.folder == "invariants" else ("1", "2", "3", "4", "5", "6")
    )
    assert scenario.steps(attack, PROJECT)


def test_numbers_are_unique() -> None:
    numbers = [name[:3] for name in ALL]
    assert len(set(numbers)) == len(numbers)


def parsed(text: str) -> case_file.CaseFile:
    head = "-- 999_try\n-- A tenant tries.\n-- safe: Refused.\n-- source: a page\n\n"
    return case_file.parse("attacks", "999_try", head + text, ("safe", "source"), ("each",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select 1", "a step must be `-- as:`, `-- expect:`, then SQL"),
        ("-- as: MEMBER\nselect 1", "a step must be `-- as:`, `-- expect:`, then SQL"),
        ("select 1\n-- as: MEMBER\n-- expect: nothing\nselect 1", "a step must be"),
        ("-- as: UNKNOWN\n-- expect: nothing\nselect 1", "unknown actor 'UNKNOWN'"),
        ("-- as: MEMBER, X\n-- expect: nothing\nselect 1", "unknown actor 'X'"),
        ("-- as: MEMBER\n-- expect: refusal\nselect 1", "unknown outcome 'refusal'"),
        ("-- as: MEMBER\n-- expect: nothing 42501\nselect 1", "unknown outcome"),
    ],
)
def test_malformed_scenario_is_rejected(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        scenario.steps(parsed(text), PROJECT)
    assert "999_try.sql" in str(error.value)


def test_each_accepts_only_table() -> None:
    text = (
        "-- 999_try\n-- A tenant tries.\n-- safe: Refused.\n-- source: a page\n-- each: role\n\n"
        "-- as: MEMBER\n-- expect: nothing\nselect 1"
    )
    attack = case_file.parse("attacks", "999_try", text, ("safe", "source"), ("each",))
    with pytest.raises(UsageError, match="the only supported value is -- each: table"):
        scenario.steps(attack, PROJECT)


def test_steps_are_parsed(rows: Probe) -> None:
    attack = parsed(
        "-- Why.\n-- as: MEMBER, owner\n-- expect: nothing, 42501\n-- if: true\n"
        "select 1;\nselect 2\n\n"
        "-- And then.\n-- as: OWNER of away\n-- expect: rows\n"
        "select :'me', :'away.org', 'x'::text from :table where :key = 'a'\n"
    )
    member, owner, other = scenario.steps(attack, PROJECT)
    assert (member.actor_name, owner.actor_name, other.actor_name) == (
        "MEMBER",
        scenario.OWNER,
        "OWNER of away",
    )
    assert member.expected == owner.expected == ("nothing", "42501")
    assert (member.condition, member.sql) == ("true", "select 1;\nselect 2")
    names = Substitution(rows.fixture, PROJECT)
    assert names.actor(owner) is None
    away = rows.fixture.named[B]
    assert (found := names.actor(other)) and found.person
    assert found.person.user == away["owner_uuid"]
    assert names.step(other, other.sql, "public.t", "org_id") == (
        f"select '{rows.fixture.named[A]['owner']}', '{away['org']}', 'x'::text from public.t"
        " where org_id = 'a'"
    )
