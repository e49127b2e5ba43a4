"""verify, on a real database: it passes, it leaves nothing, it is in nobody's way, it can fail."""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import psycopg
import pytest
from checkout import ROOT, Checkout
from conftest import Database, Server, apply_schema, one_server

from runner.errors import DatabaseUnreachable, LockTimeout, ProofError, RunnerError, UsageError
from runner.isolation.matrix import grid
from runner.isolation.matrix.cases import tries
from runner.isolation.proof import prove
from runner.isolation.report import export
from runner.isolation.verdict import Breach, Verdict
from runner.migrate.migrator import Migrator
from runner.migrate.seeds import load
from runner.migrate.seeds import read as seeds
from runner.postgres.connection import Connection

TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")
PASSWORD = "proves"

KINDS = {
    "superuser": "create role {owner} login superuser password 'proves';",
    "as on Supabase": """
        create role {owner} login createrole bypassrls password 'proves';
        grant anon, authenticated, service_role to {owner};
        grant create, connect, temporary on database {name} to {owner};
        grant usage, create on schema public to {owner};
        grant usage on schema public to anon, authenticated, service_role;
        alter default privileges for role {owner} in schema public
            grant all on tables to anon, authenticated, service_role;
    """,
    "plain": """
        create role {owner} login password 'proves';
        alter database {name} owner to {owner};
        grant anon, authenticated, service_role to {owner};
    """,
}


def connect(database: Database, **parts: str) -> Connection:
    return database.connect(autocommit=True, **parts)


def judged(database: Database, weakness: str = "", **how: object) -> Verdict:
    """What verify says, after a weakness was planted."""
    with connect(database) as conn:
        if weakness:
            conn.execute(weakness.encode())
        return prove(conn, **how)  # type: ignore[arg-type]


def breach(database: Database, weakness: str, **how: object) -> Breach:
    """The first breach of a cell."""
    verdict = judged(database, weakness, **how)
    assert not verdict.proven
    return verdict.breaches[0]


def rows(database: Database, header: str = "xmin::text, xmax::text, ctid::text") -> list[object]:
    """Every row of every table with what is kept beside it; of the catalog, which and when."""
    catalogs = {"pg_class": "oid", "pg_policy": "oid", "pg_proc": "oid", "pg_trigger": "oid"}
    with connect(database) as conn:
        ours = [
            conn.execute(f"select {header}, t::text from {table} as t order by ctid").fetchall()
            for table in (*(f"public.{name}" for name in TABLES), "app.privileges_before")
        ]
        theirs = [
            conn.execute(
                f"select {key}, xmin::text, ctid::text from {name} where {key} >= 16384"
                " order by ctid"
            ).fetchall()
            for name, key in {**catalogs, "pg_attribute": "attrelid"}.items()
        ]
    return [*ours, *theirs]


@pytest.fixture
def database(database: Database) -> Database:
    """A clone has the privileges of its own database anew: what 0001 took away is taken again."""
    with connect(database) as conn:
        conn.execute(f"revoke temporary on database {database.name} from public".encode())
    return database


@pytest.fixture
def seeded(database: Database) -> Database:
    with connect(database) as conn:
        migrator = Migrator(conn)
        with migrator.lock():
            load(migrator, seeds(ROOT / "seeds"))
    return database


@pytest.fixture
def checkout(tmp_path: Path, database: Database) -> Checkout:
    return Checkout(tmp_path, database)


# --- it passes ----------------------------------------------------------------------------------


def test_the_freshly_seeded_database_is_proven(seeded: Database) -> None:
    verdict = judged(seeded)
    assert verdict.breaches == ()
    assert all("CVE" in warning for warning in verdict.warnings)
    assert len(verdict.cells) == len(tries()) > 1400
    assert all(cell.passed for cell in verdict.cells)
    assert re.fullmatch(r"\d+:\d+:[0-9a-f]{64}", verdict.facts["fingerprint"])


