"""The records as a given person sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, unquote

import psycopg
import pytest
from conftest import Database, one_server
from psycopg import sql

from runner.postgres.target import Target, parse
from runner.studio.data import paging, people, tables, viewer
from runner.studio.data.paging import Wanted

from .conftest import MAREN, ODD, SKERRY, STRANGER, TOBIAS, WILMA, Browsed, Text, write_markup

TABLES = ("ai_agents", "audit_logs", "organizations", "projects", "users", "workflows")
PROJECT = f"as/{{}}/tables/projects/record?org_id={SKERRY}&id=cskerryproj01tidebook0000"


def following(studio: Browsed, path: str) -> list[str]:
    """The table's pages one after another, by their links; each as its rows' anchors."""
    pages, link = [], f"/{studio.token}/{path}"
    while link:
        body = studio.ask("GET", link).body
        pages.append(body)
        onward = re.search(r'<a rel="next" href="([^"]+)"', body)
        link = onward[1].replace("&amp;", "&") if onward else ""
    return pages


def rows(body: str) -> list[str]:
    return re.findall(r'<tr id="(r\.[^"]+)"', body)


def test_an_owner_of_one_and_a_member_of_the_other_see_different_worlds(studio: Browsed) -> None:
    maren = studio.get(f"as/{MAREN}/tables/projects")
    wilma = studio.get(f"as/{WILMA}/tables/projects")
    assert "Tidebook" in maren.text
    assert "Tidebook" not in wilma.body
    assert len(rows(maren.body)) == len(rows(wilma.body)) == 4
    assert not set(rows(maren.body)) & set(rows(wilma.body))
    owner = studio.get("as/owner/tables/projects")
    assert set(rows(owner.body)) == set(rows(maren.body)) | set(rows(wilma.body))


def test_two_clicks_lead_from_one_world_to_the_other(studio: Browsed) -> None:
    """The switch is in every page, and leads to the same page as somebody else."""
    page = studio.get(f"as/{MAREN}/tables/projects?sort=created_at&reverse=1")
    assert page.body.count("<summary>") >= 1
    assert f"/{studio.token}/as/{WILMA}/tables/projects?sort=created_at&reverse=1" in page.links


def test_a_member_sees_no_audit_log_and_is_told_why(studio: Browsed) -> None:
    answer = studio.get(f"as/{WILMA}/tables/audit_logs")
    assert answer.status == 200
    assert "Wilma Tansy-Okoro sees no record of audit_logs" in answer.text
    assert "An OWNER or ADMIN reads the log of their own organization." in answer.text


def test_anon_is_refused_in_words_and_not_by_an_error(studio: Browsed) -> None:
    for table in TABLES:
        answer = studio.get(f"as/anon/tables/{table}")
        assert answer.status == 200
        assert "Permission denied" in answer.text
        assert "anon" in answer.text
    assert studio.get("as/anon/").text.count("refused") >= len(TABLES)


def test_a_stranger_sees_nothing(studio: Browsed) -> None:
    for table in TABLES:
        answer = studio.get(f"as/{STRANGER}/tables/{table}")
        assert answer.status == 200
        assert rows(answer.body) == []


def test_a_link_to_another_organization_is_not_found(studio: Browsed) -> None:
    assert studio.get(PROJECT.format(MAREN)).status == 200
    for who in (WILMA, STRANGER, "anon"):
        answer = studio.get(PROJECT.format(who))
        assert answer.status == 404
        assert "Not found" in answer.text
        assert "Tidebook" not in answer.body
    nowhere = PROJECT.replace("tidebook", "nowherex")
    assert studio.get(nowhere.format(WILMA)).text == answer.text.replace(
        "anon", "Wilma Tansy-Okoro"
    )


def test_a_record_shows_all_it_holds_and_what_refers_to_it(studio: Browsed) -> None:
    answer = studio.get(PROJECT.format(MAREN))
    assert "Tidebook" in answer.text
    assert '"audience"' in answer.text
    assert re.search(r"workflows by project_id: \d", answer.text)
    links = [link for link in answer.links if "/tables/workflows?" in link]
    assert rows(studio.ask("GET", links[0]).body)


def test_references_are_links_that_lead_on(studio: Browsed) -> None:
    page = studio.get(f"as/{MAREN}/tables/workflows")
    targets = {
        unquote(link).split("?")[0].rsplit("/", 2)[-2] for link in page.links if "/record?" in link
    }
    assert targets == {"workflows", "organizations", "projects", "users"}
    for link in page.links:
        if "/record?" in link:
            assert studio.ask("GET", link).status == 200, link


def test_json_is_folded_and_a_list_is_shown_as_its_entries(studio: Browsed) -> None:
    body = studio.get(f"as/{MAREN}/tables/organizations").body
    assert '<details class="json"><summary>{' in body
    body = studio.get("as/owner/tables/users").body
    assert '<span class="chip">ADMIN</span> <span class="chip">MEMBER</span>' in body


# --- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "table", "may", "words"),
    [
        (MAREN, "projects", {"select", "insert", "update"}, "columns name, status, config"),
        (WILMA, "projects", {"select"}, "An OWNER or ADMIN starts a project."),
        (WILMA, "workflows", {"select", "insert", "update"}, f"org_id = '{ODD}'"),
        (WILMA, "users", {"select", "update"}, "May not insert"),
        (TOBIAS, "users", {"select", "insert", "update"}, "NOT ('OWNER'::user_role"),
        (WILMA, "audit_logs", {"insert"}, "actor_id = 'coddloafuser03wilma000000'"),
        (TOBIAS, "organizations", {"select"}, "UPDATE"),
        (STRANGER, "projects", set(), "DELETE is not granted"),
        ("anon", "users", set(), "SELECT is not granted"),
        ("service_role", "audit_logs", {"select", "insert"}, "UPDATE is not granted"),
        ("owner", "users", {"select", "insert", "update", "delete"}, "no policy binds"),
    ],
)
def test_who_may_what_is_told_as_the_database_has_it(
    studio: Browsed, who: str, table: str, may: set[str], words: str
) -> None:
    answer = studio.get(f"as/{who}/tables/{table}")
    told = set(re.findall(r"✓ May (\w+)", answer.text))
    if table == "organizations":  # an ADMIN holds the column grants of an OWNER, but no policy
        assert "update" not in told
        words = "May not update"
    assert told == may
    assert words in answer.text


def test_a_record_tells_whether_this_one_may_be_updated(studio: Browsed) -> None:
    """Maren may change her organization's people; which of them is asked for each."""
    path = f"tables/users/record?org_id={SKERRY}&id=cskerryuser02tobias000000"
    assert "✓ May update" in studio.get(f"as/{MAREN}/{path}").text
    assert "– May not update" in studio.get(f"as/5ea51de0-0000-4000-8000-000000000003/{path}").text


