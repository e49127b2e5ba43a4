"""The reviewed surface: what is in it, how a difference is classed, and the commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import SQL_DIR, Database, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.errors import UsageError
from runner.isolation import surface
from runner.isolation.surface import Surface, lock_file, review, undo
from runner.isolation.surface.comparison import Change, compare
from runner.schema.snapshot import Fact

LOCK = SQL_DIR / "isolation.lock"
WEAKENINGS = re.findall(
    r"^-- weakening: (.*)\n-- object: (.*)\n((?:(?!-- ).*\n)+)",
    (Path(__file__).parent / "weakenings.sql").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def reviewed() -> Surface:
    """The surface in sql/isolation.lock."""
    found = lock_file.read(LOCK)
    assert found
    return found


def changes(connection: Connection[TupleRow], before: Surface, sql: str) -> list[Change]:
    """Return what differs after statements, which are rolled back."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.encode())
        return compare(before, surface.take(connection))


# --- the file of this repository ----------------------------------------------------------------


def test_lock_file_is_what_the_files_make(
    connection: Connection[TupleRow], reviewed: Surface
) -> None:
    """On every version; tests/sql/test_owners.py compares it for every kind of owner."""
    now = surface.take(connection)
    assert [line for change in compare(reviewed, now) for line in change.diff] == []
    assert lock_file.text(now) == LOCK.read_text(encoding="utf-8")


def test_lock_file_has_every_policy_and_no_plain_index(
    connection: Connection[TupleRow], reviewed: Surface
) -> None:
    policies = connection.execute("select count(*) from pg_policy").fetchone()
    assert policies == (len({fact.name for fact in reviewed if fact.kind == "policy"}),)
    assert not [fact for fact in reviewed if fact.kind == "index" or fact.trait == "comment"]


@one_server
@pytest.mark.parametrize(("name", "objects", "sql"), WEAKENINGS, ids=[w[0] for w in WEAKENINGS])
def test_weakening_is_named_and_undone(
    connection: Connection[TupleRow], reviewed: Surface, name: str, objects: str, sql: str
) -> None:
    """The statements run in the order of the breaches. Where there is none, drift has it."""
    connection.execute(sql.encode())
    found = {change.object: change for change in compare(reviewed, surface.take(connection))}
    assert {found[o].direction for o in objects.split(" | ")} <= {"wider", "undecidable"}, name
    text = "\n".join(line for change in found.values() for line in change.diff)
    assert "hush" not in text  # passwords and secrets
    for change in found.values():
        connection.execute(undo.undone(change).encode() or b"select")
    left = [c for c in compare(reviewed, surface.take(connection)) if c.direction != "narrower"]
    assert all(undo.undone(found[change.object]) == "" for change in left)


HARMLESS = {
    "a GIN index": "create index on public.projects using gin (config)",
    "a BRIN index": "create index on public.audit_logs using brin (created_at)",
    "a partial index": "create index on public.projects (created_at) where status = 'active'",
    "a comment": "comment on table public.users is 'x'",
    "a comment on a function": "comment on function app.caller_org() is 'y'",
    "statistics": "create statistics public.s on org_id, status from public.projects",
    "storage": "alter table public.projects set (fillfactor = 90)",
    "a comment within the files' own records": "comment on table yoyo.progress is 'x'",
}


@one_server
@pytest.mark.parametrize("sql", HARMLESS.values(), ids=HARMLESS)
def test_what_decides_nothing_is_not_in_the_surface(
    connection: Connection[TupleRow], reviewed: Surface, sql: str
) -> None:
    assert changes(connection, reviewed, sql) == []


