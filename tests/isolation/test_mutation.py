"""Mutants of every kind are generated and change the schema; verify detects them."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from conftest import API_ROLES, SQL_DIR, Database, Server, one_server
from promises import PROJECT
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.errors import UsageError
from runner.events import Event, Working
from runner.files import loader
from runner.isolation.self_test import copies, mutation, race
from runner.isolation.self_test.copies import Copies
from runner.isolation.self_test.score import Mutant, Score, Trial
from runner.isolation.surface import review
from runner.isolation.verdict import Breach, Check
from runner.migrate.migrator import Migrator
from runner.preflight.scratch import scratch_server
from runner.preflight.temporary_server import temporary_server

CATALOG = (Path(__file__).parents[1] / "sql" / "catalog.sql").read_text(encoding="utf-8")
# What it omits: cluster objects, the schema of the migration tables, triggers of constraints.
NOT_IN_CATALOG = """
select concat_ws(' ', rolname, rolsuper, rolbypassrls, rolcreaterole, rolreplication) as line
from pg_roles
union all
select concat_ws(' ', roleid::regrole, member::regrole) from pg_auth_members
union all
select concat_ws(' ', parname, paracl) from pg_parameter_acl
union all
select concat_ws(' ', nspname, nspacl) from pg_namespace where nspname = 'yoyo'
union all
select concat_ws(' ', tgrelid::regclass, tgname, tgenabled) from pg_trigger where tgisinternal
order by line
"""
# The kinds of mutants that must be generated.
REQUIRED_KINDS = (
    "policy dropped",
    "using (true)",
    "with check (true)",
    "restrictive made permissive",
    "policy to public",
    "row security disabled",
    "row security not forced",
    "table privilege",
    "column privilege",
    "schema privilege",
    "database privilege",
    "function privilege",
    "trigger dropped",
    "trigger disabled",
    "reference made single-column",
    "org_id nullable",
    "primary key without org_id",
    "check dropped",
    "reference not valid",
    "helper attribute",
    "search_path",
    "body changed",
    "owner-rights view",
    "materialized view",
    "new table",
    "partition",
    "foreign table",
    "default privileges",
    "role attribute",
    "login role with BYPASSRLS",
    "last owner race",
)


@pytest.fixture
def conn(database: Database) -> Iterator[Connection[TupleRow]]:
    with database.connect(autocommit=True) as conn:
        # A clone has the default privileges of a new database, so repeat the revoke of 0001.
        conn.execute(f"revoke temporary on database {database.name} from public")
        yield conn


def state(conn: Connection[TupleRow]) -> list[TupleRow]:
    """Return everything that a mutant may change."""
    conn.execute("set local search_path = pg_catalog, pg_temp")
    return [*conn.execute(CATALOG), *conn.execute(NOT_IN_CATALOG)]


def test_mutants_of_every_kind_are_generated(conn: Connection[TupleRow]) -> None:
    found = mutation.generate(conn, PROJECT)
    kinds = Counter(mutant.kind for mutant in found)
    assert len(found) > 500
    assert len({mutant.name for mutant in found}) == len(found)
    assert set(REQUIRED_KINDS) <= set(kinds)
    assert kinds["policy dropped"] == 28
    assert kinds["row security disabled"] == kinds["row security not forced"] == 6


@one_server
def test_mutants_of_each_kind_change_the_schema(conn: Connection[TupleRow]) -> None:
    with conn.transaction(force_rollback=True):
        unmodified = state(conn)
    for mutant in mutation.sample(mutation.generate(conn, PROJECT), 150):
        with conn.transaction(force_rollback=True):
            conn.execute(mutant.sql.encode())
            assert state(conn) != unmodified, mutant.name


def test_undo_reverts_changes_to_the_cluster(conn: Connection[TupleRow]) -> None:
    with conn.transaction(force_rollback=True):
        unmodified = state(conn)
    for mutant in mutation.generate(conn, PROJECT):
        if mutant.undo:
            with conn.transaction(force_rollback=True):
                conn.execute(mutant.sql.encode())
                conn.execute(mutant.undo.encode())
                assert state(conn) == unmodified, mutant.name


def test_equivalent_entries_match_a_mutant_and_name_a_layer(
    conn: Connection[TupleRow],
) -> None:
    found = mutation.generate(conn, PROJECT)
    for pattern, layer in PROJECT.equivalents:
        assert [mutant for mutant in found if re.fullmatch(pattern, mutant.name)], pattern
        assert layer


def test_one_of_two_owners_who_step_down_concurrently_remains(
    server: Server, template: str
) -> None:
    with server.database(of=template) as database:
        races = race.run(database.conninfo(), PROJECT)
    assert [check.passed for check in races] == [True] * 3, races


@pytest.mark.parametrize(
    ("lock", "lost"),
    [
        ("perform 1", [False, False, True]),  # SERIALIZABLE itself detects the conflict
        (
            "perform 1 from public.organizations where id = old.org_id for update",
            [True, False, True],
        ),
    ],
    ids=["without a lock", "locked with for update"],
)
def test_race_without_the_right_lock_fails(database: Database, lock: str, lost: list[bool]) -> None:
    with database.connect() as conn:
        row = conn.execute("select pg_get_functiondef('app.keep_last_owner'::regproc)").fetchone()
        assert row
        update = r"update public\.organizations\s+set name = name\s+where id = old\.org_id"
        weaker, count = re.subn(update, lock, row[0])
        assert count == 1
        conn.execute(weaker)
    assert [check.passed for check in race.run(database.conninfo(), PROJECT)] == lost


@pytest.mark.parametrize(
    ("object_", "named"),
    [
        ("public.projects", True),
        ("public.project", False),
        ("app.caller_org()", True),
        ("app.caller_org_as(public.user_role[])", False),
        ("app.guard() or public.projects", True),
        ("schema public", False),
        ("mutant_login", False),
    ],
)
def test_names_matches_whole_identifiers(object_: str, named: bool) -> None:
    breach = Breach("a proof", "public.projects", "seen", cause="using (app.caller_org())")
    assert mutation.names(breach, object_) is named


def test_sample_takes_each_kind_in_turn() -> None:
    many = [Mutant(kind, f"{kind}{number}", "x", "") for kind in "ab" for number in range(3)]
    assert [mutant.name for mutant in mutation.sample(many, 3)] == ["a0", "b0", "a1"]
    assert mutation.sample(many, None) == many
    assert mutation.sample(many, 9) == mutation.sample(many, 6)
    kinds = [Mutant(kind, kind, "x", "") for kind in "abcdef"]
    assert [mutant.name for mutant in mutation.sample(kinds, 3)] == ["a", "c", "e"]


def test_score_excludes_equivalent_mutants() -> None:
    def trial(verdict: str) -> Trial:
        return Trial(Mutant("kind", verdict, "x", ""), verdict)

    won = Check("invariant", "race", "", "", "1 left", passed=True)
    good = Score(
        "PostgreSQL", "a superuser", (), (won,), (trial("killed"), trial("equivalent")), 1.0
    )
    assert (good.killed, good.all, good.by_kind, good.passed) == (1, 1, {"kind": (1, 1)}, True)
    for verdict in ("survived", "misattributed"):
        bad = Score("PostgreSQL", "a superuser", (), (won,), (trial("killed"), trial(verdict)), 1.0)
        assert (bad.killed, bad.all, bad.passed) == (1, 2, False)
        assert [t.verdict for t in bad.survivors] == [verdict]
    lost = Check("invariant", "race", "", "", "0 left", passed=False)
    assert not Score("PostgreSQL", "a superuser", (), (lost,), good.trials, 1.0).passed
    assert not Score("PostgreSQL", "a superuser", (), (won,), (), 1.0).passed
    unsound = Score("PostgreSQL", "a superuser", (Breach("a proof", "x", ""),), (), (), 1.0)
    assert not unsound.passed


def test_self_test_kills_a_sample_of_fifteen_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kind of owner that the database has, on a given server, of which nothing remains.

    All of them: `python -m runner verify --self-test`. Each rule and attack has its own test.
    """
    events: list[Event] = []
    left = "select rolname from pg_roles union all select datname from pg_database order by 1"
    with (
        temporary_server(16) as given,
        psycopg.connect(given.url("postgres"), autocommit=True) as admin,
    ):
        monkeypatch.setenv("RUNNER_SCRATCH_URL", given.url("postgres"))
        admin.execute("create role deployer login createrole")
        before = admin.execute(left).fetchall()

        @contextmanager
        def like() -> Iterator[Migrator]:
            with copies.connected(given.url("postgres", user="deployer")) as connection:
                yield Migrator(connection)

        def another_session(event: Event) -> None:
            if len(events) == 1:  # the schema is there
                admin.execute("create role made_meanwhile")
            events.append(event)

        score = mutation.self_test(SQL_DIR, report=another_session, limit=15, like=like)
        admin.execute("drop role made_meanwhile")
        assert admin.execute(left).fetchall() == before
        admin.execute("create role mutant_login login")
        with pytest.raises(UsageError, match="has the role mutant_login, which the self-test cre"):
            mutation.self_test(SQL_DIR, limit=1)
        assert admin.execute("select from pg_roles where rolname = 'mutant_login'").rowcount == 1
        admin.execute("create role anon")  # as on a server that is in use
        with pytest.raises(UsageError, match="has the role anon, which the self-test changes"):
            mutation.self_test(SQL_DIR, limit=1)
        monkeypatch.setenv("RUNNER_SCRATCH_URL", given.url("postgres", user="deployer"))
        with pytest.raises(UsageError, match="needs a superuser on its scratch server, and RUNN"):
            mutation.self_test(SQL_DIR, limit=1)
    assert score.server.startswith("PostgreSQL 16")
    assert score.owner == "an owner without superuser with CREATEROLE"
    assert not score.breaches
    assert len({trial.mutant.kind for trial in score.trials}) == 15
    assert not [(t.mutant.name, t.note) for t in score.survivors]
    assert score.passed
    assert Working in {type(event) for event in events}


