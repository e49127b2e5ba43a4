"""Differences between snapshots: found, reported, and fixed by the statement that is offered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from conftest import SQL_DIR, Server, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.files import loader
from runner.preflight import diff, order, partitions
from runner.preflight.diff import Difference
from runner.preflight.scratch import scratch_server, version_like
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot


@pytest.fixture(scope="module")
def shared(server: Server, template: str) -> Iterator[tuple[Connection[TupleRow], Snapshot]]:
    """A connection to a clone of the template, and the clone's snapshot."""
    with server.database(of=template) as database, database.connect(autocommit=True) as conn:
        conn.execute(f'revoke temporary on database "{database.name}" from public')
        yield conn, snapshot.take(conn)


@pytest.fixture
def conn(shared: tuple[Connection[TupleRow], Snapshot]) -> Iterator[Connection[TupleRow]]:
    """A superuser's connection, in a transaction that is rolled back."""
    with shared[0].transaction(force_rollback=True):
        yield shared[0]


@pytest.fixture
def files(shared: tuple[Connection[TupleRow], Snapshot]) -> Snapshot:
    """The snapshot of a database made by the files."""
    return shared[1]


def drift(conn: Connection[TupleRow], files: Snapshot) -> list[Difference]:
    return diff.difference(snapshot.take(conn), files)