TO_ACCEPT = {
    "an invoker function, search_path empty": """
        create function public.one() returns int language sql stable set search_path = ''
        as 'select 1'; revoke all on function public.one() from public
    """,
    "an invoker function, search_path with public": """
        create function public.one() returns int language sql stable
        set search_path = pg_catalog, public, pg_temp as 'select 1'
    """,
    "a security_invoker view": """
        create view public.names with (security_invoker) as select id, name from public.projects;
        grant select on public.names to authenticated
    """,
    "a materialized view": """
        create materialized view app.counts as
        select org_id, count(*) from public.projects group by 1;
        grant select on app.counts to service_role
    """,
    "SELECT narrowed to columns": """
        revoke select on public.users from authenticated;
        grant select (org_id, id, name) on public.users to authenticated
    """,
    "a restrictive policy": """
        create policy active on public.projects as restrictive to authenticated
        using (status <> 'suspended')
    """,
    "a second permissive policy": """
        create policy drafts on public.projects for select to authenticated
        using (org_id = (select app.caller_org()) and status = 'draft')
    """,
    "a lookup table": """
        create table public.zones (name text primary key);
        alter table public.zones enable row level security;
        create policy all_read on public.zones for select to authenticated using (true);
        grant select on public.zones to authenticated
    """,
    "a tenant table": """
        create table public.teams (
            org_id text not null references public.organizations (id),
            id text not null default app.new_id(),
            primary key (org_id, id)
        );
        alter table public.teams enable row level security;
        create policy own on public.teams to authenticated
        using (org_id = (select app.caller_org()))
    """,
    "a sequence": """
        create sequence app.numbers; grant usage on sequence app.numbers to service_role
    """,
}
NARROWER_OR_NOTHING = {"SELECT narrowed to columns", "a restrictive policy", "a tenant table"}


@one_server
@pytest.mark.parametrize(("name", "sql"), TO_ACCEPT.items(), ids=TO_ACCEPT)
def test_harmless_change_is_no_difference_once_it_is_reviewed(
    connection: Connection[TupleRow], reviewed: Surface, tmp_path: Path, name: str, sql: str
) -> None:
    connection.execute(sql.encode())
    now = surface.take(connection)
    found = compare(reviewed, now)
    assert found
    assert (name in NARROWER_OR_NOTHING) is ({c.direction for c in found} == {"narrower"})
    lock_file.write(tmp_path / "isolation.lock", now)
    assert compare(lock_file.read(tmp_path / "isolation.lock") or (), now) == []


# --- what is compared ---------------------------------------------------------------------------

