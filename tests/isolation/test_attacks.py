"""Each attack and invariant holds on a fresh database, and fails when its guard is taken away."""

from __future__ import annotations

import re

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.isolation import fixture
from runner.isolation.fixture import AWAY, HOME
from runner.isolation.sql_cases import case_file, scenario, scenario_runner
from runner.isolation.sql_cases.scenario import OWNER
from runner.isolation.verdict import Breach, Check

ALL = {attack.name: attack for attack in scenario.attacks()}
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


ONE_COLUMN = (
    "alter table public.projects add unique (id);"
    " alter table public.workflows drop constraint workflows_org_id_project_id_fkey,"
    " add foreign key (project_id) references public.projects (id);"
)
TEMPORARY = (
    "do $$ begin execute format('grant temporary on database %I to authenticated',"
    " current_database()); end $$;"
)
BELIEVES_CLAIMS = """
    create or replace function app.caller_org() returns text language plpgsql stable
    parallel safe security definer as $$ begin
        return coalesce(
            auth.jwt() ->> 'org_id',
            (select u.org_id from public.users as u where u.auth_user_id = auth.uid())
        );
    end $$;
"""
BELIEVES_ANYBODY = """
    create or replace function app.caller_org_as(variadic wanted public.user_role[])
    returns text language plpgsql stable parallel safe security definer as $$ begin
        return app.caller_org();
    end $$;
"""
LOOKS_AROUND = """
    create or replace function app.caller_org_as(variadic wanted public.user_role[])
    returns text language plpgsql stable parallel safe security definer
    set search_path = public as $$ begin
        return (
            select u.org_id from users as u
            where u.auth_user_id = auth.uid() and u.roles && wanted limit 1
        );
    end $$;
"""
ALWAYS_THE_MEMBER = f"""
    create or replace function auth.uid() returns uuid language sql stable
    as $$ select '{HOME.sub("member")}'::uuid $$;
"""
WRITES_TOO_MUCH = """
    create function app.loud() returns trigger language plpgsql security definer as $$ begin
        insert into public.audit_logs (org_id, action, target_id) values (new.id, 'update', new.id);
        return null;
    end $$;
    create trigger loud after update on public.organizations
    for each row execute function app.loud();
"""
NAMES_STRANGERS = """
    do $$ begin
        execute replace(
            pg_get_functiondef('app.record_audit()'::regprocedure),
            'and u.org_id = subject_org', ''
        );
    end $$;
"""
MEMBERS_DO_IT_ALL = (
    "alter policy update_member on public.users using (org_id = (select app.caller_org()))"
    " with check (org_id = (select app.caller_org()));"
)

# What guards an attack or invariant, taken away.
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
    "118": "alter policy select_admin on public.audit_logs"
    " using (org_id = (select app.caller_org()))",
    "201": "alter policy insert_admin on public.projects with check (true);"
    " drop policy tenant_isolation on public.projects",
    "202": off("users"),
    "203": off("users"),
    "204": off("projects"),
    "205": off("projects"),
    "206": off("projects") + grant("update (org_id) on public.projects"),
    "207": off("ai_agents"),
    "208": off("ai_agents"),
    "209": off("projects") + grant("insert on public.projects"),
    "210": grant("delete on public.projects"),
    "211": grant("truncate on public.audit_logs", "service_role"),
    "251": ONE_COLUMN,
    "252": "alter policy insert_member on public.audit_logs"
    " with check (org_id = (select app.caller_org()))",
    "253": ONE_COLUMN,
    "254": off("projects"),
    "301": drop_trigger("guard_roles", "users"),
    "302": "alter policy insert_admin on public.users"
    " with check (org_id = (select app.caller_org()))",
    "303": MEMBERS_DO_IT_ALL + drop_trigger("guard_roles", "users"),
    "304": grant("update (auth_user_id) on public.users"),
    "305": BELIEVES_CLAIMS + "drop policy tenant_isolation on public.projects",
    "306": BELIEVES_ANYBODY,
    "307": off("projects"),
    "308": grant("update (billing_plan) on public.organizations"),
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
    "506": TEMPORARY + LOOKS_AROUND,
    "507": TEMPORARY + "alter function app.caller_org() set search_path = ''",
    "508": drop_trigger("guard_approval", "workflows"),  # PostgreSQL itself keeps the rest
    "509": grant("update on public.projects"),
    "510": grant("select on pg_authid"),
    "511": grant("usage on schema yoyo"),
    "601": grant("select on public.projects", "anon"),
    "602": ALWAYS_THE_MEMBER,
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
    "723": WRITES_TOO_MUCH,
    "724": NAMES_STRANGERS,
    "731": drop_constraint("users_roles_check"),
    "732": drop_constraint("projects_status_check"),
    "733": drop_constraint("ai_agents_config_check"),
    "734": drop_constraint("projects_id_check"),
    "735": drop_constraint("projects_name_check"),
    "736": drop_constraint("users_email_key"),
    "737": drop_trigger("touch_updated_at", "projects"),
    "738": drop_constraint("projects_org_id_fkey")
    + "alter table public.audit_logs drop constraint audit_logs_org_id_fkey",
}


