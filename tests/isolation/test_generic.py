"""Isolation is proven by execution on schemas that this project does not know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from conftest import Server, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.errors import RunnerError, UsageError
from runner.isolation import fixes, server_advisories
from runner.isolation import project as projects
from runner.isolation.probes import generic
from runner.isolation.proof import prove
from runner.isolation.report import export, groups, text
from runner.isolation.rows import snapshot
from runner.isolation.tenancy import config, relations
from runner.isolation.verdict import Verdict
from runner.isolation.verify import verify
from runner.migrate.migrator import Migrator
from runner.preflight import order

SCHEMAS = Path(__file__).parent / "schemas"


@dataclass(frozen=True)
class Project:
    """A schema in an open transaction, and its isolation.toml."""

    connection: Connection[TupleRow]
    config: config.Config

    def prove(self, change: str = "") -> Verdict:
        """Return the verdict after a change, which is undone."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(change.encode())
            return prove(self.connection, projects.of(self.config))


@pytest.fixture(scope="module")
def _databases(server: Server) -> Iterator[dict[str, Project]]:
    with (
        server.database() as first,
        server.database() as second,
        first.connect() as one,
        second.connect() as two,
    ):
        found = {}
        for name, connection in (("setting", one), ("claims", two)):
            connection.execute((SCHEMAS / f"{name}.sql").read_bytes())
            connection.commit()  # or the roles would block other databases
            found[name] = Project(connection, config.read(SCHEMAS / f"{name}.toml"))
        yield found


@pytest.fixture(params=["setting", "claims"])
def project(request: pytest.FixtureRequest, _databases: dict[str, Project]) -> Project:
    return _databases[request.param]


@pytest.fixture
def chain(_databases: dict[str, Project]) -> Project:
    """The schema with the tenant in a setting."""
    return _databases["setting"]


@pytest.fixture
def clubs(_databases: dict[str, Project]) -> Project:
    """The schema with memberships and claims."""
    return _databases["claims"]


def subjects(verdict: Verdict) -> str:
    """Return what the breaches name, without undecided objects."""
    return "\n".join(
        f"{breach.subject} | {breach.cause}"
        for breach in verdict.breaches
        if not breach.proof.startswith("undecided")
    )


@one_server
def test_a_sound_schema_has_no_breach_and_no_untried_cell(project: Project) -> None:
    verdict = project.prove()
    assert [(breach.proof, breach.summary) for breach in verdict.breaches] == []
    assert len(verdict.cells) > 60
    assert all(cell.passed for cell in verdict.cells)
    for command in ("select", "update"):
        of = {c.outcome for c in verdict.cells if (c.command, c.where) == (command, "other")}
        assert "0 of the other's rows" in of
        assert not [o for o in of if o.endswith((" row", " rows")) and "other" not in o]


@one_server
def test_rows_of_the_live_database_are_counted_and_not_shown(chain: Project) -> None:
    verdict = chain.prove("""
        insert into chain.branches (city) values ('Utrecht');
        insert into chain.books (branch_id, isbn, title)
        select max(id), '978-3-16', 'a private title' from chain.branches;
        revoke select on chain.books from clerk;
        grant select (isbn, title) on chain.books to clerk;
        alter policy own on chain.books using (true);
        """)
    exposed = [breach.exposed for breach in verdict.breaches]
    assert [text for text in exposed if "a row that is not of this proof" in text]
    assert not [text for text in exposed if "private" in text or "978-3-16" in text]


@one_server
def test_the_function_before_a_request_is_called_after_the_settings(chain: Project) -> None:
    """As PostgREST does it: policies read what the function has set, not what the client sent."""
    change = """
        create or replace function chain.branch() returns int language sql stable
        as $$ select nullif(current_setting('chain.of_request', true), '')::int $$;
        create function chain.before() returns void language sql
        as $$ select set_config('chain.of_request', current_setting('chain.branch', true), true) $$;
        """
    text = (SCHEMAS / "setting.toml").read_text(encoding="utf-8")
    called = text.replace("[identity]", '[identity]\npre_request = "chain.before"')

    def refused(toml: str) -> set[str]:
        verdict = Project(chain.connection, config.parse(toml)).prove(change)
        return {c.what for c in verdict.cells if c.actor == "clerk" and not c.passed}

    assert {"rows", "title"} <= refused(text)
    assert not {"rows", "title"} & refused(called)


@one_server
def test_what_only_a_superuser_can_try_is_said(chain: Project) -> None:
    assert not [w for w in chain.prove().warnings if "CVE" not in w]
    as_owner = chain.prove(
        "grant clerk to chain_owner; set local session authorization chain_owner"
    )
    assert as_owner.proven, subjects(as_owner)
    assert sum("needs a superuser" in warning for warning in as_owner.warnings) == 1


@one_server
def test_copy_into_a_table_without_row_security_is_named(clubs: Project) -> None:
    """The session is not left waiting for the rows of a COPY that is not refused."""
    found = clubs.prove("""
        create table clubs.posters (club_id uuid not null references clubs.clubs (id), body text);
        grant select, insert (club_id, body) on clubs.posters to signed_in""")
    assert "209_copy_in" in [breach.proof.split()[0] for breach in found.breaches]


