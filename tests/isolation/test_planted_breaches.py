"""Realistic mistakes: verify names the object, the actor who can exploit it, and the fix.

Every printed fix is then applied, in the order printed, and verify finds no breach.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import SQL_DIR, Database, one_server

from runner.isolation import drift
from runner.isolation.report import groups
from runner.isolation.verdict import Breach, Verdict
from runner.isolation.verify import verify
from runner.migrate.migrator import Migrator
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot

SCHEMAS = Path(__file__).parent / "schemas"
GROUPS = 2  # of the mistakes that are made at once
WEAKENINGS = re.findall(
    r"^-- weakening: (.*)\n-- object: (.*)\n((?:(?!-- ).*\n)+)",
    (Path(__file__).parent / "weakenings.sql").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@dataclass(frozen=True)
class Mistake:
    """A change, what verify must name, and the actor who can exploit it."""

    name: str
    sql: str
    subject: str  # of the breach, or a part of its cause
    actor: str = ""  # if an actor can exploit it, not only a rule detects it
    undo: str = ""  # for changes that outlive the database


MISTAKES = [
    Mistake(
        "a view for a dashboard",
        "create view public.member_emails as select org_id, email, roles from public.users; "
        "grant select on public.member_emails to authenticated",
        subject="public.member_emails",
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
    Mistake(
        "a login that may give its roles away",
        "create role weak_login login noinherit; "
        "grant anon, authenticated to weak_login with admin option",
        subject="weak_login",
        undo="drop role if exists weak_login",
    ),
]


@dataclass(frozen=True)
class Files:
    """Stands for the scratch server of drift: the catalog that the files make, taken once."""

    catalog: Snapshot

    def snapshot_of(self, _files: object, **_: object) -> Snapshot:
        return self.catalog


def compared_with(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    """Let drift compare with the catalog of this database."""
    with database.connect() as conn:
        catalog = snapshot.take(conn)

    @contextmanager
    def scratch(*_: object, **__: object) -> Iterator[Files]:
        yield Files(catalog)

    monkeypatch.setattr(drift, "scratch_server", scratch)


@pytest.fixture
def database(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A clone as the files make it: one has the default privileges of a new database."""
    with database.connect(autocommit=True) as conn:
        conn.execute(f"revoke temporary on database {database.name} from public")
    compared_with(monkeypatch, database)
    return database


def verified(database: Database, change: str = "", sql_dir: Path = SQL_DIR) -> Verdict:
    """Return the verdict after a change."""
    with database.connect(autocommit=True) as conn:
        if change:
            conn.execute(change.encode())
        return verify(Migrator(conn), sql_dir)


def fixed(database: Database, verdict: Verdict, sql_dir: Path = SQL_DIR) -> int:
    """Apply each printed fix in the order printed; assert that no breach is left; count them."""
    printed = [group.fix for group in groups.of(verdict.breaches)]
    # One weakening makes every session start as another role.
    with database.connect(autocommit=True, options="-c role=none") as conn:
        for fix in printed:
            conn.execute(fix.encode())
    left = verified(database, sql_dir=sql_dir)
    assert [(b.proof, b.subject, b.summary, b.fix) for b in left.breaches] == [], printed
    return len(printed)


def undo(database: Database, mistakes: list[Mistake]) -> None:
    """Undo what outlives the database, should a test fail."""
    with database.connect(autocommit=True) as conn:
        for mistake in mistakes:
            if mistake.undo:
                conn.execute(mistake.undo)


def assert_named(mistake: Mistake, found: tuple[Breach, ...]) -> None:
    """Assert that the mistake is found with its actor, and that each breach has a fix."""
    about = [b for b in found if mistake.subject in b.subject or mistake.subject in b.cause]
    assert about, [f"{breach.proof}: {breach.subject}" for breach in found]
    actors = [breach.actor.upper() for breach in about if breach.sql]
    assert not mistake.actor or [a for a in actors if a.startswith(mistake.actor.upper())], actors
    assert all(breach.fix for breach in found)
    assert not [b.fix for b in found if "psql" in b.fix or ".sql" in b.fix]