# Statements, the object named, and the direction: of the statements, and of taking them back.
DIRECTIONS = [
    ("grant select on public.users to anon", "table public.users", "wider", "narrower"),
    ("revoke select on public.users from authenticated", "table public.users", "narrower", "wider"),
    (
        "grant select on public.users to authenticated with grant option",
        *("table public.users", "wider", "narrower"),
    ),
    (
        "grant select (name) on public.users to authenticated",  # had for the whole table
        *("column public.users.name", "narrower", "narrower"),
    ),
    ("grant usage on schema app to anon", "schema app", "wider", "narrower"),
    (
        "alter table public.users disable row level security",
        "table public.users",
        "wider",
        "narrower",
    ),
    (
        "alter table public.users no force row level security",
        "table public.users",
        "wider",
        "narrower",
    ),
    (
        "alter table public.users disable trigger all",
        "trigger public.users.guard_roles",
        "wider",
        "narrower",
    ),
    (
        "alter table public.users disable trigger all",
        *("constraint public.users.users_org_id_fkey", "wider", "narrower"),
    ),
    (
        "drop trigger guard_roles on public.users",
        "trigger public.users.guard_roles",
        "wider",
        "undecidable",
    ),
    (
        "alter table public.users drop constraint users_email_key",
        *("constraint public.users.users_email_key", "wider", "undecidable"),
    ),
    (
        "alter table public.users add constraint c check (name <> 'x')",
        *("constraint public.users.c", "narrower", "wider"),
    ),
    (
        "alter table public.users add constraint c check (pg_notify('x', name) is not null)",
        *("constraint public.users.c", "undecidable", "wider"),
    ),
    ("create unique index u on public.users (name)", "index public.u", "undecidable", "wider"),
    (
        "alter table public.users alter email drop not null",
        "column public.users.email",
        "wider",
        "narrower",
    ),
    (
        "alter table public.users alter name set default 'x'",
        "column public.users.name",
        "undecidable",
        "undecidable",
    ),
    ("alter table public.users add extra text", "column public.users.extra", "wider", "narrower"),
    (
        "drop policy tenant_isolation on public.users",
        *("policy public.users.tenant_isolation", "wider", "undecidable"),
    ),
    (
        "create policy p on public.users as restrictive using (name <> 'x')",
        *("policy public.users.p", "narrower", "wider"),
    ),
    (
        "create policy p on public.users using (name = 'x')",
        "policy public.users.p",
        "wider",
        "narrower",
    ),
    (
        "alter policy select_member on public.users to anon",
        "policy public.users.select_member",
        "undecidable",
        "undecidable",
    ),
    (
        "alter function app.keep_id() security definer",
        "function app.keep_id()",
        "wider",
        "undecidable",  # a guard then sees less of what it has to prevent
    ),
    ("alter function app.keep_id() leakproof", "function app.keep_id()", "wider", "narrower"),
    (
        "alter function app.keep_id() reset search_path",
        "function app.keep_id()",
        "undecidable",
        "undecidable",
    ),
    (
        "alter function app.keep_id() volatile",
        "function app.keep_id()",
        "undecidable",
        "undecidable",
    ),
    (
        "alter function app.keep_id() owner to authenticated",
        "function app.keep_id()",
        "wider",
        "undecidable",  # it then runs as the owner of the schema
    ),
    (
        "create role r login; grant authenticated to r",
        "membership authenticated to r",
        "wider",
        "narrower",
    ),
    ("create role r login; grant authenticated to r", "role r", "wider", "narrower"),
    (
        "create role r login; grant pg_read_all_data to r",
        "membership pg_read_all_data to r",
        "wider",
        "narrower",
    ),
    ("create role r bypassrls login", "role r", "wider", "narrower"),
    ("alter role authenticated superuser", "role authenticated", "wider", "narrower"),
    ("alter role anon superuser", "role anon", "wider", "narrower"),
    ("alter role anon createrole", "role anon", "wider", "narrower"),
    (
        "alter role authenticated set request.jwt.claims = '{}'",
        "setting authenticated",
        "undecidable",
        "undecidable",
    ),
    ("alter role all set row_security = off", "setting all roles", "undecidable", "undecidable"),
    (
        "grant set on parameter log_statement to anon",
        "parameter log_statement",
        "wider",
        "narrower",
    ),
    (
        "revoke execute on function pg_sleep(double precision) from public",
        *("system function pg_sleep(double precision)", "narrower", "wider"),
    ),
    (
        "alter function pg_catalog.lower(text) security definer",
        "system function lower(text)",
        "wider",
        "undecidable",
    ),
    (
        "create or replace function pg_catalog.lower(text) returns text language sql immutable as"
        " 'select $1'",
        *("system function lower(text)", "undecidable", "undecidable"),
    ),
    (
        "select lo_create(4711); grant select on large object 4711 to anon",
        "large objects some",
        "wider",
        "narrower",
    ),
    (
        "alter default privileges grant select on tables to anon",
        *("default privileges tables", "wider", "narrower"),
    ),
    ("create table app.notes (id int)", "table app.notes", "narrower", "narrower"),
    (
        "create table app.notes (id int); grant select on app.notes to anon",
        "table app.notes",
        "wider",
        "narrower",
    ),
    (
        "create table app.notes () inherits (public.users)",
        "table app.notes",
        "undecidable",
        "narrower",
    ),
    (
        "create table yoyo.notes (id int); grant select on yoyo.notes to anon",
        "table yoyo.notes",
        "wider",
        "narrower",
    ),
    (
        "grant select on yoyo._yoyo_migration to anon",
        "table yoyo._yoyo_migration",
        "wider",
        "narrower",
    ),
    (
        "create table app.n (id int generated always as identity);"
        " grant usage on app.n_id_seq to anon",
        *("table app.n", "wider", "narrower"),
    ),
    (
        "create rule r as on insert to public.users do also select 1",
        "rule public.users.r",
        "undecidable",
        "undecidable",
    ),
    (
        "create cast (public.billing_plan as int) with inout as implicit",
        "cast public.billing_plan as integer",
        "undecidable",
        "undecidable",
    ),
    (
        "create aggregate app.all_of(text) (sfunc = textcat, stype = text, initcond = 'x')",
        *("aggregate app.all_of(text)", "undecidable", "undecidable"),
    ),
    (
        "create function app.e() returns event_trigger language plpgsql as 'begin end';"
        " create event trigger e on ddl_command_end execute function app.e()",
        *("event trigger e", "undecidable", "undecidable"),
    ),
    (
        "create function app.f(text) returns text language sql immutable as 'select $1';"
        " create index i on public.users (app.f(name))",
        *("index public.i", "undecidable", "wider"),
    ),
    (
        'create collation public.c from "C"',
        *("collation public.c", "undecidable", "undecidable"),
    ),
    (
        "alter table public.audit_logs set unlogged",
        "table public.audit_logs",
        "undecidable",
        "undecidable",
    ),
    ("create role r superuser; grant authenticated to r", "role r", "wider", "narrower"),
    ("create role r replication login", "role r", "wider", "narrower"),
    (
        "alter type public.billing_plan add value 'TRIAL'",
        "type public.billing_plan",
        "undecidable",
        "undecidable",
    ),
]


