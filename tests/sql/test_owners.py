"""Who applies the files need not be a superuser: three kinds of owner, one result."""

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

from runner.schema import snapshot
from runner.schema.diff import difference

from .test_files import catalogue, noise, psql, rollback_of
from .world import ADMIN, HOME, MEMBER, TABLES, breaches, fill

PASSWORD = "applies"

# As Supabase hands a project over, in its own words where it matters.
SUPABASE = """
create role {owner} login createrole bypassrls password 'applies';
create role {auth_admin} nologin;
grant anon, authenticated, service_role to {owner};
grant create, connect, temporary on database {database} to {owner};
grant usage, create on schema public to {owner};
grant usage on schema public to anon, authenticated, service_role;
create schema auth authorization {auth_admin};
set role {auth_admin};
create function auth.uid() returns uuid language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;
create function auth.role() returns text language sql stable as $$
    select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
$$;
create function auth.jwt() returns jsonb language sql stable as $$
    select nullif(current_setting('request.jwt.claims', true), '')::jsonb
$$;
create table auth.users (id uuid primary key, email text);
grant usage on schema auth to anon, authenticated, service_role, {owner};
reset role;
alter default privileges for role {owner} in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role {owner} in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges for role {owner} in schema public
    grant all on sequences to anon, authenticated, service_role;
"""
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
class Ground:
    """A database on which somebody of this kind may apply the files, and nothing has been yet."""

    database: Database
    owner: str

    def apply(self) -> None:
        server = self.database.server
        apply_schema(
            host=server.host,
            port=server.port,
            user=self.owner,
            dbname=self.database.name,
            password=PASSWORD,
        )

    def connect(self) -> Connection[TupleRow]:
        return self.database.connect(user=self.owner, password=PASSWORD)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def prepared(server: Server, kind: str) -> Iterator[Ground]:
    """Everything made here is gone afterwards, the roles too."""
    with server.database() as database:
        owner, auth_admin = f"owner_of_{database.name}", f"auth_of_{database.name}"
        with database.connect() as conn:
            conn.execute(
                KINDS[kind].format(owner=owner, auth_admin=auth_admin, database=database.name)
            )
        yield Ground(database, owner)
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as conn:
        conn.execute(f"drop role if exists {owner}, {auth_admin}")


@pytest.fixture(scope="module")
def world(server: Server, template: str, kind: str) -> Iterator[Connection[TupleRow]]:
    """The schema applied by this kind of owner, with both organizations in it.

    The template is only here to have made the API roles, which three of the kinds could not.
    """
    assert template
    for ground in prepared(server, kind):
        ground.apply()
        with ground.database.connect() as conn:
            fill(conn)
            conn.commit()
            yield conn


@pytest.fixture
def ground(server: Server, template: str, kind: str) -> Iterator[Ground]:
    """One to apply to and take back from, for one test."""
    assert template
    yield from prepared(server, kind)


def test_everybody_has_the_rights_of_the_table_and_no_other(world: Connection[TupleRow]) -> None:
    """Every right × everybody × own and other organization, once more."""
    found = breaches(world)
    world.rollback()
    assert found == []


def test_row_security_is_forced_exactly_where_the_owner_would_pass(
    world: Connection[TupleRow],
) -> None:
    found = world.execute(
        "select relname::text, relrowsecurity, relforcerowsecurity = (rolsuper or rolbypassrls)"
        " from pg_class join pg_roles as r on r.oid = relowner"
        " where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname"
    ).fetchall()
    world.rollback()
    assert found == [(table, True, True) for table in sorted(TABLES)]


