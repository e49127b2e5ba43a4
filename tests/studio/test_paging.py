"""Order, filters and cursors of a table's pages."""

from __future__ import annotations

import json
import re

import pytest
from conftest import SQL_DIR, Database, one_server
from psycopg import sql

from runner.postgres.target import Target, parse
from runner.studio.data import paging, people, tables, viewer
from runner.studio.data.paging import PageRequest

from .conftest import MAREN, ODD, SKERRY, RunningStudio, all_pages, rows


@one_server
@pytest.mark.parametrize(
    "order", ["", "?sort=id", "?sort=created_at", "?sort=created_at&reverse=1"]
)
def test_pages_contain_every_row_once_in_every_order(studio: RunningStudio, order: str) -> None:
    for who, number in (("owner", 78), (MAREN, 40)):
        pages = all_pages(studio, f"as/{who}/tables/audit_logs{order}")
        found = [row for page in pages for row in rows(page)]
        assert len(found) == len(set(found)) == number
        assert len(pages) == (2 if number > 50 else 1)


@one_server
@pytest.mark.parametrize("sub", ["", MAREN])
def test_distant_page_reads_only_its_own_rows(seeded: Database, sub: str) -> None:
    """Of 30,000: by the row counts of the plan, not by time."""
    with seeded.connect(autocommit=True) as conn:
        conn.execute("set session_replication_role = replica")
        conn.execute(
            "insert into public.audit_logs (org_id, action, created_at)"
            " select case when n %% 3 = 0 then %s else %s end, 'test.row',"
            " '2024-01-01'::timestamptz + n * interval '1 minute'"
            " from generate_series(1, 30000) as n",
            [ODD, SKERRY],
        )
        conn.execute("vacuum analyze public.audit_logs")
    target = Target(parse(seeded.conninfo()), "a test", embedded=False)
    with viewer.opened(target, SQL_DIR) as source:
        person = people.person(source, sub or "owner")
        assert person
        with viewer.session_as(source, person) as conn:
            among = tables.tables(conn, source.project)
            (table,) = (t for t in among if t.name == "audit_logs")
            shape = tables.shape(conn, table, among)
            for sort, reverse, after in (
                ("created_at", False, (SKERRY, "2024-01-05", "c" * 25)),
                ("created_at", True, (SKERRY, "2024-01-15", "c" * 25)),
                ("id", False, (SKERRY, "cz" + "z" * 23)),
            ):
                request = PageRequest(sort=sort, reverse=reverse, after=after)
                text, values = paging.select(shape, sql.SQL("r.action"), request, 51)
                explain = sql.SQL("explain (analyze, format json) ") + text
                plan = json.dumps(conn.execute(explain, values).fetchone())
                assert "Seq Scan" not in plan or "function" in plan.lower()
                read = [int(n) for n in re.findall(r'"Actual Rows": ([\d.]+?)[.,]', plan)]
                removed = re.findall(r'"Rows Removed by Filter": (\d+)', plan)
                assert max(read) <= 102, plan
                assert sum(map(int, removed)) <= 1, plan


@one_server
def test_previous_link_returns_to_the_previous_page(studio: RunningStudio) -> None:
    first, second = all_pages(studio, "as/owner/tables/audit_logs?sort=created_at")
    back = re.search(r'<a rel="prev" href="([^"]+)"', second)
    assert back
    assert rows(studio.request("GET", back[1].replace("&amp;", "&")).body) == rows(first)


@one_server
def test_filters_select_rows_and_can_be_combined(studio: RunningStudio) -> None:
    response = studio.get("as/owner/tables/projects?c=status&op=is&v=draft")
    found = rows(response.body)
    assert 0 < len(found) < 8
    assert "status is draft ×" in response.text
    two = studio.get(f"as/owner/tables/projects?c=status&op=is&v=draft&c=org_id&op=is&v={ODD}")
    assert 0 < len(rows(two.body)) < len(found)
    none = studio.get("as/owner/tables/projects?c=status&op=is&v=nothing")
    assert "No records match" in none.text
    unapproved = studio.get("as/owner/tables/workflows?c=approver_id&op=null&v=")
    approved = studio.get("as/owner/tables/workflows?c=approver_id&op=set&v=")
    assert len(rows(unapproved.body)) + len(rows(approved.body)) == 32
    gate = studio.get("as/owner/tables/workflows?c=gate&op=is&v=G0")
    assert rows(gate.body)


@one_server
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("c=created_at&op=is&v=yesterday-ish", 400),
        ("c=gate&op=is&v=G99", 400),
        ("c=nothing&op=is&v=1", 200),
        ("c=xmin&op=is&v=1", 200),
        ("c=id&op=like&v=%25", 200),
        ("c=id&op=is&v=%27%3B+drop+table+users%3B--", 200),
        ("c=id&op=is&v=%25s%25%28a%29s%00", 200),
        ("sort=nothing", 200),
        ("sort=config", 200),
        ("after=x", 200),
        ("sort=created_at&after=a&after=b&after=c", 400),
        ("before=a&before=b", 200),
    ],
)
def test_tampered_query_parameters_do_no_harm(
    studio: RunningStudio, query: str, status: int
) -> None:
    response = studio.get(
        f"as/owner/tables/projects?{query}".replace(
            "projects", "workflows" if "gate" in query else "projects"
        )
    )
    assert response.status == status, response.text
    assert "Internal error" not in response.text
    assert "PostgreSQL reported" not in response.text
    assert studio.get("as/owner/tables/users").status == 200