@one_server
def test_rows_that_cannot_be_invented_come_from_the_fixture_file(clubs: Project) -> None:
    """And are asked for where there are none; a mistake in it names the file."""
    change = """
        create table clubs.seals (
            club_id uuid not null references clubs.clubs (id), seal text primary key,
            check (seal = md5(club_id::text))
        );
        alter table clubs.seals enable row level security;
        create policy own on clubs.seals for select to signed_in using (club_id in (
            select clubs.mine()));
        grant select on clubs.seals to signed_in;
        """
    right = {"select": (config.Right(("member", "chair")),)}
    declared = replace(clubs.config, rights={**clubs.config.rights, "seals": right})
    without = Project(clubs.connection, declared).prove(change)
    assert "clubs.seals" in subjects(without)
    assert "fixture.sql" in "".join(breach.fix for breach in without.breaches)
    text = "insert into clubs.seals values (:'tenant', md5(:'tenant'))"
    project = Project(clubs.connection, replace(declared, fixture=text))
    assert subjects(project.prove(change)) == ""
    wrong = Project(
        clubs.connection, replace(declared, fixture=f"{text};\n\ninsert into clubs.oops values (1)")
    )
    with pytest.raises(RunnerError, match=r"fixture\.sql.*clubs\.oops") as caught:
        wrong.prove(change)
    assert caught.value.place
    assert str(caught.value.place).endswith("fixture.sql:3:1")


@one_server
def test_rows_of_a_tenant_are_found_by_the_equality_of_a_type_in_another_schema(
    chain: Project,
) -> None:
    """As citext of an extension's schema, which no search_path of ours names; also by reference."""
    types = Path(__file__).parents[1] / "tenant" / "own_types.sql"
    shops = replace(chain.config, tenant_table="own.shops", tenant_column="shop", rights={})
    with chain.connection.transaction(force_rollback=True):
        chain.connection.execute(types.read_bytes())
        chain.connection.execute("set local search_path = pg_catalog")
        found = relations.read(chain.connection, shops)
        for name, count in {"shops": 1, "items": 2, "orders": 2, "parts": 2}.items():
            relation = found.named(f"own.{name}")
            assert relation
            condition = found.belongs(relation, "t", "'ACME'", ())
            text = f"select count(*) from own.{name} as t where {condition}"
            assert chain.connection.execute(text.encode()).fetchone() == (count,), text


@one_server
def test_nothing_remains(chain: Project) -> None:
    before = chain.connection.execute("select count(*) from chain.books").fetchone()
    chain.prove()
    assert chain.connection.execute("select count(*) from chain.books").fetchone() == before
    assert not chain.connection.execute("select from pg_prepared_statements").fetchall()


# Holes that have an object of their own each.
OWN_OBJECTS = (
    ("alter view chain.available reset (security_invoker)", "chain.available"),
    ("alter function chain.find_title(text) security definer", "chain.find_title"),
    (
        "create materialized view chain.popular as select branch_id, count(*) from chain.loans"
        " group by 1; grant select on chain.popular to clerk",
        "chain.popular",
    ),
    (
        "create function chain.remember() returns trigger language plpgsql as $$ begin"
        " perform set_config('chain.last', new.title, false); return null; end $$;"
        "create trigger remember after insert on chain.books for each row"
        " execute function chain.remember()",
        "chain.remember()",
    ),
    (
        "create table chain.feed (id int generated always as identity primary key, said text);"
        "grant select on chain.feed to clerk;"
        "create function chain.tell() returns trigger language plpgsql security definer as $$"
        " begin insert into chain.feed (said) values (new.title); return null; end $$;"
        "create trigger tell after insert on chain.books for each row"
        " execute function chain.tell()",
        "chain.feed",
    ),
    (
        "create function chain.sorted(by text) returns setof chain.books language plpgsql"
        " security definer as $$ begin return query execute 'select * from chain.books where"
        " branch_id = chain.branch() order by ' || by; end $$;"
        "grant execute on function chain.sorted(text) to clerk",
        "chain.sorted",
    ),
    (
        "create function chain.is_lent(book bigint) returns boolean language sql stable"
        " security definer as $$ select exists (select from chain.loans where book_id = book)"
        " $$;"
        "grant execute on function chain.is_lent(bigint) to clerk",
        "chain.is_lent",
    ),
    (
        "set local check_function_bodies = off;"
        "create function chain.lent() returns bigint language sql stable security definer as"
        " $$ select count(*) from loans where branch_id = chain.branch() $$;"
        "grant execute on function chain.lent() to clerk",
        "chain.lent()",  # finds loans by the search path of the caller
    ),
    (
        "create function chain.all_lent() returns bigint language sql stable security definer"
        " as $$ select count(*) from chain.loans $$;"
        "grant execute on function chain.all_lent() to clerk",
        "chain.all_lent()",
    ),
    (
        "create view chain.own_titles as select title from chain.books"
        " where branch_id = chain.branch(); grant select on chain.own_titles to clerk",
        "chain.own_titles",  # no security barrier
    ),
    (
        "create function chain.switch(branch int) returns void language sql as"
        " $$ select set_config('chain.branch', branch::text, true) $$;"
        "grant execute on function chain.switch(int) to clerk",
        "chain.switch",
    ),
)


