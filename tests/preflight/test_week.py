"""A week of changes to a small project: every command after each step, without a false word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server

from runner.cli.main import main
from runner.isolation.surface import review
from runner.isolation.verify import prover
from runner.preflight import checks
from runner.preflight.scratch import ScratchServer, scratch_server

RIGHTS = """\
[tenant]
table = "shop.branches"
column = "branch_id"

[identity]
settings = { "shop.branch" = "{tenant}" }

[actors]
clerk = "clerk"

[rights]
branches = { select = "clerk" }
books = { "select insert" = "clerk", update = { clerk = ["title"] } }
"""
BASE = """\
do $$ begin
    if to_regrole('clerk') is null then create role clerk nologin; end if;
    if to_regtype('shop.state') is null then
        create schema if not exists shop;
        create type shop.state as enum ('new');
    end if;
end $$;
grant usage on schema shop to clerk;
create or replace function shop.branch() returns int language sql stable set search_path = ''
as $$ select nullif(current_setting('shop.branch', true), '')::int $$;
create table if not exists shop.branches (id int generated always as identity primary key);
create table if not exists shop.books (
    id bigint generated always as identity primary key,
    branch_id int not null default shop.branch() references shop.branches (id),
    title text not null,
    state shop.state not null default 'new'
);
alter table shop.branches enable row level security;
alter table shop.books enable row level security;
drop policy if exists own on shop.branches;
create policy own on shop.branches to clerk using (id = shop.branch());
drop policy if exists own on shop.books;
create policy own on shop.books to clerk using (branch_id = shop.branch());
grant select on shop.branches to clerk;
grant select, insert, update (title) on shop.books to clerk;
"""


def _table(name: str, columns: str, more: str = "") -> str:
    return f"""\
create table if not exists shop.{name} (
    {columns},
    branch_id int not null default shop.branch() references shop.branches (id)
){more};
alter table shop.{name} enable row level security;
drop policy if exists own on shop.{name};
create policy own on shop.{name} to clerk using (branch_id = shop.branch());
grant select, insert on shop.{name} to clerk;
"""


@dataclass(frozen=True)
class Step:
    """Migrations that are written, planned and applied together."""

    files: Mapping[str, tuple[str, str]]  # by id: the file, and its rollback file
    rights: Mapping[str, str] = field(default_factory=dict)  # in isolation.toml: old and new text
    says: tuple[str, ...] = ()  # in the output of plan


RENAME = """\
do $$ begin
    if exists (
        select from pg_attribute where attrelid = 'shop.books'::regclass and attname = '{0}'
    ) then
        alter table shop.books rename column {0} to {1};
    end if;
