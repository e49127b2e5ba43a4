"""verify on a real database: it passes, leaves no changes, does not block others, and can fail."""

from __future__ import annotations

import re
import shutil
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as Xml

import psycopg
import pytest
from checkout import ROOT, Checkout
from conftest import SQL_DIR, Database, Server, one_server
from markupsafe import escape
from promises import PROJECT
from sql.test_owners import PASSWORD, Target, prepared

from runner.errors import DatabaseUnreachable, LockTimeout, ProofError, RunnerError, UsageError
from runner.events import Event
from runner.isolation import layers, transactions
from runner.isolation.probes import execute, generic
from runner.isolation.proof import prove
from runner.isolation.report import export, summary, text
from runner.isolation.tenancy.config import Accepted
from runner.isolation.verdict import Breach, Cell, Verdict
from runner.isolation.verify import verify
from runner.migrate.migrator import Migrator
from runner.migrate.seeds import load
from runner.migrate.seeds import read as seeds
from runner.postgres.connection import Connection

TABLES = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")


def connect(database: Database, **parts: str) -> Connection:
    return database.connect(autocommit=True, **parts)


def verified(database: Database, weakness: str = "", **how: object) -> Verdict:
    """Return the verdict after running `weakness`."""
    with connect(database) as conn:
        if weakness:
            conn.execute(weakness.encode())
        return prove(conn, PROJECT, **how)  # type: ignore[arg-type]


def breach(database: Database, weakness: str, **how: object) -> Breach:
    """Return the first breach."""
    verdict = verified(database, weakness, **how)
    assert not verdict.proven
    return verdict.breaches[0]


def rows(database: Database, header: str = "xmin::text, xmax::text, ctid::text") -> list[object]:
    """Return every row of every table with system columns, and the catalog rows of its objects."""
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
    """A clone has the default privileges of a new database, so repeat the revoke of 0001."""
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
    """A folder with the isolation data of sql/, and no migrations."""
    shutil.copytree(SQL_DIR / "isolation", tmp_path / "sql" / "isolation")
    shutil.copy(SQL_DIR / "isolation.toml", tmp_path / "sql")
    return Checkout(tmp_path, database)


# --- passes -------------------------------------------------------------------------------------


def take_former_ids(database: Database) -> None:
    """Insert the ids and addresses of earlier versions, with which one tenant stopped verify."""
    former = "cproofhome".ljust(25, "0"), "cproofaway".ljust(25, "0")
    addresses = [
        *(f"{word}@proof.invalid" for word in ("new", "spy", "colleague", "me", "lost")),
        *(
            f"{f'cproof{org}{user}'.ljust(25, '0')[:25]}@proof.invalid"
            for org in ("home", "away")
            for user in ("owner", "admin", "member", "otherowner", "othermember")
        ),
    ]
    with connect(database) as conn:
        conn.execute(
            "insert into public.organizations (id, name) select unnest(%s::text[]), 'Taken'",
            [list(former)],
        )
        conn.execute(
            "insert into public.users (org_id, email, name, roles)"
            " select %s, unnest(%s::text[]), 'Taken', '{OWNER}'",
            [former[0], addresses],
        )


@one_server
def test_a_forged_actor_is_judged_as_the_actor(database: Database) -> None:
    """That another actor has the right excuses neither."""
    found = verified(database, MEMBERS_DELETE, only="ai_agents")
    deletes = [c for c in found.cells if (c.command, c.what) == ("delete", "rows, without WHERE")]
    own = {c.actor: (c.allowed, c.passed) for c in deletes if c.where == "own"}
    forged = {outcome for actor, outcome in own.items() if "OWNER with forged" in actor}
    assert forged == {own["OWNER"]} == {(False, False)}


MEMBERS_DELETE = """
    grant delete on public.ai_agents to authenticated;
    create policy delete_member on public.ai_agents for delete to authenticated
    using (org_id = (select app.caller_org()))"""
ONE_TENANT = "(select min(id) from public.organizations)"


