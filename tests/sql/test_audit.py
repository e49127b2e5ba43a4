"""The audit log: it is only ever added to, and it writes itself."""

from __future__ import annotations

import psycopg
import pytest
from conftest import SERVICE, Caller, Database, act_as
from psycopg import Connection
from psycopg.rows import TupleRow

from .world import ADMIN, AWAY, HOME, MEMBER, OWNER, TABLES, UNLINKED, cuid

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
    """What this transaction has added, whoever is asking."""
    [(role,)] = conn.execute("select current_user").fetchall()
    conn.execute("reset role")
    found = conn.execute(
        "select org_id, actor_id, action, target_type, target_id, meta from public.audit_logs"
        " where created_at >= now()"
    ).fetchall()
    conn.execute(f'set local role "{role}"')
    return found


@pytest.mark.parametrize("table", AUDITED)
def test_an_insert_leaves_one_row_in_the_log(conn: Connection[TupleRow], table: str) -> None:
    org = NEW if table == "organizations" else HOME.id
    with act_as(conn, SERVICE):
        conn.execute(INSERTS[table])
        [(*entry, _meta)] = log(conn)
    assert entry == [org, None, "insert", table, NEW]


@pytest.mark.parametrize("table", AUDITED)
def test_an_update_leaves_one_row_that_names_columns_and_never_values(
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
def test_a_delete_leaves_one_row_in_the_log(conn: Connection[TupleRow], table: str) -> None:
    conn.execute(INSERTS[table])
    with act_as(conn, SERVICE):
        conn.execute(f"delete from public.{table} where org_id = %s and id = %s", [HOME.id, NEW])
        added = [entry[:5] for entry in log(conn) if entry[2] == "delete"]
    assert added == [(HOME.id, None, "delete", table, NEW)]


@pytest.mark.parametrize("table", AUDITED)
def test_a_change_that_changes_nothing_leaves_no_row(
    conn: Connection[TupleRow], table: str
) -> None:
    with act_as(conn, SERVICE):
        conn.execute(f"update public.{table} set id = id")
        assert log(conn) == []


@pytest.mark.parametrize("table", ["users", "projects"])
def test_a_change_of_updated_at_alone_leaves_no_row(conn: Connection[TupleRow], table: str) -> None:
    with act_as(conn, SERVICE):
        conn.execute(f"update public.{table} set updated_at = now()")
        assert log(conn) == []


def test_a_statement_that_fails_leaves_no_row(conn: Connection[TupleRow]) -> None:
    with act_as(conn, SERVICE):
        with pytest.raises(psycopg.errors.CheckViolation), conn.transaction():
            conn.execute("update public.projects set name = ''")
        assert log(conn) == []


@pytest.mark.parametrize(
    ("who", "actor"),
    [(OWNER, HOME.row("owner")), (ADMIN, HOME.row("admin")), (SERVICE, None)],
    ids=["owner", "admin", "service_role"],
)
def test_the_actor_is_who_did_it(
    conn: Connection[TupleRow], who: Caller, actor: str | None
) -> None:
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
def test_a_caller_from_elsewhere_is_no_actor_here(
    conn: Connection[TupleRow], stranger: Caller
) -> None:
    """service_role carrying a user's token, as a server that acts for a user does."""
    with act_as(conn, Caller("service for a user", "service_role", claims=stranger.claims)):
        conn.execute("insert into public.projects (org_id, name) values (%s, 'Another')", [HOME.id])
        conn.execute("update public.projects set name = 'Renamed' where org_id = %s", [HOME.id])
        assert {entry[1] for entry in log(conn)} == {None}


def test_service_role_acting_for_a_user_names_the_user(conn: Connection[TupleRow]) -> None:
    with act_as(conn, Caller("service for a user", "service_role", claims=MEMBER.claims)):
        conn.execute("update public.projects set name = 'Renamed' where org_id = %s", [HOME.id])
        assert {entry[1] for entry in log(conn)} == {HOME.row("member")}


def test_a_change_over_many_organizations_is_logged_in_each(conn: Connection[TupleRow]) -> None:
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
def test_even_the_owner_cannot_change_what_is_written(
    conn: Connection[TupleRow], statement: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation), conn.transaction():
        conn.execute(statement)


def test_a_row_of_the_log_keeps_its_actor_from_being_deleted(conn: Connection[TupleRow]) -> None:
    with act_as(conn, ADMIN):
        conn.execute("update public.projects set name = 'Renamed'")
        with act_as(conn, SERVICE), pytest.raises(psycopg.errors.ForeignKeyViolation):
            conn.execute(
                "delete from public.users where org_id = %s and id = %s",
                [HOME.id, HOME.row("admin")],
            )


def test_a_tenant_cannot_write_what_the_database_writes(conn: Connection[TupleRow]) -> None:
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
def test_no_spelling_passes_for_what_the_database_writes(
    conn: Connection[TupleRow], action: str
) -> None:
    statement = "insert into public.audit_logs (org_id, actor_id, action) values (%s, %s, %s)"
    with act_as(conn, OWNER), pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(statement, [HOME.id, HOME.row("owner"), action])


RETENTION = "select set_config('app.audit_retention', pg_current_xact_id()::text, true)"
PURGE = "delete from public.audit_logs where org_id = %s"


def test_retention_is_a_door_for_the_owner_who_asks_for_it(conn: Connection[TupleRow]) -> None:
    conn.execute(RETENTION)
    assert conn.execute(PURGE, [HOME.id]).rowcount > 0


@pytest.mark.parametrize("who", [OWNER, SERVICE], ids=["OWNER", "service_role"])
@pytest.mark.parametrize(
    "deed", [PURGE.replace("%s", f"'{HOME.id}'"), "truncate public.audit_logs"]
)
def test_retention_is_no_door_for_anybody_else(
    conn: Connection[TupleRow], who: Caller, deed: str
) -> None:
    """Not even for who was given every privilege and policy there is."""
    conn.execute("grant all on public.audit_logs to authenticated, service_role")
    conn.execute("create policy anything on public.audit_logs using (true) with check (true)")
    with act_as(conn, who):
        conn.execute(RETENTION)
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute(deed)


@pytest.mark.parametrize(
    "deed", ["update public.audit_logs set action = 'nothing'", "truncate public.audit_logs"]
)
def test_retention_lets_rows_go_one_by_one_and_nothing_else(
    conn: Connection[TupleRow], deed: str
) -> None:
    conn.execute(RETENTION)
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute(deed)


@pytest.mark.parametrize("local", [True, False], ids=["transaction", "session"])
def test_the_door_of_retention_is_shut_again_with_the_transaction(
    own_world: Database, local: bool
) -> None:
    with own_world.connect() as conn:
        with conn.transaction():
            conn.execute(RETENTION.replace("true", str(local).lower()))
            assert conn.execute(PURGE, [HOME.id]).rowcount > 0
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute(PURGE, [AWAY.id])
        conn.rollback()


def test_an_organization_with_history_is_not_deleted(conn: Connection[TupleRow]) -> None:
    conn.execute(INSERTS["organizations"])
    with act_as(conn, SERVICE), pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute("delete from public.organizations where id = %s", [NEW])