# A change made by hand, the line that reports it, and whether a statement is offered that fixes it.
BY_HAND = [
    (
        "alter table public.projects alter status set default 'active'",
        "column public.projects.status: default 'active'::text here, 'draft'::text in the files",
        True,
    ),
    (
        "alter table public.projects alter name drop not null",
        "column public.projects.name: not null in the files only",
        True,
    ),
    (
        "alter table public.projects alter created_at type timestamp",
        "column public.projects.created_at: type timestamp without time zone here, "
        "timestamp with time zone in the files",
        False,
    ),
    (
        "alter table public.projects drop column updated_at",
        "column public.projects.updated_at: in the files and not here",
        True,
    ),
    (
        "alter table public.projects add column extra text",
        "column public.projects.extra: here and not in the files",
        False,
    ),
    (
        "drop table public.ai_agents",
        "table public.ai_agents: in the files and not here, with 6 columns, 8 constraints, "
        "1 index, 5 policies, 2 triggers",
        False,
    ),
    (
        "create table public.more (id bigint generated always as identity primary key)",
        "table public.more: here and not in the files, with 1 column, 1 constraint",
        False,
    ),
    (
        "drop index public.projects_org_id_created_at_id_idx",
        "index public.projects_org_id_created_at_id_idx: in the files and not here",
        True,
    ),
    (
        "create index by_name on public.projects (name)",
        "index public.by_name: here and not in the files",
        True,
    ),
    (
        "drop index public.projects_org_id_created_at_id_idx;"
        "create index projects_org_id_created_at_id_idx on public.projects (org_id, created_at)",
        "index public.projects_org_id_created_at_id_idx: another definition here than in the files",
        True,
    ),
    (
        "update pg_index set indisvalid = false"
        " where indexrelid = 'public.projects_org_id_created_at_id_idx'::regclass",
        "index public.projects_org_id_created_at_id_idx: invalid here only",
        True,
    ),
    (
        "alter type public.billing_plan add value 'TRIAL' after 'FREE'",
        "type public.billing_plan: labels 'FREE', 'TRIAL', 'PRO', 'ENTERPRISE' here, "
        "'FREE', 'PRO', 'ENTERPRISE' in the files",
        False,
    ),
    (
        "alter policy select_member on public.projects using (true)",
        "policy public.projects.select_member: using true here, "
        "(org_id = ( SELECT app.caller_org() AS caller_org)) in the files",
        True,
    ),
    (
        "alter policy update_admin on public.projects to public",
        "policy public.projects.update_admin: to public here, authenticated in the files",
        True,
    ),
    (
        "drop policy tenant_isolation on public.projects",
        "policy public.projects.tenant_isolation: in the files and not here",
        True,
    ),
    (
        "alter function app.caller_user() volatile",
        "function app.caller_user(): volatility volatile here, stable in the files",
        True,
    ),
    (
        "alter function app.caller_user() strict",
        "function app.caller_user(): strict here only",
        True,
    ),
    (
        "alter function app.caller_user() set search_path = public",
        "function app.caller_user(): set search_path=public here, "
        "search_path=pg_catalog, pg_temp in the files",
        True,
    ),
    (
        "create or replace function app.new_id() returns text language plpgsql parallel safe "
        "set search_path = pg_catalog, pg_temp as $$ begin return 'c' || repeat('0', 24); end $$",
        "function app.new_id(): another body here than in the files",
        True,
    ),
    (
        "grant execute on function app.new_id() to anon",
        "function app.new_id(): execute to anon here only",
        True,
    ),
    (
        "grant select on public.projects to anon",
        "table public.projects: select to anon here only",
        True,
    ),
    (
        "revoke select on public.projects from authenticated",
        "table public.projects: select to authenticated in the files only",
        True,
    ),
    (
        "grant update (org_id) on public.projects to authenticated",
        "column public.projects.org_id: update to authenticated here only",
        True,
    ),
    (
        "comment on table public.projects is 'other'",
        "table public.projects: comment “other” here, “A product blueprint of an organization.” "
        "in the files",
        True,
    ),
    (
        "comment on policy select_member on public.projects is null",
        "policy public.projects.select_member: no comment here, “A member sees the projects of "
        "their own organization.” in the files",
        True,
    ),
    (
        "alter table public.projects disable row level security",
        "table public.projects: row security off here, on in the files",
        True,
    ),
    (
        "alter table public.projects no force row level security",
        "table public.projects: force off, though its owner passes the policies here, "
        "not in the files",
        True,
    ),
    (
        "alter table public.projects drop constraint projects_status_check",
        "constraint public.projects.projects_status_check: in the files and not here",
        True,
    ),
    (
        "alter table public.projects drop constraint projects_status_check;"
        "alter table public.projects add constraint projects_status_check check (status <> '')",
        "constraint public.projects.projects_status_check: another definition here than in the "
        "files",
        True,
    ),
    (
        "alter table public.projects disable trigger record_audit",
        "trigger public.projects.record_audit: fires never here, as usual in the files",
        True,
    ),
    (
        "drop trigger record_audit on public.projects",
        "trigger public.projects.record_audit: in the files and not here",
        True,
    ),
    (
        "alter default privileges in schema public grant select on tables to anon",
        "default privileges tables in public: select to anon here only",
        True,
    ),
    (
        "create view public.seen as select * from public.projects",
        "view public.seen: here and not in the files, with 8 columns",
        True,
    ),
    (
        "create publication leak for table public.projects (org_id, id) where (status <> 'x')",
        "publication leak: here and not in the files",
        True,
    ),
    (
        "create table public.g (a int generated always as identity (increment 10))",
        "table public.g: here and not in the files, with 1 column",
        False,
    ),
    ("create schema other", "schema other: here and not in the files", True),
    (
        "grant create on schema public to anon",
        "schema public: create to anon here only",
        True,
    ),
    (
        "grant anon to current_user; grant create on schema app to anon;"
        "alter function app.new_id() owner to anon; revoke create on schema app from anon",
        "function app.new_id(): owner anon here, not in the files",
        True,
    ),
    (
        "create domain public.named as text check (value <> '')",
        "type public.named: here and not in the files, with 1 constraint",
        True,
    ),
    (
        "create rule silent as on delete to public.projects do instead nothing",
        "rule public.projects.silent: here and not in the files",
        True,
    ),
    (
        "create statistics public.together on org_id, status from public.projects",
        "statistics public.together: here and not in the files",
        True,
    ),
]


@one_server
@pytest.mark.parametrize(
    ("change", "expected", "fixable"),
    BY_HAND,
    ids=[line.partition(" in the")[0] for _, line, _ in BY_HAND],
)
def test_manual_change_is_reported_and_fixed(
    conn: Connection[TupleRow], files: Snapshot, change: str, expected: str, fixable: bool
) -> None:
    assert drift(conn, files) == []
    conn.execute(change.encode())
    found = drift(conn, files)
    assert [d.as_drift() for d in found] == [expected]
    assert bool(found[0].fix) is fixable
    if fixable:
        conn.execute(found[0].fix.encode())
        assert drift(conn, files) == []