@one_server
def test_a_right_in_every_tenant_is_tried_on_rows_of_both(database: Database) -> None:
    policies = "".join(
        f"create policy only_{command} on public.ai_agents as restrictive for {command}"
        f" to service_role {check} (org_id = {ONE_TENANT});"
        for command, check in {
            "select": "using",
            "insert": "with check",
            "update": "using",
            "delete": "using",
        }.items()
    )
    sound = verified(database, only="ai_agents")
    assert sound.proven
    tried = {c.command: c for c in sound.cells if (c.actor, c.where) == ("service_role", "other")}
    assert {name: (tried[name].allowed, tried[name].passed) for name in tried} == dict.fromkeys(
        ("select", "insert", "update", "delete"), (True, True)
    )
    assert tried["delete"].outcome == "1 of the other's rows"
    [new] = (
        cell
        for cell in verified(database, only="organizations").cells
        if (cell.actor, cell.command, cell.where) == ("service_role", "insert", "own")
    )
    assert new.outcome == "1 row"  # of a tenant that does not exist, not a key that is taken
    failed = {b.proof for b in verified(database, policies, only="ai_agents").breaches}
    for what in ("select.rows", "insert.row", "update.config", "delete.rows"):
        assert f"public.ai_agents.{what} as service_role in other org" in failed
    assert not [proof for proof in failed if "own org" in proof]


@one_server
def test_a_case_is_refused_by_a_foreign_key_that_restricts_too(database: Database) -> None:
    restricts = """
        do $$ declare
            key record;
        begin
            for key in select conrelid::regclass as t, conname, pg_get_constraintdef(oid) as made
                from pg_constraint where confrelid = 'public.organizations'::regclass
            loop
                execute format('alter table %s drop constraint %I, add constraint %2$I %s', key.t,
                    key.conname, replace(key.made, 'DEFERRABLE', 'on delete restrict'));
            end loop;
        end $$
        """
    verdict = verified(database, restricts, only="delete one that has rows")
    assert "23001" in {cell.outcome for cell in verdict.cells}
    assert verdict.breaches == ()


@one_server
def test_seeded_database_passes_and_its_rows_are_unchanged(
    checkout: Checkout, seeded: Database
) -> None:
    """And the matrix fits 80 columns."""
    take_former_ids(seeded)
    before = rows(seeded)
    with connect(seeded) as conn:
        verdict = verify(Migrator(conn), checkout.folder / "sql")
    assert rows(seeded) == before
    lines = "\n".join(text.verdict_lines(verdict, lambda text, _: text)).splitlines()
    out = "\n".join(lines)
    assert all(len(line) <= 80 for line in [*lines, verdict.summary])
    assert re.search(r"^  OWNER +yes · +\S+ · +\S+ · +– ·$", out, re.MULTILINE)
    assert re.search(r"^  service_role +yes \+ ", out, re.MULTILINE)
    assert re.search(r"^  service_role .* 1/2 \+$", out, re.MULTILINE)  # delete of organizations
    deletes = [c for c in verdict.cells if (c.command, c.outcome) == ("delete", "23503")]
    assert {(c.what == "rows", c.allowed, c.passed) for c in deletes} == {
        (True, True, True),
        (False, False, True),
    }
    assert "a key or foreign key may still refuse the row" in " ".join(out.split())
    assert "– +" not in out  # denied, and allowed everywhere
    assert {c.outcome for c in verdict.cells if c.where == "other" and not c.allowed} >= {"42501"}
    assert "42501" not in {c.outcome for c in verdict.cells if c.where == "other" and c.allowed}
    assert "The files were not compared: " in out  # the folder has none
    assert re.fullmatch(r"\d{4} cells, 0 files, .* 0 breaches, in \d+\.\d s", verdict.summary)
    assert verdict.breaches == ()
    expected = r".*CVE|accepted: |The files were not compared: |\S+isolation\.lock does not exist"
    assert [w for w in verdict.warnings if not re.match(expected, w)] == []
    assert len(verdict.cells) > 1400
    assert all(cell.passed for cell in verdict.cells)
    assert re.fullmatch(r"\d+:\d+:[0-9a-f]{64}", verdict.facts["fingerprint"])


@pytest.fixture(params=["as on Supabase", "plain, a member of the API roles"])
def owned(request: pytest.FixtureRequest, server: Server, template: str) -> Iterator[Target]:
    assert template  # creates the API roles, which the two kinds may not
    for target in prepared(server, request.param):
        target.apply()
        yield target