@one_server
def test_holes_in_objects_of_their_own_are_named_together(chain: Project) -> None:
    found = subjects(chain.prove(";".join(change for change, _ in OWN_OBJECTS)))
    assert [named for _, named in OWN_OBJECTS if named not in found] == []


@one_server
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("alter table chain.books disable row level security", "chain.books"),
        ("create policy more on chain.loans for select to clerk using (days > 0)", "chain.loans"),
        ("alter policy own on chain.books with check (true)", "chain.books"),
        (
            "create policy tidy on chain.books for update to clerk using (true) with check (true)",
            "chain.books",
        ),
        (
            "create policy tidy on chain.reminders for delete to clerk using (body <> '')",
            "chain.reminders",
        ),
        ("alter policy own on chain.reminders using (loan_id is not null)", "chain.reminders"),
        ("grant update on chain.branches to clerk", "chain.branches"),
        ("grant insert on chain.languages to clerk", "chain.languages"),
        ("grant truncate on chain.loans to clerk", "chain.loans"),
        ("grant chain_owner to clerk", "role chain_owner"),
        ("create unique index isbn on chain.books (isbn)", "chain.books"),
        (
            "create or replace function chain.branch() returns int language sql stable"
            " as $$ select coalesce(nullif(current_setting('chain.branch', true), ''), '1')::int"
            " $$",
            "chain.branch()",
        ),
        ("alter role clerk set chain.branch = '1'", "role clerk"),
        ("grant create on schema chain to clerk", "schema chain"),
        ("grant update on sequence chain.books_id_seq to clerk", "chain.books_id_seq"),
    ],
)
def test_a_hole_in_the_setting_schema_is_named(chain: Project, change: str, named: str) -> None:
    assert named in subjects(chain.prove(change))


@one_server
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            "create policy all_read on clubs.posts for select to signed_in using (true)",
            "clubs.posts",
        ),
        (
            "create or replace function clubs.mine(variadic ranks clubs.rank[] default"
            " '{member,chair}') returns setof uuid language sql stable security definer as"
            " $$ select club_id from clubs.seats where person_id = clubs.me() $$",
            "clubs.mine",  # who left still counts, and every rank
        ),
        (
            "create or replace function clubs.me() returns uuid language sql stable as $$ select"
            " coalesce(nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-user',"
            " nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$",
            "clubs.me()",
        ),
        (
            "create or replace function clubs.me() returns uuid language sql stable as $$ select"
            " coalesce(c -> 'user_metadata' ->> 'act_as', c ->> 'sub')::uuid from (select nullif("
            "current_setting('request.jwt.claims', true), '')::jsonb) as claims (c) $$",
            "clubs.me()",
        ),
        (
            "create function clubs.token() returns jsonb language sql stable as $$ select"
            " nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;"
            "create function clubs.claims() returns jsonb language sql stable as $$ select"
            " clubs.token() $$;"
            "grant execute on function clubs.token(), clubs.claims() to signed_in, visitor;"
            "create or replace function clubs.me() returns uuid language sql stable as $$ select"
            " coalesce(clubs.claims() ->> 'acts_for', clubs.claims() ->> 'sub')::uuid $$",
            "clubs.token()",
        ),
        ("alter policy change_own on clubs.posts using (author_id = clubs.me())", "clubs.posts"),
        (
            "alter policy mine on clubs.posts using (club_id in (select clubs.mine()))",
            "clubs.posts",
        ),
        ("alter policy chair on clubs.log using (club_id in (select clubs.mine()))", "clubs.log"),
        ("alter policy chair on clubs.clubs using (id in (select clubs.mine()))", "clubs.clubs"),
        ("alter policy known on clubs.people using (nickname <> '')", "clubs.people"),
        (
            "grant insert on clubs.seats to signed_in; create policy join_in on clubs.seats"
            " for insert to signed_in with check (person_id = clubs.me())",
            "clubs.seats",
        ),
        (
            "grant insert (author_id) on clubs.posts to signed_in; alter policy add on clubs.posts"
            " with check (club_id in (select clubs.mine()))",
            "clubs.posts",
        ),
        (
            "create function clubs.erase(post bigint) returns void language sql security definer"
            " as $$ delete from clubs.posts where id = post $$;"
            "grant execute on function clubs.erase(bigint) to signed_in",
            "clubs.erase",
        ),
        ("alter role signed_in bypassrls", "role signed_in"),
        (
            "grant select on clubs.posts to visitor;"
            "create policy published on clubs.posts for select to visitor using (not draft)",
            "clubs.posts",
        ),
    ],
)
def test_a_hole_in_the_claims_schema_is_named(clubs: Project, change: str, named: str) -> None:
    assert named in subjects(clubs.prove(change))


