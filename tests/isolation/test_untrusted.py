"""verify as a superuser: it runs no code of a role that could then run a program on the server."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from conftest import ESCAPE, Database, one_server
from promises import PROJECT

from runner.isolation.proof import prove
from runner.isolation.verdict import Verdict

VIEW = "create view public.trap as select public.escape() as n; grant select on public.trap to anon"
TRIGGER = (
    "create function public.fire() returns trigger language plpgsql"
    " as 'begin perform public.escape(); return new; end';"
    "create trigger fire before insert on public.projects execute function public.fire()"
)
OPERATOR = (
    "create function public.joined(name, text) returns text language plpgsql"
    " as 'begin perform public.escape(); return $1::text operator(pg_catalog.||) $2; end';"
    "create operator public.|| (function = public.joined, leftarg = name, rightarg = text)"
)
OVERLOAD = (
    "reset role;"
    "create function public.slug(text) returns text language sql as 'select lower($1)';"
    "create function public.slugged() returns trigger language plpgsql"
    " as 'begin new.name := slug(new.name::varchar); return new; end';"
    "create trigger slugged before insert on public.projects execute function public.slugged();"
    "set role intruder;"
    "create function public.slug(varchar) returns text language plpgsql"
    " as 'begin perform public.escape(); return $1; end'"
)


@pytest.fixture
def intruder(database: Database) -> Iterator[psycopg.Connection]:
    """A session of a role that may create objects in public, and triggers on projects."""
    with database.connect(autocommit=True) as conn:
        conn.execute("copy (select 1) to program 'cat; rm -f escaped'")
        conn.execute("create role intruder; grant create on schema public to intruder")
        conn.execute("grant trigger on public.projects to intruder; set role intruder")
        conn.execute(ESCAPE.encode())
        yield conn
        conn.execute("reset role; drop owned by intruder cascade; drop role intruder")


def verified(database: Database, only: str | None = None) -> Verdict:
    """Return the verdict; fails if the program has run."""
    with database.connect(autocommit=True) as conn:
        verdict = prove(conn, PROJECT, only=only)
        found = "select (pg_stat_file('escaped', true)).size is not null"
        assert conn.execute(found).fetchone() == (False,)
    return verdict


@one_server
def test_code_of_another_role_is_named_and_not_run(
    database: Database, intruder: psycopg.Connection
) -> None:
    intruder.execute(VIEW.encode())
    found = {b.subject: b for b in verified(database, "undecided").breaches}
    assert "intruder decides what it runs" in found["public.trap"].summary
    assert {"public.trap", "public.escape()"} <= found.keys()
    intruder.execute("reset role")
    for one in found.values():
        intruder.execute(one.fix.encode())
    assert verified(database, "undecided").proven
    intruder.execute("set role intruder")


@one_server
@pytest.mark.parametrize("way", [TRIGGER, OPERATOR, OVERLOAD])
def test_nothing_is_tried_if_that_would_run_code_of_another_role(
    database: Database, intruder: psycopg.Connection, way: str
) -> None:
    """As would each insert into a table of tenants, and what finds an operator or an overload."""
    intruder.execute(way.encode())
    verdict = verified(database)
    assert not verdict.cells
    (breach,) = [b for b in verdict.breaches if b.proof == "rows"]
    assert "intruder" in breach.summary
    assert "No right, attack or invariant was tried" in breach.summary