def test_enum_labels_added_by_files_are_added(conn: Connection[TupleRow], files: Snapshot) -> None:
    """Before the first, between two, and after the last. A label cannot be removed again."""
    conn.execute("create type public.grade as enum ('B', 'D')")
    before = snapshot.take(conn)
    for label, place in (("A", "before 'B'"), ("C", "after 'B'"), ("E", "after 'D'")):
        conn.execute(f"alter type public.grade add value '{label}' {place}".encode())
    [found] = diff.difference(before, snapshot.take(conn))
    assert found.fix.splitlines() == [
        "alter type public.grade add value 'A' before 'B';",
        "alter type public.grade add value 'C' after 'B';",
        "alter type public.grade add value 'E' after 'D';",
    ]
    [back] = diff.difference(snapshot.take(conn), before)
    assert not back.fix


def test_long_value_is_reported_as_line_diff(conn: Connection[TupleRow], files: Snapshot) -> None:
    body = "declare caller uuid := auth.uid();\nbegin\n    return (select 'unknown');\nend"
    conn.execute(
        "create or replace function app.caller_user() returns text language plpgsql stable "
        "parallel safe security definer set search_path = pg_catalog, pg_temp "
        f"as $f$\n{body}\n$f$".encode()
    )
    [found] = drift(conn, files)
    assert "-     return (select 'unknown');" in found.lines()
    assert "+         select u.id" in found.lines()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("create table public.t (id int, n text)", ["creates table public.t, with 2 columns"]),
        ("drop index public.projects_org_id_created_at_id_idx",
         ["drops index public.projects_org_id_created_at_id_idx"]),
        ("grant select on public.users to anon", ["table public.users: adds select to anon"]),
        ("alter table public.users alter name drop not null",
         ["column public.users.name: removes not null"]),
        ("alter table public.projects alter status set default 'paused'",
         ["column public.projects.status: default 'draft'::text → 'paused'::text"]),
    ],
)  # fmt: skip
def test_effect_is_reported_as_an_action(
    conn: Connection[TupleRow], files: Snapshot, change: str, expected: list[str]
) -> None:
    conn.execute(change.encode())
    found = diff.difference(files, snapshot.take(conn))
    assert [d.as_effect() for d in found] == expected


def fingerprint_of(made: Snapshot) -> str:
    """Compute in Python what the runner computes in SQL."""
    lines = "\n".join(f"{f.kind}|{f.name}|{f.trait}|{f.value}" for f in made.facts)
    return f"5:{made.version}:{hashlib.sha256(lines.encode()).hexdigest()}"


def test_fingerprint_computed_in_sql_matches_snapshot(
    conn: Connection[TupleRow], files: Snapshot
) -> None:
    assert snapshot.fingerprint(conn) == fingerprint_of(files)
    conn.execute("comment on column public.users.name is 'x'")
    assert snapshot.fingerprint(conn) != fingerprint_of(files)
    assert snapshot.fingerprint(conn) == fingerprint_of(snapshot.take(conn))


def test_snapshot_leaves_session_settings_unchanged(conn: Connection[TupleRow]) -> None:
    before = conn.execute("show search_path").fetchone()
    snapshot.take(conn)
    snapshot.fingerprint(conn)
    assert conn.execute("show search_path").fetchone() == before