@contextmanager
def applied_by(server: Server, kind: str) -> Iterator[tuple[Database, str]]:
    """A database with the schema, and its owner, who is gone afterwards."""
    with server.database() as database:
        owner = f"owner_of_{database.name}"
        with connect(database) as conn:
            conn.execute(KINDS[kind].format(owner=owner, name=database.name).encode())
            conn.execute(f"revoke temporary on database {database.name} from public".encode())
        apply_schema(
            host=server.host,
            port=server.port,
            user=owner,
            dbname=database.name,
            password=PASSWORD,
        )
        yield database, owner
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        conn.execute(f"drop role {owner}".encode())


@pytest.fixture(params=KINDS)
def owned(
    request: pytest.FixtureRequest, server: Server, template: str
) -> Iterator[tuple[Database, str]]:
    assert template  # it has made the API roles, which two of the kinds could not
    with applied_by(server, request.param) as made:
        yield made


def test_each_kind_of_owner_can_prove_it(owned: tuple[Database, str]) -> None:
    database, owner = owned
    with connect(database, user=owner, password=PASSWORD) as conn:
        verdict = prove(conn)
    assert [b.what for b in verdict.breaches] == []
    assert not [w for w in verdict.warnings if "restrictive" in w]
    assert all(cell.passed for cell in verdict.cells)


def test_the_fingerprint_tells_two_schemas_apart(database: Database) -> None:
    before = judged(database, only="projects.select").facts["fingerprint"]
    again = judged(database, only="projects.select").facts["fingerprint"]
    changed = judged(
        database, "grant select on public.projects to anon", only="projects.select"
    ).facts["fingerprint"]
    assert before == again != changed


# --- it leaves nothing --------------------------------------------------------------------------


def test_every_row_is_the_same_before_and_after(seeded: Database) -> None:
    before = rows(seeded)
    assert judged(seeded).proven
    assert rows(seeded) == before


def test_every_row_is_the_same_when_something_got_through(seeded: Database) -> None:
    with connect(seeded) as conn:
        conn.execute("alter table public.users disable row level security")
    before = rows(seeded, "xmin::text, ctid::text")  # xmax tells of a lock that was let go
    assert not judged(seeded).proven
    assert rows(seeded, "xmin::text, ctid::text") == before


def test_the_session_is_left_as_it_was(database: Database) -> None:
    ask = (
        "select current_user, current_setting('role'), current_setting('lock_timeout'),"
        " current_setting('application_name'), current_setting('statement_timeout'),"
        " current_setting('search_path'), nullif(current_setting('request.jwt.claims', true), '')"
    )
    with connect(database) as conn:
        before = conn.execute(ask).fetchall()
        prove(conn, only="matrix")
        assert conn.execute(ask).fetchall() == before
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


# --- it is in nobody's way ----------------------------------------------------------------------


@contextmanager
def writing(database: Database, patience_ms: int) -> Iterator[list[float]]:
    """Somebody writes without pause and never waits longer for a lock; yields the times it took."""
    took: list[float] = []
    failed: list[BaseException] = []
    stop = threading.Event()

    def write() -> None:
        try:
            with connect(database) as conn:
                conn.execute(f"set lock_timeout = {patience_ms}".encode())
                while not stop.is_set():
                    started = time.monotonic()
                    conn.execute("update public.users set name = name || '.' where name !~ '....$'")
                    conn.execute("update public.organizations set name = name || ''")
                    conn.execute(
                        "insert into public.projects (org_id, name)"
                        " select id, 'Load' from public.organizations limit 1"
                    )
                    took.append(time.monotonic() - started)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()
    assert failed == []


def test_no_writer_waits_longer_than_the_lock_timeout(seeded: Database) -> None:
    with writing(seeded, patience_ms=1050) as took:
        verdict = judged(seeded, lock_timeout=1.0)
    assert verdict.proven
    assert len(took) > 10
    assert max(took) < 1.5  # three statements; the server was busy with other things too


