"""Drift between a database and its files is reported; a database with the schema is baselined."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from conftest import SQL_DIR, Database, Server, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.errors import PlanError, SqlError
from runner.events import Event, Note
from runner.files import loader
from runner.files.loader import Migration
from runner.isolation import drift
from runner.isolation.drift import Audit
from runner.isolation.report import export, text
from runner.isolation.report.places import Places
from runner.isolation.report.sarif import sarif
from runner.isolation.verdict import Verdict
from runner.migrate.migrator import Migrator
from runner.migrate.plan import compare
from runner.postgres.target import Target, parse
from runner.preflight import baseline, edits, order
from runner.preflight.diff import difference
from runner.preflight.moved import moved
from runner.preflight.scratch import ScratchServer, apply, scratch_server
from runner.schema import snapshot

pytestmark = one_server  # differences between versions: see test_diff.py

SHOPS = """-- 0001_shops
create table if not exists public.shops (id int, name text default 'new');
comment on table public.shops is 'Where goods are sold.';
"""
MOOD = """-- 0002_mood
do $$
begin
    if to_regtype('public.mood') is null then
        create type public.mood as enum ('glad', 'sad');
    end if;
end
$$;
create index if not exists by_name on public.shops (name);
create or replace function public.one() returns int language sql as 'select 1';
"""


@dataclass
class Project:
    """A database, and a directory of migration files for it."""

    folder: Path
    connection: Connection[TupleRow]

    @property
    def migrator(self) -> Migrator:
        return Migrator(self.connection)

    def write(self, **texts: str) -> list[Migration]:
        self.folder.mkdir(exist_ok=True)
        for name, sql in texts.items():
            path = self.folder / f"{name.lstrip('_')}.sql"
            path.write_text(sql, encoding="utf-8")
        return self.files

    @property
    def files(self) -> list[Migration]:
        return loader.read(self.folder)

    def audit(self) -> Audit:
        return drift.audit(self.migrator, self.files)


@pytest.fixture(scope="module")
def scratch() -> Iterator[ScratchServer]:
    with scratch_server(18) as scratch:
        yield scratch


@pytest.fixture(autouse=True)
def _one_scratch_server(scratch: ScratchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Share one server, because starting it takes longer than the tests."""
    for module in (drift, baseline):
        monkeypatch.setattr(module, "scratch_server", lambda *_, **__: nullcontext(scratch))


@pytest.fixture
def project(empty_database: Database, tmp_path: Path) -> Iterator[Project]:
    with empty_database.connect(autocommit=True) as conn:
        project = Project(tmp_path / "sql", conn)
        project.write(_0001_shops=SHOPS, _0002_mood=MOOD)
        yield project


def differences(audit: Audit) -> list[str]:
    return [one.as_drift() for one in audit.differences]


def test_no_drift_after_apply(project: Project) -> None:
    apply(project.migrator, project.files)
    audit = project.audit()
    assert (differences(audit), audit.breaches(), audit.warnings()) == ([], [], [])
    assert [(check.name, check.passed) for check in audit.checks()] == [
        ("0001_shops", True),
        ("0002_mood", True),
        ("drift", True),
    ]
    shown = list(text.verdict_lines(Verdict(checks=tuple(audit.checks())), lambda line, _: line))
    assert shown[:2] == ["✓ files       2 passed", "✓ catalog     matches the files"]


def test_no_format_shows_a_password_of_a_function_or_a_file(project: Project) -> None:
    """Also one on a line of its own, one that alone differs, and in the statement of the fix."""
    body = """create or replace function public.connects(wide text) returns text language plpgsql as
        $f$ begin return 'host=h user=u dbname=d' || wide || '; alter role r password
            ''{}'''; end $f$;"""
    project.write(_0003_connects="-- 0003_connects\n" + body.format("S3cretOfFile"))
    apply(project.migrator, project.files)
    project.connection.execute(body.format("S3cretHere").encode())
    project.write(_0003_connects="-- 0003_connects\n" + body.format("S3cretEdited"))
    audit = project.audit()
    edited, differs = audit.breaches()
    assert edited.exposed == differs.exposed == "(only a password differs, which is not shown)"
    assert differs.fix.startswith("-- with the password, which is not shown:\n-- CREATE OR REPLACE")
    project.connection.execute(body.format("S3cretHere").replace("wide ||", "").encode())
    differs = project.audit().breaches()[1]
    assert "password" in differs.exposed
    of = {"database": "d"}
    verdict = Verdict(checks=tuple(audit.checks()), breaches=(edited, differs), facts=of)
    shown = [*text.verdict_lines(verdict, lambda line, _: line, verbose=True)]
    shown += [export.junit(verdict), export.html(verdict), sarif(verdict, Places(project.folder))]
    shown += [str(text.document(verdict))]
    assert "S3cret" not in "".join(shown)
    assert "S3cret" not in "".join(edits.lines(project.migrator, project.files[2]))