@one_server
@pytest.mark.parametrize(
    "change",
    [
        "create index on chain.books (branch_id, title)",
        "alter policy own on chain.books using (branch_id = (select chain.branch()))",
        "create policy recent on chain.loans as restrictive for select to clerk using (days < 100)",
        "alter table chain.books force row level security",
        "create table chain.imports (branch_id int not null, raw jsonb)",
        "alter table chain.languages add column flag text",
        "create view chain.lost with (security_invoker = true) as select id, branch_id from"
        " chain.books where lost_at is not null; grant select on chain.lost to clerk",
        "create function chain.count_own() returns bigint language sql stable security definer as"
        " $$ select count(*) from chain.books where branch_id = chain.branch() $$;"
        "grant execute on function chain.count_own() to clerk",
    ],
)
def test_a_harmless_change_raises_no_breach(chain: Project, change: str) -> None:
    assert subjects(chain.prove(change)) == ""


@one_server
def test_a_new_table_within_reach_is_undecided(chain: Project) -> None:
    verdict = chain.prove(
        "create table chain.notes (id int primary key, body text);"
        "grant select on chain.notes to clerk"
    )
    assert [breach.proof for breach in verdict.breaches] == ["undecided.chain.notes"]
    assert verdict.breaches[0].intended.splitlines()[1:] == [
        'shared = ["chain.languages", "chain.notes"]',
        f"# {chain.config.path}",
        '[rights."chain.notes"]',
        'select = "clerk"',
    ]


@one_server
def test_a_table_with_rights_and_without_a_tenant_is_first_to_be_shared(chain: Project) -> None:
    text = (SCHEMAS / "setting.toml").read_text(encoding="utf-8")
    line = 'shared = ["chain.languages"]'
    verdict = Project(chain.connection, config.parse(text.replace(line, ""))).prove()
    [group] = groups.of(verdict.breaches)
    assert group.first.proof == "undecided.chain.languages"
    assert group.intended == f"# isolation.toml: shared of [tenant]\n{line}"
    assert not order.is_sql(group.fix), group.fix


@one_server
def test_a_tenant_may_be_only_a_setting(chain: Project) -> None:
    change = (
        "create schema plain; grant usage on schema plain to clerk;"
        "create table plain.notes (id uuid primary key, branch_id uuid not null, body text);"
        "alter table plain.notes enable row level security;"
        "create policy own on plain.notes to clerk"
        " using (branch_id = nullif(current_setting('chain.branch', true), '')::uuid);"
        "grant select, insert on plain.notes to clerk; drop schema chain cascade;"
    )
    text = (
        '[expose]\nschemas = ["plain"]\n[tenant]\ncolumn = "branch_id"\n'
        '[identity]\nsettings = { "chain.branch" = "{tenant}" }\n[actors]\nclerk = "clerk"\n'
        '[rights]\nnotes = { "select insert" = "clerk" }'
    )
    project = Project(chain.connection, config.parse(text))
    assert subjects(project.prove(change)) == ""
    assert "plain.notes" in subjects(
        project.prove(f"{change} create policy all_read on plain.notes for select using (true)")
    )


@one_server
def test_a_right_that_does_not_work_is_a_breach(clubs: Project) -> None:
    verdict = clubs.prove("revoke delete on clubs.posts from signed_in")
    assert any("may delete in own rows" in breach.summary for breach in verdict.breaches)


@one_server
def test_what_met_no_row_is_neither_passed_nor_to_be_fixed_by_a_statement(chain: Project) -> None:
    right = (config.Right(("clerk",)),)
    commands = dict.fromkeys(("select", "insert", "update", "delete"), right)
    no_row = replace(chain.config, rights={**chain.config.rights, "codes": commands})
    with chain.connection.transaction(force_rollback=True):
        chain.connection.execute("""
            create table chain.codes (
                branch_id int not null references chain.branches (id),
                code text not null check (code = md5(code))
            );
            alter table chain.codes enable row level security;
            create policy own on chain.codes to clerk using (branch_id = chain.branch());
            grant select, insert, update, delete on chain.codes to clerk;
            """)
        found = prove(chain.connection, projects.of(no_row))
        verdict = fixes.complete(found, chain.connection, SCHEMAS)
    cells = [c for c in verdict.cells if c.table == "chain.codes" and c.actor == "clerk"]
    own = [cell for cell in cells if cell.where == "own"]
    assert {c.command for c in own} == {"select", "update", "merge", "delete"}
    assert [(c.allowed, c.passed) for c in own] == [(True, None)] * len(own)
    attacks = [c for c in verdict.checks if c.passed is None]
    assert {c.outcome for c in attacks} == {"not tried: chain.codes has no row to try it with"}
    assert {"101_read_by_key", "109_read_by_ctid", "210_delete"} <= {c.name for c in attacks}
    untried = sum(c.passed is None for c in verdict.cells)
    assert verdict.counts["not_tried"] == untried + len(attacks) >= len(own) + len(attacks)
    page = export.junit(verdict)
    assert page.count("<skipped ") == verdict.counts["not_tried"]
    assert all(b.proof in page for b in verdict.breaches)
    lines = "\n".join(text.verdict_lines(verdict, lambda text, _: text))
    assert lines.partition("chain.codes ")[2].splitlines()[1].count("yes · ✗") == 3
    reasons = {b.cause for b in verdict.breaches if b.proof == "rows.chain.codes"}
    assert all("codes_code_check" in reason for reason in reasons)
    about = [b for b in verdict.breaches if b.proof.startswith(("chain.codes", "rows."))]
    assert {breach.fix for breach in about} == {
        "-- insert a row of chain.codes in isolation/fixture.sql, which runs once for each tenant, "
        ":'tenant'"
    }


