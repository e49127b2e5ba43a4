"""The large data set: skewed, the same each time, true to every rule, only where it is meant."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT, Checkout
from conftest import Caller, Database, Server, act_as, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.migrate.migrator import Migrator
from runner.migrate.seeds import TableCount, load, read
from runner.postgres import embedded

FOLDER = ROOT / "seeds" / "scale"
TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")
SIZES = (1, 3, 50)


def scaled(database: Database, orgs: int) -> dict[str, TableCount]:
    with database.connect(autocommit=True) as conn:
        migrator = Migrator(conn)
        with migrator.lock():
            counts = load(migrator, read(FOLDER), {"seed.orgs": orgs})
    return {count.table.removeprefix("public."): count for count in counts}


@pytest.fixture
def conn(database: Database) -> Iterator[Connection[TupleRow]]:
    with database.connect() as conn:
        yield conn


def told(conn: Connection[TupleRow], *, of: str = "cscale%") -> set[Any]:
    """Every row but what the clock and chance have written: the database's own audit rows."""
    found = set()
    for table in TABLES:
        column = "id" if table == "organizations" else "org_id"
        more = " and action ~ '[.]'" if table == "audit_logs" else ""
        query = f"select to_jsonb(t)::text from public.{table} as t where {column} like %s{more}"
        found |= {(table, row) for (row,) in conn.execute(query.encode(), [of])}
    return found


@pytest.mark.parametrize("orgs", SIZES)
def test_there_are_as_many_organizations_and_each_has_all_there_is(
    database: Database, conn: Connection[TupleRow], orgs: int
) -> None:
    counts = scaled(database, orgs)
    assert counts["organizations"].inserted == orgs
    for table in TABLES[1:]:
        query = f"select count(distinct org_id) from public.{table} where org_id like 'cscale%'"
        assert conn.execute(query.encode()).fetchone() == (orgs,), table


