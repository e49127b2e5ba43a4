"""A dry run executes pending files, reports their effects and locks, and changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from checkout import Checkout, until
from conftest import Database, Server, one_server

from runner.errors import SqlError
from runner.events import Event, Note
from runner.files import loader
from runner.postgres.connection import Connection, connect
from runner.postgres.target import Target
from runner.preflight import rehearsal, rehearsal_report, rehearsal_text
from runner.preflight.catalog_changes import CatalogChanges
from runner.preflight.clone import clone
from runner.preflight.rehearsal_report import Rehearsal, Step, Table, TableImpact
from runner.preflight.scratch import scratch_server
from runner.schema import snapshot
from runner.schema.snapshot import Fact

TABLES = """
    create table public.shops (id int primary key, name text, status text);
    create table public.sales (id int, shop_id int, at timestamptz);
    create table public.empty_one (id int);
    insert into public.shops select n, 'shop ' || n, 'open' from generate_series(1, 100) as n;
    insert into public.sales select n, n % 100, now() from generate_series(1, 1000) as n;
    create type public.mood as enum ('glad');
    analyze;
"""
Rehearse = Callable[..., list[Rehearsal]]


@pytest.fixture(scope="module")
def shops(server: Server) -> Iterator[Connection]:
    """A database with rows in it."""
    with server.database() as made, made.connect(autocommit=True) as conn:
        conn.execute(TABLES.encode())
        yield conn


@pytest.fixture
def rehearse(
    shops: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rehearse]:
    """Dry-run texts as files 0001, 0002, … on the target; check that it is unchanged afterwards."""

    def run(*texts: str, hold: float = 5.0, lock_timeout: float = 0.2) -> list[Rehearsal]:
        for number, text in enumerate(texts, start=1):
            path = tmp_path / f"{number:04}_file.sql"
            path.write_text(dedent(text), encoding="utf-8")
        return rehearsal.on_target(
            shops, loader.read(tmp_path), hold=hold, lock_timeout=lock_timeout
        )

    monkeypatch.setattr(rehearsal, "_MAX_BLOCKING_MS", float("inf"))  # also on a busy machine
    before = snapshot.take(shops), _rows(shops)
    yield run
    assert (snapshot.take(shops), _rows(shops)) == before
    assert shops.execute("show lock_timeout").fetchone() == ("0",)


def _rows(conn: Connection) -> list[tuple[object, ...]]:
    return conn.execute("select * from public.shops order by id").fetchall()


def only_step(found: list[Rehearsal]) -> Step:
    [[step]] = [one.steps for one in found]
    return step


def impact_on(table: str, step: Step) -> TableImpact:
    [impact] = [impact for impact in step.impacts if impact.table.name == f"public.{table}"]
    return impact


# Each with the table, its lock, whether it is rewritten or scanned, and the advice.
IMPACTS = {
    "an index": (
        "create index on public.sales (shop_id)",
        ("sales", "SHARE", False, True, "create index concurrently"),
    ),
    "an index on an empty table": (
        "create index on public.empty_one (id)",
        ("empty_one", "SHARE", False, True, ""),
    ),
    "not null": (
        "alter table public.shops alter name set not null",
        ("shops", "ACCESS EXCLUSIVE", False, True, "not valid"),
    ),
    "not null in a do block": (
        "do $$ begin alter table public.shops alter name set not null; end $$",
        ("shops", "ACCESS EXCLUSIVE", False, True, "not valid"),
    ),
    "a check": (
        "alter table public.shops add constraint c check (status <> '')",
        ("shops", "ACCESS EXCLUSIVE", False, True, "validate constraint"),
    ),
    "a check, not valid": (
        "alter table public.shops add constraint c check (status <> '') not valid",
        ("shops", "ACCESS EXCLUSIVE", False, False, ""),
    ),
    "a column": (
        "alter table public.shops add column city text default 'x'",
        ("shops", "ACCESS EXCLUSIVE", False, False, ""),
    ),
    "a type": (
        "alter table public.shops alter id type bigint",
        ("shops", "ACCESS EXCLUSIVE", True, True, "fill it in batches"),
    ),
    "a type in a do block": (
        "do $$ begin execute 'alter table public.shops alter id type bigint'; end $$",
        ("shops", "ACCESS EXCLUSIVE", True, True, "fill it in batches"),
    ),
    "a volatile default": (
        "alter table public.shops add column key uuid default gen_random_uuid()",
        ("shops", "ACCESS EXCLUSIVE", True, True, "fill it in batches"),
    ),
    "a unique constraint": (
        "alter table public.shops add constraint u unique (id)",
        ("shops", "ACCESS EXCLUSIVE", False, True, "create unique index concurrently"),
    ),
    "a whole table": (
        "alter table public.shops set unlogged",
        ("shops", "ACCESS EXCLUSIVE", True, True, "while reads and writes are blocked"),
    ),
    "no rows left": (
        "truncate public.sales",
        ("sales", "ACCESS EXCLUSIVE", True, False, "removes every row"),
    ),
    "an index again": (
        "reindex table public.shops",
        ("shops", "SHARE", False, True, "reindex … concurrently"),
    ),
    "a comment": (
        "comment on table public.shops is 'x'",
        ("shops", "SHARE UPDATE EXCLUSIVE", False, False, ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), IMPACTS.values(), ids=IMPACTS)
def test_locks_rewrites_and_scans_are_reported(
    rehearse: Rehearse, text: str, expected: tuple[str, str, bool, bool, str]
) -> None:
    table, lock, rewritten, scanned, advice = expected
    step = only_step(rehearse(text))
    impact = impact_on(table, step)
    assert (impact.lock, impact.rewritten, impact.scanned) == (lock, rewritten, scanned)
    assert f"{lock} lock: " in rehearsal_report.describe(impact, on_copy=False)
    assert impact.held_ms > 0
    warnings = list(rehearsal_report.warnings(step))
    assert bool(warnings) is bool(advice)
    assert not advice or advice in warnings[0]
    assert "column" not in "".join(warnings) or "alter id" in text or "add column" in text


def test_foreign_key_locks_both_tables(rehearse: Rehearse) -> None:
    step = only_step(
        rehearse(
            "alter table public.sales add constraint f foreign key (shop_id)"
            " references public.shops not valid"
        )
    )
    assert impact_on("sales", step).lock == "SHARE ROW EXCLUSIVE"
    assert impact_on("shops", step).blocks == "blocks writes to public.shops"


def test_lock_is_described_with_the_size_of_the_table(rehearse: Rehearse) -> None:
    step = only_step(rehearse("alter table public.shops add column city text"))
    text = rehearsal_report.describe(impact_on("shops", step), on_copy=False)
    lock = "ACCESS EXCLUSIVE lock: blocks reads and writes of public.shops for "
    assert text.startswith(lock), text
    assert "(a table of 100 rows, 16 kB)" in text


def test_scan_under_the_lock_of_an_earlier_statement_is_reported(rehearse: Rehearse) -> None:
    [found] = rehearse(
        "alter table public.shops add column city text;\n"
        "create index on public.shops (name);\n"
        "update public.shops set name = 'x';"
    )
    column, index, update = found.steps
    assert [impact.lock for impact in index.impacts] == [""]
    assert impact_on("shops", index).scanned
    [warning] = rehearsal_report.warnings(index)
    assert "builds the index while reads and writes are blocked" in warning
    assert "create index concurrently" in warning
    assert impact_on("shops", update).rows_changed == 100
    assert not impact_on("shops", update).scanned  # only scans by DDL are reported
    assert impact_on("shops", column).held_ms > impact_on("shops", update).held_ms


def test_effects_read_late_name_the_statements_they_are_of(
    rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "_MAX_BLOCKING_MS", -1.0)
    [found] = rehearse(
        "create table public.t (id int);\nalter table public.shops add x int;\n"
        "alter table public.shops drop column status;\nselect 1;"
    )
    assert [(len(step.effects), step.effects_from) for step in found.steps] == [
        *((1, 1), (0, 0), (0, 0)),
        (2, 2),
    ]
    shown = list(rehearsal_text.lines(found, lambda text, _: text, on_copy=False))
    together = "effects of lines 2 to 4 together (not split, so that other sessions wait less):"
    late = shown.index(f"    {together}")
    assert shown[late + 1].strip() == "drops column public.shops.status"


def test_wider_access_within_new_and_renamed_objects_is_marked_in_effects_read_late(
    rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "_MAX_BLOCKING_MS", -1.0)
    lock = "lock public.shops in access exclusive mode;\n"
    found = rehearse(
        "grant select on public.sales to pg_monitor;"
        "alter table public.sales enable row level security;"
        "create policy few on public.sales as restrictive using (id > 0);",
        f"{lock}create table public.secrets (id int); grant select on public.secrets to public;"
        "create policy p on public.secrets; create policy r on public.secrets as restrictive;"
        "create view public.v as select 1 as x; grant select (x) on public.v to pg_monitor;"
        "create function public.f() returns int language sql return 1;",
        "alter table public.shops add note text; grant update (note) on public.shops to public;",
        "alter table public.sales rename to orders; alter table public.orders add note text;"
        "grant insert, select (note) on public.orders to pg_monitor;"
        "drop policy few on public.orders; alter table public.orders disable row level security;",
        "alter default privileges in schema public grant select on tables to pg_monitor;"
        "create table public.late (id int);",
    )
    assert [one.error for one in found] == [None] * 5
    marks = [
        [
            e.as_effect()
            for s in one.steps
            for e, mark in zip(s.effects, s.widens, strict=True)
            if mark
        ]
        for one in found[1:]
    ]
    assert marks == [
        [
            "column public.v.x: adds select to pg_monitor",
            "creates policy public.secrets.p",
            "table public.secrets: adds select to public",
        ],
        ["column public.shops.note: adds update to public"],
        [
            "column public.orders.note: adds select to pg_monitor",
            "drops policy public.orders.few",
            "table public.orders: adds insert to pg_monitor",
            "table public.orders: row security on → off",
        ],
        [
            "default privileges tables in public: adds select to pg_monitor",
            "table public.late: adds select to pg_monitor",
        ],
    ]
    shown = "\n".join(rehearsal_text.lines(found[2], lambda text, _: text, on_copy=False))
    assert "! widens access: column public.shops.note: adds update to public" in shown
    [*_, last] = rehearsal_text.as_json(found[2], on_copy=False)["statements"]
    assert last["widens"] == ["column public.shops.note: adds update to public"]


def test_rename_is_shown_as_one(rehearse: Rehearse) -> None:
    [found] = rehearse(
        "do $$ begin alter table public.shops rename column status to state; end $$;"
        "alter table public.sales rename to receipts;"
        "alter table public.shops drop column name; alter table public.shops add label text;"
    )
    assert [[e.as_effect() for e in step.effects] for step in found.steps] == [
        ["column public.shops.status: name status → state"],
        ["table public.sales: name sales → receipts"],
        ["drops column public.shops.name"],
        ["creates column public.shops.label"],
    ]


def test_what_only_shows_a_new_name_is_no_effect_of_its_own(rehearse: Rehearse) -> None:
    """Each index, foreign key and policy has it in its text."""
    _, renames, moves, back = rehearse(
        "create schema s1;"
        "create function public.mine(text) returns bool language sql return true;"
        "alter table public.sales enable row level security;"
        "create policy own on public.sales using (public.mine(id::text));"
        "create index on public.sales (id);",
        "alter function public.mine(text) rename to ours;"
        "alter table public.sales rename to receipts;",
        "alter table public.receipts set schema s1; alter function public.ours set schema s1;"
        "alter schema s1 rename to s2;",
        "alter table s2.receipts set schema public; grant select on public.receipts to public;",
    )
    assert [[e.as_effect() for e in step.effects] for step in renames.steps] == [
        ["function public.mine(text): name mine → ours"],
        ["table public.sales: name sales → receipts"],
    ]
    assert [[e.as_effect() for e in step.effects] for step in moves.steps] == [
        ["table public.receipts: name public.receipts → s1.receipts"],
        ["function public.ours(text): name public.ours(text) → s1.ours(text)"],
        [
            "function s1.ours(text): name s1.ours(text) → s2.ours(text)",
            "schema s1: name s1 → s2",
            "table s1.receipts: name s1.receipts → s2.receipts",
        ],
    ]
    assert not any(mark for step in (*renames.steps, *moves.steps) for mark in step.widens)
    assert any(step.widens for step in back.steps)


def test_wider_access_is_marked(rehearse: Rehearse) -> None:
    [found] = rehearse(
        "grant select on public.shops to pg_monitor;"
        "alter table public.shops enable row level security;"
        "create policy one on public.shops as restrictive using (id > 0);"
        "create policy two on public.shops using (id > 1);"
        "alter policy two on public.shops using (true);"
        "drop policy one on public.shops;"
        "alter table public.shops disable row level security;"
        "revoke select on public.shops from pg_monitor;"
    )
    wider, maybe = "widens access", "may widen access"
    marks = [[mark for mark in step.widens if mark] for step in found.steps]
    assert marks == [[wider], [], [], [wider], [maybe], [wider], [wider], []]
    shown = "\n".join(rehearsal_text.lines(found, lambda text, _: text, on_copy=False))
    assert "    ! widens access: table public.shops: adds select to pg_monitor" in shown
    warned = Step(1, "alter role x bypassrls", 1.0)
    assert list(rehearsal_report.warnings(warned)) == [
        "no policy applies to a role with BYPASSRLS or SUPERUSER"
    ]
    assert not list(rehearsal_report.warnings(replace(warned, text="create role x nobypassrls")))


def test_change_of_no_row_under_row_security_is_named(rehearse: Rehearse) -> None:
    [found] = rehearse(
        "create role plain_owner; grant select, update on public.shops to plain_owner;"
        "alter table public.shops enable row level security;"
        "set role plain_owner; update public.shops set name = 'x' where name is null;"
        "reset role; update public.shops set name = 'x' where name is null;"
    )
    hidden = [[i.no_rows_seen for i in step.impacts] for step in found.steps]
    assert hidden[4:] == [[True], [], []]
    [warning] = rehearsal_report.warnings(found.steps[4])
    assert warning.startswith("public.shops: no row was changed, and row-level security applies")


def test_lock_of_an_earlier_file_is_not_taken_for_that_of_a_later_one(rehearse: Rehearse) -> None:
    """As advised: NOT VALID first, and the validation, which blocks no one, in the next file."""
    add = "alter table public.shops add constraint named check (name <> '') not valid;"
    validate = "alter table public.shops validate constraint named;"
    said = [list(rehearsal_report.warnings(one.steps[0])) for one in rehearse(add, validate)]
    assert said[0] == []
    [warning] = said[1]
    assert "what the statement itself blocks is not known: `plan --on scratch` tells" in warning


def test_many_changed_rows_give_a_warning() -> None:
    impact = TableImpact(Table("public.shops", 20_000, 8192), rows_changed=20_000)
    [warning] = rehearsal_report.warnings(Step(1, "update", 1.0, (impact,)))
    assert warning.startswith("public.shops: 20,000 rows stay locked")


def test_effects_of_each_statement_are_reported(rehearse: Rehearse) -> None:
    first, second = rehearse(
        "create table public.t (id int);\ncomment on table public.t is 'x';",
        "drop table public.t;",
    )
    assert [[e.as_effect() for e in step.effects] for step in first.steps] == [
        ["creates table public.t, with 1 column"],
        ["table public.t: adds comment “x”"],
    ]
    assert [step.line for step in first.steps] == [1, 2]
    [step] = second.steps
    assert [e.as_effect() for e in step.effects] == ["drops table public.t, with 1 column"]


def test_roles_of_the_server_are_effects_too(rehearse: Rehearse) -> None:
    """Those made in a DO block, that no file of a database contains, and their attributes."""
    [file] = rehearse("""
        do $$ begin
            if to_regrole('rehearsed') is null then create role rehearsed bypassrls; end if;
        end $$;
        alter role rehearsed login connection limit 3;
        alter role rehearsed noinherit connection limit 4;
        grant rehearsed to pg_monitor;
        drop role rehearsed;
    """)
    steps = rehearsal_text.as_json(file, on_copy=False)["statements"]
    made, changed, more, granted, dropped = (step["effects"] for step in steps)
    assert made == ["creates role rehearsed", "role rehearsed: adds bypassrls"]
    assert changed == ["role rehearsed: adds connection limit 3", "role rehearsed: adds login"]
    assert more == ["role rehearsed: connection limit 3 → 4", "role rehearsed: removes inherit"]
    assert granted == ["role pg_monitor: adds member of rehearsed"]
    assert dropped == ["role pg_monitor: removes member of rehearsed", "drops role rehearsed"]
    assert [step["widens"] for step in steps] == [made[1:], [], [], granted, []]
    [file] = rehearse("""
        create function public.make() returns trigger language plpgsql
        as $$ begin create role rehearsed superuser; return new; end $$;
        create trigger make after insert on public.shops execute function public.make();
        insert into public.shops values (9000);
        select 1;
    """)
    inserted, read = rehearsal_text.as_json(file, on_copy=False)["statements"][2:]
    assert inserted["widens"] == ["role rehearsed: adds superuser"]
    assert read["effects"] == []


def test_statement_that_does_not_change_the_catalog_is_not_followed_by_a_snapshot(
    rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Collection[str]] = []
    facts_of = CatalogChanges._facts_of

    def counted(
        changes: CatalogChanges, name: str, oids: Collection[str], owner: int
    ) -> list[Fact] | None:
        read.append(oids)
        return facts_of(changes, name, oids, owner)

    monkeypatch.setattr(CatalogChanges, "_facts_of", counted)
    rows = "insert into public.shops values ({}, 'a', 'b');\n"
    first, second = ("".join(map(rows.format, range(n, n + 50))) for n in (1000, 2000))
    last = """
        do $$ begin
            insert into public.shops values (1);
        exception when unique_violation then
            comment on table public.shops is 'x';
        end $$;
    """
    [one, two] = rehearse(first, second + dedent(last))
    assert len(read) == 1  # after the last one
    assert [impact.rows_changed for step in one.steps for impact in step.impacts] == [1] * 50
    effects = [effect.as_effect() for step in two.steps for effect in step.effects]
    assert effects == ["table public.shops: adds comment “x”"]
    assert two.steps[-1].effects


def test_non_transactional_file_is_not_run_with_a_reason(rehearse: Rehearse) -> None:
    outside, inside = rehearse(
        "-- transactional: false\ncreate index concurrently i on public.shops (name);",
        "create table public.t (id int);",
    )
    assert outside.not_run == "it runs outside a transaction, so it cannot be rolled back"
    assert inside.steps and not inside.error


def test_error_has_its_place_and_ends_the_dry_run(rehearse: Rehearse) -> None:
    first, second = rehearse(
        "create table public.t (id int);\nalter table public.nowhere add x int;", "select 1;"
    )
    assert isinstance(first.error, SqlError)
    assert str(first.error.place).endswith("0001_file.sql:2:1")
    assert second.not_run == "an earlier file failed"


def test_use_of_a_new_enum_value_needs_a_commit(rehearse: Rehearse) -> None:
    _, second, third = rehearse(
        "alter type public.mood add value 'sad';",
        "create table public.t (m public.mood default 'sad');",
        "create table public.u (id int);",
    )
    assert second.not_run == "it needs an earlier file to be committed; --on scratch does that"
    why = "0002_file, which comes before it, was not run; --on scratch runs both"
    assert third.not_run == why


def test_use_of_an_enum_value_in_the_file_that_adds_it_fails_as_in_apply(
    rehearse: Rehearse,
) -> None:
    _, second = rehearse(
        "create table public.u (id int);",
        "alter type public.mood add value 'sad';\ncreate table public.t (m mood default 'sad');",
    )
    assert isinstance(second.error, SqlError)
    assert (second.error.sqlstate, second.not_run) == ("55P04", "")


def test_long_statement_is_canceled(rehearse: Rehearse) -> None:
    [found] = rehearse("select pg_sleep(60);", hold=0.1)
    assert found.error
    assert found.error.message == "a statement took longer than 0.1 s, so it was canceled"


def test_lock_timeout_names_the_blocker(rehearse: Rehearse, shops: Connection) -> None:
    with connect(Target(_parameters(shops), "", embedded=False)) as other:
        other.execute("begin")
        other.execute("lock table public.shops in access share mode")
        [found] = rehearse("alter table public.shops add column city text;")
        assert isinstance(found.error, SqlError)
        assert found.error.sqlstate == "55P03"
        assert f"shops: held by pid {other.info.backend_pid}" in found.error.state
        other.execute("rollback")


def _parameters(conn: Connection) -> dict[str, str]:
    return {key: str(value) for key, value in conn.info.get_parameters().items()} | {
        "password": conn.info.password
    }


def test_session_settings_of_a_file_do_not_affect_the_next(rehearse: Rehearse) -> None:
    first, second = rehearse(
        "set role pg_monitor; set search_path = pg_catalog; set lock_timeout = '1h';",
        "do $$ begin assert current_user = session_user; "
        "assert current_setting('lock_timeout') = '200ms'; end $$;",
    )
    assert not first.error
    assert not second.error, second.error


# --- on a copy ----------------------------------------------------------------------------------


@pytest.fixture
def source(database: Database) -> Iterator[tuple[Database, Connection]]:
    with database.connect(autocommit=True) as conn:
        yield database, conn


def test_clone_has_the_catalog_without_rows(
    source: tuple[Database, Connection], tmp_path: Path
) -> None:
    """The schema has default privileges and a grant, and roles other than the scratch server's."""
    made, conn = source
    conn.execute(
        "insert into public.organizations (name) values ('x');"
        "comment on schema app is 'mine'; create table public.more (id int);"
        "grant select on public.more to authenticated"
    )
    events: list[Event] = []
    target = Target(
        {k: str(v) for k, v in conn.info.get_parameters().items()}
        | ({"password": conn.info.password} if conn.info.password else {}),
        "",
        embedded=False,
    )
    text = "alter table public.organizations add column x text not null;"
    (tmp_path / "0010_x.sql").write_text(text, encoding="utf-8")
    (tmp_path / "0011_y.sql").write_text(
        "-- transactional: false\ncreate index concurrently i on public.organizations (x);",
        encoding="utf-8",
    )
    for name, text in {"0012_fails": "select 1/0;", "0013_z": "select 1;", "0014_z": "x"}.items():
        (tmp_path / f"{name}.sql").write_text(text, encoding="utf-8")
    sizes = {t.name: t for t in rehearsal.tables(conn).values()}
    with (
        scratch_server(made.server.version) as scratch,
        clone(scratch, conn, target, report=events.append) as copy,
    ):
        assert not [event for event in events if isinstance(event, Note)]
        assert copy.execute("select count(*) from public.organizations").fetchone() == (0,)
        assert snapshot.take(copy).facts == snapshot.take(conn).facts
        first, second, _, *others = rehearsal.on_copy(copy, loader.read(tmp_path), sizes)
    assert [one.not_run for one in others] == ["an earlier file failed"] * 2
    [impact] = [i for step in first.steps for i in step.impacts if i.lock]
    assert impact.table == sizes["public.organizations"]
    assert [e.as_effect() for step in second.steps for e in step.effects] == [
        "creates index public.i"
    ]


