"""The scale seeds: skewed sizes, reproducible, valid, and loaded only on request."""

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

from runner import embedded
from runner.migrate.migrator import Migrator
from runner.migrate.seeds import TableCount, load, read

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


def seeded_rows(conn: Connection[TupleRow], *, of: str = "cscale%") -> set[Any]:
    """Every row except the automatic audit rows, whose ids and times vary."""
    found = set()
    for table in TABLES:
        column = "id" if table == "organizations" else "org_id"
        more = " and action ~ '[.]'" if table == "audit_logs" else ""
        query = f"select to_jsonb(t)::text from public.{table} as t where {column} like %s{more}"
        found |= {(table, row) for (row,) in conn.execute(query.encode(), [of])}
    return found


@pytest.mark.parametrize("orgs", SIZES)
def test_requested_organizations_have_rows_in_every_table(
    database: Database, conn: Connection[TupleRow], orgs: int
) -> None:
    counts = scaled(database, orgs)
    assert counts["organizations"].inserted == orgs
    for table in TABLES[1:]:
        query = f"select count(distinct org_id) from public.{table} where org_id like 'cscale%'"
        assert conn.execute(query.encode()).fetchone() == (orgs,), table


@one_server
def test_few_organizations_are_large_and_most_are_small(
    database: Database, conn: Connection[TupleRow]
) -> None:
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
def test_rerun_writes_nothing_and_larger_size_only_adds_rows(
    database: Database, conn: Connection[TupleRow]
) -> None:
    first = scaled(database, 3)
    kept = seeded_rows(conn)
    again = scaled(database, 3)
    for table in TABLES:
        assert (again[table].inserted, again[table].updated) == (0, 0)
        assert again[table].unchanged == first[table].inserted > 0
    assert seeded_rows(conn) == kept
    larger = scaled(database, 50)
    assert kept < seeded_rows(conn)
    assert not any(count.updated or count.deleted for count in larger.values())


def test_same_size_generates_the_same_rows(
    database: Database, other: Database, conn: Connection[TupleRow]
) -> None:
    scaled(database, 50)
    scaled(other, 50)
    with other.connect() as other_conn:
        assert seeded_rows(conn) == seeded_rows(other_conn)
        assert len(seeded_rows(conn)) > 400


@pytest.fixture
def other(server: Server, template: str) -> Iterator[Database]:
    with server.database(of=template) as database:
        yield database


def test_generated_rows_satisfy_the_invariants(
    database: Database, conn: Connection[TupleRow]
) -> None:
    """Invariants that constraints and triggers do not check on existing rows."""
    scaled(database, 50)
    violations = {
        "without an OWNER": """
            select from public.organizations as o where not exists (
                select from public.users as u where u.org_id = o.id and 'OWNER' = any (u.roles))""",
        "approved by a user without the right": """
            select from public.workflows as w
            inner join public.users as u on u.org_id = w.org_id and u.id = w.approver_id
            where not u.roles && '{OWNER,ADMIN}'""",
        "approved before an earlier gate": """
            select from public.workflows as w
            inner join public.workflows as before
                on before.org_id = w.org_id and before.project_id = w.project_id
                and before.gate < w.gate and before.approved_at is null
            where w.approved_at is not null""",
        "approved before the project was created": """
            select from public.workflows as w
            inner join public.projects as p on p.org_id = w.org_id and p.id = w.project_id
            where w.approved_at < p.created_at""",
        "older than its organization": """
            select from public.users as u inner join public.organizations as o on o.id = u.org_id
            where u.created_at < o.created_at""",
        "approval without audit row": """
            select from public.workflows as w where w.approved_at is not null and not exists (
                select from public.audit_logs as l
                where l.org_id = w.org_id and l.target_id = w.id and l.actor_id = w.approver_id
                and l.action = 'workflow.approved' and l.created_at = w.approved_at)""",
    }
    for table in TABLES[:5]:
        column = "id" if table == "organizations" else "org_id"
        violations[f"{table}: not exactly one insert audit row"] = f"""
            select from public.{table} as t where 1 <> (
                select count(*) from public.audit_logs as l
                where l.org_id = t.{column} and l.target_id = t.id and l.action = 'insert'
                and l.target_type = '{table}')"""
    for what, query in violations.items():
        assert conn.execute(query.encode()).fetchall() == [], what


def test_scale_user_sees_own_organization_and_seed_rows_are_unchanged(
    database: Database, conn: Connection[TupleRow]
) -> None:
    with database.connect(autocommit=True) as seeding:
        migrator = Migrator(seeding)
        with migrator.lock():
            load(migrator, read(ROOT / "seeds"))
    before = seeded_rows(conn, of="c%")
    scaled(database, 3)
    assert seeded_rows(conn, of="c%") - seeded_rows(conn) == before
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
def test_psql_command_in_the_comment_loads_the_same_rows(
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
        input="".join(file.read_text("utf-8") for file in sorted(FOLDER.glob("*.sql"))),
        env={**os.environ, "PGOPTIONS": "-c seed.orgs=3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with other.connect() as other_conn:
        assert seeded_rows(conn) == seeded_rows(other_conn)


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, database: Database) -> Checkout:
    checkout = Checkout(tmp_path, database)
    (tmp_path / "seeds").symlink_to(ROOT / "seeds")
    return checkout


def organizations(checkout: Checkout) -> int:
    return int(checkout.rows("select count(*) from public.organizations")[0][0])


@one_server
def test_scale_requires_confirmation_outside_the_embedded_database(checkout: Checkout) -> None:
    assert checkout.database
    for words in ([], ["--yes"], ["--yes-fill", "postgres"], ["--yes-fill", ""]):
        result = checkout.runner("seed", "--scale", "3", *words)
        assert result.code == 1
        assert f"--yes-fill {checkout.database.name}" in result.err
        assert organizations(checkout) == 0
    result = checkout.runner("seed", "--scale", "3", "--yes-fill", checkout.database.name)
    assert result.code == 0
    assert organizations(checkout) == 3


@one_server
@pytest.mark.parametrize("size", ["0", "-1", "x", "1.5", "100001", "", "1;2"])
def test_invalid_size_is_rejected_with_a_message(checkout: Checkout, size: str) -> None:
    assert checkout.database
    result = checkout.runner("seed", f"--scale={size}", "--yes-fill", checkout.database.name)
    assert result.code == 64
    assert "--scale" in result.err
    assert organizations(checkout) == 0


@one_server
def test_failed_scale_run_leaves_no_rows(checkout: Checkout) -> None:
    """The last file fails, so the rows of the earlier files are rolled back."""
    assert checkout.database
    checkout.do("alter table public.audit_logs add check (action <> 'workflow.approved')")
    result = checkout.runner("seed", "--scale", "3", "--yes-fill", checkout.database.name)
    assert result.code == 1
    assert "seeds/scale/06_audit_logs.sql" in result.err
    assert "No changes were made." in result.err
    assert organizations(checkout) == 0


@one_server
def test_plain_seed_does_not_load_the_scale_files(checkout: Checkout) -> None:
    assert checkout.runner("seed").code == 0
    assert organizations(checkout) == 2
