"""Attempts to gain access beyond the granted rights; each test name states the expected result."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from conftest import ANON, SERVICE, Caller, Database, act_as
from psycopg import Connection
from psycopg.rows import TupleRow

from .fixture_rows import (
    ADMIN,
    AWAY,
    CALLERS,
    HOME,
    MEMBER,
    OWNER,
    STRANGER,
    TABLES,
    UNLINKED,
    cuid,
)

TENANT_TABLES = tuple(table for table in TABLES if table != "organizations")
REFUSED = "42501"
PROJECT = f"org_id = '{AWAY.id}' and id = '{AWAY.row('project')}'"


def key(table: str) -> str:
    """The column that holds the organization of a row."""
    return "id" if table == "organizations" else "org_id"


def outcome(conn: Connection[TupleRow], statement: str) -> list[TupleRow] | int | str:
    """Rows, the number of changed rows, or the SQLSTATE; the transaction survives an error."""
    try:
        with conn.transaction():
            cursor = conn.execute(statement)
            return cursor.fetchall() if cursor.description else cursor.rowcount
    except psycopg.Error as error:
        return error.sqlstate or str(error)


def refused(conn: Connection[TupleRow], statement: str) -> bool:
    """Whether the statement returned no rows, changed no rows, or was denied."""
    return outcome(conn, statement) in ([], 0, REFUSED)


# --- the callers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("who", CALLERS.values(), ids=CALLERS)
def test_no_caller_is_superuser_or_bypasses_row_security(
    conn: Connection[TupleRow], who: Caller
) -> None:
    """A precondition of all tests here: a superuser bypasses every policy, even with FORCE."""
    with act_as(conn, who):
        [(role, super_, bypass)] = conn.execute(
            "select current_user, rolsuper, rolbypassrls from pg_roles where rolname = current_user"
        ).fetchall()
        assert (role, super_, bypass) == (who.role, False, False)
        for table in TABLES:
            if who.role != "anon":
                query = f"select row_security_active('public.{table}')"
                assert conn.execute(query).fetchall() == [(True,)]
    assert conn.execute("select current_user = session_user").fetchall() == [(True,)]


# --- reading -------------------------------------------------------------------------------------

READS = {
    "by its key": "select * from public.{table} where {key} = '{org}'",
    "without a filter": "select * from public.{table} where {key} <> '{home}'",
    "as json": "select to_jsonb(t) from public.{table} as t"
    " where to_jsonb(t) ->> '{key}' = '{org}'",
    "as text": "select 1 from public.{table} as t where t::text like '%{org}%'",
    "by an aggregate": "select count(*) from public.{table} where {key} = '{org}'"
    " having count(*) > 0",
    "by a window": "select * from (select *, count(*) over () from public.{table}) as t"
    " where {key} = '{org}'",
    "by a join": "select t.* from public.organizations as o join public.{table} as t"
    " on t.{key} <> o.id",
    "by exists": "select 1 where exists (select from public.{table} where {key} = '{org}')",
    "by a lateral": "select t.* from (values ('{org}')) as v (org),"
    " lateral (select * from public.{table} where {key} = v.org) as t",
    "by a sample": "select * from public.{table} tablesample system (100) where {key} = '{org}'",
    "by a sample of rows": "select * from public.{table} tablesample bernoulli (100)"
    " where {key} = '{org}'",
    "from a recursive query": "with recursive r as (select {key} as k from public.{table} union"
    " select t.{key} from public.{table} as t, r) select * from r where k = '{org}'",
    "for update": "select * from public.{table} where {key} = '{org}' for update",
    "for key share": "select * from public.{table} where {key} = '{org}' for key share",
    "through a union": "select {key} from public.{table} where {key} = '{org}' union all"
    " select {key} from public.{table} where {key} = '{org}'",
    "from statistics": "select * from pg_stats"
    " where schemaname = 'public' and tablename = '{table}'",
}


@pytest.mark.parametrize("table", TABLES)
def test_member_cannot_read_another_org(conn: Connection[TupleRow], table: str) -> None:
    conn.execute("analyze")
    read = []
    for who in (OWNER, ADMIN, MEMBER):
        for name, query in READS.items():
            statement = query.format(table=table, key=key(table), org=AWAY.id, home=HOME.id)
            with act_as(conn, who):
                read += [f"{who.name} {name}"] if not refused(conn, statement) else []
    assert read == []


@pytest.mark.parametrize("table", TABLES)
def test_owner_sees_all_rows_of_own_org_and_no_others(
    conn: Connection[TupleRow], table: str
) -> None:
    """The tests above would also pass if no rows were visible at all."""
    query = f"select count(*), min({key(table)}), max({key(table)}) from public.{table}"
    mine = conn.execute(f"{query} where {key(table)} = %s", [HOME.id]).fetchall()
    with act_as(conn, OWNER):
        assert conn.execute(query).fetchall() == mine


@pytest.mark.parametrize("table", TABLES)
def test_row_of_another_org_cannot_be_read_by_ctid(conn: Connection[TupleRow], table: str) -> None:
    ctids = conn.execute(
        f"select ctid::text from public.{table} where {key(table)} = %s", [AWAY.id]
    ).fetchall()
    with act_as(conn, OWNER):
        for (ctid,) in ctids:
            assert refused(conn, f"select * from public.{table} where ctid = '{ctid}'")
            assert refused(conn, f"select * from public.{table} where ctid >= '{ctid}' limit 0")


@pytest.mark.parametrize("table", TABLES)
def test_copy_to_returns_only_rows_of_own_org(conn: Connection[TupleRow], table: str) -> None:
    for source in (f"public.{table}", f"(select * from public.{table})"):
        with act_as(conn, OWNER), conn.cursor() as cursor:
            with cursor.copy(f"copy {source} to stdout") as copy:
                text = b"".join(bytes(part) for part in copy).decode()
            assert HOME.id in text
            assert AWAY.id not in text


@pytest.mark.parametrize("table", ["projects", "audit_logs"])
def test_copy_from_is_rejected(conn: Connection[TupleRow], table: str) -> None:
    with (
        act_as(conn, OWNER),
        conn.cursor() as cursor,
        pytest.raises(psycopg.Error) as refusal,
        cursor.copy(f"copy public.{table} from stdin") as copy,
    ):
        copy.write("")
    assert refusal.value.sqlstate in (REFUSED, "0A000")


def test_cursor_is_not_available_to_the_next_tenant(conn: Connection[TupleRow]) -> None:
    """A cursor returns the rows of the tenant that opened it, and is closed for the next one."""
    with act_as(conn, AWAY.caller("member")):
        conn.execute("declare rows cursor for select org_id from public.projects order by id")
        seen = conn.execute("fetch all from rows").fetchall()
    assert {org for (org,) in seen} == {AWAY.id}
    with act_as(conn, MEMBER):
        assert outcome(conn, "fetch all from rows") == "34000"


def test_where_current_of_cannot_update_another_org(conn: Connection[TupleRow]) -> None:
    conn.execute(f"declare theirs cursor for select * from public.projects where {PROJECT}")
    conn.execute("fetch next from theirs")
    with act_as(conn, ADMIN):
        assert outcome(
            conn, "update public.projects set name = 'Taken' where current of theirs"
        ) in (0, REFUSED, "42P11", "24000")


LEAK = """
create function public.leak(value text) returns boolean
language plpgsql cost 0.0000001 as $$ begin raise notice '%', value; return true; end $$;
grant execute on function public.leak(text) to authenticated;
"""


@pytest.fixture
def notices(conn: Connection[TupleRow]) -> Iterator[list[str]]:
    """The notices that the server sends."""
    received: list[str] = []

    def receive(diagnostic: psycopg.errors.Diagnostic) -> None:
        received.append(diagnostic.message_primary or "")

    conn.add_notice_handler(receive)
    yield received
    conn.remove_notice_handler(receive)


@pytest.mark.parametrize("table", TABLES)
def test_leaky_function_sees_only_rows_of_own_org(
    conn: Connection[TupleRow], notices: list[str], table: str
) -> None:
    conn.execute(LEAK)
    with act_as(conn, OWNER):
        conn.execute(f"select * from public.{table} where public.leak({key(table)})")
    assert set(notices) == {HOME.id}


def test_leaky_operator_sees_only_rows_of_own_org(
    conn: Connection[TupleRow], notices: list[str]
) -> None:
    conn.execute(LEAK)
    conn.execute(
        "create function public.leak(a text, b text) returns boolean language sql"
        " cost 0.0000001 as 'select public.leak(a)'"
    )
    conn.execute("grant execute on function public.leak(text, text) to authenticated")
    conn.execute(
        "create operator public.~~~ (function = public.leak, leftarg = text, rightarg = text)"
    )
    with act_as(conn, OWNER):
        conn.execute("select * from public.projects where org_id operator(public.~~~) name")
        conn.execute(
            "update public.projects set name = name where org_id operator(public.~~~) name"
        )
    assert set(notices) == {HOME.id}


@pytest.mark.parametrize(
    "condition",
    [
        "1 / (case when org_id = '{org}' then 0 else 1 end) = 1",
        "case when org_id = '{org}' then name::int else 1 end = 1",
        "(case when org_id = '{org}' then name else '1' end)::int = 1",
        "jsonb_build_object('v', case when org_id = '{org}' then name::uuid end) is not null",
    ],
)
@pytest.mark.parametrize(
    "verb", ["select * from public.projects", "update public.projects set name = name"]
)
def test_error_does_not_reveal_values_of_another_org(
    conn: Connection[TupleRow], verb: str, condition: str
) -> None:
    with act_as(conn, ADMIN):
        statement = f"{verb} where {condition.format(org=AWAY.id)}"
        assert not isinstance(outcome(conn, statement), str)


# --- writing -------------------------------------------------------------------------------------

WRITES = {
    "update": f"update public.projects set name = 'Taken' where {PROJECT}",
    "update from": "update public.projects as p set name = 'Taken' from public.projects as q"
    f" where p.org_id = '{AWAY.id}' and p.id <> q.id",
    "insert": f"insert into public.projects (org_id, name) values ('{AWAY.id}', 'Planted')",
    "insert select": "insert into public.projects (org_id, name)"
    f" select '{AWAY.id}', name from public.projects",
    "writable with": f"with taken as (update public.projects set name = 'Taken' where {PROJECT}"
    " returning *) select * from taken",
    "planting with": "with planted as (insert into public.projects (org_id, name)"
    f" values ('{AWAY.id}', 'Planted') returning *) select * from planted",
    "merge, matched": "merge into public.projects as p"
    f" using (values ('{AWAY.id}', '{AWAY.row('project')}')) as v (org, id)"
    " on p.org_id = v.org and p.id = v.id when matched then update set name = 'Taken'",
    "merge, not matched": f"merge into public.projects as p using (values ('{AWAY.id}')) as v (org)"
    " on p.org_id = v.org"
    " when not matched then insert (org_id, name) values (v.org, 'Planted')",
    "upsert of an email": "insert into public.users (org_id, email, name) values"
    f" ('{HOME.id}', 'member@away.test', 'Taken') on conflict do nothing",
    "upsert into another org": "insert into public.users (org_id, email, name) values"
    f" ('{AWAY.id}', 'new@away.test', 'Taken')"
    " on conflict (org_id, id) do update set name = 'Taken'",
    "an agent": f"insert into public.ai_agents (org_id, type) values ('{AWAY.id}', 'spy')",
    "an owner": "insert into public.users (org_id, email, name, roles)"
    f" values ('{AWAY.id}', 'spy@home.test', 'Spy', '{{OWNER}}')",
    "a row in the log": "insert into public.audit_logs (org_id, actor_id, action)"
    f" values ('{AWAY.id}', '{HOME.row('owner')}', 'exported')",
    "a row in the log, as one of them": "insert into public.audit_logs (org_id, actor_id, action)"
    f" values ('{AWAY.id}', '{AWAY.row('owner')}', 'exported')",
    "the organization": f"update public.organizations set name = 'Taken' where id = '{AWAY.id}'",
    "do": f"do $$ begin update public.projects set name = 'Taken' where {PROJECT};"
    " if found then raise 'got through'; end if; end $$",
}


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
def test_tenant_cannot_write_to_another_org(conn: Connection[TupleRow], statement: str) -> None:
    before = conn.execute("select count(*) from public.audit_logs").fetchall()
    for who in (OWNER, ADMIN, MEMBER):
        with act_as(conn, who):
            assert outcome(conn, statement) in ([], 0, -1, REFUSED), who.name
            with act_as(conn, SERVICE):
                assert conn.execute("select count(*) from public.audit_logs").fetchall() == before


MOVES = {
    "out": f"update public.{{table}} set org_id = '{AWAY.id}' where org_id = '{HOME.id}'",
    "out, without a where": f"update public.{{table}} set org_id = '{AWAY.id}'",
    "in": f"update public.{{table}} set org_id = '{HOME.id}' where org_id = '{AWAY.id}'",
    "in, without a where": f"update public.{{table}} set org_id = '{HOME.id}'",
}


@pytest.mark.parametrize("table", TENANT_TABLES)
@pytest.mark.parametrize("statement", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("granted", [False, True], ids=["as it is", "were the column granted"])
def test_row_cannot_be_moved_to_another_org(
    conn: Connection[TupleRow], statement: str, table: str, granted: bool
) -> None:
    """The policies prevent it even if the column were granted."""
    count = f"select org_id, count(*) from public.{table} group by org_id order by org_id"
    if granted:
        conn.execute(f"grant update (org_id) on public.{table} to authenticated")
    for who in (OWNER, ADMIN, MEMBER):
        with act_as(conn, who):
            with act_as(conn, SERVICE):
                before = conn.execute(count).fetchall()
            result = outcome(conn, statement.format(table=table))
            assert granted or result == REFUSED
            with act_as(conn, SERVICE):
                assert conn.execute(count).fetchall() == before


def test_update_without_where_changes_only_own_org(conn: Connection[TupleRow]) -> None:
    for table, change in (("projects", "name = 'All'"), ("ai_agents", "type = 'all'")):
        with act_as(conn, OWNER):
            conn.execute(f"update public.{table} set {change}")
            with act_as(conn, SERVICE):
                changed = conn.execute(
                    f"select org_id from public.{table} where {change}"
                ).fetchall()
        assert {org for (org,) in changed} == {HOME.id}


def error_fields(conn: Connection[TupleRow], statement: str) -> tuple[str | None, ...]:
    """All fields of the error message, with the ids masked."""
    with pytest.raises(psycopg.Error) as refusal, conn.transaction():
        conn.execute(statement)
    diagnostic = refusal.value.diag
    texts = (
        diagnostic.sqlstate,
        diagnostic.message_primary,
        diagnostic.message_detail,
        diagnostic.message_hint,
        diagnostic.constraint_name,
    )
    return tuple(
        text and text.replace(AWAY.row("project"), "…").replace(cuid("absent"), "…")
        for text in texts
    )


@pytest.mark.parametrize("org", [HOME, AWAY], ids=["into own org", "into other org"])
def test_foreign_key_error_does_not_reveal_rows_of_another_org(
    conn: Connection[TupleRow], org: object
) -> None:
    place = HOME.id if org is HOME else AWAY.id
    statement = (
        "insert into public.workflows (org_id, project_id, gate)"
        " values ('{org}', '{project}', 'G1')"
    )
    with act_as(conn, MEMBER):
        there, absent = (
            error_fields(conn, statement.format(org=place, project=project))
            for project in (AWAY.row("project"), cuid("absent"))
        )
    assert there == absent
    assert there[0] == ("23503" if org is HOME else REFUSED)


def test_actor_of_another_org_is_rejected_like_a_missing_one(
    conn: Connection[TupleRow],
) -> None:
    statement = (
        "insert into public.audit_logs (org_id, actor_id, action) values ('{org}', '{who}', 'x')"
    )
    with act_as(conn, MEMBER):
        for place in (HOME.id, AWAY.id):
            there, absent = (
                error_fields(conn, statement.format(org=place, who=who))
                for who in (AWAY.row("member"), cuid("absent"))
            )
            assert there == absent
            assert there[0] == REFUSED


def test_service_role_cannot_reference_rows_across_orgs(conn: Connection[TupleRow]) -> None:
    """Foreign key checks ignore policies, so only their columns can keep tenants apart."""
    ties = (
        "insert into public.workflows (org_id, project_id, gate)"
        f" values ('{HOME.id}', '{AWAY.row('project')}', 'G1')",
        f"update public.workflows set project_id = '{AWAY.row('project')}'"
        f" where org_id = '{HOME.id}' and status <> 'approved'",
        "insert into public.audit_logs (org_id, actor_id, action)"
        f" values ('{HOME.id}', '{AWAY.row('member')}', 'x')",
    )
    with act_as(conn, SERVICE):
        for statement in ties:
            assert outcome(conn, statement) == "23503"


# --- privilege escalation ------------------------------------------------------------------------

PROMOTIONS = {
    "own row": "update public.users set roles = '{OWNER}' where auth_user_id = '%(me)s'",
    "own row, keeping roles": "update public.users set roles = roles || '{OWNER}'"
    " where auth_user_id = '%(me)s'",
    "all users": "update public.users set roles = '{OWNER}'",
    "another user": "update public.users set roles = '{OWNER,MEMBER}'"
    " where email = 'other_member@home.test'",
    "a new account": "insert into public.users (org_id, email, name, roles) values"
    " ('%(org)s', 'new@home.test', 'New', '{MEMBER,OWNER}')",
    "by a merge": "merge into public.users as u using (values (1)) as v on u.email like 'other_m%%'"
    " when matched then update set roles = '{OWNER}'",
}


@pytest.mark.parametrize("who", [ADMIN, MEMBER], ids=["ADMIN", "MEMBER"])
@pytest.mark.parametrize("statement", PROMOTIONS.values(), ids=PROMOTIONS)
def test_only_an_owner_can_grant_the_role_owner(
    conn: Connection[TupleRow], statement: str, who: Caller
) -> None:
    with act_as(conn, who):
        assert refused(conn, statement % {"me": who.sub, "org": HOME.id})


def test_member_cannot_become_admin(conn: Connection[TupleRow]) -> None:
    with act_as(conn, MEMBER):
        for roles in ("{ADMIN}", "{ADMIN,MEMBER}"):
            assert refused(conn, f"update public.users set roles = '{roles}'")


@pytest.mark.parametrize("roles", ["{ADMIN}", "{MEMBER}", "{OWNER,ADMIN}"])
def test_admin_cannot_change_roles_of_an_owner(conn: Connection[TupleRow], roles: str) -> None:
    with act_as(conn, ADMIN):
        statement = f"update public.users set roles = '{roles}' where 'OWNER' = any (roles)"
        assert refused(conn, statement)


def test_guard_roles_applies_if_every_policy_is_open(conn: Connection[TupleRow]) -> None:
    """It is the second lock, for roles that are changed and for users who are added with roles."""
    conn.execute(
        """
        do $$ declare name text; begin
            for name in select polname from pg_policy where polrelid = 'public.users'::regclass
            loop
                execute format('drop policy %I on public.users', name);
            end loop;
        end $$;
        create policy open on public.users using (true) with check (true)
        """
    )
    update = f"update public.users set roles = %s where org_id = '{HOME.id}' and %s = any (roles)"
    insert = (
        "insert into public.users (org_id, email, name, roles)"
        f" values ('{HOME.id}', 'new@home.test', 'New', %s)"
    )
    for who in (ADMIN, MEMBER, STRANGER, UNLINKED, AWAY.caller("owner")):
        with act_as(conn, who):
            for old, new in (
                ("OWNER", "{MEMBER}"),
                ("OWNER", "{OWNER,ADMIN}"),
                ("MEMBER", "{OWNER}"),
            ):
                statement = update.replace("%s", f"'{new}'", 1).replace("%s", f"'{old}'")
                assert outcome(conn, statement) == REFUSED, (who.name, statement)
            for new in ("{OWNER}", "{MEMBER,OWNER}", *(["{MEMBER}"] if who is not ADMIN else [])):
                assert outcome(conn, insert.replace("%s", f"'{new}'")) == REFUSED, (who.name, new)
            approved = (
                "insert into public.workflows (org_id, project_id, gate, status)"
                f" values ('{HOME.id}', '{HOME.row('project')}', 'G4', 'approved')"
            )
            assert outcome(conn, approved) == REFUSED, who.name


def test_admin_cannot_change_user_who_is_owner_and_member(
    conn: Connection[TupleRow],
) -> None:
    conn.execute(
        "update public.users set roles = '{MEMBER,OWNER}' where id = %s", [HOME.row("other_owner")]
    )
    with act_as(conn, ADMIN):
        where = f"where id = '{HOME.row('other_owner')}'"
        assert refused(conn, f"update public.users set name = 'Renamed' {where}")
        assert refused(conn, f"update public.users set roles = '{{MEMBER}}' {where}")


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "service_role"},
        {"org_id": AWAY.id},
        {"app_metadata": {"org_id": AWAY.id, "roles": ["OWNER"]}},
        {"user_metadata": {"roles": ["OWNER"]}, "roles": ["OWNER"]},
        {"user_role": "OWNER", "is_admin": True},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_claims_other_than_sub_are_ignored(
    conn: Connection[TupleRow], claims: dict[str, object]
) -> None:
    token = json.dumps({"sub": MEMBER.sub, "role": "authenticated", **claims})
    with act_as(conn, Caller("member with extra claims", "authenticated", claims=token)):
        assert outcome(conn, "select distinct org_id from public.projects") == [(HOME.id,)]
        assert refused(conn, "update public.projects set name = 'Taken'")
        assert refused(conn, "select * from public.audit_logs")
        assert refused(conn, "update public.users set roles = '{OWNER}'")


def test_demotion_takes_effect_with_the_next_statement(conn: Connection[TupleRow]) -> None:
    with act_as(conn, ADMIN):
        assert outcome(conn, "update public.projects set name = 'Renamed'") == 2
        conn.execute(
            "update public.users set roles = '{MEMBER}' where id = %s", [HOME.row("admin")]
        )
        assert refused(conn, "update public.projects set name = 'Again'")
        assert refused(conn, "select * from public.audit_logs")


def test_valid_token_has_no_access_after_user_is_unlinked(conn: Connection[TupleRow]) -> None:
    def unlink() -> None:
        conn.execute("reset role")
        conn.execute(
            "update public.users set auth_user_id = null where id = %s", [HOME.row("member")]
        )
        conn.execute("set local role authenticated")

    with act_as(conn, MEMBER):
        assert outcome(conn, "select count(*) from public.projects") == [(2,)]
        unlink()
        for table in TABLES:
            assert refused(conn, f"select * from public.{table}")
        assert refused(
            conn,
            f"insert into public.workflows (org_id, project_id, gate)"
            f" values ('{HOME.id}', '{HOME.row('project')}', 'G1')",
        )


# --- approval and audit log ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        f"status = 'approved', approver_id = '{HOME.row('owner')}'",
        "status = 'approved', approved_at = '2001-01-01'",
        f"approver_id = '{HOME.row('admin')}'",
        "approved_at = null",
    ],
)
def test_tenant_cannot_set_approver_or_approval_time(
    conn: Connection[TupleRow], change: str
) -> None:
    for who in (OWNER, ADMIN, MEMBER):
        with act_as(conn, who):
            assert outcome(conn, f"update public.workflows set {change}") == REFUSED


def test_approver_is_the_caller_even_with_column_grants(
    conn: Connection[TupleRow],
) -> None:
    conn.execute("grant update (approver_id, approved_at) on public.workflows to authenticated")
    with act_as(conn, ADMIN):
        conn.execute(
            "update public.workflows set status = 'approved', approver_id = %s,"
            " approved_at = '2001-01-01' where id = %s",
            [HOME.row("owner"), HOME.row("workflow")],
        )
        assert outcome(
            conn,
            "select approver_id, approved_at = now() from public.workflows"
            f" where id = '{HOME.row('workflow')}'",
        ) == [(HOME.row("admin"), True)]


def test_member_cannot_read_the_log_with_returning(conn: Connection[TupleRow]) -> None:
    statement = (
        "insert into public.audit_logs (org_id, actor_id, action)"
        f" values ('{HOME.id}', '{HOME.row('member')}', 'exported')"
    )
    with act_as(conn, MEMBER):
        assert outcome(conn, statement) == 1
        assert outcome(conn, f"{statement} returning *") == REFUSED


# --- creating objects ----------------------------------------------------------------------------

PLANTS = (
    "create table public.planted (id int)",
    "create table app.planted (id int)",
    "create view public.planted as select * from public.users",
    "create function public.planted() returns int language sql return 1",
    "create function app.caller_org(int) returns text language sql return 'x'",
    "create schema planted",
    "create or replace function app.caller_org() returns text language sql as 'select null'",
    "create trigger planted before insert on public.projects"
    " for each row execute function app.touch_updated_at()",
    "create rule planted as on insert to public.projects do instead nothing",
    "create policy planted on public.projects using (true)",
    "drop policy tenant_isolation on public.projects",
    "alter policy tenant_isolation on public.projects using (true)",
    "alter table public.projects disable row level security",
    "alter table public.projects no force row level security",
    "alter table public.audit_logs disable trigger all",
    "alter table public.projects add column planted int",
    "alter table public.projects owner to current_user",
    "drop table public.projects",
    "create index planted on public.projects (name)",
    "comment on table public.projects is 'mine'",
    "alter type public.user_role add value 'GOD'",
    "alter function app.caller_org() set search_path = public",
    "create table public.planted (org text references public.organizations (id))",
    "set session_replication_role = replica",
    "alter role authenticated bypassrls",
    "create statistics planted on name, status from public.projects",
    "copy public.projects to program 'true'",
    "select pg_read_file('PG_VERSION')",
    "vacuum full public.projects",
    "cluster public.projects using projects_pkey",
    "reindex table public.projects",
    "refresh materialized view public.planted",
    "security label on table public.projects is 'mine'",
)


@pytest.mark.parametrize("statement", PLANTS)
def test_callers_cannot_change_database_objects(conn: Connection[TupleRow], statement: str) -> None:
    for who in (OWNER, SERVICE, ANON):
        with act_as(conn, who):
            result = outcome(conn, statement)
        assert result in (REFUSED, "25001", "22023", "42P01", "0A000", "01007"), who.name


def test_callers_cannot_grant_their_privileges(conn: Connection[TupleRow]) -> None:
    """PostgreSQL only warns, so check that nothing was granted."""
    for who in (OWNER, SERVICE):
        with act_as(conn, who):
            for right in ("select", "insert", "update (name)"):
                conn.execute(f"grant {right} on public.projects to anon")
            conn.execute("grant execute on function app.caller_org() to anon")
            conn.execute("grant usage on schema app to anon")
            assert conn.execute(
                "select has_table_privilege('anon', 'public.projects', 'select'),"
                " has_any_column_privilege('anon', 'public.projects', 'insert, update'),"
                " has_schema_privilege('anon', 'app', 'usage'),"
                " has_function_privilege('anon', 'app.caller_org()', 'execute')"
            ).fetchall() == [(False, False, False, False)]


def test_row_security_off_raises_an_error(
    conn: Connection[TupleRow],
) -> None:
    with act_as(conn, OWNER):
        conn.execute("set local row_security = off")
        for table in TABLES:
            assert outcome(conn, f"select * from public.{table}") == REFUSED


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("who", [OWNER, ANON], ids=["OWNER", "anon"])
def test_tenant_cannot_lock_a_table(conn: Connection[TupleRow], who: Caller, table: str) -> None:
    modes = ("row share", "row exclusive", "share update exclusive", "share")
    with act_as(conn, who):
        for mode in (*modes, "share row exclusive", "exclusive", "access exclusive"):
            result = outcome(conn, f"lock table public.{table} in {mode} mode nowait")
            if mode == "row share" and who is OWNER:  # what any `select … for share` takes
                continue
            assert result == REFUSED, mode


SHADOWS = {
    "the type uuid": "create domain pg_temp.uuid as text check (pg_temp.spy(value))",
    "the type text": "create domain pg_temp.text as pg_catalog.text check (pg_temp.spy(value))",
    "the type jsonb": "create domain pg_temp.jsonb as pg_catalog.jsonb"
    " check (pg_temp.spy(value::text))",
    "the type user_role": "create domain pg_temp.user_role as text check (pg_temp.spy(value))",
    "the type regrole": "create domain pg_temp.regrole as text check (pg_temp.spy(value))",
    "the table users": "create temp table users (org_id text, id text, roles text[],"
    " auth_user_id uuid)",
    "the table organizations": "create temp table organizations (id text, name text)",
    "the table audit_logs": "create temp table audit_logs (org_id text, actor_id text)",
    "the table pg_class": "create temp table pg_class (oid oid, relowner oid)",
    "a view users": "create temp view users as select * from public.users",
    "the function uid": "create function pg_temp.uid() returns uuid language sql"
    f" return '{AWAY.auth('owner')}'::uuid",
    "the function now": "create function pg_temp.now() returns timestamptz language sql"
    " return '2001-01-01'::timestamptz",
    "the function current_setting": "create function pg_temp.current_setting(text, boolean)"
    " returns text language sql return 'x'",
    "the operator =": "create operator pg_temp.= (function = pg_temp.same, leftarg = text,"
    " rightarg = text)",
}


@pytest.mark.parametrize("shadow", SHADOWS.values(), ids=SHADOWS)
@pytest.mark.parametrize(
    "path", ["", "pg_temp, pg_catalog, public, app, auth"], ids=["as is", "first"]
)
def test_shadowing_object_in_pg_temp_never_runs_as_owner(
    new_conn: Connection[TupleRow], shadow: str, path: str
) -> None:
    """With TEMPORARY granted, in a session that has not compiled any function yet."""
    conn = new_conn
    conn.execute("select set_config('spy.owner', current_user, false)")
    conn.execute(
        "do $$ begin execute format('grant temporary on database %I to authenticated',"
        " current_database()); end $$"
    )
    with act_as(conn, ADMIN):
        conn.execute(
            "create function pg_temp.spy(pg_catalog.text) returns boolean language plpgsql as $$"
            " begin if current_user <> 'authenticated'"
            " then raise exception using errcode = 'ZZ999'; end if; return true; end $$"
        )
        conn.execute(
            "create function pg_temp.same(pg_catalog.text, pg_catalog.text) returns boolean"
            " language sql return pg_temp.spy($1)"
        )
        created = outcome(conn, shadow)
        assert not isinstance(created, str), created
        if path:
            conn.execute(f"set local search_path = {path}")
        for table in TABLES:
            seen = outcome(conn, f"select distinct {key(table)} from public.{table}")
            assert seen == [(HOME.id,)], table
        assert outcome(conn, "update public.projects set name = 'Renamed'::pg_catalog.text") == 2
        approve = "update public.workflows set status = 'approved' where gate = 'G1'"
        assert outcome(conn, approve) == 1
        promote = f"update public.users set roles = '{{OWNER}}' where auth_user_id = '{ADMIN.sub}'"
        assert outcome(conn, promote) == REFUSED
        with act_as(conn, SERVICE):
            added = conn.execute(
                "select distinct org_id, actor_id, target_type from public.audit_logs"
                " where created_at >= pg_catalog.now() and action = 'update' order by 3"
            ).fetchall()
        admin = HOME.row("admin")
        assert added == [(HOME.id, admin, "projects"), (HOME.id, admin, "workflows")]


# --- claims --------------------------------------------------------------------------------------

MALFORMED = {
    "empty": "",
    "not json": "nonsense",
    "an array": "[]",
    "a number": "1",
    "null": "null",
    "a string": f'"{MEMBER.sub}"',
    "an array with a token": f'[{{"sub": "{MEMBER.sub}"}}]',
    "no sub": "{}",
    "sub is null": '{"sub": null}',
    "sub is empty": '{"sub": ""}',
    "sub is a number": '{"sub": 1}',
    "sub is an object": '{"sub": {}}',
    "sub is no uuid": '{"sub": "me"}',
    "sub is unknown": '{"sub": "00000000-0000-0000-0000-000000000000"}',
    "sub is sql": '{"sub": "\' or true --"}',
    "sub is an id": json.dumps({"sub": HOME.row("owner")}),
    "sub is in another case": json.dumps({"SUB": MEMBER.sub}),
}


@pytest.mark.parametrize("claims", MALFORMED.values(), ids=MALFORMED)
def test_malformed_claims_give_no_access(conn: Connection[TupleRow], claims: str) -> None:
    with act_as(conn, Caller("no user", "authenticated", claims=claims or " ")):
        conn.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        for table in TABLES:
            result = outcome(conn, f"select * from public.{table}")
            assert result == [] or (isinstance(result, str) and result[:2] in ("22", "42"))
        plant = f"insert into public.projects (org_id, name) values ('{HOME.id}', 'Planted')"
        result = outcome(conn, plant)
        assert isinstance(result, str)
        assert result[:2] in ("22", "42")


def test_missing_claims_give_no_access(own_database: Database) -> None:
    """A connection in which the setting was never set, so that it is null and not ''."""
    with own_database.connect() as conn:
        conn.execute("set local role authenticated")
        for table in TABLES:
            assert outcome(conn, f"select * from public.{table}") == []
        conn.rollback()


@pytest.mark.parametrize("who", [STRANGER, UNLINKED, ANON], ids=["stranger", "unlinked", "anon"])
def test_caller_without_user_row_sees_nothing(conn: Connection[TupleRow], who: Caller) -> None:
    with act_as(conn, who):
        for table in TABLES:
            assert refused(conn, f"select * from public.{table}")


def test_null_sub_does_not_match_unlinked_users(conn: Connection[TupleRow]) -> None:
    """A caller without sub must not match unlinked users by comparing null with null."""
    with act_as(conn, Caller("no sub", "authenticated", claims='{"sub": null}')):
        assert refused(conn, "select * from public.users where auth_user_id is null")


def test_anon_cannot_call_functions_or_read_tables(conn: Connection[TupleRow]) -> None:
    functions = conn.execute(
        "select oid::regprocedure::text from pg_proc"
        " where pronamespace::regnamespace::text in ('app', 'auth') and pronargs = 0"
        " and prorettype <> 'trigger'::regtype"
    ).fetchall()
    assert functions
    with act_as(conn, ANON):
        for (function,) in functions:
            assert outcome(conn, f"select {function}") == REFUSED
        for table in TABLES:
            assert outcome(conn, f"select from public.{table}") == REFUSED
            assert outcome(conn, f"select count(*) from public.{table}") == REFUSED
            assert outcome(conn, f"copy public.{table} to stdout") == REFUSED


# --- shared connections --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan", "auto"])
def test_prepared_plan_uses_the_current_tenant(conn: Connection[TupleRow], mode: str) -> None:
    conn.execute(f"set plan_cache_mode = {mode}")
    conn.execute("prepare rows as select distinct org_id from public.projects")
    expected = {MEMBER: [(HOME.id,)], AWAY.caller("member"): [(AWAY.id,)], STRANGER: []}
    for _ in range(7):
        for who, seen in expected.items():
            with act_as(conn, who):
                assert conn.execute("execute rows").fetchall() == seen
        with act_as(conn, SERVICE):
            assert len(conn.execute("execute rows").fetchall()) == 2
        assert outcome(conn, "execute rows") != []
    conn.execute("deallocate rows")


def test_cached_function_plan_uses_the_current_tenant(
    conn: Connection[TupleRow],
) -> None:
    conn.execute(
        "create function public.mine() returns setof text language plpgsql as"
        " $$ begin return query select distinct org_id from public.projects; end $$"
    )
    conn.execute("grant execute on function public.mine() to authenticated")
    for _ in range(7):
        for org in (HOME, AWAY):
            with act_as(conn, org.caller("member")):
                assert conn.execute("select public.mine()").fetchall() == [(org.id,)]


def test_claims_do_not_persist_in_a_pooled_connection(own_database: Database) -> None:
    with own_database.connect() as conn:
        with conn.transaction():
            conn.execute("set local role authenticated")
            conn.execute("select set_config('request.jwt.claims', %s, true)", [MEMBER.claims])
            assert outcome(conn, "select distinct org_id from public.projects") == [(HOME.id,)]
        with conn.transaction():
            conn.execute("set local role authenticated")
            assert outcome(conn, "select * from public.projects") == []
            assert refused(
                conn, f"insert into public.projects (org_id, name) values ('{HOME.id}', 'Left')"
            )


def test_request_claims_override_session_claims(
    conn: Connection[TupleRow],
) -> None:
    """A client set claims for the session, then the next request sets its own."""
    conn.execute(
        "select set_config('request.jwt.claims', %s, false)", [AWAY.caller("owner").claims]
    )
    with act_as(conn, MEMBER):
        assert outcome(conn, "select distinct org_id from public.projects") == [(HOME.id,)]