# Objects that existed before the files were applied, and that their guards skipped silently.
SKIPPED_BY_GUARD = {
    "a table of another shape": (
        "create table public.shops (id bigint, name text default 'new', extra text)",
        [
            "column public.shops.extra: here and not in the files",
            "column public.shops.id: type bigint here, integer in the files",
        ],
    ),
    "another default": (
        "create table public.shops (id int, name text default 'old')",
        ["column public.shops.name: default 'old'::text here, 'new'::text in the files"],
    ),
    "an enum with other labels": (
        "create type public.mood as enum ('glad')",
        ["type public.mood: labels 'glad' here, 'glad', 'sad' in the files"],
    ),
    "an index of another shape": (
        "create table public.shops (id int, name text default 'new');"
        "create index by_name on public.shops (id)",
        [
            "index public.by_name: definition CREATE INDEX by_name ON public.shops USING btree "
            "(id) here, CREATE INDEX by_name ON public.shops USING btree (name) in the files"
        ],
    ),
}


@pytest.mark.parametrize(("before", "expected"), SKIPPED_BY_GUARD.values(), ids=SKIPPED_BY_GUARD)
def test_drift_reports_object_skipped_by_if_not_exists(
    project: Project, before: str, expected: list[str]
) -> None:
    project.connection.execute(before.encode())
    apply(project.migrator, project.files)
    assert differences(project.audit()) == expected


# Changes made by hand after applying. For every kind of object, see test_diff.py.
BY_HAND = {
    "an index dropped": (
        "drop index public.by_name",
        "index public.by_name: in the files and not here",
        "CREATE INDEX by_name ON public.shops USING btree (name);",
    ),
    "a function changed": (
        "create or replace function public.one() returns int language sql as 'select 2'",
        "function public.one(): body select 2 here, select 1 in the files",
        "CREATE OR REPLACE FUNCTION public.one()",
    ),
    "a comment changed": (
        "comment on table public.shops is 'Shops.'",
        "table public.shops: comment “Shops.” here, “Where goods are sold.” in the files",
        "comment on table public.shops is 'Where goods are sold.';",
    ),
    "a policy added": (
        "create policy open_to_all on public.shops using (true)",
        "policy public.shops.open_to_all: here and not in the files",
        "drop policy open_to_all on public.shops;",
    ),
}


@pytest.mark.parametrize(("change", "summary", "fix"), BY_HAND.values(), ids=BY_HAND)
def test_change_by_hand_is_a_breach_with_its_fix(
    project: Project, change: str, summary: str, fix: str
) -> None:
    apply(project.migrator, project.files)
    project.connection.execute(change.encode())
    [breach] = project.audit().breaches()
    assert (breach.proof, breach.summary) == ("drift", summary)
    assert breach.fix.startswith(fix)
    project.connection.execute(breach.fix.encode())
    assert project.audit().breaches() == []


def test_only_applied_files_are_compared(project: Project) -> None:
    """Pending files do not count as drift, and neither do applied files that are now missing."""
    apply(project.migrator, project.files)
    project.write(_0003_more="create table public.more ();")
    (project.folder / "0002_mood.sql").unlink()
    audit = project.audit()
    assert differences(audit) == []
    assert [text.partition(":")[0] for text in audit.warnings()] == ["0003_more", "0002_mood"]
    *of_files, of_catalog = audit.checks()
    assert [check.passed for check in of_files] == [True, None, None]  # two were not compared
    assert "and the recorded text of those that are missing" in of_catalog.source


def test_edited_migration_is_a_breach_with_its_changed_lines(project: Project) -> None:
    apply(project.migrator, project.files)
    project.write(_0001_shops=SHOPS.replace("'new'", "'brand new'"))
    edited, differs = project.audit().breaches()
    assert edited.subject == "0001_shops"
    assert "-create table if not exists public.shops (id int, name text default 'new');" in (
        edited.exposed.splitlines()
    )
    assert differs.summary.startswith("column public.shops.name: default 'new'::text here")