@one_server
def test_a_few_are_giants_and_most_are_tiny(database: Database, conn: Connection[TupleRow]) -> None:
    scaled(database, 1000)
    sizes = [
        size
        for (size,) in conn.execute("select count(*) from public.users group by org_id order by 1")
    ]
    assert sizes[-1] > 100
    assert sizes[len(sizes) // 2] == 1
    assert sum(sizes[-10:]) > sum(sizes) / 8
    plans = conn.execute("select distinct billing_plan::text from public.organizations").fetchall()
    assert len(plans) == 3
    gates = conn.execute("select count(distinct gate), count(distinct status) from workflows")
    assert gates.fetchone() == (9, 4)


@one_server
def test_a_second_run_writes_nothing_and_a_larger_one_only_adds(
    database: Database, conn: Connection[TupleRow]
) -> None:
    first = scaled(database, 3)
    kept = told(conn)
    again = scaled(database, 3)
    for table in TABLES:
        assert (again[table].inserted, again[table].updated) == (0, 0)
        assert again[table].unchanged == first[table].inserted > 0
    assert told(conn) == kept
    larger = scaled(database, 50)
    assert kept < told(conn)
    assert not any(count.updated or count.deleted for count in larger.values())


def test_the_same_size_gives_the_same_rows_and_each_is_one_of_a_larger(
    database: Database, other: Database, conn: Connection[TupleRow]
) -> None:
    scaled(database, 50)
    scaled(other, 50)
    with other.connect() as there:
        assert told(conn) == told(there)
        assert len(told(conn)) > 400


@pytest.fixture
def other(server: Server, template: str) -> Iterator[Database]:
    with server.database(of=template) as database:
        yield database


def test_what_must_hold_holds(database: Database, conn: Connection[TupleRow]) -> None:
    """Constraints and triggers were on; these are what neither says of rows that are there."""
    scaled(database, 50)
    wrong = {
        "without an OWNER": """
            select from public.organizations as o where not exists (
                select from public.users as u where u.org_id = o.id and 'OWNER' = any (u.roles))""",
        "approved by somebody who may not": """
            select from public.workflows as w
            inner join public.users as u on u.org_id = w.org_id and u.id = w.approver_id
            where not u.roles && '{OWNER,ADMIN}'""",
        "approved in front of an open gate": """
            select from public.workflows as w
            inner join public.workflows as before
                on before.org_id = w.org_id and before.project_id = w.project_id
                and before.gate < w.gate and before.approved_at is null
            where w.approved_at is not null""",
        "approved before it began": """
            select from public.workflows as w
            inner join public.projects as p on p.org_id = w.org_id and p.id = w.project_id
            where w.approved_at < p.created_at""",
        "older than its organization": """
            select from public.users as u inner join public.organizations as o on o.id = u.org_id
            where u.created_at < o.created_at""",
        "an approval that nobody wrote down": """
            select from public.workflows as w where w.approved_at is not null and not exists (
                select from public.audit_logs as l
                where l.org_id = w.org_id and l.target_id = w.id and l.actor_id = w.approver_id
                and l.action = 'workflow.approved' and l.created_at = w.approved_at)""",
    }
    for table in TABLES[:5]:
        column = "id" if table == "organizations" else "org_id"
        wrong[f"{table}: a row that was not written down once"] = f"""
            select from public.{table} as t where 1 <> (
                select count(*) from public.audit_logs as l
                where l.org_id = t.{column} and l.target_id = t.id and l.action = 'insert'
                and l.target_type = '{table}')"""
    for what, query in wrong.items():
        assert conn.execute(query.encode()).fetchall() == [], what


def test_a_person_of_it_sees_their_organization_and_the_two_companies_are_as_they_were(
    database: Database, conn: Connection[TupleRow]
) -> None:
    with database.connect(autocommit=True) as pouring:
        migrator = Migrator(pouring)
        with migrator.lock():
            load(migrator, read(ROOT / "seeds"))
    before = told(conn, of="c%")
    scaled(database, 3)
    assert told(conn, of="c%") - told(conn) == before
    subs = "select md5(id)::uuid::text, auth_user_id::text from public.users where id like %s"
    for sub, linked in conn.execute(subs, ["cscale%u00000000001"]).fetchall():
        assert sub == linked
    who = conn.execute(subs, ["cscale0000002u00000000001"]).fetchall()[0][0]
    with act_as(conn, Caller("an OWNER", "authenticated", who)):
        for table in TABLES:
            column = "id" if table == "organizations" else "org_id"
            seen = conn.execute(f"select distinct {column} from public.{table}".encode())
            assert seen.fetchall() == [("cscale0000002org000000000",)], table


@one_server
def test_psql_pours_the_same_as_the_comment_says(
    database: Database, other: Database, conn: Connection[TupleRow]
) -> None:
    text = (FOLDER / "01_organizations.sql").read_text("utf-8")
    assert re.findall(r"--     (.*)", text) == [
        "export PGOPTIONS='-c seed.orgs=1000'",
        "cat seeds/scale/*.sql | psql -1 -v ON_ERROR_STOP=1",
    ]
    scaled(other, 3)
    psql = embedded.program("psql", 18)
    done = subprocess.run(
        [psql, "-X", "-1", "-v", "ON_ERROR_STOP=1", "-d", database.conninfo()],
        input="".join(page.read_text("utf-8") for page in sorted(FOLDER.glob("*.sql"))),
        env={**os.environ, "PGOPTIONS": "-c seed.orgs=3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with other.connect() as there:
        assert told(conn) == told(there)


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, database: Database) -> Checkout:
    checkout = Checkout(tmp_path, database)
    (tmp_path / "seeds").symlink_to(ROOT / "seeds")
    return checkout


def organizations(checkout: Checkout) -> int:
    return int(checkout.rows("select count(*) from public.organizations")[0][0])


@one_server
def test_it_asks_for_the_name_of_any_database_but_the_embedded_one(checkout: Checkout) -> None:
    assert checkout.database
    for words in ([], ["--yes"], ["--yes-fill", "postgres"], ["--yes-fill", ""]):
        said = checkout.runner("seed", "--scale", "3", *words)
        assert said.code == 1
        assert f"--yes-fill {checkout.database.name}" in said.err
        assert organizations(checkout) == 0
    said = checkout.runner("seed", "--scale", "3", "--yes-fill", checkout.database.name)
    assert said.code == 0
    assert organizations(checkout) == 3


@one_server
@pytest.mark.parametrize("size", ["0", "-1", "x", "1.5", "100001", "", "1;2"])
def test_a_size_that_is_none_is_refused_in_words(checkout: Checkout, size: str) -> None:
    assert checkout.database
    said = checkout.runner("seed", f"--scale={size}", "--yes-fill", checkout.database.name)
    assert said.code == 64
    assert "--scale" in said.err
    assert organizations(checkout) == 0


@one_server
def test_it_is_all_or_nothing(checkout: Checkout) -> None:
    """A row in the way of the last page: nothing of those before it stays."""
    assert checkout.database
    checkout.do("alter table public.audit_logs add check (action <> 'workflow.approved')")
    said = checkout.runner("seed", "--scale", "3", "--yes-fill", checkout.database.name)
    assert said.code == 1
    assert "seeds/scale/06_audit_logs.sql" in said.err
    assert "Nothing was seeded." in said.err
    assert organizations(checkout) == 0


@one_server
def test_plain_seed_leaves_it_alone(checkout: Checkout) -> None:
    assert checkout.runner("seed").code == 0
    assert organizations(checkout) == 2