@one_server
def test_each_kind_of_owner_can_verify(owned: Target) -> None:
    """A superuser is the owner everywhere else. On Supabase, with what the page says of it."""
    database, project = owned.database, PROJECT
    with connect(database, user=owned.owner, password=PASSWORD) as conn:
        has_its_own = "select obj_description('auth'::regnamespace, 'pg_namespace') is null"
        if conn.execute(has_its_own).fetchone() == (True,):
            alone = prove(conn, PROJECT, only="309")
            assert [check.passed for check in alone.checks] == [None]
            page = (ROOT / "docs" / "isolation.md").read_text(encoding="utf-8")
            pattern = r"```sql\n(create[^`]*pre_request.*?)```.*?```toml\n(.*?)```"
            [(function, said)] = re.findall(pattern, page, re.DOTALL)[:1]
            conn.execute(function.encode())
            more = tomllib.loads(said)
            accept = (*PROJECT.config.accept, *(Accepted(**each) for each in more["accept"]))
            config = replace(PROJECT.config, accept=accept, **more["identity"])
            project = replace(PROJECT, config=config)
        verdict = prove(conn, project)
    assert [b.summary for b in verdict.breaches] == []
    assert not [w for w in verdict.warnings if "could not be dropped" in w]
    assert all(cell.passed for cell in verdict.cells)


@one_server
def test_drift_that_keeps_rows_from_being_made_is_named(server: Server, template: str) -> None:
    """Forced by hand, a plain owner may insert no row."""
    assert template
    for target in prepared(server, "plain, a member of the API roles"):
        target.apply()
        with connect(target.database, user=target.owner, password=PASSWORD) as conn:
            conn.execute("alter table public.organizations force row level security")
            found = verify(Migrator(conn), SQL_DIR)
            assert {"drift", "rows"} <= {breach.proof for breach in found.breaches}
            for breach in found.breaches:
                conn.execute(breach.fix.encode())
            assert verify(Migrator(conn), SQL_DIR).breaches == ()


@one_server
def test_fingerprint_changes_with_the_schema(database: Database) -> None:
    rule = "07_owned_by_an_api_role"  # alone, it needs no rows
    before = verified(database, only=rule).facts["fingerprint"]
    again = verified(database, only=rule).facts["fingerprint"]
    changed = verified(database, "grant select on public.projects to anon", only=rule)
    assert before == again != changed.facts["fingerprint"]


# --- leaves no changes --------------------------------------------------------------------------


def test_session_settings_are_unchanged(database: Database) -> None:
    ask = (
        "select current_user, current_setting('role'), current_setting('lock_timeout'),"
        " current_setting('application_name'), current_setting('statement_timeout'),"
        " current_setting('search_path'), nullif(current_setting('request.jwt.claims', true), '')"
    )
    with connect(database) as conn:
        before = conn.execute(ask).fetchall()
        assert prove(conn, PROJECT, only="users").proven
        assert conn.execute(ask).fetchall() == before
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


# --- does not block others ----------------------------------------------------------------------


@contextmanager
def writing(database: Database, lock_timeout_ms: int) -> Iterator[list[float]]:
    """Write continuously in another session with a lock timeout; yield the durations in seconds."""
    took: list[float] = []
    failed: list[BaseException] = []
    stop = threading.Event()

    def write() -> None:
        try:
            with connect(database) as conn:
                conn.execute(f"set lock_timeout = {lock_timeout_ms}".encode())
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


@one_server
def test_writers_wait_at_most_the_lock_timeout(seeded: Database) -> None:
    with writing(seeded, lock_timeout_ms=1050) as took:
        verdict = verified(seeded, only="rights", lock_timeout=1.0)  # test_attacks has the rest
    assert verdict.proven
    assert len(took) > 10
    assert max(took) < 1.5  # three statements, on a busy server


@one_server
def test_lock_holder_is_named(database: Database) -> None:
    with database.connect(application_name="another session") as other:
        other.execute("lock table public.projects in access exclusive mode")
        with pytest.raises(LockTimeout) as error:
            verified(database, lock_timeout=0.05)
        assert "another session" in error.value.hint
        assert "AccessExclusiveLock on projects" in error.value.hint


