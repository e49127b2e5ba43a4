"""Invariants that the database enforces for every role, including service_role and the owner."""

from __future__ import annotations

import re

import psycopg
import pytest
from conftest import SERVICE, Caller, act_as
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from .fixture_rows import ADMIN, AWAY, HOME, MEMBER, OWNER, cuid

REFUSED = "42501"
INVARIANT = "23514"
OWNERS = (HOME.row("owner"), HOME.row("other_owner"))
WORKFLOW, APPROVED = HOME.row("workflow"), HOME.row("approved_workflow")


def sqlstate(conn: Connection[TupleRow], statement: str, *values: object) -> str | None:
    """The SQLSTATE of the error, or None if the statement succeeded (it is rolled back)."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(statement, values or None)
            conn.execute("set constraints all immediate")
    except psycopg.Error as error:
        return error.sqlstate
    return None


# --- the last owner ------------------------------------------------------------------------------


def keep_one_owner(conn: Connection[TupleRow]) -> str:
    """Leave HOME with one owner who has not approved or logged anything, and return the id."""
    conn.execute(
        "update public.users set roles = '{ADMIN}' where org_id = %s and id = %s",
        [HOME.id, OWNERS[1]],
    )
    return OWNERS[0]


@pytest.mark.parametrize(
    "statement",
    [
        "update public.users set roles = '{ADMIN}' where org_id = %s and id = %s",
        "update public.users set roles = '{MEMBER,ADMIN}' where org_id = %s and id = %s",
        f"update public.users set org_id = '{AWAY.id}' where org_id = %s and id = %s",
        "delete from public.users where org_id = %s and id = %s",
    ],
)
@pytest.mark.parametrize("as_service_role", [True, False], ids=["service_role", "superuser"])
def test_last_owner_cannot_be_removed(
    conn: Connection[TupleRow], statement: str, as_service_role: bool
) -> None:
    last = keep_one_owner(conn)
    if as_service_role:
        with act_as(conn, SERVICE):
            assert sqlstate(conn, statement, HOME.id, last) == INVARIANT
    else:
        assert sqlstate(conn, statement, HOME.id, last) == INVARIANT


def test_last_owner_cannot_step_down(conn: Connection[TupleRow]) -> None:
    last = keep_one_owner(conn)
    with act_as(conn, OWNER):
        statement = "update public.users set roles = '{ADMIN}' where org_id = %s and id = %s"
        assert sqlstate(conn, statement, HOME.id, last) == INVARIANT


def test_all_owners_cannot_be_demoted_in_one_statement(conn: Connection[TupleRow]) -> None:
    statement = "update public.users set roles = '{MEMBER}' where org_id = %s"
    assert sqlstate(conn, statement, HOME.id) == INVARIANT
    with act_as(conn, OWNER):
        assert sqlstate(conn, statement, HOME.id) in (INVARIANT, REFUSED)


def test_ownership_can_be_transferred_in_one_statement(conn: Connection[TupleRow]) -> None:
    swap = (
        "update public.users set roles = case when id = %s then '{OWNER}' else '{MEMBER}'"
        " end::public.user_role[] where org_id = %s"
    )
    assert sqlstate(conn, swap, HOME.row("member"), HOME.id) is None


def test_owner_can_step_down_while_another_remains(conn: Connection[TupleRow]) -> None:
    with act_as(conn, OWNER):
        statement = "update public.users set roles = '{MEMBER}' where org_id = %s and id = %s"
        assert sqlstate(conn, statement, HOME.id, OWNERS[0]) is None


def test_owner_of_another_organization_does_not_count(conn: Connection[TupleRow]) -> None:
    last = keep_one_owner(conn)
    statement = "update public.users set roles = '{ADMIN}' where org_id = %s and id = %s"
    assert sqlstate(conn, statement, HOME.id, last) == INVARIANT


@pytest.mark.parametrize(
    ("remove", "restore"),
    [
        (
            "delete from public.organizations where id = %(org)s",
            "insert into public.organizations (id, name) values (%(org)s, 'Home')",
        ),
        (
            "update public.organizations set id = %(new)s where id = %(org)s",
            "update public.organizations set id = %(org)s where id = %(new)s",
        ),
    ],
    ids=["deleted and recreated", "renamed and renamed back"],
)
@pytest.mark.parametrize("as_service_role", [True, False], ids=["service_role", "superuser"])
def test_recreating_an_organization_cannot_remove_its_owners(
    conn: Connection[TupleRow], remove: str, restore: str, as_service_role: bool
) -> None:
    """With deferred foreign keys, the row could be removed and restored in one transaction."""
    ids = {"org": HOME.id, "new": cuid("elsewhere")}
    with conn.transaction(force_rollback=True):
        if as_service_role:
            conn.execute("set local role service_role")
        with pytest.raises(psycopg.errors.IntegrityError):
            conn.execute("set constraints all deferred")
            conn.execute(remove, ids)
            conn.execute("update public.users set roles = '{MEMBER}' where org_id = %(org)s", ids)
            conn.execute(restore, ids)
            conn.execute("set constraints all immediate")


# --- approval ------------------------------------------------------------------------------------


def approval(conn: Connection[TupleRow], workflow: str) -> TupleRow | None:
    return conn.execute(
        "select status, approver_id, approved_at = now(), approved_at is null"
        " from public.workflows where org_id = %s and id = %s",
        [HOME.id, workflow],
    ).fetchone()


def set_status(conn: Connection[TupleRow], workflow: str, status: str) -> None:
    conn.execute(
        "update public.workflows set status = %s where org_id = %s and id = %s",
        [status, HOME.id, workflow],
    )


@pytest.mark.parametrize("person", ["owner", "admin"])
def test_approval_records_caller_and_time(conn: Connection[TupleRow], person: str) -> None:
    with act_as(conn, HOME.caller(person)):
        set_status(conn, WORKFLOW, "approved")
        assert approval(conn, WORKFLOW) == ("approved", HOME.row(person), True, False)


@pytest.mark.parametrize("status", ["pending", "in_review", "rejected"])
def test_unapproving_clears_approver_and_time(conn: Connection[TupleRow], status: str) -> None:
    with act_as(conn, ADMIN):
        set_status(conn, APPROVED, status)
        assert approval(conn, APPROVED) == (status, None, None, True)


@pytest.mark.parametrize("status", ["pending", "in_review", "rejected"])
def test_member_cannot_unapprove(conn: Connection[TupleRow], status: str) -> None:
    with act_as(conn, MEMBER), pytest.raises(psycopg.errors.InsufficientPrivilege):
        set_status(conn, APPROVED, status)


def test_approval_without_caller_requires_an_approver(conn: Connection[TupleRow]) -> None:
    statement = "update public.workflows set status = 'approved' where org_id = %s and id = %s"
    with act_as(conn, SERVICE):
        assert sqlstate(conn, statement, HOME.id, WORKFLOW) == INVARIANT
    assert sqlstate(conn, statement, HOME.id, WORKFLOW) == INVARIANT


def test_service_role_with_a_user_token_is_not_a_tenant(
    conn: Connection[TupleRow],
) -> None:
    """Whether a caller is a tenant depends on the role, not on the token."""
    with act_as(conn, Caller("service for a user", "service_role", claims=MEMBER.claims)):
        conn.execute(
            "update public.workflows set status = 'approved', approver_id = %s"
            " where org_id = %s and id = %s",
            [OWNERS[0], HOME.id, WORKFLOW],
        )
        assert approval(conn, WORKFLOW) == ("approved", OWNERS[0], True, False)
        set_status(conn, APPROVED, "pending")


@pytest.mark.parametrize(
    ("approver", "outcome"),
    [
        (HOME.row("owner"), {None}),
        (HOME.row("admin"), {None}),
        (HOME.row("member"), {INVARIANT}),
        (AWAY.row("owner"), {INVARIANT, "23503"}),
        (cuid("missing"), {INVARIANT, "23503"}),
    ],
    ids=["owner", "admin", "member", "owner of another organization", "missing"],
)
def test_approver_set_without_caller_is_validated(
    conn: Connection[TupleRow], approver: str, outcome: set[str | None]
) -> None:
    with act_as(conn, SERVICE):
        statement = (
            "update public.workflows set status = 'approved', approver_id = %s"
            " where org_id = %s and id = %s"
        )
        assert sqlstate(conn, statement, approver, HOME.id, WORKFLOW) in outcome
        new = (
            "insert into public.workflows (org_id, project_id, gate, status, approver_id)"
            " values (%s, %s, 'G5', 'approved', %s)"
        )
        assert sqlstate(conn, new, HOME.id, HOME.row("project"), approver) in outcome


@pytest.mark.parametrize(
    "change",
    ["gate = 'G7'", f"project_id = '{HOME.row('idle_project')}'", "metadata = '{\"a\": 1}'"],
)
@pytest.mark.parametrize("as_service_role", [True, False], ids=["service_role", "superuser"])
def test_approved_workflow_cannot_change(
    conn: Connection[TupleRow], change: str, as_service_role: bool
) -> None:
    statement = f"update public.workflows set {change} where org_id = %s and id = %s"
    if as_service_role:
        with act_as(conn, SERVICE):
            assert sqlstate(conn, statement, HOME.id, APPROVED) == INVARIANT
    else:
        assert sqlstate(conn, statement, HOME.id, APPROVED) == INVARIANT
    assert sqlstate(conn, statement, HOME.id, WORKFLOW) is None


@pytest.mark.parametrize(
    "change",
    [
        "approver_id = null",
        "approved_at = null",
        "approver_id = null, approved_at = null",
    ],
)
def test_approved_workflow_always_has_approver_and_time(
    conn: Connection[TupleRow], change: str
) -> None:
    conn.execute(
        f"""do $$ begin
            update public.workflows set {change} where id = '{APPROVED}' and org_id = '{HOME.id}';
        exception when check_violation or insufficient_privilege then null; end $$"""
    )
    [(status, approver, _, no_time)] = [approval(conn, APPROVED) or ()]
    assert (status, approver is None, no_time) == ("approved", False, False)


def test_unapproved_workflow_has_no_approver(conn: Connection[TupleRow]) -> None:
    conn.execute(
        f"""do $$ begin
            update public.workflows set approver_id = '{OWNERS[0]}', approved_at = now()
            where id = '{WORKFLOW}' and org_id = '{HOME.id}';
        exception when check_violation or insufficient_privilege then null; end $$"""
    )
    assert approval(conn, WORKFLOW) == ("pending", None, None, True)


@pytest.mark.parametrize(
    ("when", "outcome"),
    [("now() + interval '1 day'", INVARIANT), ("now() - interval '1 day'", None)],
)
def test_service_role_can_backdate_but_not_postdate_an_approval(
    conn: Connection[TupleRow], when: str, outcome: str | None
) -> None:
    statement = (
        f"update public.workflows set status = 'approved', approved_at = {when},"
        " approver_id = %s where org_id = %s and id = %s"
    )
    with act_as(conn, SERVICE):
        assert sqlstate(conn, statement, OWNERS[0], HOME.id, WORKFLOW) == outcome


def test_approval_remains_after_approver_is_demoted(conn: Connection[TupleRow]) -> None:
    conn.execute(
        "update public.users set roles = '{MEMBER}' where org_id = %s and id = %s",
        [HOME.id, HOME.row("other_owner")],
    )
    assert (approval(conn, APPROVED) or ())[1] == HOME.row("other_owner")


@pytest.mark.parametrize("operation", ["delete", "move"])
def test_approver_cannot_be_deleted_or_moved(conn: Connection[TupleRow], operation: str) -> None:
    statement = {
        "delete": "delete from public.users where org_id = %s and id = %s",
        "move": f"update public.users set org_id = '{AWAY.id}' where org_id = %s and id = %s",
    }[operation]
    with act_as(conn, SERVICE):
        assert sqlstate(conn, statement, HOME.id, HOME.row("other_owner")) == "23503"


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "roles", ["{}", "{NULL}", "{OWNER,NULL}", "{OWNER,OWNER}", "{{OWNER},{ADMIN}}", "[2:2]={OWNER}"]
)
def test_roles_are_a_flat_array_without_nulls_or_duplicates(
    conn: Connection[TupleRow], roles: str
) -> None:
    statement = (
        "insert into public.users (org_id, email, name, roles)"
        " values (%s, 'new@home.test', 'New', %s::public.user_role[])"
    )
    outcome = sqlstate(conn, statement, HOME.id, roles)
    assert outcome == INVARIANT
    assert sqlstate(conn, statement, HOME.id, "{ADMIN,MEMBER}") is None


def test_roles_cannot_be_null(conn: Connection[TupleRow]) -> None:
    statement = "update public.users set roles = null where org_id = %s and id = %s"
    assert sqlstate(conn, statement, HOME.id, HOME.row("member")) == "23502"


@pytest.mark.parametrize(
    "column",
    [
        "organizations.settings",
        "organizations.limits",
        "projects.config",
        "workflows.metadata",
        "ai_agents.config",
        "ai_agents.performance",
    ],
)
@pytest.mark.parametrize("value", ["[]", '"text"', "1", "true", "null", "[{}]"])
def test_json_columns_accept_only_objects(
    conn: Connection[TupleRow], column: str, value: str
) -> None:
    table, name = column.split(".")
    statement = f"update public.{table} set {name} = %s"
    if table == "workflows":
        statement += " where status <> 'approved'"
    assert sqlstate(conn, statement, value) == INVARIANT
    assert sqlstate(conn, statement, '{"key": [1, null]}') is None


@pytest.mark.parametrize("value", ["[]", '"text"', "1", "true", "null", "[{}]"])
def test_audit_meta_accepts_only_objects(conn: Connection[TupleRow], value: str) -> None:
    statement = (
        "insert into public.audit_logs (org_id, action, target_type, target_id, meta)"
        " values (%s, 'exported', 'projects', 'x', %s)"
    )
    assert sqlstate(conn, statement, HOME.id, value) == INVARIANT
    assert sqlstate(conn, statement, HOME.id, "{}") is None


@pytest.mark.parametrize(
    "column", ["organizations.name", "users.name", "projects.name", "ai_agents.type"]
)
@pytest.mark.parametrize("value", ["", " ", " \t\n "], ids=["empty", "space", "whitespace"])
def test_names_cannot_be_blank(conn: Connection[TupleRow], column: str, value: str) -> None:
    table, name = column.split(".")
    assert sqlstate(conn, f"update public.{table} set {name} = %s", value) == INVARIANT


@pytest.mark.parametrize(
    ("table", "statuses"),
    [
        ("projects", ["draft", "active", "paused", "archived"]),
        ("workflows", ["pending", "in_review", "rejected"]),
    ],
)
def test_status_accepts_only_known_values(
    conn: Connection[TupleRow], table: str, statuses: list[str]
) -> None:
    row = HOME.row(table.removesuffix("s"))
    statement = f"update public.{table} set status = %s where org_id = %s and id = %s"
    for status in statuses:
        assert sqlstate(conn, statement, status, HOME.id, row) is None
    for other in ("", "Draft", "done", "APPROVED"):
        assert sqlstate(conn, statement, other, HOME.id, row) == INVARIANT


def test_email_is_lower_case_and_unique_across_organizations(
    conn: Connection[TupleRow],
) -> None:
    statement = (
        "insert into public.users (org_id, email, name, roles) values (%s, %s, 'N', '{MEMBER}')"
    )
    assert sqlstate(conn, statement, HOME.id, "New@home.test") == INVARIANT
    assert sqlstate(conn, statement, HOME.id, "member@away.test") == "23P01"
    assert sqlstate(conn, statement, HOME.id, "new@home.test") is None


def test_auth_user_id_is_unique_across_organizations(conn: Connection[TupleRow]) -> None:
    statement = "update public.users set auth_user_id = %s where org_id = %s and id = %s"
    assert sqlstate(conn, statement, MEMBER.sub, HOME.id, HOME.row("unlinked")) == "23P01"


# --- ids and times -------------------------------------------------------------------------------


def default_id(conn: Connection[TupleRow], table: str = "projects") -> str:
    [(expression,)] = conn.execute(
        "select pg_get_expr(adbin, adrelid) from pg_attrdef join pg_attribute as a"
        " on a.attrelid = adrelid and a.attnum = adnum"
        " where adrelid = %s::regclass and attname = 'id'",
        [f"public.{table}"],
    ).fetchall()
    return str(expression)


@pytest.mark.parametrize(
    "table", ["organizations", "users", "projects", "workflows", "ai_agents", "audit_logs"]
)
def test_every_table_generates_its_ids(conn: Connection[TupleRow], table: str) -> None:
    [(new_id,)] = conn.execute(f"select {default_id(conn, table)}").fetchall()
    assert re.fullmatch("c[a-z0-9]{24}", new_id)


def test_ten_thousand_ids_are_well_formed_and_unique(conn: Connection[TupleRow]) -> None:
    ids = [
        new_id
        for (new_id,) in conn.execute(f"select {default_id(conn)} from generate_series(1, 10000)")
    ]
    assert all(re.fullmatch("c[a-z0-9]{24}", new_id) for new_id in ids)
    assert len(set(ids)) == len(ids)


def test_ids_have_eighty_random_bits(conn: Connection[TupleRow]) -> None:
    """Ids generated by one statement differ in enough characters that none can be guessed."""
    ids = [
        new_id
        for (new_id,) in conn.execute(f"select {default_id(conn)} from generate_series(1, 2000)")
    ]
    letters = [{new_id[position] for new_id in ids} for position in range(25)]
    bits = sum({10: 3.32, 16: 4, 26: 4.7, 36: 5.17}.get(len(seen), 0) for seen in letters)
    assert bits >= 80


def test_ids_begin_with_the_time_in_seconds(conn: Connection[TupleRow]) -> None:
    [(new_id, early, late)] = conn.execute(
        f"select {default_id(conn)}, to_hex(extract(epoch from statement_timestamp())::bigint - 1),"
        " to_hex(extract(epoch from clock_timestamp())::bigint + 1)"
    ).fetchall()
    assert early <= new_id[1:9] <= late


@pytest.mark.parametrize(
    "table", ["organizations", "users", "projects", "workflows", "ai_agents", "audit_logs"]
)
@pytest.mark.parametrize(
    "new_id",
    [
        "",
        "c",
        "C" + "a" * 24,
        "c" + "A" * 24,
        "c" + "a" * 23,
        "c" + "a" * 25,
        "d" + "a" * 24,
        "c" + "a" * 24 + "\n",
        "c" + "ä" * 24,
        "c" + "-" * 24,
    ],
)
def test_malformed_id_is_rejected(conn: Connection[TupleRow], table: str, new_id: str) -> None:
    name_of = {
        "organizations": "name",
        "users": "org_id, email, name, roles",
        "projects": "org_id, name",
        "workflows": "org_id, project_id, gate",
        "ai_agents": "org_id, type",
        "audit_logs": "org_id, action, target_type, target_id",
    }[table]
    values = {
        "name": "'New'",
        "org_id": f"'{HOME.id}'",
        "email": "'new@home.test'",
        "roles": "'{MEMBER}'",
        "project_id": f"'{HOME.row('project')}'",
        "gate": "'G1'",
        "type": "'researcher'",
        "action": "'exported'",
        "target_type": "'projects'",
        "target_id": "'x'",
    }
    row = ", ".join(values[name] for name in name_of.split(", "))
    statement = f"insert into public.{table} (id, {name_of}) values (%s, {row})"
    assert sqlstate(conn, statement, new_id) == INVARIANT
    assert sqlstate(conn, statement, cuid("wellformed")) is None


def touched(conn: Connection[TupleRow], table: str) -> bool:
    """Whether updated_at of the row in HOME is the time of this transaction."""
    row = {"users": "member", "projects": "project"}[table]
    [(changed,)] = conn.execute(
        f"select updated_at = now() from public.{table} where org_id = %s and id = %s",
        [HOME.id, HOME.row(row)],
    ).fetchall()
    return bool(changed)


@pytest.mark.parametrize("table", ["users", "projects"])
def test_updated_at_changes_only_if_another_column_changes(
    conn: Connection[TupleRow], table: str
) -> None:
    with act_as(conn, OWNER):
        assert not touched(conn, table)
        conn.execute(f"update public.{table} set name = name")
        assert not touched(conn, table)
        conn.execute(f"update public.{table} set name = 'Renamed'")
        assert touched(conn, table)


@pytest.mark.parametrize("table", ["users", "projects"])
def test_updated_at_ignores_a_given_value(conn: Connection[TupleRow], table: str) -> None:
    with act_as(conn, SERVICE):
        conn.execute(
            f"update public.{table} set name = 'Renamed', updated_at = '2001-01-01'"
            " where org_id = %s",
            [HOME.id],
        )
        assert touched(conn, table)


@pytest.mark.parametrize("table", ["users", "projects"])
def test_update_of_updated_at_alone_has_no_effect(conn: Connection[TupleRow], table: str) -> None:
    query = f"select updated_at from public.{table} order by org_id, id"
    before = conn.execute(query).fetchall()
    with act_as(conn, SERVICE):
        conn.execute(f"update public.{table} set updated_at = '2001-01-01'")
        assert conn.execute(query).fetchall() == before


def test_json_is_stored_unchanged(conn: Connection[TupleRow]) -> None:
    with act_as(conn, ADMIN):
        given = {"depth": 3, "steps": ["read", None, {"model": "small"}]}
        conn.execute("update public.projects set config = %s", [Jsonb(given)])
        assert conn.execute("select distinct config from public.projects").fetchall() == [(given,)]