@one_server
def test_a_view_that_inserts_by_a_trigger_is_not_tried(chain: Project) -> None:
    verdict = chain.prove(
        "create view chain.entry as select b.id, l.days from chain.books b join chain.loans l"
        " on l.book_id = b.id;"
        "create function chain.enter() returns trigger language plpgsql as"
        " $$ begin return new; end $$;"
        "create trigger enter instead of insert on chain.entry for each row"
        " execute function chain.enter(); grant insert on chain.entry to clerk"
    )
    assert any("could not be tried on chain.entry" in b.summary for b in verdict.breaches)


@one_server
def test_an_accepted_finding_needs_to_occur(chain: Project) -> None:
    text = (SCHEMAS / "setting.toml").read_text(encoding="utf-8")
    accepted = config.parse(
        text
        + '\n[[accept]]\nrule = "truncate"\nobject = "chain.loans"\nbecause = "nightly reset"\n'
    )
    project = Project(chain.connection, accepted)
    assert subjects(project.prove("grant truncate on chain.loans to clerk")) == ""
    assert "chain.loans" in subjects(project.prove())


@one_server
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("books =", "boks =", r"setting\.toml:\d+: there is no table boks"),
        ('"lost_at"]', '"lost"]', "there is no column lost in chain.books"),
        ('clerk = "clerk"', 'clerk = "front_clerk"', "there is no role front_clerk"),
        ('column = "branch_id"', 'column = "tenant"', "no table has a column tenant"),
    ],
)
def test_a_name_that_the_database_lacks_is_an_error(
    chain: Project, old: str, new: str, message: str
) -> None:
    text = (SCHEMAS / "setting.toml").read_text(encoding="utf-8").replace(old, new)
    with pytest.raises(UsageError, match=message):
        Project(chain.connection, config.parse(text, "setting.toml")).prove()


@one_server
def test_a_writer_is_not_blocked(server: Server) -> None:
    """The rows of two tenants lock nothing that other sessions write to."""
    with server.database() as database, database.connect(autocommit=True) as setup:
        with setup.transaction():
            setup.execute((SCHEMAS / "setting.sql").read_bytes())
            setup.execute("insert into chain.branches (city) values ('Oslo')")
        with database.connect() as conn, database.connect() as other:
            project = Project(conn, config.read(SCHEMAS / "setting.toml"))
            with conn.transaction(force_rollback=True):
                project.prove()
                other.execute("set lock_timeout = '1s'")
                try:
                    other.execute("update chain.branches set city = 'Bergen'")
                    other.execute("insert into chain.books (branch_id, isbn, title)"
                                  " values (1, '1', 'One')")  # fmt: skip
                except psycopg.errors.LockNotAvailable:
                    pytest.fail("verify blocks a writer")


@one_server
def test_verify_reads_the_file_beside_the_migrations(server: Server, tmp_path: Path) -> None:
    (tmp_path / "isolation.toml").write_bytes((SCHEMAS / "setting.toml").read_bytes())
    with server.database() as database, database.connect(autocommit=True) as conn:
        with conn.transaction():
            conn.execute((SCHEMAS / "setting.sql").read_bytes())
        verdict = verify(Migrator(conn), tmp_path, only="books")
        assert {cell.table for cell in verdict.cells} == {"chain.books"}
        assert verdict.proven
        assert verdict.facts["database"] == database.name
        assert "chain.books" in export.html(verdict)
        advisories = server_advisories.of_version(conn)
        assert [w for w in verdict.warnings if "CVE-" in w] == advisories
        assert advisories or conn.info.server_version >= 180007
        assert verify(Migrator(conn), tmp_path, only="surface").seconds > 0
        with pytest.raises(UsageError, match="There is no proof called 'boks'"):
            verify(Migrator(conn), tmp_path, only="boks")


@one_server
def test_attacks_are_tried_and_a_role_without_an_actor_is_undecided(clubs: Project) -> None:
    verdict = clubs.prove("alter type clubs.rank add value 'guest'")
    assert [b.proof for b in verdict.breaches] == ["undecided.role guest"]
    assert verdict.breaches[0].fix.startswith("-- add the actor")
    assert verdict.breaches[0].intended.splitlines() == [
        "# " + clubs.config.path + ": add to [actors]",
        'guest = { role = "signed_in", member = "guest" }',
    ]
    assert sum(check.kind == "attack" and check.passed is True for check in verdict.checks) > 25
    leaking = clubs.prove("alter policy chair on clubs.log using (true)")
    attack = next(b for b in leaking.breaches if b.proof == "101_read_by_key")
    assert attack.cause.startswith("policy chair on clubs.log: for select to signed_in using")
    assert attack.fix == "-- compare policy chair of clubs.log"
    assert "public.log" not in "".join(f"{b.cause}{b.fix}" for b in leaking.breaches)


