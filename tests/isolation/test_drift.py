"""A database that is not what its files say is told so; one that has the schema is taken over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import SQL_DIR, Database, Server, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.errors import PlanError
from runner.events import Event, Note
from runner.files import loader
from runner.files.loader import Migration
from runner.isolation import drift
from runner.isolation.drift import Audit
from runner.migrate.migrator import Migrator
from runner.postgres.target import Target, parse
from runner.preflight import baseline
from runner.preflight.scratch import ScratchServer, apply, scratch_server
from runner.schema import snapshot

pytestmark = one_server  # what differs between versions is test_difference.py's

SHOPS = """-- 0001_shops
create table if not exists public.shops (id int, name text default 'new');
comment on table public.shops is 'Where things are sold.';
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
class Place:
    """A database, and a shelf of files for it."""

    folder: Path
    connection: Connection[TupleRow]

    @property
    def migrator(self) -> Migrator:
        return Migrator(self.connection)

    def write(self, **texts: str) -> list[Migration]:
        self.folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            path = self.folder / f"{name.lstrip('_')}.sql"
            path.write_text(text, encoding="utf-8")
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
    """One for all tests: to start it takes longer than they do."""
    for module in (drift, baseline):
        monkeypatch.setattr(module, "workshop", lambda *_: nullcontext(scratch))


@pytest.fixture
def place(empty_database: Database, tmp_path: Path) -> Iterator[Place]:
    with empty_database.connect(autocommit=True) as conn:
        place = Place(tmp_path / "sql", conn)
        place.write(_0001_shops=SHOPS, _0002_mood=MOOD)
        yield place


def words(audit: Audit) -> list[str]:
    return [one.as_drift() for one in audit.differences]


def test_what_the_files_made_is_as_they_say(place: Place) -> None:
    apply(place.migrator, place.files)
    audit = place.audit()
    assert (words(audit), audit.breaches(), audit.warnings()) == ([], [], [])
    assert [(check.name, check.passed) for check in audit.checks()] == [
        ("0001_shops", True),
        ("0002_mood", True),
        ("drift", True),
    ]


# What was there before the files came, and what their guards skipped over without a word.
SWALLOWED = {
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


@pytest.mark.parametrize(("before", "said"), SWALLOWED.values(), ids=SWALLOWED)
def test_what_a_guard_swallowed_is_named(place: Place, before: str, said: list[str]) -> None:
    place.connection.execute(before.encode())
    apply(place.migrator, place.files)
    assert words(place.audit()) == said


# What somebody does by hand afterwards; that each kind of object is seen is in test_difference.py.
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
        "table public.shops: comment “Shops.” here, “Where things are sold.” in the files",
        "comment on table public.shops is 'Where things are sold.';",
    ),
    "a policy added": (
        "create policy open_to_all on public.shops using (true)",
        "policy public.shops.open_to_all: here and not in the files",
        "drop policy open_to_all on public.shops;",
    ),
}


@pytest.mark.parametrize(("done", "said", "fix"), BY_HAND.values(), ids=BY_HAND)
def test_what_was_done_by_hand_is_a_breach_with_its_mend(
    place: Place, done: str, said: str, fix: str
) -> None:
    apply(place.migrator, place.files)
    place.connection.execute(done.encode())
    [breach] = place.audit().breaches()
    assert (breach.proof, breach.what) == ("drift", said)
    assert breach.fix.startswith(fix)
    place.connection.execute(breach.fix.encode())
    assert place.audit().breaches() == []


def test_only_what_is_applied_is_compared(place: Place) -> None:
    """Pending files make nothing here yet, and that is no drift; what is missing was made once."""
    apply(place.migrator, place.files)
    place.write(_0003_more="create table public.more ();")
    (place.folder / "0002_mood.sql").unlink()
    audit = place.audit()
    assert words(audit) == []
    assert [text.partition(":")[0] for text in audit.warnings()] == ["0003_more", "0002_mood"]


def test_an_edit_is_a_breach_with_its_lines(place: Place) -> None:
    apply(place.migrator, place.files)
    place.write(_0001_shops=SHOPS.replace("'new'", "'brand new'"))
    edited, differs = place.audit().breaches()
    assert edited.subject == "0001_shops"
    assert "-create table if not exists public.shops (id int, name text default 'new');" in (
        edited.reached.splitlines()
    )
    assert differs.what.startswith("column public.shops.name: default 'new'::text here")


def test_an_edit_of_comments_alone_is_a_note(place: Place) -> None:
    apply(place.migrator, place.files)
    place.write(_0001_shops=SHOPS.replace("-- 0001_shops", "-- 0001_shops, again"))
    audit = place.audit()
    assert audit.breaches() == []
    assert [text for text in audit.warnings() if "comments or spacing" in text]