end $$;
"""
WEEK = (
    Step({"0001_make_shop": (BASE, "drop schema if exists shop cascade;")}),
    Step(
        {
            "0002_add_loans": (
                _table("loans", "id bigint generated always as identity primary key, days int"),
                "drop table if exists shop.loans;",
            )
        },
        {"[rights]\n": '[rights]\nloans = { "select insert" = "clerk" }\n'},
        ("creates table shop.loans", "! widens access"),
    ),
    Step(
        {
            "0003_add_note": (
                "alter table shop.books add column if not exists note text;"
                " grant update (note) on shop.books to clerk;",
                "alter table shop.books drop column if exists note;",
            )
        },
        {'["title"]': '["title", "note"]'},
        ("creates column shop.books.note", "! widens access"),
    ),
    Step(
        {
            "0004_add_place": (
                "alter table shop.books add column if not exists place text;\n"
                "alter table shop.books alter column place set default 'a';",
                "alter table shop.books drop column if exists place;",
            ),
            "0005_require_place": (
                "update shop.books set place = 'a' where place is null;\n"
                "alter table shop.books alter column place set not null;",
                "alter table shop.books alter column place drop not null;",
            ),
        },
        says=("adds default 'a'", "adds not null"),
    ),
    Step(
        {
            "0006_add_state": (
                "-- irreversible: an enum value cannot be removed\n\n"
                "alter type shop.state add value if not exists 'lost';",
                "",
            ),
            "0007_use_state": (
                "alter table shop.books alter column state set default 'lost';",
                "alter table shop.books alter column state set default 'new';",
            ),
        },
        says=("needs an earlier file to be committed",),
    ),
    Step(
        {"0008_rename_title": (RENAME.format("title", "name"), RENAME.format("name", "title"))},
        {'["title", "note"]': '["name", "note"]'},
        ("column shop.books.title: name title → name",),
    ),
    Step(
        {
            "0009_add_reporting": (
                "do $$ begin if to_regrole('reporting') is null then"
                " create role reporting nologin; end if; end $$;\n"
                "create schema if not exists reporting;\n"
                "create or replace view reporting.books as select branch_id from shop.books;\n"
                "grant usage on schema reporting to reporting;\n"
                "grant select on reporting.books to reporting;",
                "drop schema if exists reporting cascade;",
            )
        },
        says=("creates view reporting.books",),
    ),
    Step(
        {
            "0010_add_log": (
                _table("log", "at date not null, what text", " partition by range (at)")
                + "create table if not exists shop.log_1 partition of shop.log"
                " for values from ('1900-01-01') to ('2100-01-01');\n"
                "create table if not exists shop.log_2 partition of shop.log default;\n"
                "alter table shop.log_1 enable row level security;\n"
                "alter table shop.log_2 enable row level security;",
                "drop table if exists shop.log;",
            )
        },
        {"[rights]\n": '[rights]\nlog = { "select insert" = "clerk" }\n'},
        ("creates table shop.log", "creates table shop.log_1"),
    ),
    Step(
        {
            "0011_index_names": (
                "-- transactional: false\n\n"
                "create index concurrently if not exists books_name_idx on shop.books (name);",
                "-- transactional: false\n\ndrop index concurrently if exists shop.books_name_idx;",
            )
        },
        says=("outside a transaction",),
    ),
)


class Week:
    """The project with its database, and its commands in this process."""

    def __init__(
        self, checkout: Checkout, scratch: ScratchServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.checkout = checkout
        self.sql = checkout.folder / "sql"
        self._scratch = scratch
        self._capsys = capsys

    def run(self, *args: str, code: int = 0) -> str:
        """Run a command; return its output."""
        found = main(list(args))
        output = "".join(self._capsys.readouterr())
        assert found == code, output
        return output

    def write(self, step: Step) -> None:
        for id_, (file, rollback) in step.files.items():
            self.checkout.file(f"sql/{id_}.sql", f"-- {id_}\n{file}\n")
            if rollback:
                self.checkout.file(f"sql/{id_}.rollback.sql", f"-- {id_}: rollback\n{rollback}\n")
        path = self.sql / "isolation.toml"
        text = path.read_text(encoding="utf-8") if path.exists() else RIGHTS
        for old, new in step.rights.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def check(self, count: int = 0) -> list[str]:
        """Check the last files, or all together; return what fails, but for squawk."""
        files = self.checkout.migrations()
        found = [
            failed
            for file in (files[-count:] if count else [None])
            for failed in checks.check(self._scratch, files, only=file).failed
        ]
        return [f"{f.check}: {f.file}" for f in found if "(squawk:" not in f.summary]

    def verify(self) -> None:
        with self.checkout.migrator() as migrator:
            review.accept(migrator, self.sql)
            verdict = prover(self.sql)(migrator.connection)
            verdict = verdict.with_more(review.verify(migrator, self.sql))
        assert [f"{b.subject}: {b.summary}" for b in verdict.breaches] == []

    def apply(self, count: int) -> None:
        """Apply, and expect that each command then says that all is well."""
        assert re.search(rf"\b{count} applied now, \d+ in total, 0 pending", self.run("apply"))
        assert "nothing to do" in self.run("status")
        assert "nothing pending" in self.run("plan")
        self.run("types", "--schema", "shop", "--out", "rows.py")
        self.run("types", "--schema", "shop", "--out", "rows.py", "--check")
        self.verify()


@pytest.fixture
def week(
    tmp_path: Path,
    empty_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Week]:
    checkout = Checkout(tmp_path, empty_database)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", empty_database.conninfo())
    with scratch_server(18, settings=checks.LIMITS) as scratch:
        yield Week(checkout, scratch, capsys)


@one_server
def test_week_of_changes_raises_no_false_word(week: Week) -> None:
    for step in WEEK:
        week.write(step)
        assert week.check(len(step.files)) == []
        said = week.run("plan", code=2)
        assert [part for part in step.says if part not in said] == [], said
        assert "pending" in week.run("status", code=2)
        week.apply(len(step.files))
    week.checkout.do("insert into shop.branches default values")
    week.checkout.do("insert into shop.books (branch_id, name) values (1, 'a'), (1, 'a')")

    failing = "create unique index if not exists books_key on shop.books (branch_id, name);"
    week.write(Step({"0012_add_key": (failing, "drop index if exists shop.books_key;")}))
    assert week.check(1) == ["data: 0012_add_key"]
    for command in ("plan", "apply"):
        assert "is duplicated" in week.run(command, code=1)
    assert "1 pending: run python -m runner apply" in week.run("status", code=2)
    week.checkout.do("update shop.books set name = name || id")
    week.apply(1)

    table = "create table if not exists shop.{0} (id int);"
    for name in ("hers", "his"):
        made = (table.format(name), f"drop table if exists shop.{name};")
        week.write(Step({f"0013_add_{name}": made}))
        if name == "hers":
            week.apply(1)
    for command in ("status", "plan", "apply"):
        said = week.run(command, code=1)
        assert "0013_add_hers" in said
        assert "0013_add_his" in said
    for ending in (".sql", ".rollback.sql"):
        (week.sql / f"0013_add_his{ending}").rename(week.sql / f"0014_add_his{ending}")
    week.apply(1)
    week.run("verify")
    assert week.check() == ["data: 0012_add_key"]
