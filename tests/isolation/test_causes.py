"""Causes: one for what one changed object explains, named with the file and line that changed it.

Each project is the help desk of schemas/desk.sql and further files, which the database agrees with.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import Database, one_server

from runner.isolation.report import groups
from runner.isolation.report.groups import Group

from .test_planted_breaches import compared_with, verified

SCHEMAS = Path(__file__).parent / "schemas"
Found = Callable[..., list[Group]]


@pytest.fixture
def found(empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    """A function that applies files after the first one, and then, by hand, a change."""
    shutil.copy(SCHEMAS / "desk.sql", tmp_path / "0001_desk.sql")
    shutil.copy(SCHEMAS / "desk.toml", tmp_path / "isolation.toml")
    with empty_database.connect() as conn:
        conn.execute((SCHEMAS / "desk.sql").read_bytes())

    def apply(files: Mapping[str, str], by_hand: str = "") -> list[Group]:
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
                create policy own on public.attachments to desk_app using (app.role() is not null);
            """,
            "0003_widen": """
                create policy support on public.notes to desk_app
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
        revoke select on public.attachments from desk_app;
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
        "table public.attachments": "grant select on public.attachments to desk_app;",
        "column public.attachments.note": "alter table public.attachments drop column note;"
        "  -- and its values",
        "policy public.memberships.debug": "drop policy debug on public.memberships;",
    }
    assert len(groups_found) == len(fixes)
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