def test_duration_on_a_copy_is_estimated_from_the_size_on_the_target() -> None:
    impact = TableImpact(Table("public.shops", None, 1024**3), rewritten=True)
    assert rehearsal_report.describe(impact, on_copy=True) == (
        "rewrites public.shops, about 10 s at 100 MB/s (a table of 1 GB)"
    )


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Database) -> Checkout:
    made = Checkout(tmp_path, empty_database)
    made.write(
        _0001_shops="drop table if exists public.shops; create table public.shops (id int);",
        _0002_index="create index i on public.shops (id);",
    )
    return made


@one_server
def test_plan_reports_effects_and_changes_nothing(checkout: Checkout) -> None:
    result = checkout.runner("plan")
    assert result.code == 2, result.err
    assert "creates table public.shops, with 1 column" in result.out
    assert "2 pending; the dry run was rolled back" in result.out
    assert checkout.value("select to_regclass('public.shops')") is None
    assert checkout.value("select to_regnamespace('yoyo')") is None
    checkout.apply()
    result = checkout.runner("plan")
    assert (result.code, result.out) == (0, "nothing pending: 2 applied\n")
    checkout.write(_0003_empty="")
    for command in ("plan", "apply"):  # which says the same
        result = checkout.runner(command)
        assert (result.code, "0003_empty.sql contains no statements" in result.err) == (1, True)


