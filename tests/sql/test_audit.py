"""The audit log: append-only, and written by triggers."""

from __future__ import annotations

import psycopg
import pytest
from conftest import SERVICE, Caller, Database, act_as
from psycopg import Connection
from psycopg.rows import TupleRow

from .fixture_rows import ADMIN, AWAY, HOME, MEMBER, OWNER, TABLES, UNLINKED, cuid

AUDITED = tuple(table for table in TABLES if table != "audit_logs")
Entry = tuple[str, str | None, str, str, str]

NEW = cuid("new")
INSERTS = {
    "organizations": f"insert into public.organizations (id, name) values ('{NEW}', 'New')",
    "users": "insert into public.users (id, org_id, email, name, roles)"
    f" values ('{NEW}', '{HOME.id}', 'new@home.test', 'New', '{{MEMBER}}')",
    "projects": "insert into public.projects (id, org_id, name)"
    f" values ('{NEW}', '{HOME.id}', 'New')",
    "workflows": "insert into public.workflows (id, org_id, project_id, gate)"
    f" values ('{NEW}', '{HOME.id}', '{HOME.row('project')}', 'G3')",
    "ai_agents": "insert into public.ai_agents (id, org_id, type)"
    f" values ('{NEW}', '{HOME.id}', 'researcher')",
}
CHANGES = {
    "organizations": "name = 'Secret'",
    "users": "name = 'Secret'",
    "projects": "name = 'Secret'",
    "workflows": "metadata = '{\"Secret\": 1}'",
    "ai_agents": "type = 'Secret'",
}


def log(conn: Connection[TupleRow]) -> list[TupleRow]:
    """The audit rows that this transaction added, read as superuser."""
    [(role,)] = conn.execute("select current_user").fetchall()
    conn.execute("reset role")
    found = conn.execute(
        "select org_id, actor_id, action, target_type, target_id, meta from public.audit_logs"
        " where created_at >= now()"
    ).fetchall()
    conn.execute(f'set local role "{role}"')
    return found


@pytest.mark.parametrize("table", AUDITED)
def test_insert_adds_one_audit_row(conn: Connection[TupleRow], table: str) -> None:
    org = NEW if table == "organizations" else HOME.id
    with act_as(conn, SERVICE):
        conn.execute(INSERTS[table])
        [(*entry, _meta)] = log(conn)
    assert entry == [org, None, "insert", table, NEW]


@pytest.mark.parametrize("table", AUDITED)
def test_update_adds_one_audit_row_with_column_names_and_no_values(
    conn: Connection[TupleRow], table: str
) -> None:
    row = {
        "organizations": HOME.id,
        "users": HOME.row("member"),
        "projects": HOME.row("project"),
        "workflows": HOME.row("workflow"),
        "ai_agents": HOME.row("agent"),
    }[table]
    with act_as(conn, SERVICE):
        conn.execute(f"update public.{table} set {CHANGES[table]} where id = %s", [row])
        [(*entry, meta)] = log(conn)
    assert entry == [HOME.id, None, "update", table, row]
    assert meta == {"columns": [CHANGES[table].split(" ")[0]]}


@pytest.mark.parametrize("table", AUDITED[1:])
def test_delete_adds_one_audit_row(conn: Connection[TupleRow], table: str) -> None:
    conn.execute(INSERTS[table])
    with act_as(conn, SERVICE):
        conn.execute(f"delete from public.{table} where org_id = %s and id = %s", [HOME.id, NEW])
        added = [entry[:5] for entry in log(conn) if entry[2] == "delete"]
    assert added == [(HOME.id, None, "delete", table, NEW)]


@pytest.mark.parametrize("table", AUDITED)
def test_update_without_changes_adds_no_audit_row(conn: Connection[TupleRow], table: str) -> None:
    with act_as(conn, SERVICE):
        conn.execute(f"update public.{table} set id = id")
        assert log(conn) == []


@pytest.mark.parametrize("table", ["users", "projects"])
def test_update_of_updated_at_alone_adds_no_audit_row(
    conn: Connection[TupleRow], table: str
) -> None:
    with act_as(conn, SERVICE):
        conn.execute(f"update public.{table} set updated_at = now()")
        assert log(conn) == []


def test_failed_statement_adds_no_audit_row(conn: Connection[TupleRow]) -> None:
    with act_as(conn, SERVICE):
        with pytest.raises(psycopg.errors.CheckViolation), conn.transaction():
            conn.execute("update public.projects set name = ''")
        assert log(conn) == []


@pytest.mark.parametrize(
    ("who", "actor"),
    [(OWNER, HOME.row("owner")), (ADMIN, HOME.row("admin")), (SERVICE, None)],
    ids=["owner", "admin", "service_role"],
)
def test_actor_is_the_caller(conn: Connection[TupleRow], who: Caller, actor: str | None) -> None:
    with act_as(conn, who):
        conn.execute(
            "insert into public.projects (org_id, name) values (%s, 'One'), (%s, 'Two')",
            [HOME.id, HOME.id],
        )
        assert [entry[1] for entry in log(conn)] == [actor, actor]
    with act_as(conn, who):
        conn.execute(
            "update public.projects set name = 'Renamed' where org_id = %s and id = %s",
            [HOME.id, HOME.row("project")],
        )
        assert [entry[1] for entry in log(conn)] == [actor]