@one_server
@pytest.mark.parametrize(
    ("sql", "object_", "there", "back"),
    DIRECTIONS,
    ids=[f"{row[1]}-{row[0]}" for row in DIRECTIONS],
)
def test_direction(
    connection: Connection[TupleRow],
    reviewed: Surface,
    *,
    sql: str,
    object_: str,
    there: str,
    back: str,
) -> None:
    connection.execute(sql.encode())
    now = surface.take(connection)
    found = {change.object: change.direction for change in compare(reviewed, now)}
    assert found.get(object_) == there, found
    found = {change.object: change.direction for change in compare(now, reviewed)}
    assert found[object_] == back


@one_server
def test_configuration_of_the_server_that_decides_access_is_named(
    database: Database, reviewed: Surface
) -> None:
    """As with ALTER SYSTEM, a session starts with it."""
    options = "-c session_replication_role=replica -c lo_compat_privileges=on -c work_mem=8MB"
    with database.connect(options=options) as conn:
        found = {change.object: change for change in compare(reviewed, surface.take(conn))}
    assert found["server setting lo_compat_privileges"].direction == "undecidable"
    assert found["server setting session_replication_role"].diff[0].endswith(" | replica")
    assert "server setting work_mem" not in found


@one_server
def test_any_edit_of_a_source_is_a_difference(
    connection: Connection[TupleRow], reviewed: Surface
) -> None:
    body = "execute replace(pg_get_functiondef('app.keep_id()'::regprocedure), 'begin', '{}')"
    for edit in ("begin ", "begin -- x\n", "begin null;"):
        [change] = changes(connection, reviewed, f"do $do$ begin {body.format(edit)}; end $do$")
        assert change.object == "function app.keep_id()"
        assert [line.rpartition(" ")[0] for line in change.diff] == [
            "- function | app.keep_id() | body | sha256",
            "+ function | app.keep_id() | body | sha256",
        ]


@one_server
def test_new_table_is_one_change(connection: Connection[TupleRow], reviewed: Surface) -> None:
    sql = """
        create table public.more (id int primary key check (id > 0));
        alter table public.more enable row level security;
        create policy p on public.more using (id = 1);
        grant select (id) on public.more to anon
    """
    [change] = changes(connection, reviewed, sql)
    assert (change.object, change.direction) == ("table public.more", "wider")
    assert "+ policy | public.more.p | using | (id = 1)" in change.diff
    connection.execute(sql)
    [change] = compare(surface.take(connection), reviewed)
    assert (change.object, change.direction) == ("table public.more", "narrower")