@one_server
def test_plan_json_has_documented_keys(checkout: Checkout) -> None:
    checkout.apply_rest(1)
    result = checkout.runner("plan", "--json")
    assert result.code == 2
    [pending] = result.document["pending"]
    [statement] = pending["statements"]
    assert pending["id"] == "0002_index"
    assert statement["effects"] == ["creates index public.i"]
    assert statement["impacts"][0]["lock"] == "SHARE"


@one_server
def test_plan_shows_no_password(checkout: Checkout) -> None:
    checkout.apply()
    checkout.write(
        _0003_role="create role planned login password 'S3cret';\n"
        "do $$ begin execute 'alter role planned password ''S3cret'''; end $$;\n"
        "alter role planned\n    password $$S3cret$$;\ndrop role planned;\n"
        "comment on table public.shops is 'password: S3cret';\n"
    )
    plain, document = checkout.runner("plan"), checkout.runner("plan", "--json")
    assert (plain.code, document.code) == (2, 2)
    assert "line 1: create role planned login password ***" in plain.out
    [pending] = document.document["pending"]
    texts = [statement["text"] for statement in pending["statements"]]
    assert texts[1] == "do $$ begin execute 'alter role planned password ***'; end $$"
    assert texts[2] == "alter role planned password ***"
    assert "S3cret" not in plain.out + document.out