@one_server
@pytest.mark.parametrize("first", range(GROUPS))
def test_mistakes_are_named_and_every_printed_fix_closes_them(
    database: Database, first: int
) -> None:
    """Some at once, so that none hides behind all the others."""
    mistakes = MISTAKES[first::GROUPS]
    try:
        found = verified(database, "; ".join(mistake.sql for mistake in mistakes))
        for mistake in mistakes:
            assert_named(mistake, found.breaches)
        assert fixed(database, found) >= len(mistakes)
    finally:
        undo(database, mistakes)


def batches() -> list[list[str]]:
    """Return the weakenings, those that name the same object or role in different batches.

    Without those of PostgreSQL's own objects: what they were is in no file.
    """
    found: list[dict[str, str]] = []
    for _, object_, change in WEAKENINGS:
        if "system " in object_ or "extension contents" in object_:
            continue
        names = {object_, *re.findall(r"create role (\w+)|alter policy \w+ on (\S+)", change)}
        batch = next((b for b in found if not any(str(n) in b for n in names)), None)
        if batch is None:
            found.append(batch := {})
        batch |= {str(name): change for name in names}
    return [list(dict.fromkeys(batch.values())) for batch in found]


@one_server
@pytest.mark.parametrize("batch", batches()[:1], ids=lambda batch: f"{len(batch)} weakenings")
def test_every_printed_fix_closes_a_weakening(database: Database, batch: list[str]) -> None:
    try:
        found = verified(database, "\n".join(batch))
        assert fixed(database, found) >= len(batch) // 2, [b.subject for b in found.breaches]
    finally:
        with database.connect(autocommit=True, options="-c role=none") as conn:
            for role in re.findall(r"create role (\w+)", "\n".join(batch)):
                conn.execute(f"drop owned by {role}; drop role {role}".encode())


SHORT = {
    "setting": """
        alter policy own on chain.books using (true);
        alter table chain.loans disable row level security;
        create policy debug on chain.reminders to clerk using (true);
        alter view chain.available set (security_invoker = false);
        grant truncate on chain.books to clerk;
        grant update (name) on chain.languages to clerk;
        create function chain.peek() returns bigint language sql security definer
            set search_path = pg_catalog, pg_temp as 'select count(*) from chain.books';
        grant execute on function chain.peek() to clerk;
        create table chain.copies as select * from chain.books;
        grant select on chain.copies to clerk;
    """,
    "claims": """
        create or replace function clubs.me() returns uuid language sql stable set search_path = ''
            as $$ select coalesce(current_setting('request.jwt.claims', true)::jsonb ->> 'as',
                current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid $$;
        drop policy mine on clubs.seats;
        alter table clubs.posts disable trigger record;
        grant delete on clubs.log to signed_in;
        alter table clubs.posts alter column club_id drop not null;
        create materialized view clubs.totals as select club_id from clubs.posts;
        grant select on clubs.totals to visitor;
    """,
}


@one_server
@pytest.mark.parametrize("name", SHORT)
def test_every_printed_fix_closes_a_breach_of_a_short_isolation_file(
    empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with empty_database.connect() as conn:
        conn.execute((SCHEMAS / f"{name}.sql").read_bytes())
    (tmp_path / f"0001_{name}.sql").write_bytes((SCHEMAS / f"{name}.sql").read_bytes())
    (tmp_path / "isolation.toml").write_bytes((SCHEMAS / f"{name}.toml").read_bytes())
    compared_with(monkeypatch, empty_database)
    assert verified(empty_database, sql_dir=tmp_path).breaches == ()
    found = verified(empty_database, SHORT[name], tmp_path)
    assert fixed(empty_database, found, tmp_path) >= 6
