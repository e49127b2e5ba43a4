"""Isolation that is cheap: under row-level security the daily queries read one tenant's rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Server, act_as
from psycopg import Connection
from psycopg.rows import TupleRow

from .world import HOME, MEMBER, OWNER, TABLES

Plan = dict[str, Any]
DATED = ("users", "projects", "ai_agents", "audit_logs")


@pytest.fixture(scope="module")
def crowd(server: Server, world_template: str) -> Iterator[Connection[TupleRow]]:
    """A dozen organizations with many rows each, so that reading all of them would be seen."""
    with server.database(of=world_template) as database, database.connect() as conn:
        crowd_in(conn)
        yield conn


def crowd_in(conn: Connection[TupleRow]) -> None:
    conn.execute("set session_replication_role = replica")
    conn.execute(
        "insert into public.organizations (id, name)"
        " select 'corg' || lpad(n::text, 21, '0'), 'Organization' from generate_series(1, 10) as n"
    )
    of_each = "from public.organizations as o, generate_series(1, 800) as n"
    then = "now() - n * interval '1 minute'"
    for table, columns, values in (
        ("users", "email, name, created_at", f"n || '@' || o.id, 'Somebody', {then}"),
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
@pytest.mark.parametrize("said", [True, False], ids=["saying org_id", "leaving it to the policy"])
def test_the_newest_fifty_come_from_an_index_on_org_id_without_a_sort(
    crowd: Connection[TupleRow], table: str, said: bool
) -> None:
    where = f"where org_id = '{HOME.id}'" if said else ""
    with act_as(crowd, OWNER):
        nodes = plan(
            crowd,
            f"select * from public.{table} {where} order by created_at desc, id desc limit 50",
        )
    for scan in scans(nodes, table):
        assert "org_id = " in scan.get("Index Cond", ""), scan
        assert scan["Index Name"] == f"{table}_org_id_created_at_id_idx"
    assert not [node for node in nodes if "Sort" in node["Node Type"]]


@pytest.mark.parametrize("table", DATED)
def test_the_next_page_begins_where_the_last_one_ended(
    crowd: Connection[TupleRow], table: str
) -> None:
    with act_as(crowd, OWNER):
        nodes = plan(
            crowd,
            f"select * from public.{table} where (created_at, id) < (now(), 'c')"
            " order by created_at desc, id desc limit 50",
        )
    for scan in scans(nodes, table):
        condition = scan.get("Index Cond", "")
        assert "org_id = " in condition, scan
        assert "ROW(created_at" in condition, scan
    assert not [node for node in nodes if "Sort" in node["Node Type"]]


@pytest.mark.parametrize("table", [*DATED, "workflows"])
def test_a_row_is_found_by_its_id_within_org_id(crowd: Connection[TupleRow], table: str) -> None:
    with act_as(crowd, OWNER):
        nodes = plan(crowd, f"select * from public.{table} where id = '{HOME.row('project')}'")
    for scan in scans(nodes, table):
        condition = scan.get("Index Cond", "")
        assert "org_id = " in condition, scan
        assert "id = 'chomeproject" in condition, scan


def test_the_gates_of_a_project_are_found_by_project_within_org_id(
    crowd: Connection[TupleRow],
) -> None:
    with act_as(crowd, MEMBER):
        nodes = plan(
            crowd,
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
def test_who_is_asking_is_asked_once_and_not_for_every_row(
    crowd: Connection[TupleRow], statement: str
) -> None:
    with act_as(crowd, OWNER):
        nodes = plan(crowd, statement)
    kinds = {node.get("Parent Relationship") for node in nodes}
    assert "InitPlan" in kinds
    assert "SubPlan" not in kinds
    filters = " ".join(str(node.get("Filter", "")) for node in nodes)
    assert "caller_" not in filters


def test_a_big_read_may_use_workers(crowd: Connection[TupleRow]) -> None:
    """A helper that is not parallel safe would keep every query of a tenant to one process."""
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        crowd.execute(f"set local {setting} = 0")
    crowd.execute("set local enable_indexscan = off; set local enable_bitmapscan = off")
    with act_as(crowd, OWNER):
        nodes = plan(crowd, "select count(*) from public.workflows")
    crowd.rollback()
    assert [node for node in nodes if node["Node Type"] == "Gather"]