def tried(ground: Connection[TupleRow], name: str) -> tuple[Check, list[Breach]]:
    [check], breaches = scenario_runner.run(ground, name)
    return check, breaches


@pytest.fixture
def stage(ground: Connection[TupleRow]) -> Connection[TupleRow]:
    """The ground with the world of the proofs in it."""
    fixture.make(ground)
    return ground


@pytest.mark.parametrize("name", ALL)
def test_it_holds_on_a_fresh_database(stage: Connection[TupleRow], name: str) -> None:
    check, breaches = tried(stage, name)
    assert breaches == []
    assert check.passed
    assert check.outcome == ALL[name].fields["safe"]
    assert check.kind == {"attacks": "attack", "invariants": "invariant"}[ALL[name].folder]


@pytest.mark.parametrize("number", WEAKENED)
def test_it_fails_when_its_guard_is_taken_away(stage: Connection[TupleRow], number: str) -> None:
    stage.execute(WEAKENED[number].encode())
    check, breaches = tried(stage, number)
    assert not check.passed
    assert re.match(r"\d+ of \d+ steps got through", check.outcome)
    assert breaches
    for breach in breaches:
        assert breach.proof == check.name
        assert breach.sql
        assert breach.who
        assert breach.reached
        assert breach.fault
        assert breach.fix
        assert breach.subject or number in ("115", "510", "511")  # of the whole server


def test_each_has_a_guard_that_can_be_taken_away() -> None:
    assert {name[:3] for name in ALL} == set(WEAKENED)


def test_a_breach_says_who_did_what_and_what_let_it(stage: Connection[TupleRow]) -> None:
    stage.execute(
        "drop policy tenant_isolation on public.projects;"
        "alter policy select_member on public.projects using (true)"
    )
    _, breaches = tried(stage, "read_by_key")
    assert {breach.who.split(":")[0] for breach in breaches} == {
        "owner of home",
        "admin of home",
        "member of home",
    }
    for breach in breaches:
        assert breach.subject == "public.projects"
        assert breach.sql == f"select * from public.projects where org_id = '{AWAY.id()}' limit 1"
        assert breach.reached == "1 row; expected nothing or 42501"
        assert "select_member" in breach.fault


@pytest.mark.parametrize(
    ("number", "weakening", "fault"),
    [
        ("110", off("users"), "row-level security is off on public.users"),
        ("204", off("projects"), "row-level security is off on public.projects"),
        ("209", off("users") + grant("insert on public.users"), "grant insert on public.users"),
        ("211", grant("truncate on public.users"), "grant truncate on public.users"),
        ("301", drop_trigger("guard_roles", "users"), "no guard refused it"),
        ("509", grant("delete, update on public.users"), "grant update on public.users"),
        ("731", drop_constraint("users_roles_check"), "of public.users refused it"),
    ],
)
def test_what_let_it_through_is_named(
    stage: Connection[TupleRow], number: str, weakening: str, fault: str
) -> None:
    stage.execute(weakening.encode())
    assert any(fault in breach.fault for breach in tried(stage, number)[1])


def test_what_would_lock_the_table_is_told_and_not_done(stage: Connection[TupleRow]) -> None:
    stage.execute("grant truncate on public.audit_logs to service_role")
    _, [breach] = tried(stage, "211_truncate")
    assert breach.reached.startswith("1 row: may do it; it was not run")
    locks = stage.execute(
        "select mode from pg_locks where relation = 'public.audit_logs'::regclass"
        " and pid = pg_backend_pid() and mode in ('AccessExclusiveLock', 'ExclusiveLock')"
    ).fetchall()
    assert locks == []


def test_none_takes_a_lock_that_a_writer_would_meet(stage: Connection[TupleRow]) -> None:
    """Asked after each step: what it holds, and what it held until an error took it back."""
    held: set[str] = set()
    for attack in ALL.values():
        for table in ("public.projects", "public.audit_logs"):
            for _ in scenario_runner._tried(stage, attack, table, "org_id"):
                stage.execute("set local role none")
                rows = stage.execute(
                    "select l.mode from pg_locks as l inner join pg_class as c"
                    " on c.oid = l.relation where l.pid = pg_backend_pid()"
                    " and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')"
                ).fetchall()
                held |= {mode for (mode,) in rows}
    assert held <= {"AccessShareLock", "RowShareLock", "RowExclusiveLock"}