OTHER_ROLES = """
create role of_no_access login; create role of_owners login; grant chain_owner to of_owners;
create role of_clerks login; grant clerk to of_clerks; create role of_boss superuser;
grant select on chain.books to of_owners, of_boss, chain_owner; grant usage on schema chain to
of_no_access; grant select on chain.languages to of_no_access;
create role "of-bot"; create role of_group; create role of_member login;
grant of_group to of_member;
create role of_backup; grant pg_read_all_data to of_backup; create role of_etl bypassrls;
grant insert on chain.loans to public;
grant select, update (title, isbn) on chain.books to "of-bot";
create policy bot on chain.books to "of-bot" using (true);
create policy public_grant on chain.loans for insert to of_group with check (true);
alter policy own on chain.loans to clerk, of_group;
"""


@one_server
def test_a_role_with_access_that_no_actor_has_is_undecided(chain: Project) -> None:
    with chain.connection.transaction(force_rollback=True):
        chain.connection.execute(OTHER_ROLES.encode())
        before = prove(chain.connection, projects.of(chain.config))
        found = {b.subject: b for b in before.breaches if b.proof.startswith("undecided.role")}
        fixes = {subject: breach.fix.splitlines() for subject, breach in found.items()}
        assert fixes == {
            "role of-bot": [
                "drop policy bot on chain.books;",
                'revoke select on chain.books from "of-bot";',
                'revoke update (isbn, title) on chain.books from "of-bot";',
            ],
            "role of_backup": ["revoke pg_read_all_data from of_backup;"],
            "role of_etl": ["alter role of_etl nobypassrls;"],
            "role of_group": [
                "alter policy own on chain.loans to clerk;",
                "drop policy public_grant on chain.loans;",
            ],
        }
        bot = found["role of-bot"]
        for part in ("policy bot on chain.books", "update (isbn, title) on chain.books"):
            assert part in bot.summary, part
        lines = bot.intended.splitlines()
        assert lines[1:4:2] == ['of-bot = "of-bot"', 'select = "clerk of-bot"']
        assert (
            'update = { clerk = ["title", "language", "lost_at"], of-bot = ["isbn", "title"] }'
            in lines
        )
        for breach in found.values():
            chain.connection.execute(breach.fix.encode())
        after = prove(chain.connection, projects.of(chain.config))
        assert not [b for b in after.breaches if b.proof.startswith("undecided.role")]


# What reads a setting that the file does not name, and the value with which it leaks.
COMPARED = {
    "a policy": (
        "create policy support on chain.books for select to clerk"
        " using (current_setting('app.support', true) = 'on')",
        "policy support on chain.books",
        "on",
    ),
    "a helper, in a policy": (
        "create function chain.mode() returns text language sql stable as"
        " $$ select lower(coalesce(current_setting('app.support', true), '')) $$;"
        "create policy support on chain.books for select to clerk"
        " using (chain.mode() in ('staff', 'helper'))",
        "function chain.mode()",
        "staff",
    ),
    "a variable": (
        "create function chain.may() returns boolean language plpgsql stable as $$"
        " declare level int := nullif(current_setting('app.support', true), ''); begin"
        " if level > 7 then return true; end if; return false; end $$;"
        "create policy support on chain.books for select to clerk using (chain.may())",
        "function chain.may()",
        "8",
    ),
    "a view": (
        "create or replace view chain.available as select id, title from chain.books"
        " where branch_id = chain.branch() or current_setting('app.support', true)::boolean",
        "view chain.available",
        "true",
    ),
    "a function": (
        "create function chain.found() returns setof chain.books language sql stable"
        " security definer as $$ select * from chain.books"
        " where current_setting('app.support', true) = 'on' $$;"
        "grant execute on function chain.found() to clerk",
        "function chain.found()",
        "on",
    ),
    "a column": (
        "create policy support on chain.books for select to clerk"
        " using (isbn = current_setting('app.support', true))",
        "policy support on chain.books",
        None,
    ),
}


@one_server
@pytest.mark.parametrize("reads", COMPARED)
def test_a_setting_that_is_not_declared_is_undecided_and_forged(chain: Project, reads: str) -> None:
    change, reader, value = COMPARED[reads]
    verdict = chain.prove(change)
    undecided = [b for b in verdict.breaches if b.proof == "undecided.setting app.support"]
    assert [reader in b.summary for b in undecided] == [True]
    forged = "clerk with forged app.support" + (f" = {value!r}" if value else "")
    crossing = {c.actor for c in verdict.cells if c.where == "other" and not c.passed}
    assert forged in crossing
    text = (SCHEMAS / "setting.toml").read_text(encoding="utf-8")
    declared = text.replace("[identity]", f"[identity]\n{undecided[0].intended}")
    found = Project(chain.connection, config.parse(declared)).prove(change).breaches
    assert found
    assert not [b for b in found if b.proof.startswith("undecided.setting")]
    accepted = text + "".join(
        line.removeprefix("# ").replace("…", "the server") + "\n"
        for line in undecided[0].intended.partition("# [[accept]]")[2].splitlines()
    ).replace("\n", "\n[[accept]]\n", 1)
    verdict = Project(chain.connection, config.parse(accepted)).prove(change)
    assert [w for w in verdict.warnings if "accepted: setting app.support" in w]
    assert not [c for c in verdict.cells if "forged" in c.actor]