def test_edit_of_comments_only_is_a_warning(project: Project) -> None:
    apply(project.migrator, project.files)
    project.write(_0001_shops=SHOPS.replace("-- 0001_shops", "-- 0001_shops, again"))
    audit = project.audit()
    assert audit.breaches() == []
    assert [text for text in audit.warnings() if "comments or white space" in text]


def test_scratch_server_gets_roles_extensions_and_the_search_path_of_the_database(
    project: Project, empty_database: Database
) -> None:
    """The files name no schema, and need what another server has."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own cannot be read by root's server
    folder.chmod(0o755)
    extension = folder / "extension"
    extension.mkdir()
    (extension / "shouts.control").write_text("default_version = '2.5'\nrelocatable = true\n")
    internal = "immutable strict language internal as"
    (extension / "shouts--2.5.sql").write_text(
        "create function shout(text, int default 1) returns text immutable strict language sql"
        " as 'select upper($1)'; create function same(text, text) returns boolean language sql"
        " as 'select true'; create operator ~~~~ (leftarg = text, rightarg = text,"
        " function = same);"
        f"create type loud; create function loud_in(cstring) returns loud {internal} 'textin';"
        f"create function loud_out(loud) returns cstring {internal} 'textout';"
        "create type loud (input = loud_in, output = loud_out, like = text);"
        "create cast (text as loud) without function as implicit;"
        f"create function loud_cmp(loud, loud) returns int {internal} 'bttextcmp';"
        f"create function loud_eq(loud, loud) returns boolean {internal} 'texteq';"
        "create operator = (leftarg = loud, rightarg = loud, function = loud_eq);"
        "create operator class loud_ops default for type loud using btree as operator 3 =,"
        " function 1 loud_cmp(loud, loud)"
    )
    project.write(
        _0001_shops="create schema extra; create extension shouts schema extra;"
        'create table notes (id int default 1, body text collate "zz-x-icu" default'
        " extra.shout('x'),"
        " name extra.loud default 'a'::text primary key);"
        "create view v as select id from notes where body operator(extra.~~~~) 'x';",
        _0002_mood="grant select on notes to reader_of_drift;",
    )
    name = empty_database.name
    project.connection.execute(
        f"create role reader_of_drift; create schema app; alter database {name} set search_path"
        f" = app; alter database {name} set extension_control_path = '{folder}:$system'".encode()
    )
    with empty_database.connect(autocommit=True) as connection:
        connection.execute("set allow_system_table_mods = on")  # as if the server had ICU
        connection.execute(
            "create collation pg_catalog.\"zz-x-icu\" (provider = libc, locale = 'C')"
        )
        there = Project(project.folder, connection)
        apply(there.migrator, there.files)
        shutil.rmtree(folder)
        assert differences(there.audit()) == []
        with scratch_server(18) as other:  # as check and the self-test do

            def apply_there() -> int:
                with other.database() as made:
                    apply(made, there.files)
                    return len(made.records())

            with pytest.raises(SqlError, match="shouts"):
                other.supplying(apply_there, None)
            assert other.supplying(apply_there, lambda: nullcontext(there.migrator)) == 2
        connection.execute("alter table app.notes alter id set default 2")
        [found] = differences(there.audit())
        assert found == "column app.notes.id: default 2 here, 1 in the files"
        # What no server has is said of the scratch server, not of the database.
        there.write(_0003_more="create extension if not exists of_no_server;")
        connection.execute("insert into yoyo._yoyo_migration values ('x', '0003_more', now())")
        with pytest.raises(SqlError) as caught:
            there.audit()
    assert "That was on a scratch server, from the wheel. No changes" in caught.value.state
    assert "RUNNER_SCRATCH_URL=postgresql://" in caught.value.hint


def test_scratch_server_gets_an_empty_publication_that_the_database_has(
    project: Project, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Supabase's supabase_realtime, which no file makes and many add tables to."""
    project.write(_0003_feed="alter publication feed add table public.shops;")
    with empty_database.connect(autocommit=True) as connection, scratch_server(18) as other:
        monkeypatch.setattr(drift, "scratch_server", lambda *_, **__: nullcontext(other))
        connection.execute("create publication feed")
        there = Project(project.folder, connection)
        apply(there.migrator, there.files)
        assert differences(there.audit()) == []
        connection.execute("alter publication feed drop table public.shops")
        assert len(differences(there.audit())) == 1