def write_another_schema(folder: Path, more: str = "") -> None:
    """Write the schema with the tenant in a setting, and its isolation.toml."""
    schemas = Path(__file__).parent / "schemas"
    text = (schemas / "setting.sql").read_text(encoding="utf-8")
    (folder / "0001_create_chain.sql").write_text(f"{text}\n{more}\n", encoding="utf-8")
    shutil.copyfile(schemas / "setting.toml", folder / "isolation.toml")


@one_server
def test_the_mutants_of_another_schema_are_killed(server: Server, tmp_path: Path) -> None:
    """By the short file and the reviewed surface: one of each kind, and no change of nothing."""
    write_another_schema(tmp_path)
    with server.database() as database, database.connect(autocommit=True) as conn:
        migrator = Migrator(conn)
        with migrator.lock():
            migrator.apply(loader.read(tmp_path))
        review.accept(migrator, tmp_path)
    score = mutation.self_test(tmp_path, limit=8)
    assert not score.breaches
    assert len({trial.mutant.kind for trial in score.trials}) == 8
    assert not [(t.mutant.name, t.note) for t in score.survivors]


def test_schema_with_breaches_is_not_mutated(tmp_path: Path) -> None:
    write_another_schema(tmp_path, "alter policy own on chain.books using (true);")
    score = mutation.self_test(tmp_path, limit=1)
    assert score.breaches
    assert not score.trials
    assert not score.passed