COUNTED = """
create materialized view chain.counts as
    select branch_id, count(*) as books from chain.books group by branch_id;
create materialized view chain.doubled as select branch_id, 2 * books as books from chain.counts;
create unique index on chain.counts (branch_id);
alter materialized view chain.counts owner to chain_owner;
alter materialized view chain.doubled owner to chain_owner;
create view chain.of_all as select branch_id, books from chain.doubled;
alter view chain.of_all owner to chain_owner;
create function chain.my_counts() returns setof chain.of_all language sql stable security definer
set search_path = pg_catalog, pg_temp as 'select * from chain.of_all';
grant execute on function chain.my_counts() to clerk;
"""


@one_server
def test_functions_and_views_read_materialized_views_with_rows_of_both_tenants(
    chain: Project,
) -> None:
    leaking = chain.prove(COUNTED)
    assert "chain.my_counts()" in subjects(leaking)
    assert not [b for b in leaking.breaches if b.proof.startswith("rows.")]
    sound = COUNTED.replace(
        "from chain.of_all'", "from chain.of_all where branch_id = chain.branch()'"
    )
    assert chain.prove(sound).breaches == ()
    broken = chain.prove(sound.replace("2 * books", "1 / (books - books)"))
    [breach] = broken.breaches
    assert breach.proof == "rows.chain.doubled"
    assert "chain.my_counts() gives of it was not tried" in breach.summary
    assert breach.cause == "division by zero"
    unread = "create materialized view chain.unread as select 1 / (id - id) as n from chain.books"
    assert [w for w in chain.prove(unread).warnings if "chain.unread could not be refreshed" in w]
    with chain.connection.transaction(force_rollback=True):
        chain.connection.execute(COUNTED.encode())
        beside = generic.prepared(chain.connection, chain.config, exclusive=False).fixture
        snapshot.forget(chain.connection)
    assert [f.relation.name for f in beside.unrefreshed] == ["doubled"]
    assert "A unique index on it" in beside.unrefreshed[0].reason


@one_server
def test_what_the_first_file_left_to_decide_is_not_passed(chain: Project) -> None:
    text = (SCHEMAS / "setting.toml").read_text(encoding="utf-8")
    asked = text.replace("[actors]", "[actors]\n# decide: who is boss?")
    verdict = Project(chain.connection, config.parse(asked)).prove(
        "create function chain.one(name text) returns text language sql stable"
        " as $$ select current_setting('app.' || name, true) $$"
    )
    line = asked.splitlines().index("# decide: who is boss?") + 1
    assert {b.subject: b.proof for b in verdict.breaches} == {
        f"isolation.toml:{line}": "undecided.question",
        "chain.one(name text)": "undecided.setting of chain.one(name text)",
    }


@one_server
def test_a_column_is_tried_alone_where_all_together_are_refused(chain: Project) -> None:
    """The guard of one column would hide what another one changes in the other tenant."""
    verdict = chain.prove("""
        alter policy own on chain.books using (true);
        create function chain.guard() returns trigger language plpgsql as $$ begin
            if old.branch_id is distinct from chain.branch() then raise 'not yours'; end if;
            return new; end $$;
        create trigger guard before update of title, lost_at on chain.books
            for each row execute function chain.guard();
        """)
    crossing = {b.proof for b in verdict.breaches if "changes rows of another" in b.summary}
    written = {proof for proof in crossing if "update" in proof and "WHERE" not in proof}
    assert len(written) == 1


@one_server
@pytest.mark.parametrize(
    "read",
    [
        "{}::jsonb ->> 'org'",
        "cast({} as jsonb) ->> 'org'",
        "jsonb_extract_path_text({}::jsonb, 'org')",
        "({}::jsonb)['org'] #>> '{{}}'",
        "{}::jsonb #>> array['org']",
    ],
)
def test_a_second_setting_is_forged_however_json_is_read(chain: Project, read: str) -> None:
    claims = "nullif(current_setting('app.claims', true), '')"
    found = subjects(
        chain.prove(f"""
            create or replace function chain.branch() returns int language sql stable as $$
                select coalesce(({read.format(claims)})::int,
                    nullif(current_setting('chain.branch', true), '')::int) $$
            """)
    )
    assert "chain.branch()" in found