@one_server
def test_plan_reports_a_file_that_fails(checkout: Checkout) -> None:
    checkout.write(_0003_bad="alter table public.nowhere add x int;")
    result = checkout.runner("plan")
    assert result.code == 1
    assert 'relation "public.nowhere" does not exist' in result.err
    assert "sql/0003_bad.sql:1:1" in result.err
    assert result.out.rstrip().endswith("0003_bad failed in the dry run; rolled back")


@one_server
def test_change_that_meets_no_row_under_row_security_is_named(checkout: Checkout) -> None:
    checkout.apply_rest(1)
    checkout.do(
        "insert into public.shops values (1);"
        "alter table public.shops enable row level security;"
        "do $$ begin create role row_writer; exception when duplicate_object then null; end $$;"
        "grant select, update, insert on public.shops to row_writer"
    )
    checkout.write(
        _0003_fill="set role row_writer;\nupdate public.shops set id = 2;\n"
        "do $$ begin raise notice 'mine'; end $$;"
    )
    result = checkout.runner("plan")
    assert "no row was changed, and row-level security applies" in " ".join(result.out.split())
    assert "sql/0003_fill.sql:3: NOTICE: mine\n" in result.err
    result = checkout.runner("apply")
    assert (result.code, result.err.count("no row changed in ")) == (0, 1), result.err
    assert "sql/0003_fill.sql: no row changed in shops" in result.err.replace("public.", "")
    change = "set role row_writer;\n{};"
    checkout.write(
        _0004_out="-- transactional: false\n" + change.format("update public.shops set id = 3"),
        _0005_copy=change.format("insert into public.shops select id + 1 from public.shops"),
    )
    result = checkout.runner("apply")
    assert (result.code, result.err.count("no row changed in ")) == (0, 2), result.err