@pytest.mark.parametrize("stranger", [AWAY.caller("owner"), UNLINKED], ids=["away", "unlinked"])
def test_actor_is_null_for_a_caller_outside_the_organization(
    conn: Connection[TupleRow], stranger: Caller
) -> None:
    """service_role with a user's token, as used by a server that acts for a user."""
    with act_as(conn, Caller("service for a user", "service_role", claims=stranger.claims)):
        conn.execute("insert into public.projects (org_id, name) values (%s, 'Another')", [HOME.id])
        conn.execute("update public.projects set name = 'Renamed' where org_id = %s", [HOME.id])
        assert {entry[1] for entry in log(conn)} == {None}


def test_service_role_with_a_user_token_records_that_user(conn: Connection[TupleRow]) -> None:
    with act_as(conn, Caller("service for a user", "service_role", claims=MEMBER.claims)):
        conn.execute("update public.projects set name = 'Renamed' where org_id = %s", [HOME.id])
        assert {entry[1] for entry in log(conn)} == {HOME.row("member")}


def test_update_across_organizations_is_recorded_in_each(conn: Connection[TupleRow]) -> None:
    with act_as(conn, SERVICE):
        conn.execute("update public.ai_agents set config = '{\"a\": 1}'")
        added = sorted((org, target) for org, _, _, _, target, _ in log(conn))
    assert added == sorted((org.id, org.row("agent")) for org in (HOME, AWAY))


@pytest.mark.parametrize(
    "statement",
    [
        "update public.audit_logs set action = 'nothing'",
        "update public.audit_logs set meta = meta",
        "delete from public.audit_logs",
        "truncate public.audit_logs",
        "truncate public.organizations cascade",
    ],
)
def test_table_owner_cannot_change_audit_rows(conn: Connection[TupleRow], statement: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation), conn.transaction():
        conn.execute(statement)


def test_user_with_audit_rows_cannot_be_deleted(conn: Connection[TupleRow]) -> None:
    with act_as(conn, ADMIN):
        conn.execute("update public.projects set name = 'Renamed'")
        with act_as(conn, SERVICE), pytest.raises(psycopg.errors.ForeignKeyViolation):
            conn.execute(
                "delete from public.users where org_id = %s and id = %s",
                [HOME.id, HOME.row("admin")],
            )


def test_tenant_cannot_insert_reserved_audit_actions(conn: Connection[TupleRow]) -> None:
    for action in ("insert", "update", "delete"):
        with act_as(conn, OWNER):
            statement = (
                "insert into public.audit_logs (org_id, actor_id, action, target_type, target_id)"
                " values (%s, %s, %s, 'projects', %s)"
            )
            values = [HOME.id, HOME.row("owner"), action, HOME.row("project")]
            with pytest.raises(psycopg.Error) as refusal:
                conn.execute(statement, values)
        assert refusal.value.sqlstate in ("42501", "23514"), action


@pytest.mark.parametrize("action", ["INSERT", "Update", " delete", "insert ", "", "\u0131nsert"])
def test_malformed_audit_action_is_rejected(conn: Connection[TupleRow], action: str) -> None:
    statement = "insert into public.audit_logs (org_id, actor_id, action) values (%s, %s, %s)"
    with act_as(conn, OWNER), pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(statement, [HOME.id, HOME.row("owner"), action])


RETENTION = "select set_config('app.audit_retention', pg_current_xact_id()::text, true)"
PURGE = "delete from public.audit_logs where org_id = %s"


def test_owner_can_delete_audit_rows_with_retention_setting(conn: Connection[TupleRow]) -> None:
    conn.execute(RETENTION)
    assert conn.execute(PURGE, [HOME.id]).rowcount > 0


@pytest.mark.parametrize("who", [OWNER, SERVICE], ids=["OWNER", "service_role"])
@pytest.mark.parametrize(
    "statement", [PURGE.replace("%s", f"'{HOME.id}'"), "truncate public.audit_logs"]
)
def test_retention_setting_has_no_effect_for_other_roles(
    conn: Connection[TupleRow], who: Caller, statement: str
) -> None:
    """Not even for a role that has every privilege and a policy that allows everything."""
    conn.execute("grant all on public.audit_logs to authenticated, service_role")
    conn.execute("create policy anything on public.audit_logs using (true) with check (true)")
    with act_as(conn, who):
        conn.execute(RETENTION)
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute(statement)


@pytest.mark.parametrize(
    "statement", ["update public.audit_logs set action = 'nothing'", "truncate public.audit_logs"]
)
def test_retention_setting_allows_only_delete(conn: Connection[TupleRow], statement: str) -> None:
    conn.execute(RETENTION)
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(statement)


@pytest.mark.parametrize("local", [True, False], ids=["transaction", "session"])
def test_retention_setting_expires_with_the_transaction(
    own_database: Database, local: bool
) -> None:
    with own_database.connect() as conn:
        with conn.transaction():
            conn.execute(RETENTION.replace("true", str(local).lower()))
            assert conn.execute(PURGE, [HOME.id]).rowcount > 0
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute(PURGE, [AWAY.id])
        conn.rollback()


def test_organization_with_audit_rows_cannot_be_deleted(conn: Connection[TupleRow]) -> None:
    conn.execute(INSERTS["organizations"])
    with act_as(conn, SERVICE), pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute("delete from public.organizations where id = %s", [NEW])