# --- paging, order, filters ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", ["", "?sort=id", "?sort=created_at", "?sort=created_at&reverse=1"]
)
def test_pages_hold_every_row_once_in_every_order(studio: Browsed, order: str) -> None:
    for who, number in (("owner", 78), (MAREN, 40)):
        pages = following(studio, f"as/{who}/tables/audit_logs{order}")
        found = [row for page in pages for row in rows(page)]
        assert len(found) == len(set(found)) == number
        assert len(pages) == (2 if number > 50 else 1)


@one_server
@pytest.mark.parametrize("sub", ["", MAREN])
def test_a_page_far_on_reads_no_more_than_its_own_rows(own: Database, sub: str) -> None:
    """Of 30,000: what the plan says it has read, not how long it took."""
    with own.connect(autocommit=True) as conn:
        conn.execute("set session_replication_role = replica")
        conn.execute(
            "insert into public.audit_logs (org_id, action, created_at)"
            " select case when n %% 3 = 0 then %s else %s end, 'test.row',"
            " '2024-01-01'::timestamptz + n * interval '1 minute'"
            " from generate_series(1, 30000) as n",
            [ODD, SKERRY],
        )
        conn.execute("vacuum analyze public.audit_logs")
    target = Target(parse(own.conninfo()), "a test", embedded=False)
    with viewer.pool(target) as connections:
        person = people.person(connections, sub or "owner")
        assert person
        with viewer.through(connections, person) as conn:
            (table,) = (t for t in tables.tables(conn) if t.name == "audit_logs")
            shape = tables.shape(conn, table)
            for sort, reverse, after in (
                ("created_at", False, (SKERRY, "2024-01-05", "c" * 25)),
                ("created_at", True, (SKERRY, "2024-01-15", "c" * 25)),
                ("id", False, (SKERRY, "cz" + "z" * 23)),
            ):
                wanted = Wanted(sort=sort, reverse=reverse, after=after)
                text, values = paging.select(shape, sql.SQL("r.action"), wanted, 51)
                explain = sql.SQL("explain (analyze, format json) ") + text
                plan = json.dumps(conn.execute(explain, values).fetchone())
                assert "Seq Scan" not in plan or "function" in plan.lower()
                read = [int(n) for n in re.findall(r'"Actual Rows": ([\d.]+?)[.,]', plan)]
                removed = re.findall(r'"Rows Removed by Filter": (\d+)', plan)
                assert max(read) <= 102, plan
                assert sum(map(int, removed)) <= 1, plan