@one_server
def test_plan_on_scratch_commits_only_there(checkout: Checkout) -> None:
    checkout.write(
        _0003_enum="create type public.mood as enum ('glad');",
        _0004_sad="alter type public.mood add value 'sad';",
        _0005_use="alter table public.shops add mood public.mood default 'sad';",
        _0006_out="-- transactional: false\ncreate index concurrently m on public.shops (mood);",
    )
    result = checkout.runner("plan", "--on", "scratch")
    assert result.code == 2, result.err
    assert "not run: " not in result.out
    assert "6 pending; the dry run ran on a copy. To" in result.out
    assert "creates index public.m" in result.out
    assert checkout.value("select to_regtype('public.mood')") is None


@one_server
def test_plan_sql_has_the_same_result_as_apply(
    checkout: Checkout, new_database: Callable[..., Database]
) -> None:
    checkout.write(_0003_out="-- transactional: false\ncreate index concurrently j on shops (id);")
    script = checkout.runner("plan", "--sql")
    assert script.code == 2
    assert "PostgreSQL" not in script.err
    path = checkout.file("by_hand.sql", script.out)
    by_hand = Checkout(checkout.folder, new_database())
    ran = by_hand.runner("psql", "--", "-X", "-q", "-f", str(path))
    assert (ran.code, ran.out, ran.err) == (0, "0001_shops\n0002_index\n0003_out\n", "")
    ran = by_hand.runner("psql", "--", "-X", "-q", "-f", str(path))
    again = [f"{id_} is already applied\n" for id_ in ("0001_shops", "0002_index", "0003_out")]
    assert (ran.code, ran.out, ran.err) == (0, "".join(again), "")
    checkout.apply()
    assert by_hand.applied() == checkout.applied()
    columns = "select migration_id, content_sha256, code_sha256, content"
    kept = f"{columns} from yoyo._yoyo_migration order by 1"
    assert by_hand.rows(kept) == checkout.rows(kept)
    assert by_hand.runner("status").code == 0
    assert by_hand.runner("plan", "--sql").out == "-- nothing pending\n"


