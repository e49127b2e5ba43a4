"""Relations that cannot be read, or must not be: their own page says why, and all others work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from conftest import ESCAPE, SQL_DIR, Database, one_server

from runner import settings
from runner.isolation import application_login
from runner.postgres.target import Target, parse
from runner.studio.actions import Actions
from runner.studio.data import viewer
from runner.studio.web import static_export

from .conftest import MAREN, TABLES, WILMA, RunningStudio, commands

UNREADABLE = """
create materialized view public.unfilled as select 1 as n with no data;
create foreign data wrapper nowhere; create server nowhere foreign data wrapper nowhere;
create foreign table public.elsewhere (n int) server nowhere;
create view public.raising as select 1 / (random() * 0)::int as n;
create view public.unset as select 1 as n where current_setting('app.nothing') <> '';
create view public.slow as select pg_sleep(60)::text as n;
create table public.asking (n int); alter table public.asking enable row level security;
create policy asking on public.asking using (n in (select a.n from public.asking as a));
grant select on all tables in schema public to authenticated;
"""
WHY = {
    "unfilled": "has not been populated",
    "elsewhere": "has no handler",
    "raising": "division by zero",
    "unset": "unrecognized configuration parameter",
    "slow": "longer than",
    "asking": "infinite recursion detected in policy",
}


@one_server
def test_unreadable_relation_says_why_and_all_others_are_shown(
    seeded: Database,
    start_studio: Callable[..., RunningStudio],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On its page, in lists, beside others, and in a report; so does one that is locked."""
    monkeypatch.setattr(viewer, "TIMEOUT", "1500ms")
    with seeded.connect(autocommit=True) as conn:
        conn.execute(UNREADABLE)
    studio = start_studio(seeded.conninfo())
    for name, why in WHY.items():
        page = studio.get(f"as/{MAREN}/tables/{name}")
        assert page.status == 200, (name, page.text)
        assert why[1:] in page.text
        assert "cannot be read" in page.text
    for path in (f"as/{MAREN}/?count=all", f"as/{MAREN}/comparison?count=all&tables=n"):
        page = studio.get(path)
        assert page.status == 200
        shown = {name: why for name, why in WHY.items() if "/?" in path or "n" in name}
        assert [name for name, why in shown.items() if why not in page.body] == []
    assert re.search(r"projects 4 select", studio.get(f"as/{MAREN}/").text)
    assert "not counted" in studio.get(f"as/{MAREN}/").text
    with seeded.connect(autocommit=True) as conn:
        conn.execute("drop view public.slow")
        conn.execute("begin; lock table public.workflows")
        page = studio.get("as/owner/?count=all")
        assert "it is locked" in page.body
        assert re.search("projects 8 select", page.text)
        assert "projects" in studio.get("as/owner/schema").text
    target = Target(parse(seeded.conninfo()), "a test", embedded=False)
    with viewer.opened(target, tmp_path) as source:
        chosen = settings.load(environ={"DATABASE_URL": seeded.conninfo()}, sql_dir=str(tmp_path))
        static_export.write(source, target, Actions(chosen), tmp_path / "report")
    for name in WHY.keys() - {"slow"}:
        text = (tmp_path / f"report/as/authenticated/tables/{name}.html").read_text()
        assert WHY[name][1:] in text


# --- relations of other roles, read by a session of a superuser ----------------------------------


TRAPS = """
create view public.of_other_role as select public.escape() as n;
create function public.fixed() returns int language plpgsql immutable
    as 'begin return public.escape(); end';
create table public.with_index (n int); create index on public.with_index ((n + public.fixed()));
create type public.kind as enum ('x');
create function public.escape(public.kind) returns text language plpgsql
    as 'begin return public.escape(); end';
create cast (public.kind as text) with function public.escape(public.kind);
create table public.with_cast (n public.kind); insert into public.with_cast values ('x');
set role postgres;
create view public.of_superuser as select public.escape() as n;
create table public.with_type (n public.kind[]); insert into public.with_type values ('{x}');
grant select on all tables in schema public to authenticated, service_role;
"""
TRAPPED = ("of_other_role", "with_index", "with_cast", "of_superuser", "with_type")


