"""Records as a given person sees them."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from conftest import Database, one_server

from .conftest import (
    MAREN,
    SKERRY,
    STRANGER,
    TABLES,
    WILMA,
    RunningStudio,
    Text,
    all_pages,
    rows,
    write_markup,
)

PROJECT = f"as/{{}}/tables/projects/record?org_id={SKERRY}&id=cskerryproj01tidebook0000"
ODD_NAME = "x\"'; drop table w; --%s%(a)s\\$$<script>alert(1)</script>&{{7*7}}/../ä"


def test_people_of_two_organizations_see_disjoint_records(
    studio: RunningStudio,
) -> None:
    maren = studio.get(f"as/{MAREN}/tables/projects")
    wilma = studio.get(f"as/{WILMA}/tables/projects")
    assert "Tidebook" in maren.text
    assert "Tidebook" not in wilma.body
    assert len(rows(maren.body)) == len(rows(wilma.body)) == 4
    assert not set(rows(maren.body)) & set(rows(wilma.body))
    owner = studio.get("as/owner/tables/projects")
    assert set(rows(owner.body)) == set(rows(maren.body)) | set(rows(wilma.body))


@one_server
def test_switch_links_to_the_same_page_as_another_person(studio: RunningStudio) -> None:
    """The switch is part of every page."""
    page = studio.get(f"as/{MAREN}/tables/projects?sort=created_at&reverse=1")
    assert page.body.count("<summary>") >= 1
    assert f"/{studio.token}/as/{WILMA}/tables/projects?sort=created_at&reverse=1" in page.links


@one_server
def test_empty_table_names_the_policy_that_hides_its_rows(studio: RunningStudio) -> None:
    response = studio.get(f"as/{WILMA}/tables/audit_logs")
    assert response.status == 200
    assert "Wilma Tansy-Okoro sees no records in audit_logs" in response.text
    assert "An OWNER or ADMIN reads the log of their own organization." in response.text


@one_server
def test_anon_gets_permission_denied_as_a_page(studio: RunningStudio) -> None:
    for table in TABLES:
        response = studio.get(f"as/anon/tables/{table}")
        assert response.status == 200
        assert "Permission denied" in response.text
        assert "anon" in response.text
    assert studio.get("as/anon/").text.count("denied") >= len(TABLES)


@one_server
def test_stranger_sees_no_records(studio: RunningStudio) -> None:
    for table in TABLES:
        response = studio.get(f"as/{STRANGER}/tables/{table}")
        assert response.status == 200
        assert rows(response.body) == []


@one_server
def test_record_of_another_organization_is_not_found(studio: RunningStudio) -> None:
    assert studio.get(PROJECT.format(MAREN)).status == 200
    for who in (WILMA, STRANGER, "anon"):
        response = studio.get(PROJECT.format(who))
        assert response.status == 404
        assert "Not found" in response.text
        assert "Tidebook" not in response.body
    nowhere = PROJECT.replace("tidebook", "nowherex")
    assert studio.get(nowhere.format(WILMA)).text == response.text.replace(
        "anon", "Wilma Tansy-Okoro"
    )


@one_server
def test_record_shows_its_values_and_referring_rows(studio: RunningStudio) -> None:
    response = studio.get(PROJECT.format(MAREN))
    assert "Tidebook" in response.text
    assert '"audience"' in response.text
    assert re.search(r"workflows by project_id: \d", response.text)
    links = [link for link in response.links if "/tables/workflows?" in link]
    assert rows(studio.request("GET", links[0]).body)


@one_server
def test_references_are_links_to_records(studio: RunningStudio) -> None:
    page = studio.get(f"as/{MAREN}/tables/workflows")
    targets = {
        unquote(link).split("?")[0].rsplit("/", 2)[-2]: link
        for link in page.links
        if "/record?" in link
    }
    assert targets.keys() == {"workflows", "organizations", "projects", "users"}
    for link in targets.values():
        assert studio.request("GET", link).status == 200, link


@one_server
def test_json_is_collapsed_and_array_is_shown_as_elements(studio: RunningStudio) -> None:
    body = studio.get(f"as/{MAREN}/tables/organizations").body
    assert '<details class="json"><summary>{' in body
    body = studio.get("as/owner/tables/users").body
    assert '<span class="chip">ADMIN</span> <span class="chip">MEMBER</span>' in body


def test_any_table_in_public_is_shown(
    seeded: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    """Later migrations: without org_id, without a key, of odd types, a view, a strange name."""
    name, text = '"' + ODD_NAME.replace('"', '""') + '"', "'" + ODD_NAME.replace("'", "''") + "'"
    with seeded.connect(autocommit=True) as conn:
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
    studio = start_studio(seeded.conninfo())
    overview = studio.get("as/owner/")
    assert ODD_NAME in overview.text
    assert "<script>alert" not in overview.body
    links = [link for link in overview.links if "/as/owner/tables/" in link]
    assert len(set(links)) == 11
    for link in links:
        response = studio.request("GET", link)
        assert response.status == 200, (link, response.text)
        assert "script" not in Text(response.body.partition("<main")[2]).tags
    odd = next(unquote(link) for link in links if "~22" in link)
    pages = all_pages(studio, odd.partition(f"{studio.token}/")[2])
    assert [len(rows(page)) for page in pages] == [50, 50, 20]
    record = next(link for link in Text(pages[0]).links if "/record?" in link)
    assert ODD_NAME in studio.request("GET", record).text
    assert "only the first 50" in studio.get("as/owner/tables/keyless").text
    assert studio.get(f"as/{MAREN}/tables/seen").text.count("cskerryproj") >= 4
    assert "Columns not granted to Maren Skaill: name" in studio.get(f"as/{MAREN}/tables/seen").text
    with seeded.connect() as conn:
        assert conn.execute(f"select count(*) from public.{name}").fetchone() == (120,)


@one_server
def test_markup_in_every_text_and_json_column_is_shown_as_text(
    seeded: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    write_markup(seeded)
    studio = start_studio(seeded.conninfo())
    for table in TABLES:
        response = studio.get(f"as/owner/tables/{table}")
        shown = Text(response.body)
        assert shown.tags.count("script") == 1, table
        assert "img" not in shown.tags
        assert "onerror=alert" in str(shown)
        assert "<script>alert" not in response.body
        record = next(link for link in response.links if f"/tables/{table}/record?" in link)
        shown = Text(studio.request("GET", record).body)
        assert shown.tags.count("script") == 1
        assert "img" not in shown.tags
    assert "<script>alert" not in studio.get("as/owner/").body


@one_server
def test_empty_database_shows_next_command(
    empty_database: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    studio = start_studio(empty_database.conninfo())
    for path in ("as/owner/", "as/owner/comparison"):
        response = studio.get(path)
        assert response.status == 200
        assert "There are no tables yet" in response.text
        assert "python -m runner up" in response.text
    assert "Table not found" in studio.get("as/owner/tables/projects").text