@one_server
@pytest.mark.parametrize("owner", ["", "set local session authorization chain_owner"])
def test_a_trigger_that_skips_rows_for_one_column_hides_no_other(
    chain: Project, owner: str
) -> None:
    verdict = chain.prove(f"""
        drop policy own on chain.books;
        create policy seen on chain.books for select to clerk using (branch_id = chain.branch());
        create policy changed on chain.books for update to clerk using (true);
        grant update (isbn) on chain.books to clerk;
        create function chain.skip() returns trigger language plpgsql as $$ begin
            if old.branch_id is distinct from chain.branch() then return null; end if;
            return new; end $$;
        create trigger skip before update of title on chain.books
            for each row execute function chain.skip();
        alter table chain.books enable always trigger skip;
        grant clerk to chain_owner;
        {owner}
        """)
    found = {b.proof for b in verdict.breaches if "changes rows of another" in b.summary}
    assert {proof for proof in found if "lost_at, without" in proof}, sorted(found)
    assert not {proof for proof in found if "title" in proof}


@one_server
def test_merge_upsert_and_drop_owned_are_tried(chain: Project) -> None:
    verdict = chain.prove()
    commands = {(cell.command, cell.where) for cell in verdict.cells}
    assert {("merge", "own"), ("merge", "other"), ("upsert", "other")} <= commands
    dropped = [w for w in verdict.warnings if "policies with DROP OWNED BY (tried, and" in w]
    assert bool(dropped) == (chain.connection.info.server_version < 180007)
    assert all(w.startswith("clerk can drop ") for w in dropped)
    leaking = chain.prove(
        "alter policy own on chain.books using (true) with check (true);"
        "alter table chain.books add unique (isbn)"
    )
    assert {"merge", "upsert"} <= {c.command for c in leaking.cells if not c.passed}


@one_server
def test_an_error_about_an_own_row_hides_no_row_of_the_other_tenant(chain: Project) -> None:
    """And what PostgreSQL refuses before it looks at a row is no proof of policies."""
    verdict = chain.prove("""
        create policy seen on chain.books for select to clerk using (true);
        create policy changed on chain.books for update to clerk
            using (true) with check (branch_id <> chain.branch());
        drop policy own on chain.books;
        alter table chain.books add exclude (isbn with =)
        """)
    failed = {(c.command, c.where) for c in verdict.cells if c.actor == "clerk" and not c.passed}
    assert {("update", "other"), ("merge", "other")} <= failed
    assert not [c for c in verdict.cells if c.outcome == "42P10"]  # an upsert names no exclusion
    verdict = chain.prove("revoke execute on function chain.branch() from public, clerk")
    assert not {"merge", "upsert"} & {c.command for c in verdict.cells if c.actor == "clerk"}


@one_server
def test_no_fix_revokes_a_function_that_its_callers_need(
    chain: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda n: n - 1)  # the largest ids there are
    leaks = "".join(
        f"create function chain.city_{name}(wanted int) returns text language sql stable"
        " security definer set search_path = '' as"
        " $$ select city from chain.branches where id = wanted $$;"
        f"grant execute on function chain.city_{name}(int) to clerk;"
        for name in ("policy", "default", "caller", "other")
    )
    verdict = chain.prove(f"""{leaks}
        create policy known on chain.books as restrictive to clerk
            using (chain.city_policy(branch_id) is not null);
        create policy known on chain.loans as restrictive to chain_owner
            using (chain.city_other(branch_id) is not null);
        alter table chain.reminders add city text default chain.city_default(chain.branch());
        create function chain.city() returns text language plpgsql stable set search_path = '' as
            $$ begin return chain.city_caller(chain.branch()); end $$;
        grant execute on function chain.city() to clerk""")
    called = {b.subject: b for b in verdict.breaches if ".execute.call as clerk in" in b.proof}
    assert {name.partition("_")[2]: b.fix for name, b in called.items()} == {
        "policy(wanted integer)": "-- compare function chain.city_policy(wanted integer)",
        "default(wanted integer)": "-- compare function chain.city_default(wanted integer)",
        "caller(wanted integer)": "-- compare function chain.city_caller(wanted integer)",
        "other(wanted integer)": "revoke execute on routine chain.city_other(wanted integer)"
        " from public, clerk;",
    }
    assert all(not b.intended for b in called.values())
    causes = "".join(b.cause for b in called.values())
    assert "they need it for policy known of chain.books" in causes
    assert "they need it for function chain.city()" in causes


@one_server
def test_a_name_of_several_tables_is_not_said_to_be_missing(chain: Project) -> None:
    change = """create schema spare; create schema hidden;
        create table spare.rack (); create table hidden.rack ();
        grant usage on schema spare, hidden to clerk;
        grant select on spare.rack, hidden.rack to clerk"""
    text = (SCHEMAS / "setting.toml").read_text(encoding="utf-8").replace("books =", "rack =")
    project = Project(chain.connection, config.parse(text))
    with pytest.raises(UsageError, match=r"several tables rack: hidden\.rack, spare\.rack$"):
        project.prove(change)
    with pytest.raises(UsageError, match=r"there is no table rack$") as missing:
        project.prove("create schema hidden; create table hidden.ledger ()")
    known = missing.value.hint.partition("\n")[0].removeprefix("Known: ").rstrip(".").split(", ")
    assert known == ["available", "books", "branches", "languages", "loans", "reminders"]