@one_server
def test_failed_plan_sql_script_keeps_earlier_files(checkout: Checkout) -> None:
    checkout.write(_0002_index="create index i on public.nowhere (id);")
    path = checkout.file("by_hand.sql", checkout.runner("plan", "--sql").out)
    assert checkout.runner("psql", "--", "-X", "-q", "-f", str(path)).code == 3
    assert checkout.applied() == ["0001_shops"]
    assert checkout.value("select count(*) from pg_locks where locktype = 'advisory'") == 0


@one_server
def test_plan_sql_script_waits_as_apply_does_and_keeps_no_invalid_index(checkout: Checkout) -> None:
    checkout.write(
        _0003_rows="-- statement_timeout: 9min\ninsert into public.shops values (7), (7);",
        _0004_out="-- transactional: false\n-- lock_timeout: 3s\n"
        "create unique index concurrently if not exists u on public.shops (id);",
    )
    script = checkout.runner("plan", "--sql").out
    path = checkout.file("by_hand.sql", script)
    assert "set local lock_timeout = 2000; set local statement_timeout = 540000;" in script
    run = ("psql", "--", "-X", "-q", "-f", str(path))
    assert checkout.runner(*run).code == 3
    left = "select count(*) from pg_index where not indisvalid"
    assert checkout.value(left) == 1
    assert checkout.runner(*run).code == 3  # not recorded with the invalid index
    checkout.do("delete from public.shops")
    assert checkout.runner(*run).code == 0
    assert (checkout.value(left), len(checkout.applied())) == (0, 4)


@one_server
def test_a_template_is_not_planned_and_not_recorded(checkout: Checkout) -> None:
    checkout.apply()
    checkout.write(_0003_empty="-- 0003_empty\n-- Say in one sentence what this is for.\n")
    for words in ("plan", "plan --sql", "plan --on scratch", "baseline"):
        result = checkout.runner(*words.split())
        assert (result.code, result.out) == (1, ""), words
        assert "0003_empty.sql contains no statements" in result.err
        assert "irreversible" not in result.err
    assert checkout.yoyo("mark", "-r", "0003_empty").code == 1
    assert checkout.applied() == ["0001_shops", "0002_index"]


@one_server
def test_hold_must_be_positive(checkout: Checkout) -> None:
    assert checkout.runner("plan", "--hold", "0").code == 64


@one_server
def test_plan_waits_for_the_lock_of_another_run(checkout: Checkout) -> None:
    with checkout.migrator():
        codes: list[int] = []
        thread = threading.Thread(
            target=lambda: codes.append(checkout.runner("plan", "--lock-wait", "0").code)
        )
        thread.start()
        until(lambda: bool(codes))
        thread.join()
    assert codes == [3]
