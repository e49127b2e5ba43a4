"""The migrations give the same result for superusers, Supabase-like and plain owners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import psycopg
import pytest
from conftest import (
    API_ROLES,
    SERVICE,
    SQL_DIR,
    Database,
    Server,
    act_as,
    apply_schema,
    migration_files,
)
from psycopg import Connection
from psycopg.rows import TupleRow
from supabase_shape import SUPABASE

from runner.isolation import surface
from runner.isolation.surface import lock_file
from runner.isolation.surface.comparison import compare
from runner.preflight.diff import difference
from runner.schema import snapshot

from .fixture_rows import ADMIN, HOME, MEMBER, TABLES, fill
from .test_files import catalog_lines, noise, psql, rollback_of

PASSWORD = "applies"

PLAIN = """
create role {owner} login password 'applies';
alter database {database} owner to {owner};
"""
KINDS = {
    "superuser": "create role {owner} login superuser password 'applies';",
    "as on Supabase": SUPABASE,
    "plain": PLAIN,
    "plain, a member of the API roles": PLAIN
    + "grant anon, authenticated, service_role to {owner};",
}


@dataclass(frozen=True)
class Target:
    """A database without migrations, and the role of a given kind that will apply them."""

    database: Database
    owner: str

    def apply(self) -> None:
        apply_schema(self.database, user=self.owner, password=PASSWORD)

    def connect(self) -> Connection[TupleRow]:
        return self.database.connect(user=self.owner, password=PASSWORD)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def prepared(server: Server, kind: str) -> Iterator[Target]:
    """Yield a prepared target; the database and its roles are dropped afterwards."""
    with server.database() as database:
        owner, auth_admin = f"owner_of_{database.name}", f"auth_of_{database.name}"
        with database.connect() as conn:
            conn.execute(
                KINDS[kind].format(owner=owner, auth_admin=auth_admin, database=database.name)
            )
        yield Target(database, owner)
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        conn.execute(f"drop role if exists {owner}, {auth_admin}")


@pytest.fixture(scope="module")
def applied(server: Server, template: str, kind: str) -> Iterator[Connection[TupleRow]]:
    """The schema applied by this kind of owner, with both organizations in it.

    The template is requested only because it creates the API roles, which most kinds cannot.
    """
    assert template
    for target in prepared(server, kind):
        target.apply()
        with target.database.connect() as conn:
            fill(conn)
            conn.commit()
            yield conn


@pytest.fixture
def target(server: Server, template: str, kind: str) -> Iterator[Target]:
    """A target without migrations, for one test."""
    assert template
    yield from prepared(server, kind)


def test_surface_is_the_reviewed_one_for_every_owner(applied: Connection[TupleRow]) -> None:
    """For each reader too. The schema auth of Supabase is not compared."""
    reviewed = lock_file.read(SQL_DIR / lock_file.FILE)
    assert reviewed
    ((owner,),) = applied.execute(
        "select tableowner from pg_tables where tablename = 'users' and schemaname = 'public'"
    ).fetchall()
    for reader in ("postgres", owner):
        applied.execute(f"set role {reader}")
        now = surface.take(applied)
        assert [line for change in compare(reviewed, now) for line in change.diff] == []
    applied.rollback()


def test_row_security_is_forced_only_if_the_owner_bypasses_it(
    applied: Connection[TupleRow],
) -> None:
    found = applied.execute(
        "select relname::text, relrowsecurity, relforcerowsecurity = (rolsuper or rolbypassrls)"
        " from pg_class join pg_roles as r on r.oid = relowner"
        " where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname"
    ).fetchall()
    applied.rollback()
    assert [row for row in found if row[1:] != (True, True)] == []
    assert {table for table, *_ in found} >= set(TABLES)


def test_anon_has_no_privileges(applied: Connection[TupleRow]) -> None:
    found = applied.execute(
        "select relname, privilege from pg_class, unnest(array['select', 'insert', 'update',"
        "  'delete', 'truncate', 'references', 'trigger']) as privilege"
        " where relnamespace::regnamespace::text in ('public', 'app') and relkind in ('r', 'v')"
        "  and has_table_privilege('anon', oid, privilege)"
        " union all select attname, 'column' from pg_attribute as a join pg_class as c"
        "  on c.oid = attrelid where relnamespace = 'public'::regnamespace and relkind = 'r'"
        "  and attacl::text like '%%anon%%'"
        " union all select proname, 'execute' from pg_proc"
        "  where pronamespace::regnamespace::text in ('public', 'app')"
        "  and has_function_privilege('anon', oid, 'execute')"
    ).fetchall()
    applied.rollback()
    assert found == []


def test_api_roles_cannot_create_objects(applied: Connection[TupleRow]) -> None:
    found = applied.execute(
        "select role, nspname from pg_namespace, unnest(%s::text[]) as role"
        " where nspname in ('public', 'app') and has_schema_privilege(role, oid, 'create')",
        [list(API_ROLES)],
    ).fetchall()
    applied.rollback()
    assert found == []


def test_invariants_and_audit_work_for_every_owner(applied: Connection[TupleRow]) -> None:
    demote = "update public.users set roles = '{MEMBER}' where 'OWNER' = any (roles)"
    with act_as(applied, SERVICE), pytest.raises(psycopg.errors.CheckViolation):
        applied.execute(demote)
    with act_as(applied, ADMIN):
        applied.execute("update public.workflows set status = 'approved' where gate = 'G1'")
        applied.execute("update public.projects set name = 'Renamed'")
        found = applied.execute(
            "select actor_id, action, count(*) from public.audit_logs"
            " where created_at >= now() group by 1, 2"
        ).fetchall()
    assert found == [(HOME.row("admin"), "update", 3)]
    applied.rollback()


def test_owner_can_delete_old_audit_rows(applied: Connection[TupleRow]) -> None:
    [(owner,)] = applied.execute(
        "select relowner::regrole::text from pg_class where oid = 'public.audit_logs'::regclass"
    ).fetchall()
    applied.execute(f"set local role {owner}")
    applied.execute("select set_config('app.audit_retention', pg_current_xact_id()::text, true)")
    deleted = applied.execute("delete from public.audit_logs where action = 'exported'").rowcount
    applied.rollback()
    assert deleted == 2


def test_scale_seeds_load_as_this_owner(applied: Connection[TupleRow]) -> None:
    [(owner,)] = applied.execute(
        "select relowner::regrole::text from pg_class where oid = 'public.users'::regclass"
    ).fetchall()
    applied.execute(f"set local role {owner}")
    applied.execute("set local seed.orgs = 3")
    for file in sorted((SQL_DIR.parent / "seeds" / "scale").glob("*.sql")):
        applied.execute(file.read_text(encoding="utf-8").encode())
    found = [
        applied.execute(
            f"select count(*) > 2 from public.{table} where id like 'cscale%'"
        ).fetchall()
        for table in TABLES
    ]
    applied.rollback()
    assert found == [[(True,)]] * 6


def test_new_objects_of_this_owner_grant_nothing_to_api_roles(
    applied: Connection[TupleRow],
) -> None:
    [(owner,)] = applied.execute(
        "select relowner::regrole::text from pg_class where oid = 'public.users'::regclass"
    ).fetchall()
    applied.execute(f"set local role {owner}")
    applied.execute("create table public.next_one (id int generated by default as identity)")
    applied.execute("create function public.next_one() returns int language sql return 1")
    applied.execute("create sequence public.next_sequence")
    applied.execute("reset role")
    open_to = applied.execute(
        "select role from unnest(%s::text[]) as role"
        " where has_table_privilege(role, 'public.next_one', 'select, insert, update, delete')"
        " or has_function_privilege(role, 'public.next_one()', 'execute')"
        " or has_sequence_privilege(role, 'public.next_sequence', 'usage, select, update')",
        [list(API_ROLES)],
    ).fetchall()
    applied.rollback()
    assert open_to == []


def test_policies_do_not_recurse_for_the_owner(applied: Connection[TupleRow]) -> None:
    """A plain owner who is a member of authenticated must still see all rows."""
    [(owner,)] = applied.execute(
        "select relowner::regrole::text from pg_class where oid = 'public.users'::regclass"
    ).fetchall()
    applied.execute(f"set local role {owner}")
    counts = [applied.execute(f"select count(*) > 0 from public.{t}").fetchall() for t in TABLES]
    applied.rollback()
    assert counts == [[(True,)]] * len(TABLES)


def test_member_sees_only_their_own_org(applied: Connection[TupleRow]) -> None:
    with act_as(applied, MEMBER):
        assert applied.execute("select id from public.organizations").fetchall() == [(HOME.id,)]
    applied.rollback()


def test_rollback_restores_the_original_catalog(target: Target) -> None:
    """Including the schema auth of Supabase."""
    before = catalog_lines(target.database)
    target.apply()
    assert catalog_lines(target.database) != before
    with target.connect() as conn:
        for file in reversed(migration_files()):
            conn.execute(rollback_of(file).read_text(encoding="utf-8"))
            conn.commit()
    assert catalog_lines(target.database) == before


def test_files_run_twice_without_output(target: Target) -> None:
    server = replace(target.database.server, user=target.owner, password=PASSWORD)
    owner = Database(server, target.database.name)
    states = []
    for _ in range(2):
        for file in migration_files():
            assert noise(psql(owner, "-f", file)) == []
        states.append(catalog_lines(target.database))
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("revoke create on schema public from {owner}, public", "schema public"),
        ("revoke create on database {database} from {owner}", "schemas in database"),
        (
            "revoke usage on schema auth from {owner}, anon, authenticated, service_role",
            "schema auth",
        ),
        ("drop function auth.uid()", "auth.uid()"),
        ("create table public.users (id int)", "public.users"),
    ],
)
def test_missing_prerequisite_is_reported_before_anything_is_created(
    server: Server, template: str, missing: str, message: str
) -> None:
    assert template
    for target in prepared(server, "as on Supabase"):
        with target.database.connect() as conn:
            conn.execute(missing.format(owner=target.owner, database=target.database.name))
        before = catalog_lines(target.database)
        with target.connect() as conn, pytest.raises(psycopg.Error) as refusal:
            conn.execute(migration_files()[0].read_text(encoding="utf-8"))
        assert message in str(refusal.value)
        assert refusal.value.diag.message_hint
        assert catalog_lines(target.database) == before


def test_owner_kinds_have_different_attributes(server: Server, template: str) -> None:
    """Otherwise several kinds would test the same thing."""
    assert template
    attributes = set()
    for kind in KINDS:
        for target in prepared(server, kind):
            with target.connect() as conn:
                attributes.update(
                    conn.execute(
                        "select session_user = current_user, rolsuper, rolbypassrls, rolcreaterole,"
                        " pg_has_role(rolname, 'authenticated', 'usage')"
                        " from pg_roles where rolname = current_user"
                    ).fetchall()
                )
    assert len(attributes) == len(KINDS)


def test_catalog_is_the_same_for_every_owner(
    target: Target, new_database: Callable[..., Database], template: str
) -> None:
    """The snapshot describes what depends on the owner by rule: FORCE, ownership, defaults."""
    target.apply()
    superusers = new_database(of=template)
    with target.connect() as ours, superusers.connect() as theirs:
        theirs.execute(f'revoke temporary on database "{superusers.name}" from public')
        found = difference(snapshot.take(ours), snapshot.take(theirs))
    assert [one.as_drift() for one in found] == []