def test_the_search_path_of_a_database_is_no_statement_on_the_scratch_server(
    empty_database: Database,
) -> None:
    """An owner of a database may store any text as its search_path."""
    value = "public;create/**/role/**/injected"
    with empty_database.connect(autocommit=True) as connection:
        connection.execute("select set_config('search_path', %s, false)", [value])
        with scratch_server(18) as other, other.database(like=connection) as made:
            found = made.connection.execute(
                "select current_setting('search_path'), to_regrole('injected')::text"
            ).fetchone()
    assert found == (value, None)


def test_scratch_server_may_be_another_one(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNNER_SCRATCH_URL", server.conninfo(server.maintenance))
    monkeypatch.chdir(tmp_path)
    with scratch_server(18, other=True) as other, other.database() as made:
        ((name, directory),) = made.connection.execute(
            "select current_database(), current_setting('data_directory')"
        )
        assert name.startswith("scratch_")
    with psycopg.connect(server.conninfo(server.maintenance)) as conn:
        assert conn.execute("show data_directory").fetchone() == (directory,)
        names = conn.execute("select from pg_database where datname = %s", [name]).fetchall()
        assert names == []


VARIED = """
create table public.customers (id int primary key);
create table public.readings (id int, region text, note text, customer int references customers,
    primary key (id, region)) partition by list (region);
create table public.readings_north partition of public.readings for values in ('n');
create index readings_note on public.readings (note);
create function public.nothing() returns trigger language plpgsql as 'begin return new; end';
revoke execute on function public.nothing() from public;
create trigger stamp before insert on public.readings for each row execute function nothing();
create constraint trigger late after insert on public.customers deferrable initially deferred
    for each row execute function nothing();
create table public.animals (id int constraint positive check (id > 0));
create table public.dogs () inherits (public.animals);
create view public.names as select id from public.customers;
create view public.long_names as select id from public.names;
create materialized view public.counted as select id from public.customers;
create unique index counted_id on public.counted (id);
comment on materialized view public.counted is 'Counted.';
create function public.twice(n int) returns int language sql as 'select n * 2';
revoke execute on function public.twice(int) from public;
create policy fence on public.customers as restrictive using (id > 0);
comment on policy fence on public.customers is 'Fence.';
create type public.grade as enum ('good');
create table public.graded (id int generated always as identity, mark public.grade default 'good');
"""
# Changes by hand, and how many objects are still different after the fixes: those without one.
UNDONE = {
    "drop index readings_note": 0,
    "create index extra on readings (note)": 0,
    "alter table readings drop constraint readings_customer_fkey": 0,
    "alter table readings drop column note": 0,
    "alter table readings add constraint extra unique (id, region, note)": 0,
    "alter table readings alter column note set not null": 0,
    "alter table readings_north disable trigger stamp": 0,
    "drop trigger late on customers; create constraint trigger late after insert on customers"
    " deferrable for each row execute function nothing()": 0,
    "alter table customers rename constraint customers_pkey to other": 0,
    "alter table animals drop constraint positive": 0,
    "alter table animals add column extra int, add constraint small check (id < 9)": 0,
    "create or replace view names as select id + 0 as id from customers": 0,
    "create or replace view names as select id, 1 as extra from customers": 2,
    "drop materialized view counted": 0,
    "drop materialized view counted; create materialized view counted as select 1 as id": 0,
    "drop function twice": 0,
    "create type wide as range (subtype = int8)": 0,
    "create function helper() returns int language sql as 'select 1'; alter table animals alter id"
    " set default helper()": 0,
    "create type extra as enum ('a'); alter table dogs add column e extra": 1,
    "drop table customers cascade": 5,
    "alter policy fence on customers to pg_monitor using (true)": 0,
    "drop policy fence on customers; create policy fence on customers as restrictive for select"
    " to pg_monitor using (id > 5)": 0,
    "alter table customers rename to clients": 0,
    "create schema other; alter table readings set schema other": 0,
    "alter type grade rename to ranking": 0,
    "alter table graded alter id drop identity": 1,
    "alter table graded alter id set generated by default set increment by 2": 0,
    "alter table customers rename to clients; grant select on clients to pg_monitor": 1,
    "drop materialized view counted; alter default privileges grant select on tables to"
    " pg_monitor": 0,
    "alter table animals set (fillfactor = 70, parallel_workers = 2)": 0,
    "alter table graded owner to pg_monitor": 0,
    "alter table customers add constraint also unique (id); alter table readings drop constraint"
    " readings_customer_fkey, add constraint readings_customer_fkey foreign key (customer)"
    " references customers (id) on delete cascade": 0,
}


def test_fixes_can_be_run_in_the_order_printed_and_leave_no_difference(
    project: Project,
) -> None:
    connection = project.connection
    connection.execute(VARIED.encode())
    files = snapshot.take(connection)
    for change, left in UNDONE.items():
        with connection.transaction(force_rollback=True):
            connection.execute(change.encode())
            here = snapshot.take(connection)
            found = moved(difference(here, files), here, files)
            assert found, change
            for breach in Audit(compare([], {}), tuple(found), (), {}, {}).breaches():
                for statement in order.parts(breach.fix)[0]:
                    connection.execute(statement.encode())
                    fences = "select from pg_policy where not polpermissive"
                    open_ = not connection.execute(fences.encode()).fetchall()
                    assert not open_ or "drop table customers" in change, breach.fix
            remaining = difference(snapshot.take(connection), files)
            assert len({d.object for d in remaining}) == left, (change, remaining)


OWNERS = {"superuser": "superuser", "as on Supabase": "createrole bypassrls", "plain": "createrole"}
FORCED = {
    "never": "",
    "always": "alter table public.always force row level security;",
    "decided": """do $$ begin
        if (select rolsuper or rolbypassrls from pg_roles where rolname = current_user) then
            alter table public.decided force row level security;
        end if; end $$;""",
}


@pytest.fixture(params=OWNERS)
def owned(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Project]:
    """A project of a database with this kind of owner, who connects."""
    role = f"{request.param.replace(' ', '_').lower()}_of_forced"
    with server.database() as database:
        with database.connect(autocommit=True) as admin:
            admin.execute(f"create role {role} login {OWNERS[request.param]} password 'x'".encode())
            admin.execute(f"alter database {database.name} owner to {role}".encode())
        with database.connect(autocommit=True, user=role, password="x") as connection:
            yield Project(tmp_path / "sql", connection)
    with psycopg.connect(server.conninfo(server.maintenance), autocommit=True) as admin:
        admin.execute(f"drop role if exists {role}_api, {role}".encode())


def test_force_is_compared_as_this_kind_of_owner_makes_it(
    owned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that never say FORCE, always, or by the attributes of the role that applies them."""
    connection = owned.connection
    api = f"{connection.info.user}_api"
    owned.write(_0001_role=f"create role {api};")  # no guard: it exists the second time
    for number, (table, more) in enumerate(FORCED.items(), start=2):
        made = f"create table public.{table} (id int); alter table public.{table}"
        owned.write(**{f"_000{number}_{table}": f"{made} enable row level security; {more}"})
    owned.write(_0005_api=f"grant select on public.never to {api};")
    apply(owned.migrator, owned.files)
    there = drift._built(18, owned.files, connection)
    plain = drift._built(18, owned.files[1:2], connection)  # no file says FORCE
    assert [f for f in plain.facts if f.trait == "force"] == [
        f for f in there.facts if f.trait == "force" and f.name == "public.never"
    ]
    monkeypatch.setattr(drift, "_built", lambda *_: there)
    assert differences(owned.audit()) == []
    for table in FORCED:
        find = f"select relforcerowsecurity from pg_class where oid = 'public.{table}'::regclass"
        was = connection.execute(find.encode()).fetchone()
        word = "no force" if was == (True,) else "force"
        connection.execute(f"alter table public.{table} {word} row level security".encode())
        [breach] = owned.audit().breaches()
        assert breach.subject == f"table public.{table}"
        connection.execute(order.decided_by_owner(breach.fix).encode())
        assert connection.execute(find.encode()).fetchone() == was
        assert owned.audit().breaches() == []


# --- baseline -----------------------------------------------------------------------------------


def applied(project: Project) -> list[str]:
    return sorted(project.migrator.records())


def by_psql(project: Project, count: int = 2) -> None:
    for file in project.files[:count]:
        project.connection.execute(file.text.encode())


def test_baseline_records_database_created_by_psql(project: Project) -> None:
    by_psql(project)
    taken = baseline.baseline(project.migrator, project.files)
    assert [file.id for file in taken] == applied(project) == ["0001_shops", "0002_mood"]
    assert project.audit().breaches() == []
    assert baseline.baseline(project.migrator, project.files) == []
    # Once, with the last record: for many files it would take longest.
    counted = project.connection.execute("select count(*), count(fingerprint) from yoyo._yoyo_log")
    assert counted.fetchone() == (2, 1)


def test_baseline_of_an_empty_database_names_apply(project: Project) -> None:
    project.connection.execute(OTHER_TOOLS["Prisma"][0].encode())
    with pytest.raises(PlanError) as error:
        baseline.baseline(project.migrator, project.files)
    assert "there is nothing to record" in error.value.message
    assert error.value.hint.endswith("python -m runner apply")


def test_baseline_records_database_created_by_stock_yoyo(
    project: Project, empty_database: Database
) -> None:
    """yoyo with its own PostgreSQL backend, whose tables are in `public`."""
    url = Target(parse(empty_database.conninfo()), "", embedded=False).url(show_password=True)
    yoyo = Path(sys.executable).with_name("yoyo")
    stock = url.replace("postgresql://", "postgresql+psycopg://")
    subprocess.run(
        [yoyo, "apply", "--batch", "--no-config-file", "-d", stock, project.folder],
        check=True,
        capture_output=True,
    )
    said = (
        "applied by yoyo, as public._yoyo_migration says: python -m runner baseline --to 0002_mood"
    )
    assert project.audit().warnings()[0] == f"0001_shops, 0002_mood: {said}"
    assert not any("runner apply" in text for text in project.audit().warnings())
    events: list[Event] = []
    baseline.baseline(project.migrator, project.files, report=events.append)
    assert applied(project) == ["0001_shops", "0002_mood"]
    [note] = [event.text for event in events if isinstance(event, Note)]
    assert note.startswith("public._yoyo_log, public._yoyo_migration, public._yoyo_version")
    assert project.audit().breaches() == []


# Tables of other migration tools; removing them is left to the user.
OTHER_TOOLS = {
    "Prisma": (
        "create table public._prisma_migrations"
        " (migration_name text, finished_at date, rolled_back_at date)",
        "public._prisma_migrations: records of another migration tool",
    ),
    "the Supabase CLI": (
        "create schema supabase_migrations;"
        "create table supabase_migrations.schema_migrations (version text primary key)",
        "",
    ),
}


@pytest.mark.parametrize(("tables", "note"), OTHER_TOOLS.values(), ids=OTHER_TOOLS)
def test_baseline_records_database_of_another_tool(
    project: Project, tables: str, note: str
) -> None:
    by_psql(project)
    project.connection.execute(tables.encode())
    events: list[Event] = []
    baseline.baseline(project.migrator, project.files, report=events.append)
    assert applied(project) == ["0001_shops", "0002_mood"]
    notes = [event.text for event in events if isinstance(event, Note)]
    assert [text.startswith(note) for text in notes] == ([True] if note else [])
    audit = project.audit()
    assert audit.breaches() == []
    assert len(audit.warnings()) == len(notes)


def test_baseline_rejects_database_that_differs(project: Project) -> None:
    by_psql(project)
    project.connection.execute("alter table public.shops alter name set default 'old'")
    with pytest.raises(PlanError) as error:
        baseline.baseline(project.migrator, project.files)
    assert "does not match the files up to 0002_mood: 1 difference" in error.value.message
    assert "default 'old'::text here, 'new'::text in the files" in error.value.hint
    assert "alter table public.shops alter column name set default 'new'::text;" in error.value.hint
    assert applied(project) == []


def test_baseline_of_older_schema_names_the_matching_migration(project: Project) -> None:
    by_psql(project, count=1)
    with pytest.raises(PlanError) as error:
        baseline.baseline(project.migrator, project.files)
    assert "baseline --to 0001_shops, then apply" in error.value.hint
    taken = baseline.baseline(project.migrator, project.files, project.files[0])
    assert [file.id for file in taken] == applied(project) == ["0001_shops"]
    apply(project.migrator, project.files[1:])
    assert project.audit().breaches() == []


# --- files of this repository --------------------------------------------------------------------


def test_copied_database_is_missing_the_revoke_on_the_database(
    new_database: Callable[..., Database], template: str
) -> None:
    """CREATE DATABASE copies no privileges of the database itself, so a restored copy has drift."""
    with new_database(of=template).connect(autocommit=True) as conn:
        audit = drift.audit(Migrator(conn), loader.read(SQL_DIR))
        assert differences(audit) == ["database this: temporary to public here only"]
        conn.execute(audit.differences[0].fix.encode())
        assert drift.audit(Migrator(conn), loader.read(SQL_DIR)).breaches() == []