def test_a_lock_that_stands_in_the_way_is_named_and_nothing_passes(database: Database) -> None:
    with database.connect(application_name="somebody else") as other:
        other.execute("lock table public.projects in access exclusive mode")
        with pytest.raises(LockTimeout) as refusal:
            judged(database, lock_timeout=0.05)
        assert "somebody else" in refusal.value.hint
        assert "AccessExclusiveLock on projects" in refusal.value.hint


def test_a_program_that_stands_still_is_ended_and_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it holds a table all to itself; nobody else has to wait for it."""
    run = grid.run

    def slow(*words: Any, **how: Any) -> None:
        if not how.get("belt", True):
            time.sleep(0.5)
        run(*words, **how)

    monkeypatch.setattr(grid, "run", slow)
    with pytest.raises(DatabaseUnreachable, match="connection was lost") as refusal:
        judged(database, only="projects", lock_timeout=0.3)
    assert "stood still for 210 ms" in refusal.value.hint
    with connect(database) as conn:
        assert conn.execute("select count(*) from public.projects").fetchall() == [(0,)]


def test_a_lock_that_goes_away_is_waited_for(database: Database) -> None:
    with database.connect() as other:
        other.execute("lock table public.projects in access exclusive mode")
        letting_go = threading.Timer(0.7, other.rollback)
        letting_go.start()
        assert judged(database, only="projects.select", lock_timeout=0.1).proven
        letting_go.join()


def test_where_the_belt_cannot_be_dropped_the_table_is_named(database: Database) -> None:
    with database.connect(application_name="a long reader") as other:
        other.execute("select count(*) from public.projects")
        verdict = judged(database, only="projects", lock_timeout=0.1)
    assert verdict.proven
    [warning] = [w for w in verdict.warnings if "CVE" not in w]
    assert "public.projects" in warning and "a long reader" in warning


def test_two_runs_at_once_both_pass(database: Database) -> None:
    verdicts: list[Verdict] = []
    runs = [
        threading.Thread(target=lambda: verdicts.append(judged(database, only="matrix")))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [verdict.breaches for verdict in verdicts] == [(), ()]


def test_truncate_is_not_executed_where_it_would_go_through(seeded: Database) -> None:
    """A reader holds a lock that TRUNCATE would wait for."""
    with connect(seeded) as conn:
        conn.execute("grant truncate on public.projects to authenticated")
    with seeded.connect() as reader:
        reader.execute("select count(*) from public.projects")
        verdict = judged(seeded, only="projects.truncate", without_belt=False, lock_timeout=0.1)
    assert {b.fix for b in verdict.breaches} == {
        "revoke truncate on public.projects from authenticated;"
    }
    assert {c.outcome for c in verdict.cells if not c.passed} == {
        "not executed: the role holds TRUNCATE"
    }


# --- it can fail --------------------------------------------------------------------------------


def test_a_policy_that_is_too_wide_is_named_with_what_it_reached(database: Database) -> None:
    found = breach(
        database,
        "drop policy tenant_isolation on public.projects;"
        " alter policy select_member on public.projects using (true)",
        only="projects",
    )
    assert found.proof == "projects.select.rows as OWNER in other org"
    assert found.subject == "public.projects"
    assert found.who.startswith("OWNER: role authenticated, claims {")
    assert "set local role authenticated;" in found.sql
    assert "select id from public.projects where org_id = 'cproofaway" in found.sql
    assert found.reached.startswith("2 rows: cproofawayproject")
    assert "policy select_member on public.projects: for select" in found.fault
    assert "using (true)" in found.fault
    assert "sql/0009_enable_row_level_security.sql" in found.fix


def test_a_policy_that_only_the_belt_makes_right_is_found(database: Database) -> None:
    verdict = judged(
        database, "alter policy select_member on public.projects using (true)", only="projects"
    )
    assert verdict.breaches
    assert all("without the restrictive policies" in b.proof for b in verdict.breaches)
    assert all(cell.passed for cell in verdict.cells)
    with connect(database) as conn:
        assert prove(conn, only="projects", without_belt=False).proven


def test_an_update_policy_that_only_the_select_policy_makes_right_is_found(
    database: Database,
) -> None:
    """Without WHERE no column is read, so no policy for SELECT is asked."""
    verdict = judged(
        database,
        "alter policy update_member on public.workflows using (true) with check (true);"
        " drop policy tenant_isolation on public.workflows",
        only="workflows",
    )
    assert verdict.breaches
    assert all(", without WHERE" in b.proof for b in verdict.breaches)
    assert "policy update_member on public.workflows" in verdict.breaches[0].fault


def test_a_grant_too_many_is_named_with_its_revoke(database: Database) -> None:
    found = breach(database, "grant update (email) on public.users to authenticated", only="users")
    assert found.proof == "users.update.email as OWNER in own org"
    assert "grant update (email, name, roles) on public.users to authenticated" in found.fault
    assert found.fix == "revoke update (email) on public.users from authenticated;"
    with connect(database) as conn:
        conn.execute(found.fix.encode())
        assert prove(conn, only="users").proven


@pytest.mark.parametrize(
    ("grant", "fix"),
    [
        ("select on public.users to anon", "revoke select on public.users from anon;"),
        ("select on public.users to public", "revoke select on public.users from public;"),
        ("delete on public.users to authenticated", "revoke delete on public.users from"),
        ("update (meta) on public.audit_logs to service_role", "revoke update on public.audit_"),
    ],
)
def test_a_grant_behind_which_policies_still_hold_is_a_breach_all_the_same(
    database: Database, grant: str, fix: str
) -> None:
    found = breach(database, f"grant {grant}", only="matrix")
    assert found.fix.startswith(fix)
    assert "which nobody gave it" in found.what


def test_a_guard_that_is_gone_shows_in_what_got_through(database: Database) -> None:
    found = breach(database, "drop trigger guard_roles on public.users", only="users")
    assert found.proof == "users.update.own roles short of OWNER as MEMBER in own org"
    assert "no guard refused it" in found.fault
    assert "keep_last_owner, record_audit, touch_updated_at" in found.fault
    assert "sql/0007_guard_rows.sql" in found.fix


def test_row_security_that_is_off_is_named_with_the_switch(database: Database) -> None:
    found = breach(database, "alter table public.users disable row level security", only="users")
    assert "row-level security is off on public.users" in found.fault
    assert found.fix == "alter table public.users enable row level security;"


@pytest.mark.parametrize(
    ("weakness", "missing"),
    [
        (
            "revoke select on public.projects from authenticated",
            "missing: grant select on public.projects to authenticated",
        ),
        (
            "drop policy select_member on public.projects",
            "missing: a permissive policy for select to authenticated on public.projects",
        ),
        (
            "revoke update (name) on public.projects from authenticated",
            "missing: a privilege (permission denied for table projects)",
        ),
    ],
)
def test_the_opposite_failure_says_what_is_missing(
    database: Database, weakness: str, missing: str
) -> None:
    found = breach(database, weakness, only="projects")
    assert "and was refused" in found.what
    assert found.fault.startswith(missing)


@pytest.mark.parametrize(
    ("make", "name", "fault"),
    [
        ("create table public.notes (id int)", "table public.notes", "row-level security is off"),
        (
            "create view public.everyone as select * from public.users;"
            " grant select on public.everyone to authenticated",
            "view public.everyone",
            "it reads as its owner",
        ),
        (
            "create materialized view public.counted as select count(*) from public.users;"
            " grant select on public.counted to anon",
            "materialized view public.counted",
            "grant select to anon",
        ),
    ],
)
def test_a_table_that_nobody_decided_on_fails_the_proof(
    seeded: Database, make: str, name: str, fault: str
) -> None:
    found = breach(seeded, make, only="undecided")
    assert name in found.what and fault in found.fault
    assert "revoke all on" in found.fix
    if "grant" in make:
        assert re.search(r"saw (at least )?\d+ row", found.reached)
    assert "example" not in found.reached  # the rows themselves may be real people's


def test_a_schema_is_looked_into_when_it_is_said_to_be_exposed(database: Database) -> None:
    make = "create schema shop; create table shop.orders (id int)"
    assert judged(database, make, only="undecided").proven
    found = breach(database, "", only="undecided", schemas=("public", "shop"))
    assert found.subject == "shop.orders"
    with pytest.raises(UsageError, match="no schema nowhere"):
        judged(database, schemas=("nowhere",))


# --- what it stands on --------------------------------------------------------------------------


def test_a_database_without_the_schema_is_an_error_and_no_breach(empty_database: Database) -> None:
    with pytest.raises(RunnerError, match="not the schema of sql/") as refusal:
        judged(empty_database)
    assert "runner apply" in refusal.value.hint


def test_a_role_that_cannot_act_as_the_api_is_told_the_grant(
    server: Server, database: Database
) -> None:
    role = f"nobody_of_{database.name}"
    with connect(database) as conn:
        conn.execute(f"create role {role} login password 'proves'".encode())
    with connect(database, user=role, password=PASSWORD) as conn:
        with pytest.raises(RunnerError, match="cannot act as") as refusal:
            prove(conn)
        assert f"grant anon, authenticated, service_role to {role};" in refusal.value.hint
    with connect(database) as conn:
        conn.execute(f"grant anon, authenticated to {role}".encode())
        conn.execute(f"grant service_role to {role}".encode())
        conn.execute(f"revoke usage on schema app from {role}".encode())
    with (  # it is bound by the policies itself
        connect(database, user=role, password=PASSWORD) as conn,
        pytest.raises(ProofError, match="could not be made"),
    ):
        prove(conn)


def test_where_no_rows_can_be_made_it_is_an_error_unless_a_rule_says_why(
    database: Database,
) -> None:
    needed = "alter table public.projects add column needed text not null"
    with pytest.raises(ProofError, match=r"could not be made: null value in column .needed"):
        judged(database, needed)
    verdict = judged(database, "alter function app.record_audit() owner to authenticated")
    assert verdict.cells == ()
    assert {check.kind for check in verdict.checks} == {"rule"}
    *named, world = verdict.breaches
    assert "routine app.record_audit()" in {b.subject for b in named}
    assert "could not be made" in world.what and "No cell, attack or invariant" in world.what
    assert len(set(verdict.breaches)) == len(verdict.breaches)


def test_a_session_that_may_not_write_is_told_so(database: Database) -> None:
    with connect(database) as conn:
        conn.execute("set default_transaction_read_only = on")
        with pytest.raises(RunnerError, match="read-only"):
            prove(conn)


def test_a_name_that_is_no_proof_is_wrong_usage(database: Database) -> None:
    with pytest.raises(UsageError, match="no proof called 'projekts'"):
        judged(database, only="projekts")


# --- what it prints -----------------------------------------------------------------------------


def test_the_matrix_is_readable_in_80_columns_without_colour(
    checkout: Checkout, seeded: Database
) -> None:
    said = checkout.runner("verify")
    assert said.code == 0, said.err + said.out
    assert all(len(line) <= 80 for line in said.out.splitlines())
    assert "\x1b" not in said.out
    assert re.search(r"^  OWNER +yes · +4/8 · +9/15 · +– · +– ·$", said.out, re.MULTILINE)
    assert re.search(r"^  service_role +yes \+ ", said.out, re.MULTILINE)
    assert re.search(r"^\d{4} cells, .*0 breaches, in \d+\.\d s$", said.out, re.MULTILINE)


@one_server
def test_a_breach_says_all_that_one_needs_and_exits_with_4(checkout: Checkout) -> None:
    checkout.do("grant update (email) on public.users to authenticated")
    said = checkout.runner("verify", "--only", "users")
    assert said.code == 4
    assert re.search(r"^  OWNER .* ✗1 ", said.out, re.MULTILINE)
    assert "breach 1: users.update.email as OWNER in own org" in said.out
    for part in ("what  ", "who  ", "sql  ", "reached  ", "fault  ", "fix  "):
        assert re.search(rf"^  {part}", said.out, re.MULTILINE)
    assert "update public.users set email = email where" in said.out
    assert "\x1b[31m" in checkout.runner("verify", "--only", "users", FORCE_COLOR="1").out


@one_server
def test_json_is_one_document(checkout: Checkout) -> None:
    said = checkout.runner("verify", "--only", "matrix", "--json")
    assert said.code == 0
    assert said.document["ok"] is True
    assert said.document["counts"]["cells"] == len(said.document["cells"])
    assert said.document["breaches"] == []
    assert "***" not in said.document["facts"]["fingerprint"]
    checkout.do("grant select on public.users to anon")
    said = checkout.runner("verify", "--only", "users.select", "--json")
    assert (said.code, said.document["ok"], said.document["exit_code"]) == (4, False, 4)
    assert said.document["breaches"][0]["fix"] == "revoke select on public.users from anon;"


@one_server
def test_html_is_one_page_that_needs_nothing_else(checkout: Checkout) -> None:
    name = '<script>alert("x")</script>'
    checkout.do(f'create table public."{name}" (id int)'.replace('"x"', '""x""'))
    said = checkout.runner("verify", "--html", "proof.html")
    assert said.code == 4
    page = (checkout.folder / "proof.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert html.escape(name, quote=True) in page
    assert not re.search(r"(src|href)\s*=|@import|url\(", page)
    assert "prefers-color-scheme" in page and "@media print" in page
    assert re.search(r"\d:18:[0-9a-f]{64}", page) and "Not proven" in page
    assert page.count("<details>") == len(TABLES)
    outside = re.sub(r"<pre>.*?</pre>|<td>.*?</td>|<code>.*?</code>", "", page, flags=re.DOTALL)
    assert "http" not in re.sub(r"<dd>.*?</dd>", "", outside, flags=re.DOTALL)


@one_server
def test_junit_is_what_a_ci_job_reads(checkout: Checkout) -> None:
    checkout.do("grant select on public.users to anon")
    checkout.do("alter policy select_member on public.projects using (true)")
    checkout.runner("verify", "--only", "matrix", "--junit", "proof.xml")
    root = Xml.parse(checkout.folder / "proof.xml").getroot()  # noqa: S314 - our own
    failures = root.findall("./testsuite/testcase/failure")
    assert root.tag == "testsuites"
    assert int(root.get("failures", "")) == len(failures) > 2
    assert int(root.get("tests", "")) == len(root.findall("./testsuite/testcase"))
    failed = {
        case.get("name")
        for case in root.findall("./testsuite/testcase")
        if case.find("failure") is not None
    }
    assert "users.select.rows as anon in own org" in failed
    assert any("without the restrictive policies" in str(name) for name in failed)


def test_what_xml_cannot_hold_is_replaced() -> None:
    verdict = Verdict(breaches=(Breach("a\x01b", "x", "a \x00 b"),))
    assert Xml.fromstring(export.junit(verdict)).get("failures") == "1"  # noqa: S314 - our own


@one_server
def test_a_page_that_cannot_be_written_is_wrong_usage(checkout: Checkout) -> None:
    said = checkout.runner("verify", "--only", "projects.select", "--html", "no/such/folder.html")
    assert said.code == 64
    assert "cannot be written" in said.err


@one_server
def test_only_takes_a_table_a_right_or_the_matrix(database: Database) -> None:
    assert len(judged(database, only="projects.select").cells) == 14
    assert {c.table for c in judged(database, only="users").cells} == {"users"}
    right = judged(database, only="workflows.update.approve")
    assert {c.what for c in right.cells} == {"approve", "approve, without WHERE"}


@one_server
def test_the_self_test_goes_alone(checkout: Checkout) -> None:
    said = checkout.runner("verify", "--self-test", "--only", "users")
    assert said.code == 64
    assert "--self-test takes no --only" in said.err