@one_server
def test_kinds_that_are_rare_are_compared_trait_by_trait(conn: Connection[TupleRow]) -> None:
    conn.execute(
        "create table public.g (id int generated always as identity, a text not null, b text not"
        " null); create unique index one on public.g (a); create unique index two on public.g (b);"
        "alter table public.g replica identity using index one; create domain public.d as text;"
        "create publication p for table public.g; create schema ext; create schema extensions;"
        "create extension vector schema ext; create schema rare; set local search_path = rare,"
        " public, pg_catalog;"
        "create table t (id serial primary key, a text) with (toast.autovacuum_enabled = off);"
        "create index t_a on t (a); create index t_e on t ((a || a)); alter table t cluster on t_a;"
        "create type pair as (x int, y text); create table typed of pair;"
        "create type span as range (subtype = float8);"
        "create collation sorted (locale = 'C', provider = libc);"
        "create text search dictionary words (template = simple);"
        "create text search configuration search (copy = simple);"
        "create function same(int, int) returns bool language sql immutable as 'select $1 = $2';"
        "create operator === (leftarg = int, rightarg = int, function = same);"
        "create aggregate total(int) (sfunc = int4pl, stype = int, sspace = 8);"
        "create function few() returns setof int language sql as 'select 1';"
        "create statistics pairing on id, a from t; create rule quiet as on delete to t do instead"
        " nothing; create foreign data wrapper w; create server far foreign data wrapper w;"
        "create user mapping for public server far options (name 'x', password 'y');"
        "create operator class pairs for type pair using btree as operator 1 <(record, record);"
    )
    before = snapshot.take(conn)
    assert not [f for f in before.facts if "'y'" in f.value or "=y" in f.value]
    for change, line in (
        ("alter table public.g alter id set increment 10 set cycle", "g.id: counts from 1 by 10"),
        ("alter table public.g replica identity using index two", "g: replica identity index"),
        (
            'drop domain d; create domain public.d as text collate "C"',
            'based on text collate "C" here',
        ),
        ("alter publication p add table public.projects", "p: of public.g, public.projects here"),
        ("alter publication p set (publish = 'insert')", "publication p: "),
        ("alter extension vector set schema public", "vector: schema public here, ext in"),
        ("alter sequence t_id_seq owned by none", "no owned by here, rare.t.id in the files"),
        ("alter table t alter a set storage external", "rare.t.a: storage external here"),
        ("alter table t alter a set compression pglz", "rare.t.a: compression pglz here"),
        ("alter table t alter a set statistics 9", "rare.t.a: statistics 9 here"),
        ("alter index t_e alter 1 set statistics 9", "t_e: statistics 9 of column 1 here"),
        ("alter table t alter a set (n_distinct = 5)", "rare.t.a: options n_distinct=5 here"),
        ("alter table t reset (toast.autovacuum_enabled)", "no toast options here"),
        ("alter table t set without cluster", "no clustered on here, t_a in the files"),
        ("alter table typed not of", "no of type here, rare.pair in the files"),
        ("alter function few() cost 9", "few(): cost 9 here"),
        ("alter function few() rows 9", "few(): rows 9 here"),
        ("alter statistics pairing set statistics 9", "pairing: target 9 here"),
        ('alter type pair alter attribute y type text collate "C" cascade', "y text collate"),
        (
            "drop type span; create type span as range (subtype = float8, subtype_diff = float8mi)",
            "another range of here",
        ),
        (
            "drop collation sorted; create collation sorted (locale = 'POSIX', provider = libc)",
            "sorted: definition c POSIX here, c C in the files",
        ),
        ("alter text search dictionary words (stopwords = 'english')", "stopwords"),
        ("alter text search configuration search drop mapping for word", "another definition"),
        (
            "drop operator === (int, int); create operator === (leftarg = int, rightarg = int,"
            " function = same, commutator = ===, hashes)",
            "optimized by commutator",
        ),
        (
            "drop aggregate total(int); create aggregate total(int) (sfunc = int4pl, stype = int)",
            "state n integer r here, n integer 8 r",
        ),
        (
            "alter operator family bool_ops using btree add operator 1 === (int, int)",
            "bool_ops USING btree: members operator 1",
        ),
        ("comment on rule quiet on t is 'x'", "rule rare.t.quiet: comment “x” here"),
        ("comment on statistics pairing is 'x'", "statistics rare.pairing: comment “x” here"),
        ("comment on server far is 'x'", "server far: comment “x” here"),
        ("comment on operator === (int, int) is 'x'", "comment “x” here"),
        ("drop extension plpgsql cascade", "extension plpgsql: state dropped here"),
        ("comment on publication p is 'x'", "publication p: comment “x” here"),
        ("comment on operator class pairs using btree is 'x'", "comment “x” here"),
        ("alter user mapping for public server far options (set name 'z')", "far: remote name=z"),
        ("alter foreign data wrapper w options (mode 'x')", "wrapper w: remote mode=x here"),
    ):
        with conn.transaction(force_rollback=True):
            conn.execute(change.encode())
            found = diff.difference(snapshot.take(conn), before)
            assert any(line in d.as_drift() for d in found), (change, found)
            if all(d.fix for d in found):
                conn.execute(order.joined(d.fix for d in found).encode())
                assert diff.difference(snapshot.take(conn), before) == []
    # As on Supabase: the deploying role owns the schema that the platform puts extensions into.
    conn.execute("drop schema extensions; drop extension vector; drop schema ext")
    before = snapshot.take(conn)
    conn.execute("create schema extensions; create extension vector schema extensions")
    conn.execute("grant usage on schema extensions to anon")
    assert [d.object for d in diff.difference(snapshot.take(conn), before)] == []
    # Its files may create the extensions, which a scratch server of 16 could not replace.
    assert version_like(replace(snapshot.take(conn), version=15)) == 18
    assert version_like(replace(before, version=15)) == 15
    conn.execute("create table extensions.mine (a int)")
    objects = [d.object for d in diff.difference(snapshot.take(conn), before)]
    assert {"schema extensions", "table extensions.mine"} <= {*objects}


