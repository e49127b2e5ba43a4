"""The check command: bad migration files fail a named check, good ones pass."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from checkout import Checkout
from conftest import SQL_DIR, Database, one_server

from runner.errors import FileError, SqlError, UsageError
from runner.files import loader
from runner.files.loader import Migration
from runner.files.sql_file import SqlFile
from runner.migrate import seeds
from runner.migrate.migrator import Migrator
from runner.preflight import checks
from runner.preflight.checks import lint, out_of_order
from runner.preflight.checks import text as report
from runner.preflight.checks.finding import Finding, Findings
from runner.preflight.scratch import ScratchServer, scratch_server

SHOP = """
    create table if not exists public.shops (
        id bigint generated always as identity primary key,
        name text,
        status text not null default 'open' check (status in ('open', 'closed'))
    );
    comment on table public.shops is 'Where things are sold.';
"""
NO_SHOP = "drop table if exists public.shops;"


@pytest.fixture(scope="module")
def scratch() -> Iterator[ScratchServer]:
    with scratch_server(18, settings=checks.LIMITS) as scratch:
        yield scratch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sql"


def migrations(folder: Path, **texts: str) -> list[Migration]:
    """Write and read migrations: `_0002_name="…"`, rollback files as `_0002_name__rollback`."""
    folder.mkdir(exist_ok=True)
    for name, text in {"_0001_shops": SHOP, "_0001_shops__rollback": NO_SHOP, **texts}.items():
        path = folder / f"{name.lstrip('_').replace('__', '.')}.sql"
        path.write_text(f"-- {path.stem}\n{dedent(text)}", encoding="utf-8")
    return loader.read(folder)


def failures(scratch: ScratchServer, found: list[Migration]) -> list[Finding]:
    """Return what fails, without squawk's rules, which these small files ignore."""
    return [one for one in checks.check(scratch, found).failed if "squawk" not in one.summary]


def test_migrations_of_this_repository_pass(scratch: ScratchServer) -> None:
    loaded = seeds.read(SQL_DIR.parent / "seeds")
    found = checks.check(scratch, loader.read(SQL_DIR), loaded)
    assert found.failed == []
    assert len(found.files) == len(loader.read(SQL_DIR))
    assert {tuple(file.checks.items()) for file in found.files} == {
        (("re-run", True), ("rollback", True), ("data", True), ("lint", True))
    }
    assert list(found.overall.values()) == [True, True, True]
    assert found.notes == []


def test_an_undone_try_leaves_sequences_and_the_session_as_they_were(
    scratch: ScratchServer, folder: Path
) -> None:
    """A later file may rely on the ids that rows of an earlier one have."""
    found = migrations(
        folder,
        _0002_roles="prepare p as select 1; create table public.roles (id serial primary key,"
        " name text not null);",
        _0003_admin="insert into public.roles (name) values ('admin'); create table public.grants"
        " (role_id int not null references public.roles (id));",
        _0004_member="prepare p as select 1; insert into public.roles (name) values ('member');"
        "insert into public.grants values (2);",
        _0005_moves="insert into public.roles (name) values ('x');",
        _0005_moves__rollback="select setval('public.roles_id_seq', 1, false); drop table nope;",
        _0006_last="insert into public.roles (name) values ('y');",
        _0006_last__rollback="do $$ begin perform pg_terminate_backend(pg_backend_pid()); end $$;",
        _0007_after="create table if not exists public.t (id bigint primary key);",
        _0007_after__rollback="drop table if exists public.t;",
    )
    checked = checks.check(scratch, found)
    assert [file.id for file in checked.files] == [file.id for file in found]
    assert all(checked.files[-1].checks[name] for name in ("re-run", "rollback", "data"))
    again = {one.file: one.summary for one in checked.failed if one.check == "re-run"}
    assert "already exists" in again["0002_roles"]
    assert "prepared statement" not in again["0004_member"]


def test_seeds_must_fit_the_finished_schema_and_load_again(
    scratch: ScratchServer, folder: Path, tmp_path: Path
) -> None:
    """A NOT NULL column or a new name breaks them, and `up` would be the first to say so."""
    found = migrations(folder)
    for text, said in {
        "insert into public.shops (title) values ('a');": 'cannot be loaded: column "title"',
        "insert into public.shops (id, name) overriding system value values (7, 'a');": (
            "cannot be loaded a second time: duplicate key"
        ),
        "insert into public.shops (name) select 'a' where not exists (table public.shops);": "",
    }.items():
        seed = tmp_path / "shops.sql"
        seed.write_text(text, encoding="utf-8")
        checked = checks.check(scratch, found, [SqlFile(seed)])
        failed = [one for one in checked.failed if one.check == "seeds"]
        assert (len(failed), checked.overall["seeds"]) == (bool(said), not said)
        assert all(one.summary.startswith(said) and one.place for one in failed)