@pytest.fixture
def intruder(seeded: Database) -> Iterator[psycopg.Connection]:
    """A session of a role that may create objects in public; and no file `escaped`."""
    with seeded.connect(autocommit=True) as conn:
        conn.execute("copy (select 1) to program 'cat; rm -f escaped'")
        conn.execute("create role intruder; grant create on schema public to intruder")
        conn.execute("set role intruder")
        yield conn
        conn.execute("reset role; drop owned by intruder cascade; drop role intruder")


def escaped(database: Database) -> bool:
    """Whether the program has run; its file is in the server's folder."""
    with database.connect() as conn:
        return conn.execute(
            "select (pg_stat_file('escaped', true)).size is not null"
        ).fetchone() == (True,)


@one_server
def test_superuser_does_not_run_the_code_of_another_role(
    seeded: Database, intruder: psycopg.Connection, start_studio: Callable[..., RunningStudio]
) -> None:
    """Nor as a person. A login that is no superuser reads everything."""
    intruder.execute(f"{ESCAPE} {TRAPS}".encode())
    studio = start_studio(seeded.conninfo())
    for who in ("owner", MAREN):
        for path in ("", "?count=all", "comparison", "tables/projects"):
            assert studio.get(f"as/{who}/{path}").status == 200
        for trap in TRAPPED:
            page = studio.get(f"as/{who}/tables/{trap}")
            assert not escaped(seeded), trap
            assert "not read as a superuser, because intruder decides" in page.text
            assert [text for text in commands(page.body) if "create role app_login" in text]
            assert studio.get(f"as/{who}/schema/{trap}").status == 200
    target = replace(studio.target, embedded=True)
    application_login.create(intruder, target, application_login.roles(SQL_DIR))
    login = replace(target, parameters=target.parameters | {"user": "app_login"})
    studio = start_studio(seeded.conninfo(), login=login)
    assert "Tidebook" in studio.get(f"as/{MAREN}/tables/projects").text
    for trap in TRAPPED:
        page = studio.get(f"as/{MAREN}/tables/{trap}")
        assert "1 record" in page.text or "sees no records" in page.text
        assert "Choose a person" in studio.get(f"as/owner/tables/{trap}").text
    assert studio.get("as/owner/").status == studio.get(f"as/{WILMA}/").status == 200
    assert not escaped(seeded)


@one_server
def test_operator_of_another_role_is_not_used(
    seeded: Database, intruder: psycopg.Connection, start_studio: Callable[..., RunningStudio]
) -> None:
    """It would fit the studio's own statements better than that of PostgreSQL."""
    operator = (
        ESCAPE.replace("escape()", "escape(name, text)")
        .replace("returns int", "returns text")
        .replace("return 1", "return 'x'")
        + "create operator public.|| (function = public.escape, leftarg = name, rightarg = text);"
    )
    intruder.execute(operator.encode())
    studio = start_studio(seeded.conninfo())
    for who in ("owner", MAREN):
        for path in ("", "comparison", "tables/users", "schema/users", "history", "people?q=maren"):
            assert studio.get(f"as/{who}/{path}").status == 200 or escaped(seeded)
    assert not escaped(seeded)


@one_server
def test_application_login_is_enough_for_all_people(
    seeded: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    """It has no rights of its own: people are found as an actor who crosses tenants."""
    target = Target(parse(seeded.conninfo()), "a test", embedded=True)
    with seeded.connect(autocommit=True) as conn:
        application_login.create(conn, target, application_login.roles(SQL_DIR))
    studio = start_studio(seeded.conninfo(user="app_login"))
    assert "Maren Skaill" in studio.get(f"as/{WILMA}/people?q=maren").text
    page = studio.get("as/owner/comparison")
    assert page.status == 200
    assert "No people are known" not in page.text
    assert "Tidebook" in studio.get(f"as/{MAREN}/tables/projects").text
    assert all(f"{table} denied" in studio.get("as/owner/").text for table in TABLES)
