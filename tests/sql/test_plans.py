"""Query plans: under row-level security, common queries read the rows of one tenant only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Server, act_as
from psycopg import Connection
from psycopg.rows import TupleRow

from .fixture_rows import HOME, MEMBER, OWNER, TABLES

Plan = dict[str, Any]
DATED = ("users", "projects", "ai_agents", "audit_logs")


@pytest.fixture(scope="module")
def many_rows(server: Server, filled_template: str) -> Iterator[Connection[TupleRow]]:
    """A dozen organizations with many rows each, so that reading all rows shows in the plan."""
    with server.database(of=filled_template) as database, database.connect() as conn:
        insert_rows(conn)
        yield conn


def insert_rows(conn: Connection[TupleRow]) -> None:
    conn.execute("set session_replication_role = replica")
    conn.execute(
        "insert into public.organizations (id, name)"
        " select 'corg' || lpad(n::text, 21, '0'), 'Organization' from generate_series(1, 10) as n"
    )
    of_each = "from public.organizations as o, generate_series(1, 800) as n"
    then = "now() - n * interval '1 minute'"
    for table, columns, values in (
        ("users", "email, name, created_at", f"n || '@' || o.id, 'User', {then}"),
        ("projects", "name, created_at", f"'Project', {then}"),
        ("ai_agents", "type, created_at", f"'researcher', {then}"),
        ("audit_logs", "action, created_at", f"'exported', {then}"),
    ):
        conn.execute(
            f"insert into public.{table} (org_id, {columns}) select o.id, {values} {of_each}"
        )
    conn.execute(
        "insert into public.workflows (org_id, project_id, gate)"
        " select org_id, id, 'G1' from public.projects"
    )
    conn.execute("set session_replication_role = origin")
    conn.commit()
    conn.autocommit = True
    conn.execute("vacuum analyze")
    conn.autocommit = False


def plan(conn: Connection[TupleRow], query: str, *values: object) -> list[Plan]:
    """All nodes of the plan, outermost first."""
    [(document,)] = conn.execute(f"explain (format json) {query}", values or None).fetchall()
    tree = document if isinstance(document, list) else json.loads(document)
    nodes = [tree[0]["Plan"]]
    for node in nodes:
        nodes.extend(node.get("Plans", []))
    return nodes


def scans(nodes: list[Plan], table: str) -> list[Plan]:
    found = [node for node in nodes if node.get("Relation Name") == table]
    assert found, nodes
    return found


@pytest.mark.parametrize("table", DATED)
@pytest.mark.parametrize("filtered", [True, False], ids=["with org_id", "by policy only"])
def test_newest_rows_use_the_org_id_index_without_sort(
    many_rows: Connection[TupleRow], table: str, filtered: bool
) -> None:
    where = f"where org_id = '{HOME.id}'" if filtered else ""
    with act_as(many_rows, OWNER):
        nodes = plan(
            many_rows,
            f"select * from public.{table} {where} order by created_at desc, id desc limit 50",
        )
    for scan in scans(nodes, table):
        assert "org_id = " in scan.get("Index Cond", ""), scan
        assert scan["Index Name"] == f"{table}_org_id_created_at_id_idx"
    assert not [node for node in nodes if "Sort" in node["Node Type"]]


@pytest.mark.parametrize("table", DATED)
def test_keyset_pagination_uses_the_org_id_index(
    many_rows: Connection[TupleRow], table: str
) -> None:
    with act_as(many_rows, OWNER):
        nodes = plan(
            many_rows,
            f"select * from public.{table} where (created_at, id) < (now(), 'c')"
            " order by created_at desc, id desc limit 50",
        )
    for scan in scans(nodes, table):
        condition = scan.get("Index Cond", "")
        assert "org_id = " in condition, scan
        assert "ROW(created_at" in condition, scan
    assert not [node for node in nodes if "Sort" in node["Node Type"]]


@pytest.mark.parametrize("table", [*DATED, "workflows"])
def test_lookup_by_id_uses_an_index_with_org_id(
    many_rows: Connection[TupleRow], table: str
) -> None:
    with act_as(many_rows, OWNER):
        nodes = plan(many_rows, f"select * from public.{table} where id = '{HOME.row('project')}'")
    for scan in scans(nodes, table):
        condition = scan.get("Index Cond", "")
        assert "org_id = " in condition, scan
        assert "id = 'chomeproject" in condition, scan


def test_workflows_of_a_project_use_an_index_with_org_id(
    many_rows: Connection[TupleRow],
) -> None:
    with act_as(many_rows, MEMBER):
        nodes = plan(
            many_rows,
            f"select * from public.workflows where project_id = '{HOME.row('project')}'"
            " order by gate",
        )
    for node in nodes:
        if "Index Name" in node and "workflows" in node["Index Name"]:
            assert "org_id = " in node["Index Cond"], node
            assert "project_id = " in node["Index Cond"], node
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize(
    "statement",
    [
        *(f"select * from public.{table}" for table in TABLES),
        "update public.organizations set name = name",
        "update public.users set name = name",
        "update public.projects set name = name",
        "update public.workflows set status = status",
        "update public.ai_agents set type = type",
    ],
)
def test_caller_is_determined_once_per_statement(
    many_rows: Connection[TupleRow], statement: str
) -> None:
    with act_as(many_rows, OWNER):
        nodes = plan(many_rows, statement)
    kinds = {node.get("Parent Relationship") for node in nodes}
    assert "InitPlan" in kinds
    assert "SubPlan" not in kinds
    filters = " ".join(str(node.get("Filter", "")) for node in nodes)
    assert "caller_" not in filters


def test_no_plan_of_a_tenant_reads_the_keys_of_the_platform(
    many_rows: Connection[TupleRow],
) -> None:
    """Nor does an estimate depend on the values of other tenants; a helper is one index probe."""
    estimates: dict[str, set[float]] = {}
    with act_as(many_rows, MEMBER):
        many_rows.execute("set local enable_seqscan = off")
        for column in ("email", "lower(email)", "auth_user_id", "auth_user_id::text"):
            for value in ("00000000-0000-4000-8000-000000000000", MEMBER.sub):
                for end in (f"where {column} = ", f"where {column} > ", f"order by {column} = "):
                    nodes = plan(many_rows, f"select * from public.users {end} '{value}'")
                    used = {node.get("Index Name") for node in nodes}
                    assert not used & {"users_email_key", "users_auth_user_id_key"}, end
                    estimates.setdefault(end, set()).add(nodes[0]["Plan Rows"])
    assert {len(rows) for rows in estimates.values()} == {1}, estimates

    counts = (
        "select pg_stat_get_xact_numscans('public.users'::regclass),"
        " pg_stat_get_xact_numscans('public.users_auth_user_id_key'::regclass),"
        " pg_stat_get_xact_tuples_returned('public.users_auth_user_id_key'::regclass)"
    )
    many_rows.rollback()
    with act_as(many_rows, MEMBER):
        [(org, _, _)] = many_rows.execute(
            "select app.caller_org(), app.caller_org_as('MEMBER'), app.caller_user()"
        ).fetchall()
        assert (org, many_rows.execute(counts).fetchall()) == (HOME.id, [(0, 3, 3)])


def test_large_read_can_use_parallel_workers(many_rows: Connection[TupleRow]) -> None:
    """With a helper that is not parallel safe, no tenant query could use a parallel plan."""
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        many_rows.execute(f"set local {setting} = 0")
    many_rows.execute("set local enable_indexscan = off; set local enable_bitmapscan = off")
    with act_as(many_rows, OWNER):
        nodes = plan(many_rows, "select count(*) from public.workflows")
    many_rows.rollback()
    assert [node for node in nodes if node["Node Type"] == "Gather"]