@one_server
def test_settings_that_change_how_text_is_written_are_no_difference(
    conn: Connection[TupleRow],
) -> None:
    conn.execute(
        "create table public.t (a timestamptz default '2026-01-02 03:04+05', b date default"
        " '2026-02-03', c interval default '1 day 02:00', d bytea default '\\x00ff', e text default"
        r" 'a\b', f float8 default 0.1, "
        "check (a > '2026-01-01 00:00+00'), check (e <> 'user'));"
        "create view public.v as select t.a from public.t where t.b < '2026-03-04'"
    )
    before = snapshot.take(conn)
    fingerprint = snapshot.fingerprint(conn)
    for setting in (
        "timezone = 'Asia/Tokyo'",
        "datestyle = 'German, DMY'",
        "intervalstyle = 'iso_8601'",
        "bytea_output = 'escape'",
        "standard_conforming_strings = off",
        "quote_all_identifiers = on",
        "search_path = public",
        "extra_float_digits = -3",
    ):
        conn.execute(f"set local escape_string_warning = off; set local {setting}")
        assert diff.difference(snapshot.take(conn), before) == [], setting
        assert snapshot.fingerprint(conn) == fingerprint, setting


def test_files_give_the_same_snapshot_on_every_version(files: Snapshot, server: Server) -> None:
    """NOT NULL constraints (18) and MAINTAIN (17) exist in one version only and are not drift."""
    other = 18 if files.version < 18 else 16
    with scratch_server(other) as scratch:
        made = scratch.snapshot_of(loader.read(SQL_DIR))
    assert made.version == other
    assert [d.as_drift() for d in diff.difference(files, made)] == []
    assert made.facts == files.facts


def test_platform_schemas_are_ignored(conn: Connection[TupleRow], files: Snapshot) -> None:
    """On Supabase, `auth` belongs to another role; the files' own `auth` is then not missing."""
    conn.execute("create role of_the_platform; grant of_the_platform to current_user")
    conn.execute("alter schema auth owner to of_the_platform")
    conn.execute("create table auth.users (id uuid); create schema vault")
    conn.execute("alter schema vault owner to of_the_platform; create table vault.secrets (s text)")
    here = snapshot.take(conn)
    assert here.platform == {"auth", "vault"}
    assert diff.difference(here, files) == []
    conn.execute("comment on table public.users is null")
    assert len(drift(conn, files)) == 1
    conn.execute(
        "create role supabase_x; create role supabase_y; alter schema auth owner to"
        " supabase_x; alter default privileges for role supabase_y grant select on tables"
        " to anon"
    )
    assert "supabase_y" not in str(snapshot.take(conn).facts)