@one_server
def test_maintain_counts_unless_all_was_granted(
    connection: Connection[TupleRow], reviewed: Surface
) -> None:
    """PostgreSQL 17 added it, and the same file has to fit 16."""
    change = changes(connection, reviewed, "grant all on public.users to anon")[0]
    assert not [line for line in change.diff if "maintain" in line]
    [change] = changes(connection, reviewed, "grant maintain on public.users to anon")
    assert change.diff == ["+ table | public.users | maintain to anon"]


@one_server
def test_schema_of_a_platform_is_not_compared_unless_a_request_acts_as_its_owner(
    connection: Connection[TupleRow], reviewed: Surface
) -> None:
    own = "alter schema auth owner to {}; create table auth.users (id uuid)"
    platform = "create role of_platform; grant of_platform to current_user;"
    assert changes(connection, reviewed, platform + own.format("of_platform")) == []
    for role in ("authenticated", "some_login"):
        found = changes(connection, reviewed, f"create role some_login login; {own.format(role)}")
        assert {"schema auth", "table auth.users"} <= {change.object for change in found}


def test_surface_names_nothing_of_this_schema() -> None:
    folder = Path(surface.__file__).parent
    texts = [
        p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.suffix in (".py", ".sql")
    ]
    words = "caller_|organizations|org_id|authenticated|service_role|anon\\b|user_role|projects"
    assert re.findall(words, "\n".join(texts)) == []


# --- the file -----------------------------------------------------------------------------------


@one_server
def test_unusual_names_and_values_are_read_as_written(
    connection: Connection[TupleRow], tmp_path: Path
) -> None:
    connection.execute("""
        create table public."a | b.""c""
d" (" | " text default E'x\n  y | z' check (" | " <> '  '));
        create policy "p.q | r" on public."a | b.""c""
d" using (" | " = 'a  b');
        create table app."." ("." text)
    """)
    now = surface.take(connection)
    path = tmp_path / "isolation.lock"
    lock_file.write(path, now)
    assert lock_file.read(path) == now
    assert compare(lock_file.read(path) or (), now) == []
    [change] = changes(
        connection,
        now,
        'alter policy "p.q | r" on public."a | b.""c""\nd" using (" | " = \'a b\')',
    )
    assert change.kind == "policy"


HEADER = "# isolation.lock, format 1: x\n"
MALFORMED = {
    "no header": ("table | a | b\n", 1, "has no header"),
    "empty": ("", 1, "has no header"),
    "another format": ("# isolation.lock, format 2: x\n", 1, "has format 2"),
    "a merge conflict": (f"{HEADER}<<<<<<< HEAD\n", 2, "unresolved merge conflict"),
    "its middle": (f"{HEADER}table | a\n=======\n", 3, "unresolved merge conflict"),
    "a duplicate": (f"{HEADER}table | a | b | 1\ntable | a | b | 2\n", 3, "is there twice"),
    "no fact": (f"{HEADER}\nsomething\n", 3, "is not a fact"),
}