def test_a_run_leaves_nothing(stage: Connection[TupleRow]) -> None:
    def everything() -> list[TupleRow]:
        found: list[TupleRow] = []
        for table in ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs"):
            found += stage.execute(
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
            found += stage.execute(query).fetchall()
        return found

    scenario_runner.run(stage, "101")  # names the settings that it uses
    before = everything()
    scenario_runner.run(stage, None)
    assert everything() == before


def test_only_rows_of_the_two_organizations_are_written() -> None:
    """Each statement that changes rows names whose they are: nobody else's are ever locked."""
    for attack in ALL.values():
        for step in scenario.steps(attack):
            for change in re.split(r";\s*\n", step.sql):
                if re.match(r"(update|delete)\b", change.strip()):
                    assert re.search(r":'(org|away\.org|new_id)'|current of", change), attack.name


def test_one_can_be_tried_by_name(stage: Connection[TupleRow]) -> None:
    for only in ("101_read_by_key", "read_by_key", "101", "attacks/101_read_by_key"):
        assert [check.name for check in scenario_runner.run(stage, only)[0]] == ["101_read_by_key"]
    assert scenario_runner.run(stage, "nothing of that name") == ([], [])


def test_who_may_not_prepare_an_attack_is_told_so(stage: Connection[TupleRow]) -> None:
    """The connecting role need not own the tables: what it cannot try is no breach."""
    stage.execute("create role poor; grant poor to current_user with admin option")
    stage.execute("grant anon, authenticated, service_role to poor")
    stage.execute("set session authorization poor")
    check, breaches = tried(stage, "leaky_function")
    stage.execute("reset session authorization")
    assert breaches == []
    assert check.outcome.startswith("not tried: who connected may not prepare it")


def test_a_new_table_is_attacked_without_being_named(stage: Connection[TupleRow]) -> None:
    stage.execute(
        "create table public.invoices (org_id text, amount int);"
        "grant select on public.invoices to authenticated;"
        f"insert into public.invoices values ('{AWAY.id()}', 1)"
    )
    _, breaches = tried(stage, "101")
    assert {breach.subject for breach in breaches} == {"public.invoices"}


# --- the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_it_is_a_page_that_a_reviewer_can_read(name: str) -> None:
    attack = ALL[name]
    assert attack.title.endswith(".")
    assert attack.fields["safe"].endswith(".")
    assert attack.fields["source"]
    assert name.startswith(
        ("7",) if attack.folder == "invariants" else ("1", "2", "3", "4", "5", "6")
    )
    for step in scenario.steps(attack):
        assert step.actor is None or step.name != OWNER
        step.filled(step.sql, "public.projects", "org_id")


def test_numbers_are_given_once() -> None:
    numbers = [name[:3] for name in ALL]
    assert len(set(numbers)) == len(numbers)


def body(text: str) -> case_file.Sheet:
    head = "-- 999_try\n-- Somebody tries.\n-- safe: Refused.\n-- source: a page\n\n"
    return case_file.parse("attacks", "999_try", head + text, ("safe", "source"), ("each",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("select 1", "a step is `-- as:`, `-- expect:`, then SQL"),
        ("-- as: MEMBER\nselect 1", "a step is `-- as:`, `-- expect:`, then SQL"),
        ("select 1\n-- as: MEMBER\n-- expect: nothing\nselect 1", "a step is"),
        ("-- as: NOBODY\n-- expect: nothing\nselect 1", "there is no actor 'NOBODY'"),
        ("-- as: MEMBER, X\n-- expect: nothing\nselect 1", "there is no actor 'X'"),
        ("-- as: MEMBER\n-- expect: refusal\nselect 1", "nothing known can come of it: 'refusal'"),
        ("-- as: MEMBER\n-- expect: nothing 42501\nselect 1", "nothing known can come of it"),
    ],
)
def test_a_malformed_attack_is_refused_in_clear_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as refusal:
        scenario.steps(body(text))
    assert "attacks/999_try.sql" in str(refusal.value)


def test_an_attack_can_only_be_made_on_each_table() -> None:
    text = (
        "-- 999_try\n-- Somebody tries.\n-- safe: Refused.\n-- source: a page\n-- each: role\n\n"
        "-- as: MEMBER\n-- expect: nothing\nselect 1"
    )
    attack = case_file.parse("attacks", "999_try", text, ("safe", "source"), ("each",))
    with pytest.raises(ValueError, match="the only thing there is one of each of is a table"):
        scenario.steps(attack)


def test_a_step_reads_as_it_is_written() -> None:
    attack = body(
        "-- Why.\n-- as: MEMBER, owner\n-- expect: nothing, 42501\n-- if: true\n"
        "select 1;\nselect 2\n\n"
        "-- And then.\n-- as: OWNER of away\n-- expect: rows\n"
        "select :'me', :'away.org', 'x'::text from :table where :key = 'a'\n"
    )
    member, owner, other = scenario.steps(attack)
    assert (member.name, owner.name, other.name) == ("MEMBER", "owner", "OWNER of away")
    assert member.expected == owner.expected == ("nothing", "42501")
    assert (member.unless, member.sql) == ("true", "select 1;\nselect 2")
    assert owner.actor is None
    assert other.actor
    assert other.actor.name == "owner of away"
    assert other.filled(other.sql, "public.t", "org_id") == (
        f"select '{HOME.id('owner')}', '{AWAY.id()}', 'x'::text from public.t where org_id = 'a'"
    )