# --- taking a database over ---------------------------------------------------------------------


def applied(place: Place) -> list[str]:
    return sorted(place.migrator.records())


def by_psql(place: Place, count: int = 2) -> None:
    for file in place.files[:count]:
        place.connection.execute(file.text.encode())


def test_a_database_made_by_psql_is_taken_over(place: Place) -> None:
    by_psql(place)
    taken = baseline.baseline(place.migrator, place.files)
    assert [file.id for file in taken] == applied(place) == ["0001_shops", "0002_mood"]
    assert place.audit().breaches() == []
    assert baseline.baseline(place.migrator, place.files) == []


def test_a_database_that_stock_yoyo_made_is_taken_over(
    place: Place, empty_database: Database
) -> None:
    """yoyo itself, by its own PostgreSQL backend; its tables lie in `public`."""
    url = Target(parse(empty_database.conninfo()), "", embedded=False).url(show_password=True)
    yoyo = Path(sys.executable).with_name("yoyo")
    stock = url.replace("postgresql://", "postgresql+psycopg://")
    subprocess.run(
        [yoyo, "apply", "--batch", "--no-config-file", "-d", stock, place.folder],
        check=True,
        capture_output=True,
    )
    said: list[Event] = []
    baseline.baseline(place.migrator, place.files, report=said.append)
    assert applied(place) == ["0001_shops", "0002_mood"]
    [note] = [event.text for event in said if isinstance(event, Note)]
    assert note.startswith("public._yoyo_log, public._yoyo_migration, public._yoyo_version")
    assert place.audit().breaches() == []


# Where other tools keep their records; that nobody asks for them any more is left to people.
OTHERS = {
    "Prisma": (
        "create table public._prisma_migrations (id varchar(36) primary key)",
        "public._prisma_migrations: another tool's records",
    ),
    "the Supabase CLI": (
        "create schema supabase_migrations;"
        "create table supabase_migrations.schema_migrations (version text primary key)",
        "",
    ),
}


@pytest.mark.parametrize(("tables", "note"), OTHERS.values(), ids=OTHERS)
def test_a_database_of_another_tool_is_taken_over(place: Place, tables: str, note: str) -> None:
    by_psql(place)
    place.connection.execute(tables.encode())
    said: list[Event] = []
    baseline.baseline(place.migrator, place.files, report=said.append)
    assert applied(place) == ["0001_shops", "0002_mood"]
    notes = [event.text for event in said if isinstance(event, Note)]
    assert [text.startswith(note) for text in notes] == ([True] if note else [])
    audit = place.audit()
    assert audit.breaches() == []
    assert len(audit.warnings()) == len(notes)


def test_a_database_that_differs_is_not_taken_over(place: Place) -> None:
    by_psql(place)
    place.connection.execute("alter table public.shops alter name set default 'old'")
    with pytest.raises(PlanError) as error:
        baseline.baseline(place.migrator, place.files)
    assert "not what the files up to 0002_mood make: 1 thing differs" in error.value.message
    assert "default 'old'::text here, 'new'::text in the files" in error.value.hint
    assert "alter table public.shops alter column name set default 'new'::text;" in error.value.hint
    assert applied(place) == []


def test_a_database_that_is_behind_is_told_how_far_it_is(place: Place) -> None:
    by_psql(place, count=1)
    with pytest.raises(PlanError) as error:
        baseline.baseline(place.migrator, place.files)
    assert "baseline --to 0001_shops, then apply" in error.value.hint
    taken = baseline.baseline(place.migrator, place.files, place.files[0])
    assert [file.id for file in taken] == applied(place) == ["0001_shops"]
    apply(place.migrator, place.files[1:])
    assert place.audit().breaches() == []


# --- the real files -----------------------------------------------------------------------------


def test_the_catalogue_of_this_repository_is_the_one_that_is_kept(
    server: Server, template: str
) -> None:
    """docs/catalog.txt; written by `verify --save` on an up-to-date database."""
    with server.database(of=template) as database, database.connect() as conn:
        conn.execute(f'revoke temporary on database "{database.name}" from public')
        kept = SQL_DIR.parent / "docs" / "catalog.txt"
        assert snapshot.take(conn).text == kept.read_text(encoding="utf-8")


def test_a_template_loses_what_was_taken_from_public(
    new_database: Callable[..., Database], template: str
) -> None:
    """CREATE DATABASE copies no privilege on the database itself: a restored copy is told so."""
    with new_database(of=template).connect(autocommit=True) as conn:
        audit = drift.audit(Migrator(conn), loader.read(SQL_DIR))
        assert words(audit) == ["database this: temporary to public here only"]
        conn.execute(audit.differences[0].fix.encode())
        assert drift.audit(Migrator(conn), loader.read(SQL_DIR)).breaches() == []