@pytest.mark.parametrize(("text", "line", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_file_is_an_error_with_its_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    path = tmp_path / "isolation.lock"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as error:
        lock_file.read(path)
    assert error.value.place
    assert (error.value.place.file, error.value.place.line) == (str(path), line)
    assert "verify --accept" in error.value.hint


def test_file_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    assert lock_file.read(tmp_path / "none.lock") is None
    with pytest.raises(UsageError, match="cannot be read"):
        lock_file.read(tmp_path)
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        lock_file.read(tmp_path / "latin")
    with pytest.raises(UsageError, match="cannot be written"):
        lock_file.write(tmp_path / "no" / "isolation.lock", ())


# --- the commands -------------------------------------------------------------------------------

NOTES = """
    create table if not exists public.notes (id int primary key, owner text not null);
    alter table public.notes enable row level security;
    drop policy if exists own on public.notes;
    create policy own on public.notes using (owner = current_user);
"""


@pytest.fixture
def project(tmp_path: Path, empty_database: Database) -> Checkout:
    """A schema that is not ours, applied and reviewed."""
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(_0001_notes=NOTES, _0001_notes__rollback="drop table if exists public.notes;")
    checkout.apply()
    return checkout


@pytest.fixture
def api_role(server: object, empty_database: Database) -> Iterator[str]:
    """A role of this test's own, dropped with what it has."""
    role = f"api_{empty_database.name}"
    with empty_database.connect(autocommit=True) as conn:
        conn.execute(f"create role {role}".encode())
    yield role
    with empty_database.connect(autocommit=True) as conn:
        conn.execute(f"drop owned by {role}; drop role {role}".encode())


@one_server
def test_accept_and_verify_of_any_schema(project: Checkout, api_role: str) -> None:
    """One run of the commands after another, because each takes a second."""
    lock = project.folder / "sql" / "isolation.lock"
    surface_only = ("verify", "--only", "surface", "--json")

    without = project.runner(*surface_only).document
    assert (without["exit_code"], without["checks"], without["counts"]["facts"]) == (0, [], 0)
    assert "verify --accept writes it" in " ".join(without["warnings"])

    first = project.runner("verify", "--accept", "--json").document
    assert (first["exit_code"], first["changes"], first["kept"]) == (0, [], [])
    assert first["facts"] == len(lock.read_text(encoding="utf-8").splitlines()) - 2
    assert project.runner("verify", "--surface").out == lock.read_text(encoding="utf-8")

    passed = project.runner(*surface_only).document
    assert [check["kind"] for check in passed["checks"]] == ["surface"]
    assert (passed["exit_code"], passed["counts"]["facts"]) == (0, first["facts"])

    project.do(f"grant select on public.notes to {api_role}")
    failed = project.runner(*surface_only)
    assert failed.code == 4
    [breach] = failed.document["breaches"]
    assert breach["subject"] == "table public.notes"
    assert breach["summary"] == "table public.notes changed since it was reviewed: wider"
    assert breach["exposed"] == f"+ table | public.notes | select to {api_role}"
    assert breach["intended"].startswith("python -m runner verify --accept")
    project.do(breach["fix"])
    assert project.runner(*surface_only).code == 0

    project.do("alter table public.notes add check (id > 0)")
    narrower = project.runner("verify", "--only", "surface", "--junit", "x.xml", "--html", "x.html")
    assert narrower.code == 0
    assert "Narrower than reviewed: constraint public.notes.notes_id_check" in narrower.out
    assert "1 object not as reviewed" in narrower.out
    assert 'name="surface"' in (project.folder / "x.xml").read_text(encoding="utf-8")
    assert "<h3>Surface</h3>" in (project.folder / "x.html").read_text(encoding="utf-8")
    accepted = project.runner("verify", "--accept")
    assert accepted.code == 0
    assert "+ constraint | public.notes.notes_id_check | definition | CHECK" in accepted.out
    assert "1 narrower. Nothing was proven" in accepted.out

    assert "facts, no change. Nothing" in project.runner("verify", "--accept").out
    text = lock.read_text(encoding="utf-8")
    lock.unlink()
    assert "facts, all to be reviewed. Nothing" in project.runner("verify", "--accept").out
    lock.write_text(f"{text}<<<<<<< HEAD\n", encoding="utf-8")
    malformed = project.runner(*surface_only)
    assert malformed.code == 64
    assert malformed.document["error"]["line"] == len(text.splitlines()) + 1
    assert "Traceback" not in malformed.err


@one_server
def test_pending_and_edited_migrations_are_named_first(project: Checkout) -> None:
    project.runner("verify", "--accept")
    project.write(_0002_more="create table public.more (id int);")
    refused = project.runner("verify", "--accept", "--json")
    assert (refused.code, refused.document["error"]["code"]) == (1, "plan")
    assert "0002_more is pending" in refused.document["error"]["message"]
    assert "apply" in refused.document["error"]["hint"]

    project.do("alter table public.notes disable row level security")
    [breach] = project.runner("verify", "--only", "surface", "--json").document["breaches"]
    assert breach["cause"].startswith("0002_more is pending")
    assert "python -m runner apply" in breach["intended"]
    assert breach["fix"] == "alter table public.notes enable row level security;"

    project.apply_rest()
    project.write(_0002_more="create table public.more (id bigint);")
    refused = project.runner("verify", "--accept")
    assert refused.code == 1
    assert "0002_more is edited" in refused.err

    (project.folder / "sql" / "0002_more.sql").unlink()
    assert "0002_more is missing" in project.runner("verify", "--accept").err
    breaches = project.runner("verify", "--only", "surface", "--json").document["breaches"]
    assert {b["cause"].partition(",")[0] for b in breaches} == {"0002_more is missing"}
    assert not [b for b in breaches if "--accept" in b["intended"]]  # which is refused
    drift = project.runner("verify", "--only", "drift").out
    assert "matches the files" not in drift or "text of those that are missing" in drift


@pytest.mark.parametrize(
    "options",
    [("--accept", "--surface"), ("--accept", "--only", "x"), ("--surface", "--html", "x")],
    ids=" ".join,
)
def test_options_that_exclude_each_other(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = Checkout(tmp_path).runner("verify", *options)
    assert result.code == 64
    assert f"{options[0]} takes no {options[1]}" in result.err


@one_server
def test_facts_about_roles_of_another_server_are_kept(project: Checkout) -> None:
    project.runner("verify", "--accept")
    lock = project.folder / "sql" / "isolation.lock"
    line = "role | login_of_production | login\n"
    lock.write_text(lock.read_text(encoding="utf-8") + line, encoding="utf-8")
    result = project.runner("verify", "--only", "surface")
    assert result.code == 0
    assert "note: reviewed, and not on this server: login_of_production" in result.out
    project.do("alter table public.notes add check (id > 0)")
    accepted = project.runner("verify", "--accept", "--json").document
    assert accepted["kept"] == [line.strip()]
    assert line in lock.read_text(encoding="utf-8")


@one_server
def test_check_reports_a_migration_without_its_review(project: Checkout) -> None:
    project.runner("verify", "--accept")
    lock = project.folder / "sql" / "isolation.lock"
    with project.migrator() as migrator:
        assert review.stale(migrator.connection, lock) == []
        assert review.stale(migrator.connection, lock.with_name("none")) is None
    project.write(
        _0002_open="alter table public.notes disable row level security;",
        _0002_open__rollback="alter table public.notes enable row level security;",
    )
    document = project.runner("check", "--json").document
    assert document["overall"]["isolation.lock"] is False
    [finding] = [found for found in document["failed"] if found["check"] == "isolation.lock"]
    assert finding["summary"].startswith("is stale: python -m runner up && python -m runner verify")
    assert "+ table | public.notes | row security | off" in finding["details"]


@one_server
def test_reader_needs_no_privilege(project: Checkout, api_role: str) -> None:
    assert project.database
    with project.database.connect(autocommit=True) as conn:
        before = surface.take(conn)
        conn.execute(f"set role {api_role}".encode())
        assert compare(before, surface.take(conn)) == []


def test_what_each_supabase_project_has_from_the_start_is_no_change() -> None:
    platform = Fact("platform's schema", "auth", "", "", None, None, None)
    shipped = [
        Fact(*each, None, None, None)
        for each in (
            ("extension", '"uuid-ossp"', "", ""),
            ("membership", "anon to authenticator", "", ""),
            ("membership", "anon to authenticator", "set", ""),
            ("role", "authenticator", "login", ""),
            ("role", "service_role", "bypassrls", ""),
            ("setting", "all roles in this database", "search_path", '"$user", public, extensions'),
            ("setting", "anon", "statement_timeout", "3s"),
        )
    ]
    assert len(compare((), tuple(sorted(shipped)))) == 6
    assert compare((), (platform, *shipped)) == compare((platform, *shipped), ()) == []
    for more in (
        ("extension", "dblink", "", ""),
        ("membership", "anon to authenticator", "admin", ""),
        ("membership", "pg_read_all_data to authenticator", "", ""),
        ("role", "authenticated", "bypassrls", ""),
        ("setting", "anon", "row_security", "off"),
    ):
        fact = Fact(*more, None, None, None)
        assert len(compare((), (platform, *shipped, fact))) == 1, more