def test_the_page_before_is_the_page_that_one_came_from(studio: Browsed) -> None:
    first, second = following(studio, "as/owner/tables/audit_logs?sort=created_at")
    back = re.search(r'<a rel="prev" href="([^"]+)"', second)
    assert back
    assert rows(studio.ask("GET", back[1].replace("&amp;", "&")).body) == rows(first)


def test_a_filter_finds_and_can_be_removed(studio: Browsed) -> None:
    answer = studio.get("as/owner/tables/projects?c=status&op=is&v=draft")
    found = rows(answer.body)
    assert 0 < len(found) < 8
    assert "status is draft ×" in answer.text
    two = studio.get(f"as/owner/tables/projects?c=status&op=is&v=draft&c=org_id&op=is&v={ODD}")
    assert 0 < len(rows(two.body)) < len(found)
    none = studio.get("as/owner/tables/projects?c=status&op=is&v=nothing")
    assert "No record fits" in none.text
    unapproved = studio.get("as/owner/tables/workflows?c=approver_id&op=null&v=")
    approved = studio.get("as/owner/tables/workflows?c=approver_id&op=set&v=")
    assert len(rows(unapproved.body)) + len(rows(approved.body)) == 32
    gate = studio.get("as/owner/tables/workflows?c=gate&op=is&v=G0")
    assert rows(gate.body)


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
def test_an_address_that_was_tampered_with_does_no_harm(
    studio: Browsed, query: str, status: int
) -> None:
    answer = studio.get(
        f"as/owner/tables/projects?{query}".replace(
            "projects", "workflows" if "gate" in query else "projects"
        )
    )
    assert answer.status == status, answer.text
    assert "made a mistake" not in answer.text
    assert "PostgreSQL refused" not in answer.text
    assert studio.get("as/owner/tables/users").status == 200


# --- what nobody expected -----------------------------------------------------------------------


EVIL = "x\"'; drop table w; --%s%(a)s\\$$<script>alert(1)</script>&{{7*7}}/../ä"


def test_any_table_of_public_is_shown(own: Database, browse: Callable[..., Browsed]) -> None:
    """Later migrations: without org_id, without a key, of odd types, a view, a strange name."""
    name, text = '"' + EVIL.replace('"', '""') + '"', "'" + EVIL.replace("'", "''") + "'"
    with own.connect(autocommit=True) as conn:
        conn.execute(
            f"""
            create table public.{name} ({name} int primary key, t text default {text}, b bytea,
                r int4range, p point, i interval, n numeric, f float8, a text[], j json);
            comment on table public.{name} is {text};
            insert into public.{name}
            select n, {text}, '\\xdeadbeef', '[1,2)', '(1,2)', '3 days', 1.50, 'NaN',
                array['a,b', null, {text}], '[1, "<b>"]'
            from generate_series(1, 120) as n;
            create table public.keyless (a int, b text);
            insert into public.keyless select n, 'row ' || n from generate_series(1, 60) as n;
            create table public.nothing ();
            insert into public.nothing default values;
            create view public.seen with (security_invoker) as select id, name from public.projects;
            create table public.parted (day date not null, n int not null, primary key (day, n))
                partition by range (day);
            create table public.parted_1 partition of public.parted
                for values from ('2026-01-01') to ('2027-01-01');
            insert into public.parted values ('2026-05-05', 1);
            grant select (id) on public.seen to authenticated;
            """
        )
    studio = browse(own.conninfo())
    overview = studio.get("as/owner/")
    assert EVIL in overview.text
    assert "<script>alert" not in overview.body
    links = [link for link in overview.links if "/as/owner/tables/" in link]
    assert len(set(links)) == 11
    for link in links:
        answer = studio.ask("GET", link)
        assert answer.status == 200, (link, answer.text)
        assert "script" not in Text(answer.body.partition("<main")[2]).tags
    strange = next(unquote(link) for link in links if "~22" in link)
    pages = following(studio, strange.partition(f"{studio.token}/")[2])
    assert [len(rows(page)) for page in pages] == [50, 50, 20]
    record = next(link for link in Text(pages[0]).links if "/record?" in link)
    assert EVIL in studio.ask("GET", record).text
    assert "only the first 50" in studio.get("as/owner/tables/keyless").text
    assert studio.get(f"as/{MAREN}/tables/seen").text.count("cskerryproj") >= 4
    assert "hence not shown: name" in studio.get(f"as/{MAREN}/tables/seen").text
    with own.connect() as conn:
        assert conn.execute(f"select count(*) from public.{name}").fetchone() == (120,)


