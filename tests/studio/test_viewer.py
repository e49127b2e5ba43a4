"""Sessions as a person: SET ROLE, read-only transactions, timeouts, lost connections."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import psycopg
from conftest import Database, one_server

from runner.studio.data import viewer

from .conftest import MAREN, SKERRY, STRANGER, TABLES, WILMA, RunningStudio, commands

NUMBER = 10 * viewer.MAX_CONNECTIONS  # of requests at once


@one_server
def test_lost_connection_is_a_page_and_studio_recovers(
    seeded: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    studio = start_studio(seeded.conninfo(), pool_timeout=2.0)
    assert studio.get("as/owner/").status == 200
    maintenance = seeded.server.conninfo(seeded.server.maintenance)
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"alter database {seeded.name} with allow_connections false")
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'runner studio' and datname = %s",
            [seeded.name],
        )
        response = studio.get("as/owner/")
        assert response.status == 503
        assert "not responding" in response.text
        conn.execute(f"alter database {seeded.name} with allow_connections true")
    assert studio.get("as/owner/").status == 200


def test_missing_set_role_privilege_is_reported_with_grant(
    seeded: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    with seeded.connect(autocommit=True) as conn:
        conn.execute("create role studio_reader login password 'only for this test'")
        conn.execute("grant select on all tables in schema public to studio_reader")
    studio = start_studio(seeded.conninfo(user="studio_reader", password="only for this test"))
    response = studio.get("as/anon/tables/projects")
    assert response.status == 403
    assert "studio_reader is not allowed to SET ROLE anon" in response.text
    assert "grant anon to studio_reader;" in response.text
    assert "only for this test" not in response.body
    assert studio.get("as/owner/tables/projects").status == 200  # no rows: row security applies
    assert "studio_reader is not allowed to SET ROLE anon" in studio.get("as/owner/comparison").text


@one_server
def test_offered_grant_runs_and_lets_the_role_view_as_anon(
    seeded: Database, start_studio: Callable[..., RunningStudio], role: str
) -> None:
    studio = start_studio(seeded.conninfo(user=role, password="only for this test"))
    response = studio.get("as/anon/tables/projects")
    assert response.status == 403
    (statement,) = commands(response.body)
    assert statement.startswith("grant anon to ")
    with seeded.connect(autocommit=True) as conn:
        conn.execute(statement.encode())
    assert studio.get("as/anon/tables/projects").status == 200


@one_server
def test_view_that_writes_fails_in_read_only_transaction(
    seeded: Database, start_studio: Callable[..., RunningStudio]
) -> None:
    """A view that writes when it is read, viewed as a superuser."""
    with seeded.connect(autocommit=True) as conn:
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
    response = start_studio(seeded.conninfo()).get("as/owner/tables/trap")
    assert "read-only transaction" in response.text
    with seeded.connect() as conn:
        query = "select count(*) from public.projects where name = 'written by a view'"
        assert conn.execute(query).fetchone() == (0,)


@one_server
def test_more_requests_than_connections_succeed(studio: RunningStudio) -> None:
    people = ("owner", "anon", STRANGER, MAREN, WILMA)
    paths = [f"as/{people[n % 5]}/tables/{quote(TABLES[n % 6])}" for n in range(NUMBER)]
    with ThreadPoolExecutor(NUMBER) as pool:
        responses = list(pool.map(studio.get, paths))
    assert [response.status for response in responses] == [200] * NUMBER
    for path, response in zip(paths, responses, strict=True):
        tidebook = f"r.{SKERRY}.cskerryproj01tidebook0000"
        assert (tidebook in response.body) is (
            path in (f"as/{MAREN}/tables/projects", "as/owner/tables/projects")
        )
