"""`verify` through a coordinator: every cell is decided, weakenings are named, no row remains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from conftest import SQL_DIR, Database

from citus.conftest import Cluster
from runner.errors import DatabaseUnreachable, ProofError
from runner.events import silent
from runner.isolation import project, proof
from runner.isolation.citus.committed import SCHEMA
from runner.isolation.probes import generic
from runner.isolation.probes.reads import Probe
from runner.isolation.sql_cases import rule_runner
from runner.postgres.connection import Connection

OVERLAY = SQL_DIR / "citus"
PROJECT = project.load(SQL_DIR, OVERLAY)
# What they depend on is set up by the owner, who would have to commit a privilege or a function.
UNTRIED = {
    *("110_leaky_function", "111_leaky_operator", "119_leaky_function_in_an_update"),
    *("206_write_with_more_privileges", "207_move_rows_with_column_grant"),
    *("402_sign_with_column_grant", "453_abuse_retention"),
    *("605_planned_across_tenants", "606_function_planned_for_another_tenant"),
    "725_move_is_logged_on_both_sides",  # Citus refuses to move a row
}
LEFT = f"""
    select (select count(*) from public.organizations) + (select count(*) from app.accounts),
        to_regnamespace('{SCHEMA}')::text, current_setting('statement_timeout')
"""
CLEAN = (0, None, "0")
WEAKENINGS = {
    "policy select_member on public.projects": "alter policy select_member on public.projects"
    " using (true)",
    "public.ai_agents": "alter table public.ai_agents disable row level security",
    "policy kept on public.workflows": "create policy kept on public.workflows as restrictive"
    " for all to authenticated using (true)",
    "table public.notes": 'create table public.notes (org_id text collate "C", id text,'
    " primary key (org_id, id))",
    "public.audit_logs": "grant update (meta) on public.audit_logs to authenticated",
}


@pytest.fixture
def database(cluster: Cluster, distributed: str) -> Iterator[Database]:
    with cluster.database(of=distributed) as made:
        for node in range(3):  # a copy does not have it
            cluster.sql(node, f"revoke temporary on database {made.name} from public")
        yield made


@pytest.fixture
def conn(database: Database) -> Iterator[Connection]:
    with database.connect(autocommit=True) as connection:
        yield connection


def test_every_cell_is_decided_and_no_row_remains(conn: Connection) -> None:
    verdict = proof.prove(conn, PROJECT)
    assert [breach.summary for breach in verdict.breaches] == []
    assert len(verdict.cells) > 1500
    tried = {check.name: check.outcome for check in verdict.checks}
    assert {name for name, outcome in tried.items() if outcome.startswith("not tried:")} == UNTRIED
    assert any("commits rows of two tenants" in warning for warning in verdict.warnings)
    assert conn.execute(LEFT).fetchall() == [CLEAN]


def some_rights(probe: Probe) -> None:
    """Try all rights on the tables that are weakened, as callers who are no others in disguise."""
    names = ("projects", "ai_agents", "workflows", "audit_logs")
    relations = [r for r in probe.relations if r.name in names]
    callers = [c for c in probe.callers if c.name in ("OWNER", "MEMBER", "anon")]
    some = replace(probe, relations=relations, callers=callers)
    generic.try_rights(some, silent, whole=False)


def test_weakenings_are_named(conn: Connection) -> None:
    for statement in WEAKENINGS.values():
        conn.execute(statement.encode())
    probe = generic.on_rows(conn, PROJECT.config, some_rights)
    with conn.transaction():
        _, broken = rule_runner.run(conn, PROJECT)
    found = [*broken, *probe.findings.breaches]
    said = " ".join(f"{b.subject} {b.cause} {b.summary}" for b in found)
    assert [name for name in WEAKENINGS if name not in said] == []
    leaks = {c.table for c in probe.findings.cells if c.where == "other" and not c.passed}
    assert leaks == {"public.projects", "public.ai_agents", "public.workflows"}
    assert conn.execute(LEFT).fetchall() == [CLEAN]


def test_rows_that_a_killed_run_has_left_are_removed_by_the_next(
    database: Database, conn: Connection
) -> None:
    def killed(probe: Probe) -> None:
        with database.connect(autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and backend_type = 'client backend'"
            )
        conn.execute("select 1")

    with pytest.raises((DatabaseUnreachable, ProofError, psycopg.OperationalError)):
        generic.on_rows(conn, PROJECT.config, killed)
    with database.connect(autocommit=True) as again:
        [(left, schema, _)] = again.execute(LEFT).fetchall()
        assert (left > 2, schema) == (True, SCHEMA)
        generic.on_rows(again, PROJECT.config, lambda _: None)
        assert again.execute(LEFT).fetchall() == [CLEAN]


def test_rows_that_cannot_be_removed_are_named(database: Database, conn: Connection) -> None:
    def obstructed(probe: Probe) -> None:
        with database.connect(autocommit=True) as other:
            other.execute(f"insert into {SCHEMA}.removal (statement) values ('delete from gone')")

    with pytest.raises(ProofError, match='relation "gone" does not exist') as raised:
        generic.on_rows(conn, PROJECT.config, obstructed)
    assert "delete from public.organizations as t where" in raised.value.hint
    assert raised.value.state == "The rows of two tenants of verify remain in the database."
    conn.execute(f"delete from {SCHEMA}.removal where statement = 'delete from gone'")
    generic.on_rows(conn, PROJECT.config, lambda _: None)
    assert conn.execute(LEFT).fetchall() == [CLEAN]
