"""Causes: one for what one changed object explains, named with the file and line that changed it.

Each project is the schema of schemas/support.sql and further files, which the database agrees with.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import Database, one_server

from runner.isolation import surface
from runner.isolation.report import groups
from runner.isolation.report.groups import Group
from runner.isolation.surface import lock_file

from .test_planted_breaches import compared_with, verified

SCHEMAS = Path(__file__).parent / "schemas"
Found = Callable[..., list[Group]]


@pytest.fixture
def found(empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    """A function that applies files after the first one, and then, by hand, a change."""
    shutil.copy(SCHEMAS / "support.sql", tmp_path / "0001_support.sql")
    shutil.copy(SCHEMAS / "support.toml", tmp_path / "isolation.toml")
    with empty_database.connect() as conn:
        conn.execute((SCHEMAS / "support.sql").read_bytes())

    def apply(files: Mapping[str, str], by_hand: str = "", *, review: bool = False) -> list[Group]:
        if review:
            with empty_database.connect() as conn:
                lock_file.write(tmp_path / lock_file.FILE, surface.take(conn))
        with empty_database.connect() as conn:
            for name, text in files.items():
                (tmp_path / f"{name}.sql").write_text(text, encoding="utf-8")
                conn.execute(text.encode())
        compared_with(monkeypatch, empty_database)
        return groups.of(verified(empty_database, by_hand, tmp_path).breaches)

    return apply


def named(group: Group, folder: Path) -> tuple[str, str]:
    """Return the object and the fix of a group."""
    return group.object, group.fix.replace(f"{folder}/", "")


@one_server
def test_leak_names_the_policy_or_constraint_that_was_changed_last(
    found: Found, tmp_path: Path
) -> None:
    """No right that is declared is revoked, and drift of its table does not hide a leak."""
    groups_found = found(
        {
            "0002_forget": """
                drop policy own on public.attachments;
                create policy own on public.attachments to support_app
                    using (app.role() is not null);
            """,
            "0003_widen": """
                create policy support on public.notes to support_app
                    using (body <> '' and app.role() is not null);
            """,
            "0004_keys": """
                alter table public.tickets add unique (subject), add unique (id);
                alter table public.attachments drop constraint attachments_ticket_fkey;
                alter table public.attachments add constraint attachments_ticket_fkey
                    foreign key (ticket_id) references public.tickets (id);
            """,
        },
        """
        revoke select on public.attachments from support_app;
        alter table public.attachments add column note text;
        create policy debug on public.memberships for select using (true);
        """,
    )
    change = "-- change {}, in a new migration; {} changed it last: {}"
    fixes = dict(named(group, tmp_path) for group in groups_found)
    assert fixes == {
        "policy own on public.attachments": change.format(
            "policy own on public.attachments",
            "0002_forget.sql:3",
            "its condition uses no column of the row, so it holds for the rows of every tenant",
        ),
        "policy support on public.notes": change.format(
            "policy support on public.notes",
            "0003_widen.sql:2",
            "its condition holds for rows of another tenant",
        ),
        "constraint tickets_subject_key on public.tickets": change.format(
            "constraint tickets_subject_key on public.tickets",
            "0004_keys.sql:2",
            "its values (subject) are unique over all tenants, which tells what another tenant has",
        ),
        "constraint attachments_ticket_fkey on public.attachments": change.format(
            "constraint attachments_ticket_fkey on public.attachments",
            "0004_keys.sql:4",
            "it compares ticket_id alone, so it accepts a row of another tenant",
        ),
        "table public.attachments": "grant select on public.attachments to support_app;",
        "column public.attachments.note": "alter table public.attachments drop column note;"
        "  -- and its values",
        "policy public.memberships.debug": "drop policy debug on public.memberships;",
    }
    assert len(groups_found) == len(fixes)
    exposed = {b.proof.rpartition(" as ")[0]: b.exposed for g in groups_found for b in g.breaches}
    for cell in ("delete.rows, without WHERE", "insert.row"):
        assert re.fullmatch(
            r"\d rows? of public\.attachments of the other tenant",
            exposed[f"public.attachments.{cell}"],
        )
    linked = "public.attachments.insert.row that refers to tickets by ticket_id"
    assert exposed[linked] == "1 row of public.attachments"
    for group in groups_found:
        leaks = [b for b in group.breaches if " in other org" in b.proof]
        assert bool(leaks) != bool(group.intended)


@one_server
def test_leaks_of_many_tables_that_a_changed_function_explains_have_one_cause(
    found: Found, tmp_path: Path
) -> None:
    [group, *more] = found(
        {
            "0002_faster": """
                create or replace function app.member() returns app.member_role language sql stable
                security definer set search_path = pg_catalog, pg_temp as $$
                    select m.role from public.memberships as m
                    where m.user_id = app.user_id() limit 1 $$;
                create or replace function app.role() returns app.member_role language sql stable
                set search_path = pg_catalog, pg_temp as $$ select app.member() $$;
            """,
            "0003_member": """
                create or replace function app.member() returns app.member_role language sql stable
                security definer set search_path = pg_catalog, pg_temp as $$
                    select m.role from public.memberships as m
                    where m.user_id = app.user_id() order by m.role limit 1 $$;
            """,
        }
    )
    assert [(g.object, g.fix, [b.proof for b in g.breaches]) for g in more] == []
    assert {b.subject for b in group.breaches} > {"public.tickets", "public.notes"}
    assert named(group, tmp_path) == (
        "function app.member()",
        "-- change function app.member(), in a new migration; 0003_member.sql:2 changed it last: "
        "the policies that call it let rows of another tenant through",
    )


@one_server
def test_rights_that_a_changed_function_refuses_have_one_cause(
    found: Found, tmp_path: Path
) -> None:
    [group] = found(
        {
            "0002_first": """
                create or replace function app.role() returns app.member_role language sql stable
                security definer set search_path = pg_catalog, pg_temp as $$
                    select m.role from public.memberships as m
                    where m.user_id = app.user_id() and m.account_id = 1 $$;
            """
        }
    )
    assert {b.subject for b in group.breaches} > {"public.tickets", "public.notes"}
    assert named(group, tmp_path) == (
        "function app.role()",
        "-- change function app.role(), in a new migration; 0002_first.sql:2 changed it last: "
        "the policies that call it refuse what rights allow",
    )


@one_server
def test_function_that_uses_what_is_gone_is_broken(found: Found, tmp_path: Path) -> None:
    """A request, a trigger or a policy may call it; no constraint or privilege explains it."""
    setting = "set search_path = pg_catalog, pg_temp"
    groups_found = found(
        {
            "0002_search": f"""
                alter table public.accounts add constraint named check (name <> '');
                create function app.search(wanted text) returns setof bigint {setting}
                language plpgsql as $$ begin return query select a.id from public.accounts as a
                    where a.name = wanted; end $$;
                create function app.count() returns trigger security definer {setting}
                language plpgsql as $$ begin
                    perform from public.accounts as a where a.name = ''; return new; end $$;
                create trigger count_them before insert on public.notes
                    for each row execute function app.count();
                create function app.lower_case(one public.tickets) returns bool {setting}
                language plpgsql as $$ begin return app.lowered(one.subject) is not null; end $$;
                create policy lower_case on public.tickets as restrictive for select
                    using (app.lower_case(tickets));
            """
        },
        "alter table public.accounts rename name to title",
    )
    change = "-- change {}, in a new migration; 0002_search.sql:{} changed it last: it is broken"
    change += ": {}"
    gone = "column a.name does not exist"
    fixes = dict(named(group, tmp_path) for group in groups_found)
    search, count, lower = (
        f"function app.{name}" for name in ("search(text)", "count()", "lower_case(public.tickets)")
    )
    assert {name: fix for name, fix in fixes.items() if name.startswith("function ")} == {
        search: change.format(search, 3, gone),
        count: change.format(count, 6, gone),
        lower: change.format(lower, 11, "function app.lowered(text) does not exist"),
    }
    kinds = {name.partition(" ")[0] for name in fixes}
    assert kinds == {"function", "column", "constraint"}, fixes
    [constraint] = [g for g in groups_found if g.object == "constraint public.accounts.named"]
    assert [b.proof for b in constraint.breaches] == ["drift"]
    assert constraint.fix.startswith("-- column public.accounts.name: in the files and not here; ")


@one_server
@pytest.mark.parametrize("review", [False, True], ids=["without a lock", "not reviewed"])
def test_lines_that_declare_are_all_and_can_be_pasted_together(
    found: Found, tmp_path: Path, *, review: bool
) -> None:
    """Of a new table, and of columns of one that has rights; a leak has none of them."""
    groups_found = found(
        {
            "0002_more": """
                create table public.replies (
                    account_id bigint not null references public.accounts (id),
                    id bigint generated always as identity primary key,
                    title text not null,
                    body text not null
                );
                alter table public.replies enable row level security;
                create policy own on public.replies to support_app
                    using (account_id = app.account_id() and app.role() is not null);
                grant select, delete, insert (account_id, title, body), update (title, body)
                    on public.replies to support_app;
                alter table public.notes add column color text, add column size int;
                grant update (color, size) on public.notes to support_app;
                create table public.events (
                    account_id bigint not null references public.accounts (id),
                    at date not null
                ) partition by list (at);
                create table public.events_2026 partition of public.events default;
                alter table public.events enable row level security;
                create policy own on public.events to support_app
                    using (account_id = app.account_id() and app.role() is not null);
                grant select on public.events, public.events_2026 to support_app;
            """
        },
        review=review,
    )
    [replies, notes] = [
        next(g for g in groups_found if any(b.subject.endswith(name) for b in g.breaches))
        for name in ("public.replies", "public.notes.size" if review else "public.notes")
    ]
    lines = [line for line in replies.intended.splitlines() if not line.startswith("python ")]
    declared = (tmp_path / "isolation.toml").read_text(encoding="utf-8")
    assert tomllib.loads("\n".join((declared, *lines)))["rights"]["replies"] == {
        "select": "owner agent",
        "insert": {"owner agent": ["account_id", "title", "body"]},
        "update": {"owner agent": ["title", "body"]},
        "delete": "owner agent",
    }
    assert replies.fix == "revoke all on public.replies from support_app;"
    both = 'update = { "owner agent" = ["body", "color", "size"] }'
    assert [line for line in notes.intended.splitlines() if " = " in line] == [both]
    leaks = [g for g in groups_found if any(" in other org" in b.proof for b in g.breaches)]
    assert [(g.fix, g.intended) for g in leaks] == [
        ("alter table public.events_2026 enable row level security;", "")
    ]
    assert len(groups_found) == 5, [(g.object, g.fix) for g in groups_found]