def test_markup_in_every_text_and_json_column_is_shown_as_text(
    own: Database, browse: Callable[..., Browsed]
) -> None:
    write_markup(own)
    studio = browse(own.conninfo())
    for table in TABLES:
        answer = studio.get(f"as/owner/tables/{table}")
        shown = Text(answer.body)
        assert shown.tags.count("script") == 1, table
        assert "img" not in shown.tags
        assert "onerror=alert" in str(shown)
        assert "<script>alert" not in answer.body
        record = next(link for link in answer.links if f"/tables/{table}/record?" in link)
        shown = Text(studio.ask("GET", record).body)
        assert shown.tags.count("script") == 1
        assert "img" not in shown.tags
    assert "<script>alert" not in studio.get("as/owner/").body


def test_an_empty_database_says_what_to_do(
    empty_database: Database, browse: Callable[..., Browsed]
) -> None:
    studio = browse(empty_database.conninfo())
    for path in ("as/owner/", "as/owner/worlds"):
        answer = studio.get(path)
        assert answer.status == 200
        assert "There are no tables in public yet" in answer.text
        assert "python -m runner up" in answer.text
    assert "no such table" in studio.get("as/owner/tables/projects").text


def test_a_database_that_went_away_is_a_page(own: Database, browse: Callable[..., Browsed]) -> None:
    studio = browse(own.conninfo(), patience=2.0)
    assert studio.get("as/owner/").status == 200
    maintenance = own.server.conninfo(own.server.maintenance)
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"alter database {own.name} with allow_connections false")
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'runner studio' and datname = %s",
            [own.name],
        )
        answer = studio.get("as/owner/")
        assert answer.status == 503
        assert "does not answer" in answer.text
        conn.execute(f"alter database {own.name} with allow_connections true")
    assert studio.get("as/owner/").status == 200


def test_a_role_that_may_not_become_others_is_told_which_grant_it_lacks(
    own: Database, browse: Callable[..., Browsed]
) -> None:
    with own.connect(autocommit=True) as conn:
        conn.execute("create role studio_reader login password 'only for this test'")
        conn.execute("grant select on all tables in schema public to studio_reader")
    studio = browse(own.conninfo(user="studio_reader", password="only for this test"))
    answer = studio.get("as/anon/tables/projects")
    assert answer.status == 403
    assert "studio_reader may not become anon" in answer.text
    assert "grant anon to studio_reader;" in answer.text
    assert "only for this test" not in answer.body
    assert studio.get("as/owner/tables/projects").status == 200  # sees none: row security binds it
    assert "studio_reader may not become anon" in studio.get("as/owner/worlds").text


@one_server
def test_nothing_that_a_page_reads_can_write(own: Database, browse: Callable[..., Browsed]) -> None:
    """A view that writes when it is read, as the strongest role there is."""
    with own.connect(autocommit=True) as conn:
        conn.execute(
            """
            create function public.written() returns text language plpgsql as $$
            begin
                update public.projects set name = 'written by a view';
                return 'written';
            end $$;
            create view public.trap as select public.written() as word;
            """
        )
    answer = browse(own.conninfo()).get("as/owner/tables/trap")
    assert "read-only transaction" in answer.text
    with own.connect() as conn:
        query = "select count(*) from public.projects where name = 'written by a view'"
        assert conn.execute(query).fetchone() == (0,)


@one_server
def test_a_page_that_takes_too_long_says_what_to_do(
    own: Database, browse: Callable[..., Browsed]
) -> None:
    with own.connect(autocommit=True) as conn:
        conn.execute("create view public.slow as select pg_sleep(60)::text as word")
    answer = browse(own.conninfo()).get("as/owner/tables/slow")
    assert answer.status == 503
    assert "longer than 5s" in answer.text


@one_server
def test_two_hundred_at_once_are_all_answered(studio: Browsed) -> None:
    people = ("owner", "anon", STRANGER, MAREN, WILMA)
    paths = [f"as/{people[n % 5]}/tables/{quote(TABLES[n % 6])}" for n in range(200)]
    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(studio.get, paths))
    assert [answer.status for answer in answers] == [200] * 200
    for path, answer in zip(paths, answers, strict=True):
        tidebook = f"r.{SKERRY}.cskerryproj01tidebook0000"
        assert (tidebook in answer.body) is (
            path in (f"as/{MAREN}/tables/projects", "as/owner/tables/projects")
        )