def test_anon_has_nothing_at_all(world: Connection[TupleRow]) -> None:
    found = world.execute(
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
    world.rollback()
    assert found == []


def test_no_api_role_owns_or_makes_anything(world: Connection[TupleRow]) -> None:
    found = world.execute(
        "select role, nspname from pg_namespace, unnest(%s::text[]) as role"
        " where nspname in ('public', 'app') and has_schema_privilege(role, oid, 'create')",
        [list(API_ROLES)],
    ).fetchall()
    world.rollback()
    assert found == []


def test_the_invariants_hold_whoever_the_guards_run_as(world: Connection[TupleRow]) -> None:
    demote = "update public.users set roles = '{MEMBER}' where 'OWNER' = any (roles)"
    with act_as(world, SERVICE), pytest.raises(psycopg.errors.CheckViolation):
        world.execute(demote)
    with act_as(world, ADMIN):
        world.execute("update public.workflows set status = 'approved' where gate = 'G1'")
        world.execute("update public.projects set name = 'Renamed'")
        found = world.execute(
            "select actor_id, action, count(*) from public.audit_logs"
            " where created_at >= now() group by 1, 2"
        ).fetchall()
    assert found == [(HOME.row("admin"), "update", 3)]
    world.rollback()


def test_the_owner_may_let_old_rows_of_the_log_go(world: Connection[TupleRow]) -> None:
    [(owner,)] = world.execute(
        "select relowner::regrole::text from pg_class where oid = 'public.audit_logs'::regclass"
    ).fetchall()
    world.execute(f"set local role {owner}")
    world.execute("select set_config('app.audit_retention', pg_current_xact_id()::text, true)")
    deleted = world.execute("delete from public.audit_logs where action = 'exported'").rowcount
    world.rollback()
    assert deleted == 2


def test_the_large_data_set_pours_in_as_this_owner(world: Connection[TupleRow]) -> None:
    [(owner,)] = world.execute(
        "select relowner::regrole::text from pg_class where oid = 'public.users'::regclass"
    ).fetchall()
    world.execute(f"set local role {owner}")
    world.execute("set local seed.orgs = 3")
    for page in sorted((SQL_DIR.parent / "seeds" / "scale").glob("*.sql")):
        world.execute(page.read_text(encoding="utf-8").encode())
    found = [
        world.execute(f"select count(*) > 2 from public.{table} where id like 'cscale%'").fetchall()
        for table in TABLES
    ]
    world.rollback()
    assert found == [[(True,)]] * 6


def test_what_this_owner_makes_next_is_closed(world: Connection[TupleRow]) -> None:
    [(owner,)] = world.execute(
        "select relowner::regrole::text from pg_class where oid = 'public.users'::regclass"
    ).fetchall()
    world.execute(f"set local role {owner}")
    world.execute("create table public.next_one (id int generated by default as identity)")
    world.execute("create function public.next_one() returns int language sql return 1")
    world.execute("create sequence public.next_sequence")
    world.execute("reset role")
    open_to = world.execute(
        "select role from unnest(%s::text[]) as role"
        " where has_table_privilege(role, 'public.next_one', 'select, insert, update, delete')"
        " or has_function_privilege(role, 'public.next_one()', 'execute')"
        " or has_sequence_privilege(role, 'public.next_sequence', 'usage, select, update')",
        [list(API_ROLES)],
    ).fetchall()
    world.rollback()
    assert open_to == []


def test_a_policy_does_not_recurse_when_the_owner_looks(world: Connection[TupleRow]) -> None:
    """A plain owner who is a member of authenticated must still see what they own."""
    [(owner,)] = world.execute(
        "select relowner::regrole::text from pg_class where oid = 'public.users'::regclass"
    ).fetchall()
    world.execute(f"set local role {owner}")
    counts = [world.execute(f"select count(*) > 0 from public.{t}").fetchall() for t in TABLES]
    world.rollback()
    assert counts == [[(True,)]] * len(TABLES)


def test_a_member_sees_their_own_org_and_no_other(world: Connection[TupleRow]) -> None:
    with act_as(world, MEMBER):
        assert world.execute("select id from public.organizations").fetchall() == [(HOME.id,)]
    world.rollback()


def test_the_way_back_leaves_everything_as_it_was(ground: Ground) -> None:
    """Supabase's own schema auth among it."""
    before = catalogue(ground.database)
    ground.apply()
    assert catalogue(ground.database) != before
    with ground.connect() as conn:
        for file in reversed(migration_files()):
            conn.execute(rollback_of(file).read_text(encoding="utf-8"))
            conn.commit()
    assert catalogue(ground.database) == before


def test_the_files_run_twice_without_noise(ground: Ground) -> None:
    server = replace(ground.database.server, user=ground.owner, password=PASSWORD)
    owner = Database(server, ground.database.name)
    for _ in range(2):
        for file in migration_files():
            assert noise(psql(owner, "-f", file)) == []
        done = catalogue(ground.database)
    for file in migration_files():
        psql(owner, "-f", file)
        assert catalogue(ground.database) == done, file.name


@pytest.mark.parametrize(
    ("missing", "words"),
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
def test_what_is_missing_is_said_before_anything_is_made(
    server: Server, template: str, missing: str, words: str
) -> None:
    assert template
    for ground in prepared(server, "as on Supabase"):
        with ground.database.connect() as conn:
            conn.execute(missing.format(owner=ground.owner, database=ground.database.name))
        before = catalogue(ground.database)
        with ground.connect() as conn, pytest.raises(psycopg.Error) as refusal:
            conn.execute(migration_files()[0].read_text(encoding="utf-8"))
        assert words in str(refusal.value)
        assert refusal.value.diag.message_hint
        assert catalogue(ground.database) == before


def test_the_preparations_are_really_different(server: Server, template: str) -> None:
    """So that one kind does not quietly stand for all."""
    assert template
    attributes = set()
    for kind in KINDS:
        for ground in prepared(server, kind):
            with ground.connect() as conn:
                attributes.update(
                    conn.execute(
                        "select session_user = current_user, rolsuper, rolbypassrls, rolcreaterole,"
                        " pg_has_role(rolname, 'authenticated', 'usage')"
                        " from pg_roles where rolname = current_user"
                    ).fetchall()
                )
    assert len(attributes) == len(KINDS)


def test_the_catalogue_is_the_same_whoever_applies(
    ground: Ground, new_database: Callable[..., Database], template: str
) -> None:
    """What follows from the owner is told by its rule: FORCE, ownership, default privileges."""
    ground.apply()
    superusers = new_database(of=template)
    with ground.connect() as ours, superusers.connect() as theirs:
        theirs.execute(f'revoke temporary on database "{superusers.name}" from public')
        found = difference(snapshot.take(ours), snapshot.take(theirs))
    assert [one.as_drift() for one in found] == []