@one_server
def test_session_of_stalled_program_is_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it holds an exclusive lock, so that other sessions do not wait for it."""
    run = execute.run

    def slow(*words: Any, **more: Any) -> Any:
        time.sleep(0.5)
        return run(*words, **more)

    monkeypatch.setattr(layers, "execute", SimpleNamespace(run=slow, give_way=lambda _: None))
    with pytest.raises(DatabaseUnreachable, match="connection was lost") as error:
        verified(database, only="projects", lock_timeout=0.3)
    assert "stalled for 210 ms" in error.value.hint
    with connect(database) as conn:
        assert conn.execute("select count(*) from public.projects").fetchall() == [(0,)]


@one_server
def test_lock_is_retried_until_released(database: Database) -> None:
    with database.connect() as other:
        other.execute("lock table public.projects in access exclusive mode")
        release = threading.Timer(0.7, other.rollback)
        release.start()
        assert verified(database, only="projects", lock_timeout=0.3).proven
        release.join()


@one_server
def test_verify_gives_way_to_a_schema_change(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any point, and starts again: neither the change nor the writers behind it wait for it.

    After some times it ends.
    """
    points = ["writing", "attacks and invariants"]
    working: list[str] = []
    changes: list[threading.Thread] = []

    def change() -> None:
        with connect(database) as other:
            other.execute("alter table public.projects alter column description set storage main")

    def report(event: Event) -> None:
        working.append(str(getattr(event, "text", "")))
        if points and working[-1] == points[0]:
            del points[0]
            changes.append(threading.Thread(target=change))
            changes[-1].start()
            with connect(database) as watcher:
                while not watcher.execute("select from pg_locks where not granted").fetchall():
                    assert changes[-1].is_alive(), "it did not have to wait"

    verdict = verified(database, report=report)
    assert not any(each.is_alive() for each in changes)
    assert working.count("rows of two tenants") == 3
    assert verdict.proven
    monkeypatch.setattr(generic, "_MOST", 1)
    points.append("writing")
    with pytest.raises(LockTimeout, match="again and again: pid") as ended:
        verified(database, report=report)
    assert ended.value.exit_code == 3


@one_server
def test_warning_names_table_whose_restrictive_policies_could_not_be_dropped(
    database: Database,
) -> None:
    with database.connect(application_name="a long reader") as other:
        other.execute("select count(*) from public.projects")
        verdict = verified(database, only="projects", lock_timeout=0.1)
    assert verdict.proven
    [warning] = [w for w in verdict.warnings if "without" not in w and "CVE" not in w]
    assert "public.projects" in warning and "a long reader" in warning


