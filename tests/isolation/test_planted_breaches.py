"""Realistic mistakes: verify names the object, the actor who can exploit it, and the fix.

The fixes are then applied and verify is run again, as a user would, until no breach is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Database, one_server
from promises import PROJECT

from runner.isolation.proof import prove
from runner.isolation.verdict import Breach

ROOT = Path(__file__).parents[2]
GROUPS = 4  # of the mistakes that are made at once
ROUNDS = 2  # of fixes: a revoke may also remove what a file restores
STATEMENT = re.compile(r"(alter|create|drop|grant|revoke) ", re.IGNORECASE)


@dataclass(frozen=True)
class Mistake:
    """A change, what verify must name, and the actor who can exploit it."""

    name: str
    sql: str
    subject: str  # of the breach, or a part of its cause
    actor: str = ""  # if an actor can exploit it, not only a rule detects it
    fixed: bool = True  # by the suggested fixes alone; otherwise a decision is needed
    undo: str = ""  # for changes that outlive the database


MISTAKES = [
    Mistake(
        "a view for a dashboard",
        "create view public.member_emails as select org_id, email, roles from public.users; "
        "grant select on public.member_emails to authenticated",
        subject="public.member_emails",
        fixed=False,
    ),
    Mistake(
        "a policy left from debugging",
        "create policy debug on public.projects for select to authenticated using (true)",
        subject="public.projects",
        actor="MEMBER",
    ),
    Mistake(
        "all privileges, granted to get rid of 'permission denied'",
        "grant all on public.workflows to authenticated",
        subject="public.workflows",
        actor="MEMBER",
    ),
    Mistake(
        "row-level security switched off for an import",
        "alter table public.ai_agents disable row level security",
        subject="public.ai_agents",
        actor="MEMBER",
    ),
    Mistake(
        "a policy that trusts the token",
        "alter policy select_member on public.ai_agents "
        "using (org_id = (select auth.jwt() ->> 'org_id'))",
        subject="public.ai_agents",
        actor="MEMBER",
    ),
    Mistake(
        "an ADMIN who may invite an OWNER",
        "alter policy insert_admin on public.users "
        "with check (org_id = (select app.caller_org_as('OWNER', 'ADMIN')))",
        subject="public.users",
        actor="ADMIN",
    ),
    Mistake(
        "a helper rewritten as in most guides",
        "create or replace function app.caller_org() returns text language sql stable "
        "security definer set search_path = '' "
        "as $$ select org_id from public.users where auth_user_id = auth.uid() $$",
        subject="app.caller_org",
    ),
    Mistake(
        "a helper that trusts the token",
        "create or replace function app.caller_org_as(variadic wanted public.user_role[]) "
        "returns text language plpgsql stable parallel safe security definer "
        "set search_path = pg_catalog, pg_temp as $$ begin return coalesce("
        "auth.jwt() ->> 'org_id', (select u.org_id from public.users as u "
        "where u.auth_user_id = auth.uid() and u.roles && wanted)); end $$",
        subject="app.caller_org_as",
        actor="MEMBER",
    ),
    Mistake(
        "a reference without the organization",
        "alter table public.workflows drop constraint workflows_org_id_approver_id_fkey; "
        "alter table public.users add constraint users_id_key unique (id); "
        "alter table public.workflows add constraint workflows_org_id_approver_id_fkey "
        "foreign key (approver_id) references public.users (id)",
        subject="public.workflows",
    ),
    Mistake(
        "a guard disabled for a bulk load",
        "alter table public.users disable trigger guard_roles",
        subject="public.users",
        actor="ADMIN",
    ),
    Mistake(
        "the last owner no longer protected",
        "drop trigger keep_last_owner on public.users",
        subject="public.users",
        actor="OWNER",
    ),
    Mistake(
        "an audit log that can be changed",
        "alter table public.audit_logs disable trigger keep_audit; "
        "grant update, delete on public.audit_logs to service_role",
        subject="public.audit_logs",
        actor="service_role",
    ),
    Mistake(
        "a new table, like the others but without policies",
        "create table public.invoices (org_id text not null "
        "references public.organizations (id), id text not null, primary key (org_id, id)); "
        "grant select, insert on public.invoices to authenticated",
        subject="public.invoices",
        actor="MEMBER",
        fixed=False,
    ),
    Mistake(
        "a search function for the front end",
        "create function public.search_users(wanted text) returns setof public.users "
        "language sql stable security definer set search_path = pg_catalog, pg_temp "
        "as $$ select * from public.users where email like wanted || '%' $$; "
        "grant execute on function public.search_users(text) to public",
        subject="public.search_users",
    ),
    Mistake(
        "the linked account writable",
        "grant update (auth_user_id) on public.users to authenticated",
        subject="public.users",
        actor="MEMBER",
    ),
    Mistake(
        "new tables readable by anon",
        "alter default privileges in schema public grant select on tables to anon",
        subject="default privileges",
    ),
    Mistake(
        "tenants who may become service_role",
        "grant service_role to authenticated",
        subject="role authenticated",
        undo="revoke service_role from authenticated",
    ),
]


@contextmanager
def planted(database: Database, *mistakes: Mistake) -> Iterator[None]:
    """Make the mistakes; afterwards undo those that outlive the database."""
    with database.connect() as conn:
        conn.execute(f"revoke temporary on database {database.name} from public")
        for mistake in mistakes:
            conn.execute(mistake.sql)
    try:
        yield
    finally:
        with database.connect() as conn:
            for mistake in mistakes:
                if mistake.undo:
                    conn.execute(mistake.undo)


def breaches(database: Database) -> tuple[Breach, ...]:
    """Return the breaches that verify finds."""
    with database.connect(autocommit=True) as conn:
        return prove(conn, PROJECT).breaches


def named(mistake: Mistake, found: Iterable[Breach]) -> list[Breach]:
    """Return the breaches about this mistake."""
    return [b for b in found if mistake.subject in b.subject or mistake.subject in b.cause]


def listed(found: Iterable[Breach]) -> list[str]:
    return [f"{breach.proof}: {breach.subject}" for breach in found]


def assert_named(mistake: Mistake, found: tuple[Breach, ...]) -> None:
    """Assert that the mistake is found with its actor, and that each breach has a fix."""
    about = named(mistake, found)
    assert about, listed(found)
    actors = [breach.actor.upper() for breach in about if breach.sql]
    assert not mistake.actor or [a for a in actors if a.startswith(mistake.actor.upper())], actors
    assert all(breach.fix for breach in found)


def fix(database: Database, found: tuple[Breach, ...]) -> None:
    """Apply the fixes of the breaches that are SQL or psql commands, each once."""
    with database.connect(autocommit=True) as conn:
        for text in dict.fromkeys(breach.fix for breach in found):
            for line in text.splitlines():
                todo = re.sub(r"\s+-- .*", "", line)
                files = re.findall(r"psql -1 -f (sql/\S+\.sql)", todo)
                if files:
                    for file in files:
                        with conn.transaction():
                            conn.execute((ROOT / file).read_text(encoding="utf-8"))
                elif STATEMENT.match(todo) and "..." not in todo:
                    conn.execute(todo)


def fixed(database: Database, found: tuple[Breach, ...]) -> tuple[Breach, ...]:
    """Apply fixes and verify again, up to ROUNDS times; return the remaining breaches."""
    for _ in range(ROUNDS):
        fix(database, found)
        found = breaches(database)
        if not found:
            break
    return found


@one_server
@pytest.mark.parametrize("first", range(GROUPS))
def test_mistakes_are_named_and_their_fixes_work(database: Database, first: int) -> None:
    """Some at once, so that none hides behind all the others."""
    mistakes = MISTAKES[first::GROUPS]
    with planted(database, *mistakes):
        found = breaches(database)
        for mistake in mistakes:
            assert_named(mistake, found)
        left = fixed(database, found)
        needs_decision = [b for m in mistakes if not m.fixed for b in named(m, left)]
        assert not listed(set(left) - set(needs_decision))


def test_all_mistakes_at_once_are_named_and_fixed(database: Database) -> None:
    """On every server; only mistakes that need a decision are left."""
    with planted(database, *MISTAKES):
        found = breaches(database)
        for mistake in MISTAKES:
            assert_named(mistake, found)
        left = fixed(database, found)
        needs_decision = [b for m in MISTAKES if not m.fixed for b in named(m, left)]
        assert not listed(set(left) - set(needs_decision))


def test_unchanged_schema_has_no_breach(database: Database) -> None:
    """Otherwise the tests above would prove nothing."""
    with planted(database):
        assert not breaches(database)