def test_only_one_file_is_checked(scratch: ScratchServer, folder: Path) -> None:
    found = migrations(
        folder,
        _0002_bad="alter table public.shops add column x text;",
        _0002_bad__rollback="alter table public.shops drop column x;",
        _0003_worse="select 1;",
    )
    checked = checks.check(scratch, found, only=found[1])
    assert [file.id for file in checked.files] == ["0002_bad"]
    assert checked.overall == {}
    assert {one.file for one in checked.failed} == {"0002_bad"}


def test_files_of_another_tool_are_checked_in_one_database_or_left_out(
    scratch: ScratchServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no guards and no rollback files, and a failed try that is undone leaves nothing."""
    made: list[str] = []
    database = ScratchServer.database

    def counted(server: ScratchServer, **how: Any) -> AbstractContextManager[Migrator]:
        made.append("one")
        return database(server, **how)

    monkeypatch.setattr(ScratchServer, "database", counted)
    theirs = {f"_000{n}_t{n}": f"create table public.t{n} (id int);" for n in range(2, 7)}
    found = migrations(
        folder,
        **theirs,
        _0007_ours="create table if not exists public.t7 (id bigint primary key);",
        _0007_ours__rollback="drop table if exists public.t7;",
    )
    checked = checks.check(scratch, found)
    assert {(one.check, one.file) for one in checked.failed if "squawk" not in one.summary} == {
        *((name, file.id) for file in found[1:6] for name in ("re-run", "rollback", "data")),
        ("re-run of all files", "0002_t2"),
    }
    assert len(made) == 4  # without and with rows, all run again, psql
    checked = checks.check(scratch, found, first=6)
    assert ([file.id for file in checked.files], checked.failed) == (["0007_ours"], [])
    assert checked.overall == {"re-run of all files": True, "plain psql": True}
    [note] = checked.notes
    assert note.endswith("only 1 of them, from 0007_ours on; those before it are not checked")
    assert not checks.check(scratch, found, first=7).planned


# A file, its rollback file, and the expected finding: check, summary, a detail.
BAD = {
    "cannot be run again": (
        "alter table public.shops add column city text;",
        "alter table public.shops drop column if exists city;",
        ("re-run", 'cannot be run again: column "city"', ""),
    ),
    "changes the catalog when run again": (
        "create index on public.shops (name);",
        "drop index public.shops_name_idx;",
        (
            "re-run",
            "changes the database when it is run again",
            "creates index public.shops_name_idx1",
        ),
    ),
    "changes rows when run again": (
        "create table if not exists public.facts (id int primary key, t text, n int);"
        "insert into public.facts values (1, 'x', 1) on conflict do nothing;"
        "update public.facts set n = n + 1;",
        "drop table public.facts;",
        ("re-run", "changes the database when it is run again", "rows of public.facts"),
    ),
    "no rollback file": (
        "alter table public.shops add column if not exists city text;",
        None,
        ("rollback", "0002_bad.rollback.sql does not exist", ""),
    ),
    "rollback that fails": (
        "alter table public.shops add column if not exists city text;",
        "alter table public.shops drop column town;",
        ("rollback", 'cannot be rolled back: column "town"', ""),
    ),
    "rollback that leaves an index": (
        "create index if not exists by_name on public.shops (name);",
        "comment on table public.shops is 'Where things are sold.';",
        (
            "rollback",
            "is not rolled back completely",
            "index public.by_name: after the rollback and not before the file",
        ),
    ),
    "rollback that leaves a grant": (
        "grant select on public.shops to pg_monitor;",
        "revoke insert on public.shops from pg_monitor;",
        (
            "rollback",
            "is not rolled back completely",
            "table public.shops: select to pg_monitor after the rollback only",
        ),
    ),
    "rollback that leaves a comment": (
        "comment on column public.shops.name is 'As on its sign.';",
        "comment on column public.shops.status is null;",
        (
            "rollback",
            "is not rolled back completely",
            "column public.shops.name: comment “As on its sign.” after the rollback, "
            "not before the file",
        ),
    ),
    "rollback that drops too much": (
        "alter table public.shops add column if not exists city text;",
        "alter table public.shops drop column if exists city, drop column if exists name;",
        (
            "rollback",
            "is not rolled back completely",
            "column public.shops.name: before the file and not after the rollback",
        ),
    ),
    "not null without a default": (
        "alter table public.shops add column if not exists city text not null;",
        "alter table public.shops drop column if exists city;",
        ("data", 'fails if tables contain rows: column "city"', ""),
    ),
    "not null on a column with nulls": (
        "alter table public.shops alter name set not null;",
        "alter table public.shops alter name drop not null;",
        ("data", 'fails if tables contain rows: column "name"', ""),
    ),
    "a check that is too narrow": (
        "do $$ begin if not exists (select from pg_constraint where conname = 'narrow') then "
        "alter table public.shops add constraint narrow check (status = 'open'); end if; end $$;",
        "alter table public.shops drop constraint if exists narrow;",
        ("data", 'fails if tables contain rows: check constraint "narrow"', ""),
    ),
    "a unique index on duplicates": (
        "create unique index if not exists one_name on public.shops (status);",
        "drop index if exists public.one_name;",
        ("data", "fails if tables contain rows: could not create unique index", ""),
    ),
    "changes existing rows each time": (
        "update public.shops set name = coalesce(name, '') || '!';",
        "comment on table public.shops is 'Where things are sold.';",
        ("data", "changes the database when it is run again", "rows of public.shops"),
    ),
    "a statement without effect": (
        "select 'password = ''S3cret'''; create index if not exists n on public.shops (name);",
        "drop index if exists public.n;",
        ("lint", "has a statement that changes nothing: select", "`do` block"),
    ),
    "rollback of comments only": (
        "create index if not exists by_name on public.shops (name);",
        "-- to be written",
        ("rollback", "0002_bad.rollback.sql contains no statements", "on top of its migration"),
    ),
    "rollback that fails, of a file that cannot be run again": (
        "alter table public.shops add column city text;",
        "alter table public.shops drop column town;",
        ("rollback", 'cannot be rolled back: column "town"', ""),
    ),
    "deferred constraint violated when run again": (
        "create table if not exists public.a (id int primary key deferrable initially deferred);"
        "insert into public.a values (1);",
        "drop table public.a;",
        ("re-run", "cannot be run again: duplicate key", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "rollback", "expected"), BAD.values(), ids=BAD)
def test_bad_file_fails_the_right_check(
    scratch: ScratchServer,
    folder: Path,
    text: str,
    rollback: str | None,
    expected: tuple[str, str, str],
) -> None:
    rollbacks = {} if rollback is None else {"_0002_bad__rollback": rollback}
    files = migrations(folder, _0002_bad=text, **rollbacks)
    found = checks.check(scratch, files, only=files[1]).failed
    check, summary, detail = expected
    of_file = [one for one in found if one.check == check and "squawk" not in one.summary]
    assert [one.file for one in of_file] == ["0002_bad"], found
    assert summary in of_file[0].summary
    assert not detail or [line for line in of_file[0].details if detail in line], of_file
    assert "S3cret" not in str(of_file)


def test_what_was_not_tried_has_not_passed(
    scratch: ScratchServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lint, "squawk", lambda: None)
    files = migrations(
        folder,
        _0002_void="create table if not exists public.void (a int check (false));",
        _0002_void__rollback="drop table if exists public.void;",
        _0003_void="-- irreversible: the values are gone\n"
        "alter table public.void add column if not exists b int not null;",
        _0004_shops="alter table public.shops add column if not exists b int;"
        "alter table public.shops enable row level security;"
        "update public.shops set b = 1 where b is null;",
        _0004_shops__rollback="alter table public.shops drop column if exists b;"
        "alter table public.shops disable row level security;",
    )
    found = checks.check(scratch, files)
    assert (found.failed, found.missed) == ([], True)
    assert "0004_shops changes rows of public.shops, which has row-level" in found.notes[-1]
    no_squawk = "squawk is not installed: pip install squawk-cli"
    assert [dict(file.not_tried) for file in found.files] == [
        {"lint": no_squawk},
        {"lint": no_squawk},
        {
            "lint": no_squawk,
            "rollback": "irreversible: the values are gone",
            "data": "no rows in public.void",
        },
        {"lint": no_squawk},
    ]
    assert list(found.files[2].checks.values()) == [True, None, None, None]
    shown = list(report.lines(found, lambda text, _: text))
    assert shown[3].split()[:5] == ["0003_void", "✓", "–", "–", "–"]
    assert f"– 0001_shops to 0004_shops: lint not tried: {no_squawk}" in shown
    assert "12 checks, 0 failed, 6 not tried, in" in found.summary
    found.strict = True
    assert "0 failed, 6 not tried, which fails with --strict, in" in found.summary


def test_rename_that_breaks_code_is_named(scratch: ScratchServer, folder: Path) -> None:
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_code="""
            create or replace function public.stamp() returns trigger language plpgsql
            as $$ begin new.status := new.status; return new; end $$;
            create or replace trigger stamp before update on public.shops
            for each row execute function public.stamp();
            create or replace function public.open_shops() returns bigint language sql
            as $$ select count(*) from public.shops where status = 'open' $$;
            """,
            _0002_code__rollback="drop trigger if exists stamp on public.shops;"
            "drop function if exists public.stamp(), public.open_shops();",
            _0003_rename="""
            do $$ begin if exists (select from pg_attribute where attname = 'status'
            and attrelid = 'public.shops'::regclass) then
            alter table public.shops rename column status to state; end if; end $$;
            """,
            _0003_rename__rollback="alter table public.shops rename column state to status;",
        ),
    )
    assert [(one.file, one.check, one.summary, one.details) for one in found] == [
        (
            "0003_rename",
            "data",
            "breaks code that uses what it renames or drops",
            (
                'function public.open_shops: column "status" does not exist',
                'update of public.shops: record "new" has no field "status"',
            ),
        )
    ]


@pytest.mark.parametrize(
    ("change", "named", "fails"),
    [
        (
            "alter type public.mood rename value 'glad' to 'merry'",
            "'glad', which is still in the text of public.stamp:",
            False,
        ),
        (
            "alter function public.one() rename to uno",
            "one, which is still in the text of public.stamp:",
            False,
        ),
        (
            "alter function public.one() set schema more",
            "one, which is still in the text of public.stamp:",
            False,
        ),
        (
            "alter schema more rename to other",
            "two, which is still in the text of public.uses:",
            True,
        ),
    ],
)
def test_code_with_an_old_name_is_named(
    scratch: ScratchServer, folder: Path, change: str, named: str, fails: bool
) -> None:
    files = migrations(
        folder,
        _0002_code="""
        create schema if not exists more;
        create type public.mood as enum ('glad', 'sad');
        create function public.one() returns int language sql as 'select 1';
        create function more.two() returns int language sql as 'select 2';
        create function public.stamp() returns trigger language plpgsql as $$ begin
        if new.status = 'never' and 'glad'::public.mood is null then new.id := public.one(); end if;
        return new; end $$; -- one
        create trigger stamp before update on public.shops
        for each row execute function public.stamp();
        create function public.uses() returns int language sql as 'select more.two()';
        """,
        _0003_rename=f"{change};",
    )
    found = checks.check(scratch, files, only=files[-1])
    assert any(f"0003_rename renames or drops {named}" in note for note in found.notes), found.notes
    broken = [one.details for one in found.failed if "breaks code" in one.summary]
    assert bool(broken) is fails


def test_values_of_a_row_are_no_counts_that_fill_a_disk(
    scratch: ScratchServer, folder: Path
) -> None:
    generate = "insert into public.seats select n from public.halls, generate_series(1, {}) as n"
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_halls="create table if not exists public.halls "
            "(seats int, more bigint check (more > 0));"
            "create table if not exists public.seats (n bigint);",
            _0002_halls__rollback="drop table if exists public.halls, public.seats;",
            _0003_seats=f"delete from public.seats; {generate.format('seats')};"
            f"{generate.format('more')}; delete from public.seats;",
            _0003_seats__rollback="delete from public.seats;",
        ),
    )
    assert found == []
    with scratch.database() as migrator:
        shown = migrator.connection.execute("show statement_timeout").fetchone()
        assert shown == ("1min",)


def test_what_a_file_raises_is_shown_once_and_fails_no_check(
    scratch: ScratchServer, folder: Path
) -> None:
    says = "do $$ begin raise info 'one'; raise warning 'two'; end $$;"
    files = migrations(folder, _0002_says=says, _0002_says__rollback="do $$ begin end $$;")
    found = checks.check(scratch, files)
    assert [one for one in found.failed if "squawk" not in one.summary] == []
    name = folder / "0002_says.sql"
    assert found.notes == [f"{name}:2: INFO: one", f"{name}:2: WARNING: two"]
    files = migrations(folder, _0003_asks="do $$ begin raise info 'three'; end $$;")
    found = checks.check(scratch, files, only=files[-1])
    assert found.notes == [f"{folder / '0003_asks.sql'}:2: INFO: three"]  # nothing of the others


def test_file_that_behaves_differently_under_psql_is_found(
    scratch: ScratchServer, folder: Path
) -> None:
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_sly="do $$ begin if current_setting('application_name') = 'psql' then "
            "create table if not exists public.sly (); end if; end $$;",
            _0002_sly__rollback="drop table if exists public.sly;",
        ),
    )
    assert [(one.check, one.details) for one in found] == [
        ("plain psql", ("table public.sly: with psql and not with the runner",))
    ]


def test_file_that_undoes_a_later_one_fails_the_re_run_of_all(
    scratch: ScratchServer, folder: Path
) -> None:
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_index="drop index if exists public.by_name;"
            "create index if not exists by_status on public.shops (status);",
            _0002_index__rollback="drop index if exists public.by_status;",
            _0003_name="create index if not exists by_name on public.shops (name);",
            _0003_name__rollback="drop index if exists public.by_name;",
        ),
    )
    assert [(one.file, one.details) for one in found] == [
        ("0002_index", ("drops index public.by_name",))
    ]


_GUARD = """
    alter table public.shops enable row level security;
    revoke all on public.shops from public;
    drop policy if exists by_name on public.shops;
    """
_OPEN = "grant select (name) on public.shops to public;"


def test_rename_and_replaced_function_of_a_later_file_pass_the_re_run_of_all(
    scratch: ScratchServer, folder: Path
) -> None:
    function = "create or replace function public.f() returns int language sql return {};"
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_f=function.format(1) + "comment on column public.shops.name is 'Its name.';",
            _0002_f__rollback="drop function if exists public.f();"
            "comment on column public.shops.name is null;",
            _0003_g="do $$ begin if exists (select from pg_attribute where attname = 'name'"
            " and attrelid = 'public.shops'::regclass) then"
            f" alter table public.shops rename name to title; end if; end $$; {function.format(2)}",
            _0003_g__rollback="do $$ begin if exists (select from pg_attribute where"
            " attname = 'title' and attrelid = 'public.shops'::regclass) then"
            f" alter table public.shops rename title to name; end if; end $$; {function.format(1)}",
        ),
    )
    assert found == []


@pytest.mark.parametrize(
    ("later", "details"),
    [
        (f"{_OPEN} create policy by_name on public.shops using (name <> '');", ()),
        (
            f"do $$ begin if not has_column_privilege('public', 'public.shops', 'name', 'select') "
            f"and to_regclass('public.seen') is null then {_OPEN} end if; end $$;"
            "create table if not exists public.seen ();",
            ("column public.shops.name: removes select to public",),
        ),
    ],
    ids=["given again", "not given again"],
)
def test_privilege_of_a_later_file_may_be_given_again(
    scratch: ScratchServer, folder: Path, later: str, details: tuple[str, ...]
) -> None:
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_guard=_GUARD,
            _0002_guard__rollback="alter table public.shops disable row level security;",
            _0003_open=f"drop policy if exists by_name on public.shops; {later}",
            _0003_open__rollback="drop policy if exists by_name on public.shops;"
            "revoke select (name) on public.shops from public; drop table if exists public.seen;",
        ),
    )
    of_all = [one for one in found if one.check == "re-run of all files"]
    assert [one.details for one in of_all] == ([details] if details else [])


def test_non_transactional_file_is_checked(scratch: ScratchServer, folder: Path) -> None:
    header = "-- transactional: false\n"
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_index=f"{header}create index concurrently if not exists n "
            "on public.shops (name);",
            _0002_index__rollback=f"{header}drop index concurrently if exists public.n;",
        ),
    )
    assert found == []


def test_materialized_view_without_data_is_checked(scratch: ScratchServer, folder: Path) -> None:
    view = "create materialized view {} public.v as select 1 as c with no data;"
    drop = "drop materialized view if exists public.v;"
    keep = "comment on table public.shops is 'Where things are sold.';"
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_view=view.format("if not exists"),
            _0002_view__rollback=drop,
            _0003_owner="alter materialized view public.v owner to postgres;",
            _0003_owner__rollback=keep,
            _0004_again=drop + view.format(""),
            _0004_again__rollback=keep,
            _0005_alone="-- transactional: false\n"
            "alter materialized view public.v set (fillfactor = 90);",
            _0005_alone__rollback="alter materialized view public.v reset (fillfactor);",
            _0006_refresh="do $$ begin if (select relispopulated from pg_class where relname = 'v')"
            " then refresh materialized view public.v with no data;"
            " else refresh materialized view public.v; end if; end $$;",
            _0006_refresh__rollback="refresh materialized view public.v with no data;",
        ),
    )
    assert [(one.file, one.details) for one in found if one.check == "re-run"] == [
        ("0006_refresh", ("rows of public.v",))
    ]


def test_files_after_a_failed_one_are_checked(scratch: ScratchServer, folder: Path) -> None:
    found = failures(
        scratch,
        migrations(
            folder,
            _0002_one="alter table public.shops add column a text;",
            _0002_one__rollback="alter table public.shops drop column a;",
            _0003_two="alter table public.shops add column b text;",
            _0003_two__rollback="alter table public.shops drop column b;",
        ),
    )
    again = [one.file for one in found if one.check == "re-run"]
    assert again == ["0002_one", "0003_two"]


def test_many_files_are_checked_at_the_same_time_with_the_same_findings(
    scratch: ScratchServer, folder: Path
) -> None:
    say = "do $$ begin raise notice 'hello, {}'; end $$;"
    files = migrations(
        folder,
        _0002_again=f"create table public.again (id int); {say.format(2)}",
        _0002_again__rollback="drop table public.again;",
        _0003_stays=f"create table if not exists public.stays (id int); {say.format(3)}",
        _0003_stays__rollback="select 1;",
        _0004_rows="alter table public.shops add column if not exists a int not null;",
        _0004_rows__rollback=f"alter table public.shops drop column if exists a; {say.format(4)}",
        _0005_fails=f"{say.format(5)} select 1/0;",
        _0006_more=say.format(6),
    )
    pair = ScratchServer(scratch.server, twin=ScratchServer(scratch.server))
    one_by_one, ahead = Findings(), Findings()
    for server, found in ((scratch, one_by_one), (pair, ahead)):
        with pytest.raises(SqlError, match="division by zero"):
            checks.check(server, files, found=found)
    assert (ahead.failed, ahead.notes) == (one_by_one.failed, one_by_one.notes)
    assert [note[-1] for note in ahead.notes if "hello" in note] == list("2345")
    assert [one.checks for one in ahead.files] == [one.checks for one in one_by_one.files]
    assert {one.check for one in ahead.failed} >= {"re-run", "rollback", "data"}
    found = checks.check(pair, files[:4])
    assert found.failed[: len(ahead.failed)] == ahead.failed
    assert list(found.overall.values()) == [False, True]


def test_squawk_violations_are_reported(folder: Path) -> None:
    """Not the timeouts, which the runner sets, nor what a file outside a transaction may do."""
    files = migrations(
        folder,
        _0002_index="create index if not exists n on public.shops (name);",
        _0003_outside="""\
            -- transactional: false
            create index concurrently if not exists o on public.shops (name);
            create index concurrently if not exists p on public.shops (name, id);
        """,
    )
    assert [
        (str(one.place).rpartition("/")[2], one.summary.rpartition("(")[2])
        for one in lint.findings(files)
    ] == [("0002_index.sql:2:1", "squawk: require-concurrent-index-creation)")]
    ignored = "-- squawk-ignore require-concurrent-index-creation"
    assert lint.findings(files)[0].details[-1].endswith(ignored)
    text = files[1].path.read_text(encoding="utf-8")
    files[1].path.write_text(text.replace("create", f"{ignored}\ncreate"), encoding="utf-8")
    assert lint.findings(loader.read(folder)) == []


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def checkout(folder: Path) -> Checkout:
    migrations(
        folder,
        _0002_bad="alter table public.shops add column city text;",
        _0002_bad__rollback="alter table public.shops drop column city;",
    )
    return Checkout(folder.parent)


def test_check_prints_a_line_per_file_and_exits_with_4(checkout: Checkout) -> None:
    result = checkout.runner("check")
    assert result.code == 4, result.err
    head, first, second, *rest = result.out.splitlines()
    assert head.split() == ["re-run", "rollback", "data", "lint"]
    assert first.split()[:5] == ["0001_shops", "✓", "✓", "✓", "✓"]
    assert second.split()[:5] == ["0002_bad", "✗", "✓", "✗", "✓"]
    assert "✗ re-run: 0002_bad cannot be run again" in "\n".join(rest)
    assert "  at sql/0002_bad.sql:2:1" in rest
    assert re.fullmatch(r"2 files, 10 checks, \d failed, in \d+\.\d s", rest[-1])
    assert max(map(len, (head, first, second))) <= 80


def test_file_that_cannot_run_is_reported_before_anything_runs(checkout: Checkout) -> None:
    checkout.write(_0003_empty="-- nothing yet\n", _0004_goose="-- +goose Up\nselect 1;\n")
    for file, said in (("3", "0003_empty.sql contains no statements"), ("4", "no statements")):
        result = checkout.runner("check", "--file", file)
        assert (result.code, result.out) == (1, ""), result.out
        assert result.err.startswith("error: ") and said in result.err
    (checkout.folder / "sql/0003_empty.sql").unlink()
    result = checkout.runner("check")
    assert (result.code, result.out) == (1, ""), result.out
    assert "0004_goose.sql is a file of goose" in result.err
    checkout.write(_0004_goose="select 1;", _0005_fails="select 1/0;")
    result = checkout.runner("check")
    assert result.code == 1
    assert "0004_goose" in result.out
    [seconds] = re.findall(r"3 files, .* in (\d+\.\d) s", result.out)
    assert float(seconds) > 0


def test_check_json_has_documented_keys(checkout: Checkout) -> None:
    result = checkout.runner("check", "--json", "--file", "2")
    assert result.code == 4
    assert result.err == ""
    assert set(result.document) == {
        *("schema_version", "command", "ok", "exit_code", "server_version"),
        *("files", "overall", "failed", "not_checked", "notes", "ms"),
    }
    [file] = result.document["files"]
    assert (file["id"], file["checks"]["re-run"]) == ("0002_bad", False)
    place = next(one["place"] for one in result.document["failed"] if one["check"] == "re-run")
    assert (place["file"], place["line"]) == ("sql/0002_bad.sql", 2)


@pytest.mark.parametrize("count", [3, checks.MANY])
def test_sigterm_ends_a_check_at_once_with_what_it_found(checkout: Checkout, count: int) -> None:
    checkout.write(_0003_slow="do $$ begin perform pg_sleep(50); end $$;")
    rollback = checkout.folder / "sql/0002_bad.rollback.sql"
    rollback.write_text("select 1/0;", encoding="utf-8")  # a failed run ignores later signals
    checkout.write(**{f"_{number:04}_more": "select 1;" for number in range(4, count + 1)})
    with checkout.start_runner("check", "--verbose") as process:
        assert process.stderr
        for line in process.stderr:
            if line == "check 0003_slow\n":
                break
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert err.endswith("error: Terminated by SIGTERM.\n\nNo changes were made.\n")
    assert [line.split()[:3] for line in out.splitlines()[1:3]] == [
        ["0001_shops", "✓", "✓"],
        ["0002_bad", "✗", "✗"],
    ]
    left = "0003_slow" if count == 3 else f"0003_slow to {count:04}_more"
    said, summary = out.splitlines()[-2:]
    assert said == f"ended at 0003_slow; not checked: {left}, re-run of all files, plain psql"
    assert re.match(r"2 files, .*, ended early, in", summary)


def test_address_in_an_error_is_the_one_that_was_typed(checkout: Checkout) -> None:
    address = "postgresql://none@127.0.0.1:1/x"
    for typed in (address, f"{address}?options=-c%20work_mem%3D1MB"):
        result = checkout.runner("check", RUNNER_SCRATCH_URL=typed)
        assert (result.code, f"Cannot connect to {typed}: " in result.err) == (1, True), result.err


@one_server
def test_a_server_for_scratch_databases_that_cannot_be_used_is_named(
    checkout: Checkout, empty_database: Database
) -> None:
    """With its variable and what to do; --wait is about the database."""
    with empty_database.connect(autocommit=True) as conn:
        conn.execute("create role plain login")
    plain = empty_database.conninfo(user="plain")
    for typed, code, said in (
        ("nonsense", 64, "RUNNER_SCRATCH_URL cannot be used: The database URL cannot be"),
        ("mysql://u:S3cret@h/d", 64, "RUNNER_SCRATCH_URL cannot be used: Not a PostgreSQL URL"),
        ("postgresql://none:S3cret@127.0.0.1:1/x", 1, "came from RUNNER_SCRATCH_URL."),
        (plain, 1, "permission denied to create database"),
    ):
        result = checkout.runner("check", RUNNER_SCRATCH_URL=typed)
        assert (result.code, said in result.err) == (code, True), result.err
        assert "in RUNNER_SCRATCH_URL; or unset it, to use the embedded one." in result.err
        assert not re.search("Traceback|S3cret|--wait|DATABASE_URL l", result.err), result.err
    with empty_database.connect(autocommit=True) as conn:
        conn.execute("drop role plain")


def test_error_that_ends_a_check_keeps_what_was_found(checkout: Checkout) -> None:
    checkout.write(_0003_fails="create table public.t (a txet);", _0004_more="select 1;")
    checkout.file("sql/isolation.lock", "")
    result = checkout.runner("check", "--json")
    document = result.document
    assert (result.code, document["error"]["sqlstate"]) == (1, "42704")
    assert "RUNNER_SCRATCH_URL" not in document["error"]["hint"]  # no server has that type
    assert [file["id"] for file in document["files"]] == ["0001_shops", "0002_bad"]
    assert {one["check"] for one in document["failed"]} >= {"re-run", "data"}
    left = ["0003_fails", "0004_more", "re-run of all files", "plain psql", "isolation.lock"]
    assert document["not_checked"] == left


# --- out of order -------------------------------------------------------------------------------

COMMUTING = {
    "_0002_city": "alter table public.shops add column if not exists city text;",
    "_0003_index": "create index if not exists by_name on public.shops (name);",
}


def test_files_that_commute_can_be_applied_in_any_order(
    scratch: ScratchServer, folder: Path
) -> None:
    found = migrations(folder, **COMMUTING)
    result, failed = out_of_order.check(scratch, found, [found[1]])
    assert failed == []
    assert result == "out-of-order files: 0002_city can be applied after all others, safe to merge"


def test_files_that_do_not_commute_are_found(scratch: ScratchServer, folder: Path) -> None:
    default = "alter table public.shops alter name set default '{}';"
    found = migrations(folder, _0002_one=default.format(1), _0003_two=default.format(2))
    _, [failed] = out_of_order.check(scratch, found, [found[1]])
    assert failed.details == (
        "column public.shops.name: default '2'::text in order, '1'::text out of order",
    )


def test_out_of_order_file_needed_by_a_later_one_is_found(
    scratch: ScratchServer, folder: Path
) -> None:
    found = migrations(folder, _0002_a="create table public.a ();", _0003_b="drop table public.a;")
    _, [failed] = out_of_order.check(scratch, found, [found[1]])
    assert "cannot be applied with 0002_a last" in failed.summary
    assert str(failed.place).endswith("0003_b.sql:2:1")
    found = migrations(folder, _0003_b="-- depends: 0002_a\ndrop table public.a;")
    _, [failed] = out_of_order.check(scratch, found, [found[1]])
    summary = "depends on 0002_a, which would be applied after it"
    assert (failed.file, failed.summary) == ("0003_b", summary)


@pytest.fixture
def repository(folder: Path) -> Path:
    """A git repository whose first commit has 0001 and 0003, tagged `deployed`."""
    migrations(folder, _0003_index=COMMUTING["_0003_index"])
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x"), ("tag", "deployed")):
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
        subprocess.run(git, cwd=folder.parent, check=True)
    return folder


def test_file_missing_in_a_git_ref_is_out_of_order_there(
    scratch: ScratchServer, repository: Path
) -> None:
    (repository / "0002_city.sql").write_text(COMMUTING["_0002_city"], encoding="utf-8")
    (repository / "0003_index.sql").unlink()  # as on a branch that has not merged it yet
    with out_of_order.against(repository, "deployed") as (found, moved):
        assert [file.id for file in found] == ["0001_shops", "0002_city", "0003_index"]
        assert [file.id for file in moved] == ["0002_city"]
        assert out_of_order.check(scratch, found, moved)[1] == []


def test_number_used_in_the_git_ref_is_an_error(repository: Path) -> None:
    (repository / "0003_index.sql").rename(repository / "0003_other.sql")
    with (
        pytest.raises(FileError, match="0003_other has the same number as 0003_index"),
        out_of_order.against(repository, "deployed"),
    ):
        pass


def test_unknown_git_ref_is_an_error(repository: Path) -> None:
    with (
        pytest.raises(UsageError, match="git cannot read the files of nowhere"),
        out_of_order.against(repository, "nowhere"),
    ):
        pass