@one_server
def test_concurrent_runs_pass(database: Database) -> None:
    verdicts: list[Verdict] = []
    runs = [
        threading.Thread(target=lambda: verdicts.append(verified(database, only="rights")))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [verdict.breaches for verdict in verdicts] == [(), ()]


@one_server
def test_truncate_is_not_executed_if_it_would_succeed(seeded: Database) -> None:
    """Another session holds a lock that TRUNCATE would wait for."""
    with connect(seeded) as conn:
        conn.execute("grant truncate on public.projects to authenticated")
    with seeded.connect() as reader:
        reader.execute("select count(*) from public.projects")
        verdict = verified(
            seeded, only="projects", without_restrictive_policies=False, lock_timeout=0.1
        )
    assert {b.fix for b in verdict.breaches} == {
        "revoke truncate on public.projects from authenticated;"
    }


# --- fails --------------------------------------------------------------------------------------


@one_server
def test_policy_that_is_too_permissive_is_named_with_exposed_rows(database: Database) -> None:
    found = breach(
        database,
        "drop policy tenant_isolation on public.projects;"
        " alter policy select_member on public.projects using (true)",
        only="projects",
    )
    assert found.proof == "public.projects.select.rows as OWNER in other org"
    assert found.subject == "public.projects"
    assert found.actor.startswith("OWNER: role authenticated, request.jwt.claims = ")
    assert "set local role authenticated;" in found.sql
    assert 'from public.projects where ("org_id" in (' in found.sql
    assert re.match(
        r"\d rows of public.\w+ of the other tenant: org_id=c\w{24}, id=c\w{24}", found.exposed
    )
    assert "policy select_member on public.projects: for select" in found.cause
    assert "using (true)" in found.cause
    assert found.fix.startswith("-- compare policy select_member of public.projects")


@one_server
def test_policy_that_relies_on_the_restrictive_policy_is_found(database: Database) -> None:
    verdict = verified(
        database, "alter policy select_member on public.projects using (true)", only="projects"
    )
    assert verdict.breaches
    assert all("without the restrictive policies" in b.proof for b in verdict.breaches)
    assert all(cell.passed for cell in verdict.cells)
    with connect(database) as conn:
        assert prove(conn, PROJECT, only="projects", without_restrictive_policies=False).proven


@one_server
def test_update_policy_that_relies_on_the_select_policy_is_found(
    database: Database,
) -> None:
    """Without WHERE no column is read, so policies for SELECT do not apply."""
    verdict = verified(
        database,
        "alter policy update_member on public.workflows using (true) with check (true);"
        " drop policy tenant_isolation on public.workflows",
        only="workflows",
    )
    assert verdict.breaches
    assert all(", without WHERE" in b.proof for b in verdict.breaches)
    assert "policy update_member on public.workflows" in verdict.breaches[0].cause


@one_server
def test_excess_grant_is_named_with_its_revoke(database: Database) -> None:
    found = breach(database, "grant update (email) on public.users to authenticated", only="users")
    assert found.proof == "public.users.update.email as OWNER in own org"
    assert "grant update (email, name, roles) on public.users to authenticated" in found.cause
    assert found.fix == "revoke update (email) on public.users from authenticated;"
    with connect(database) as conn:
        conn.execute(found.fix.encode())
        assert prove(conn, PROJECT, only="users").proven


@one_server
def test_missing_guard_is_reported(database: Database) -> None:
    found = breach(database, "drop trigger guard_roles on public.users", only="users")
    assert (
        found.proof == "public.users.update.change the own roles below OWNER as MEMBER in own org"
    )
    assert "no guard refused it" in found.cause
    assert "keep_last_owner, record_audit, touch_updated_at" in found.cause
    assert found.fix == "-- compare triggers, constraints and policies of public.users"


@one_server
def test_disabled_row_security_is_named_with_its_fix(database: Database) -> None:
    found = breach(database, "alter table public.users disable row level security", only="users")
    assert "row-level security is off on public.users" in found.cause
    assert found.fix == "alter table public.users enable row level security;"


@one_server
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
def test_refused_right_says_what_is_missing(
    database: Database, weakness: str, missing: str
) -> None:
    found = breach(database, weakness, only="projects")
    assert "may " in found.summary
    assert missing in found.cause


@one_server
def test_undeclared_relation_is_a_breach(database: Database) -> None:
    verdict = verified(
        database,
        "create table public.notes (org_id text); grant select on public.notes to anon;"
        "create view public.everyone as select * from public.users;"
        "grant select on public.everyone to authenticated;"
        "create materialized view public.counted as select count(*) from public.users;"
        "grant select on public.counted to anon",
        only="undecided",
    )
    for name in ("table public.notes", "view public.everyone", "materialized view public.counted"):
        found = next(b for b in verdict.breaches if name in b.summary)
        assert "but no right names it" in found.cause
        assert "revoke all on" in found.fix


def test_schema_option_names_exposed_schemas(database: Database) -> None:
    with pytest.raises(UsageError, match="no schema nowhere"):
        verified(database, schemas=("nowhere",))


# --- preconditions ------------------------------------------------------------------------------


@one_server
def test_missing_schema_is_an_error_not_a_breach(empty_database: Database) -> None:
    with pytest.raises(RunnerError, match=r"not the schema of \S*sql/") as error:
        verified(empty_database)
    assert "runner apply" in error.value.hint


@one_server
def test_role_that_cannot_act_as_the_api_gets_the_grant_in_the_hint(
    server: Server, database: Database
) -> None:
    name = f"Limited {database.name}"
    role = f'"{name}"'
    with connect(database) as conn:
        conn.execute(f"create role {role} login password '{PASSWORD}'".encode())
    with connect(database, user=name, password=PASSWORD) as conn:
        with pytest.raises(RunnerError, match="cannot act as") as error:
            prove(conn, PROJECT)
        assert f"grant anon, authenticated, service_role to {role};" in error.value.hint
    with connect(database) as conn:
        conn.execute(f"grant anon, authenticated to {role}".encode())
        conn.execute(f"grant service_role to {role}".encode())
        conn.execute(f"revoke usage on schema app from {role}".encode())
    with (  # the role is itself subject to the policies
        connect(database, user=name, password=PASSWORD) as conn,
        pytest.raises(ProofError, match="rows of two tenants could not be inserted"),
    ):
        prove(conn, PROJECT)
    with connect(database) as conn:
        conn.execute(f"drop role {role}".encode())


def test_rows_that_cannot_be_made_are_a_breach_if_a_rule_explains_it(database: Database) -> None:
    verdict = verified(database, "alter function app.record_audit() owner to authenticated")
    assert verdict.cells == ()
    assert {check.kind for check in verdict.checks} == {"rule"}
    *named, rows = verdict.breaches
    assert "routine app.record_audit()" in {b.subject for b in named}
    assert "would run code of authenticated" in rows.summary
    assert "No right, attack" in rows.summary


@one_server
def test_read_only_session_is_an_error(database: Database) -> None:
    with connect(database) as conn:
        conn.execute("set default_transaction_read_only = on")
        with pytest.raises(RunnerError, match="read-only"):
            prove(conn, PROJECT)


@one_server
def test_unknown_name_is_a_usage_error(database: Database) -> None:
    with pytest.raises(UsageError, match="no proof called 'projekts'"):
        verified(database, only="projekts")


# --- output -------------------------------------------------------------------------------------


def test_forged_settings_of_an_actor_share_a_line() -> None:
    """Actors whose rights look the same do too, however many were tried."""
    actors = ("A", "A with forged x", "A with forged y", "B with forged x")
    cells = [Cell("t", "select", "rows", a, "other", False, "0 rows", True, "") for a in actors]
    commands, grids = summary.grids(cells)
    assert commands == ["select"]  # no column for what was not tried
    [line] = grids["t"]
    assert line.actors == "A, A with forged x, y, B with forged x"
    cells += [replace(cells[1], actor="A with forged z"), replace(cells[0], what="more")]
    _, grids = summary.grids(cells)
    [line] = grids["t"]
    assert line.actors == "A, A with forged 3 settings, B with forged x"


def test_long_names_of_actors_are_printed_once_for_all_tables() -> None:
    """And in full where something failed."""
    actors = ("owner", "member of both, in A", "member of both, in B", "owner who names another")
    cells = [
        Cell(t, "select", "rows", a, "other", False, "0 rows", passed=True, sql="")
        for t in ("public.t", "public.u", "public.v")
        for a in actors
    ]
    failed = replace(cells[-1], passed=False)
    shown = "\n".join(
        text.verdict_lines(Verdict(cells=(*cells[:-1], failed)), lambda line, _: line)
    )
    assert re.findall(r"^  (\S.*\S) +·", shown, re.MULTILINE) == [
        "owner, (1–3)", "owner, (1–3)", "owner, (1, 2)", "owner who names another"
    ]  # fmt: skip
    assert shown.count("member of both, in A") == 1
    legend = "(1) member of both, in A · (2) member of both, in B · (3) owner who names another"
    assert legend in " ".join(shown.split())


@one_server
def test_breach_is_printed_with_all_fields_and_exit_code_4(checkout: Checkout) -> None:
    checkout.do("grant update (email) on public.users to authenticated")
    result = checkout.runner("verify", "--only", "users")
    assert result.code == 4
    assert "\x1b" not in result.out
    assert re.search(r"^  OWNER .* ✗1 ", result.out, re.MULTILINE)
    assert "breach 1 of 1: public.users.update.email as OWNER in own org (12 cells)" in result.out
    added = (
        r"\n  if intended .*add email to the list of update of users; the new line:\n +update = "
    )
    assert re.search(added, result.out)
    for part in ("summary  ", "actor  ", "sql  ", "exposed  ", "cause  ", "if intended", "fix  "):
        assert re.search(rf"^  {part}", result.out, re.MULTILINE)
    assert re.search(
        r"^  also affected +public\.users\.\w+\.email as \w+ in own org$", result.out, re.MULTILINE
    )
    assert 'update public.users as t set "email" = "email" where' in result.out
    assert "\x1b[31m" in checkout.runner("verify", "--only", "users", FORCE_COLOR="1").out


@one_server
def test_json_of_a_proof_is_a_single_document(checkout: Checkout) -> None:
    result = checkout.runner("verify", "--only", "projects", "--json")
    notes = result.document["notes"]
    assert "Only projects was tried. Everything: python -m runner verify" in notes
    assert (result.code, "WARNING" in result.err) == (0, False)
    assert result.document["ok"] is True
    assert result.document["counts"]["cells"] == len(result.document["cells"])
    assert result.document["breaches"] == []
    assert "***" not in result.document["facts"]["fingerprint"]


@one_server
def test_breaches_are_in_json_on_a_self_contained_page_and_in_junit(
    checkout: Checkout, seeded: Database
) -> None:
    """Excess grants, too, where policies deny access; and the rows are unchanged.

    Also those of a table that policies no longer protect.
    """
    name = '<script>alert("x")</script>'
    table = 'public."' + name.replace('"', '""') + '"'
    grants = (
        "select on public.users {} anon",
        "delete on public.users {} authenticated",
        "update (email) on public.users {} authenticated",
        "update (meta) on public.audit_logs {} service_role",
    )
    checkout.do(f"create table {table} (id int); grant select on {table} to authenticated")
    checkout.do("alter table public.projects disable row level security")
    checkout.do("alter policy select_member on public.workflows using (true)")
    checkout.do("".join(f"grant {grant.format('to')};" for grant in grants))
    before = rows(seeded, "xmin::text, ctid::text")  # xmax shows locks that were released
    result = checkout.runner("verify", "--html", "proof.html", "--junit", "proof.xml", "--json")
    assert rows(seeded, "xmin::text, ctid::text") == before
    assert (result.code, result.document["ok"], result.document["exit_code"]) == (4, False, 4)
    breach = result.document["breaches"][0]
    assert " ".join(breach) == "proof subject summary actor sql exposed cause intended fix"
    fixes = {each["fix"] for each in result.document["breaches"]}
    assert {f"revoke {grant.format('from')};" for grant in grants} <= fixes
    assert "alter table public.projects enable row level security;" in fixes
    page = (checkout.folder / "proof.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert str(escape(name.replace('"', '""'))) in page
    assert not re.search(r"(src|href)\s*=|@import|url\(", page)
    assert "prefers-color-scheme" in page and "@media print" in page
    assert re.search(r"\d:18:[0-9a-f]{64}", page) and "Not proven" in page
    assert page.count("<details>") == len(TABLES) + 1  # and the new one
    outside = re.sub(r"<pre>.*?</pre>|<td>.*?</td>|<code>.*?</code>", "", page, flags=re.DOTALL)
    assert "http" not in re.sub(r"<dd>.*?</dd>", "", outside, flags=re.DOTALL)
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
    assert "public.users.update.email as OWNER in own org" in failed
    assert any("without the restrictive policies" in str(name) for name in failed)


def test_characters_invalid_in_xml_are_replaced() -> None:
    verdict = Verdict(breaches=(Breach("a\x01b", "x", "a \x00 b"),))
    assert Xml.fromstring(export.junit(verdict)).get("failures") == "1"  # noqa: S314 - our own


@one_server
def test_unwritable_page_is_a_usage_error(checkout: Checkout) -> None:
    result = checkout.runner("verify", "--only", "projects", "--html", "no/such/folder.html")
    assert result.code == 64
    assert "cannot be written" in result.err


@one_server
def test_drift_alone_is_written_as_a_page(checkout: Checkout) -> None:
    result = checkout.runner(
        *("verify", "--only", "drift", "--sql-dir", str(ROOT / "sql"), "--html", "proof.html")
    )
    assert result.code == 0, result.out
    page = (checkout.folder / "proof.html").read_text(encoding="utf-8")
    assert checkout.database
    assert f"<title>Isolation of tenants: {checkout.database.name}</title>" in page


@one_server
def test_without_files_drift_alone_is_an_error(checkout: Checkout) -> None:
    result = checkout.runner("verify", "--only", "drift")
    assert (result.code, result.out) == (64, "")
    assert "sql contains no .sql file" in result.err


@one_server
def test_only_accepts_a_table_or_a_case(database: Database) -> None:
    assert {c.table for c in verified(database, only="users").cells} == {"public.users"}
    assert {c.what for c in verified(database, only="approve").cells} == {"approve"}


@one_server
def test_self_test_rejects_other_options(checkout: Checkout) -> None:
    result = checkout.runner("verify", "--self-test", "--only", "users")
    assert result.code == 64
    assert "--self-test takes no --only" in result.err


@one_server
def test_transactions_of_verify_compile_no_statement(empty_database: Database) -> None:
    """Compiling a catalog query takes seconds, more than a statement may take here."""
    limits = transactions.TransactionLimits.reading(1)
    with empty_database.connect(autocommit=True) as conn, transactions.rolled_back(conn, limits):
        assert conn.execute("show jit").fetchone() == ("off",)