@pytest.fixture(scope="module")
def scratch() -> Iterator[Copies]:
    """A server with the unmodified database, which is copied for each mutant."""
    with scratch_server(18) as server, copies.copies(server, SQL_DIR, API_ROLES, None) as made:
        yield made


def test_mutant_that_cannot_be_applied_is_an_error(scratch: Copies) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        mutation.try_out(
            scratch, PROJECT, 1, Mutant("kind", "name", "x", "drop table public.nothing")
        )
    theirs = Mutant("kind", "name", "x", "create role theirs", "drop role theirs")
    scratch.undo("create role theirs")
    with pytest.raises(psycopg.errors.DuplicateObject):
        mutation.try_out(scratch, PROJECT, 1, theirs)
    scratch.undo("drop role theirs")  # it is still there


@pytest.mark.parametrize(
    ("name", "by"),
    [
        # No rule reads function bodies: an attack must name the function that the policy calls.
        ("app.caller_org_as(public.user_role[]) trusts a claim", "305_forge_claims"),
        # The fixture rows cannot be inserted: only rules can detect it.
        ("app.record_audit() owned by authenticated", "07_owned_by_an_api_role"),
    ],
)
def test_function_is_named_as_the_cause(scratch: Copies, name: str, by: str) -> None:
    with scratch.copy("generate") as name_, psycopg.connect(scratch.url(name_)) as conn:
        [mutant] = [mutant for mutant in mutation.generate(conn, PROJECT) if mutant.name == name]
    trial = mutation.try_out(
        scratch, PROJECT, 1, replace(mutant, object=mutant.object.split(" or ")[0])
    )
    assert (trial.verdict, trial.note) == ("killed", "")
    assert by in trial.killed_by