def test_what_an_administrator_made_beside_the_schemas_is_ignored(
    conn: Connection[TupleRow], files: Snapshot
) -> None:
    """An event trigger, a server, default privileges of another role: files do not make these."""
    before = snapshot.fingerprint(conn)
    conn.execute("create role an_administrator superuser; set role an_administrator")
    conn.execute("create foreign data wrapper w; create server s foreign data wrapper w")
    conn.execute("create user mapping for public server s")
    conn.execute("alter default privileges grant select on tables to public; reset role")
    assert drift(conn, files) == []
    assert snapshot.fingerprint(conn) == before
    assert len({fact.kind for fact in snapshot.take(conn).facts if "another" in fact.kind}) == 4


def test_objects_of_an_extension_are_ignored(conn: Connection[TupleRow], files: Snapshot) -> None:
    [extension] = conn.execute(
        "select name from pg_available_extensions where name in ('citext', 'vector')"
        " and installed_version is null order by name desc limit 1"
    ).fetchall() or [(None,)]
    if extension[0] is None:
        pytest.skip("this server has neither of the extensions citext and vector")
    conn.execute(f"create extension {extension[0]} schema public".encode())
    assert [d.as_drift() for d in drift(conn, files)] == [
        f"extension {extension[0]}: here and not in the files"
    ]


def test_line_ends_of_a_checkout_are_no_difference(conn: Connection[TupleRow]) -> None:
    made = []
    for end in ("\r\n", "\n"):
        conn.execute(
            f"create or replace function app.f() returns int language sql as 'select{end}1';"
            f"comment on function app.f() is 'one{end}two'"
        )
        made.append(snapshot.take(conn))
    assert diff.difference(*made) == []


def test_fix_quotes_names(conn: Connection[TupleRow], files: Snapshot) -> None:
    conn.execute('create table public."A ""b"" %s" ("c d" int, id int)')
    before = snapshot.take(conn)
    conn.execute(
        'create index "I x" on public."A ""b"" %s" ("c d");'
        'alter table public."A ""b"" %s" alter "c d" set default 1;'
        'create policy "p q" on public."A ""b"" %s" to anon using (true);'
        'grant select ("c d") on public."A ""b"" %s" to anon'
    )
    for found in diff.difference(snapshot.take(conn), before):
        conn.execute(found.fix.encode())
    assert diff.difference(snapshot.take(conn), before) == []


@one_server
def test_partitions_that_a_job_makes_like_the_others_are_no_difference(
    conn: Connection[TupleRow],
) -> None:
    conn.execute("""
        create table public.hits (at date, url text) partition by range (at);
        create table public.hits_rest partition of public.hits default;
        create index on public.hits (url); alter table public.hits enable row level security;
        create function public.f() returns trigger language plpgsql as 'begin return new; end';
        create trigger t before insert on public.hits for each row execute function public.f()""")
    files, fingerprint = snapshot.take(conn), snapshot.fingerprint(conn)
    conn.execute("""
        create table public.hits_1 partition of public.hits
            for values from ('2026-01-01') to ('2026-02-01');
        create table public.hits_2 partition of public.hits
            for values from ('2026-02-01') to ('2026-03-01') partition by range (at);
        create table public.hits_20 partition of public.hits_2 default""")
    for change, left in (
        ("select 1", ""),
        ("grant select on public.hits_1 to anon", "revoke select on public.hits_1 from anon;"),
        ("create index i on public.hits_20 (at)", "drop index public.i;"),
        ("alter table public.hits_1 disable trigger t", "alter table public.hits_1 enable trigger"),
        ("alter table public.hits_2 add check (url <> '')", "alter table public.hits_2 drop cons"),
        ("create policy p on public.hits_1 using (true)", "drop policy p on public.hits_1;"),
        ("create table public.hits_3 (at date)", ""),
    ):
        with conn.transaction(force_rollback=True):
            conn.execute(change.encode())
            here = snapshot.take(conn)
            found, names = partitions.at_run_time(diff.difference(here, files), here, files)
            assert names == ["public.hits_1", "public.hits_2", "public.hits_20"]
            assert (
                bool(found)
                is (change != "select 1")
                is bool(partitions.without(here.facts, files.facts) != files.facts)
            ), change
            assert left in "".join(d.fix for d in found)
            assert (snapshot.fingerprint(conn) != fingerprint) is bool(found)


@one_server
def test_a_partition_made_by_hand_has_what_all_of_the_files_have_and_no_more(
    conn: Connection[TupleRow],
) -> None:
    conn.execute("""
        create schema s; create role brk_api; create role brk_anon; create role brk_own;
        create table s.p (id int) partition by range (id);
        alter table s.p enable row level security; create index on s.p (id);
        create function s.f() returns trigger language plpgsql as 'begin return new; end';
        create table s.plain (id int default 1, check (id > 0)) partition by list (id)""")
    guarded = """
        create table s.{0} partition of s.p for values from ({1}) to ({1} + 10);
        alter table s.{0} enable row level security; grant select on s.{0} to brk_api;
        create policy pp on s.{0} to brk_api using (true);
        create policy rr on s.{0} as restrictive using (id > 0);
        create trigger audit after insert on s.{0} for each row execute function s.f();"""
    opened = (
        "grant select on s.p_2 to brk_anon; create policy pu on s.p_2 to brk_anon using (true);"
    )
    conn.execute(guarded.format("p_1", 0).encode())
    alone = snapshot.fingerprint(conn)
    conn.execute((guarded.format("p_pub", 100) + opened.replace("p_2", "p_pub")).encode())
    both = snapshot.take(conn)
    like = guarded.format("p_2", 10)
    cut = like[: like.index("create policy rr")]
    plain = "create table s.q partition of s.plain for values in (2);"
    for change, named in (
        (like, set()),
        (cut, {"policy s.p_2.rr", "trigger s.p_2.audit"}),
        (like + opened, {"table s.p_2", "policy s.p_2.pu"}),
        (like + "alter table s.p_2 disable row level security", {"table s.p_2"}),
        (like + "alter table s.p_2 disable trigger audit", {"trigger s.p_2.audit"}),
        (like + "drop policy rr on s.p_2", {"policy s.p_2.rr"}),
        (like + "revoke all on s.p_2 from brk_api", {"table s.p_2"}),
        (
            cut.partition("alter")[0],
            {"policy s.p_2.pp", "policy s.p_2.rr", "table s.p_2"} | {"trigger s.p_2.audit"},
        ),
        (plain, set()),
        (plain + "alter table s.q alter id drop default", {"column s.q.id"}),
        (plain + "grant select on s.q to brk_api", {"table s.q"}),
    ):
        with conn.transaction(force_rollback=True):
            conn.execute(change.encode())
            here = snapshot.take(conn)
            found, names = partitions.at_run_time(diff.difference(here, both), here, both)
            assert names == ["s.q" if change.startswith(plain) else "s.p_2"]
            assert {d.object for d in found} == named, change
            left = partitions.without(here.facts, both.facts)
            assert (left != both.facts) is bool(named), change
            for d in found:
                conn.execute(d.fix.encode())
            here = snapshot.take(conn)
            assert partitions.at_run_time(diff.difference(here, both), here, both)[0] == []
    conn.execute("alter table s.p_pub owner to brk_own")  # as one partition of the files is
    both = snapshot.take(conn)
    with conn.transaction(force_rollback=True):
        conn.execute((like + "alter table s.p_2 owner to brk_own").encode())
        here = snapshot.take(conn)
        found, _ = partitions.at_run_time(diff.difference(here, both), here, both)
        assert [(d.object, d.trait) for d in found] == [("table s.p_2", "owner")]
    conn.execute("drop table s.p_pub")
    for change, is_seen in ((like, False), (cut, True)):
        with conn.transaction(force_rollback=True):
            conn.execute(change.encode())
            assert (snapshot.fingerprint(conn) != alone) is is_seen
