"""`verify --init` writes an isolation.toml that the next verify can use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Server, one_server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.errors import UsageError
from runner.isolation import draft
from runner.isolation import project as projects
from runner.isolation.draft import Written
from runner.isolation.proof import prove
from runner.isolation.tenancy import config
from runner.isolation.verdict import Verdict

SCHEMAS = Path(__file__).parent / "schemas"
ALL_READ = "create policy all_read on chain.books for select to clerk using (true)"

Draft = Callable[..., tuple[Written, config.Config, Verdict]]


@pytest.fixture(scope="module")
def _databases(server: Server) -> Iterator[dict[str, Connection[TupleRow]]]:
    with (
        server.database() as first,
        server.database() as second,
        first.connect() as one,
        second.connect() as two,
    ):
        for name, connection in (("setting", one), ("claims", two)):
            connection.execute((SCHEMAS / f"{name}.sql").read_bytes())
            connection.commit()  # or the roles would block other databases
        yield {"setting": one, "claims": two}


@pytest.fixture
def write(_databases: dict[str, Connection[TupleRow]], tmp_path: Path) -> Draft:
    """Return a function: the file for a schema after a change, and the next verdict."""

    def written(schema: str, change: str = "") -> tuple[Written, config.Config, Verdict]:
        connection = _databases[schema]
        with connection.transaction(force_rollback=True):
            connection.execute(change.encode())
            result = draft.write(connection, tmp_path)
            found = config.read(result.path)
            return result, found, prove(connection, projects.of(found))

    return written


def problems(verdict: Verdict) -> list[str]:
    return [f"{breach.subject}: {breach.summary}" for breach in verdict.breaches]


@one_server
@pytest.mark.parametrize("schema", ["setting", "claims"])
def test_the_next_verify_names_only_what_is_left_to_decide(write: Draft, schema: str) -> None:
    written, found, verdict = write(schema)
    assert [b.cause for b in verdict.breaches if b.proof != "undecided.question"] == []
    assert [b.cause for b in verdict.breaches] == [f"decide: {q}" for q in written.undecided]
    assert written.leaks == []
    by_hand = config.read(SCHEMAS / f"{schema}.toml")
    assert found.tenant_table == by_hand.tenant_table
    assert found.tenant_column == by_hand.tenant_column
    assert found.shared == by_hand.shared
    assert found.people == by_hand.people
    assert found.actors == by_hand.actors
    assert len(written.text.splitlines()) <= 25 + len(written.undecided)


@one_server
def test_variables_arrays_and_two_spellings_of_a_claim_are_understood(
    connection: Connection[TupleRow], tmp_path: Path
) -> None:
    """In the schema of sql/, whose helpers keep the user in a variable."""
    written = draft.write(connection, tmp_path)
    found = config.read(written.path)
    assert found.tenant_table == "public.organizations"
    assert found.people == config.People("public.users", "auth_user_id", "org_id", "roles")
    assert [name for name, a in found.actors.items() if a.member] == ["OWNER", "ADMIN", "MEMBER"]
    assert found.settings["request.jwt.claims"] == '{"sub": "{user}"}'
    rights = found.rights["organizations"]["update"]
    assert [(r.actors, r.columns) for r in rights] == [(("OWNER",), ("name", "settings"))]
    leaks = {leak.summary for leak in written.leaks}
    assert any("users_email_key" in leak for leak in leaks)  # unique on the whole platform
    assert any("service_role" in leak for leak in leaks)


# A membership without a reference to a table of people: their ids come from elsewhere.
TEAMS = """
drop schema clubs cascade;
create schema teams;
create table teams.teams (id uuid primary key default gen_random_uuid(), name text not null);
create table teams.members (
    team_id uuid not null references teams.teams, user_id uuid not null,
    role text not null check (role in ('lead', 'member')), primary key (team_id, user_id)
);
create table teams.posts (
    id bigint generated always as identity primary key,
    team_id uuid not null references teams.teams, author_id uuid, body text not null
);
create function teams.mine() returns setof uuid language sql stable security definer
set search_path = '' as $$
    select team_id from teams.members
    where user_id = nullif(current_setting('app.user_id', true), '')::uuid
$$;
grant usage on schema teams to signed_in;
grant select on teams.teams, teams.members to signed_in;
grant select, insert, update, delete on teams.posts to signed_in;
alter table teams.teams enable row level security;
alter table teams.members enable row level security;
alter table teams.posts enable row level security;
create policy own on teams.teams to signed_in using (id in (select teams.mine()));
create policy own on teams.members to signed_in using (team_id in (select teams.mine()));
create policy own on teams.posts to signed_in using (team_id in (select teams.mine()));
"""


@one_server
def test_members_of_one_tenant_are_none_of_another_where_requests_name_no_tenant(
    write: Draft,
) -> None:
    written, found, verdict = write("claims", TEAMS)
    assert found.people == config.People("teams.members", "user_id", "team_id", "role")
    assert written.leaks == []
    assert problems(verdict) == []
    written.path.unlink()
    leak = "create policy open on teams.posts for select to signed_in using (body <> '')"
    assert write("claims", f"{TEAMS} {leak}")[0].leaks


@one_server
def test_rights_are_what_works_in_the_own_tenant(write: Draft) -> None:
    """As a person wrote them; what a condition limits is asked."""
    _, found, _ = write("setting")
    assert "lost_at" in str(found.rights["books"]["update"])
    assert "branch_id" not in str(found.rights["books"]["update"])
    assert set(found.rights["branches"]) == {"select"}


@one_server
def test_a_condition_on_rows_is_left_to_a_person(write: Draft) -> None:
    written, found, _ = write("claims")
    assert [r.actors for r in found.rights["log"]["select"]] == [("chair",)]
    for command in ("select", "update", "delete"):
        question = f"which rows? {command} on posts"
        assert any(question in asked for asked in written.undecided), written.undecided
        assert f"# decide: {question}" in written.text
    assert len(written.undecided) == 3


@one_server
@pytest.mark.parametrize(
    ("schema", "change", "named"),
    [
        ("setting", ALL_READ, "chain.books"),
        ("setting", "alter table chain.loans disable row level security", "chain.loans"),
        (
            "claims",
            "grant select on clubs.posts to visitor;"
            "create policy published on clubs.posts for select to visitor using (true)",
            "clubs.posts",
        ),
        ("claims", "alter policy add on clubs.posts with check (true)", "clubs.posts"),
        ("claims", "alter policy change_own on clubs.posts using (true)", "clubs.posts"),
    ],
)
def test_what_works_across_tenants_is_a_leak_and_no_right(
    write: Draft, schema: str, change: str, named: str
) -> None:
    written, found, verdict = write(schema, change)
    assert any(named in leak.subject for leak in written.leaks)
    assert len({leak.summary for leak in written.leaks}) == len(written.leaks)
    assert not any(actor.everywhere for actor in found.actors.values())
    assert "visitor" not in str(found.rights)
    assert any(named in problem for problem in problems(verdict))


@one_server
def test_a_role_that_bypasses_policies_is_asked(write: Draft) -> None:
    written, found, verdict = write(
        "claims",
        "create role clubs_server nologin bypassrls; grant usage on schema clubs to clubs_server;"
        "grant select on clubs.posts to clubs_server;"
        "create role clubs_login login noinherit; grant signed_in, clubs_server to clubs_login",
    )
    assert "clubs_server" not in found.actors
    assert "# decide: clubs_server bypasses row-level security" in written.text
    assert any("clubs_server" in leak.subject for leak in written.leaks)
    assert any("clubs_server" in problem for problem in problems(verdict))


@one_server
def test_a_table_that_leads_to_no_tenant_is_asked(write: Draft) -> None:
    written, found, verdict = write(
        "setting",
        "create table chain.notes (id int primary key, body text);"
        "grant select, insert on chain.notes to clerk",
    )
    assert "# decide: whose are the rows of chain.notes?" in written.text
    assert "chain.notes" not in found.shared
    proofs = {breach.proof for breach in verdict.breaches}
    assert proofs == {"undecided.chain.notes", "undecided.question"}


@one_server
def test_a_claim_without_a_meaning_is_asked(write: Draft) -> None:
    written, found, _ = write(
        "claims",
        "create policy plan on clubs.posts as restrictive for select to signed_in using (coalesce("
        "current_setting('request.jwt.claims', true)::jsonb ->> 'plan', '') <> 'none')",
    )
    assert any("->> 'plan'" in question for question in written.undecided)
    assert "plan" not in found.settings["request.jwt.claims"]


@one_server
def test_a_second_source_of_the_user_is_asked_and_tried_as_forged(write: Draft) -> None:
    written, found, _ = write(
        "claims",
        "create or replace function clubs.me() returns uuid language sql stable as $$ select"
        " coalesce(nullif(current_setting('request.headers', true), '')::jsonb ->> 'x-user',"
        " nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$",
    )
    assert any("request.headers ->> 'x-user'" in asked for asked in written.undecided)
    assert "request.headers" not in found.settings
    assert any("clubs.me()" in leak.subject for leak in written.leaks)


@one_server
def test_a_tenant_may_be_only_a_setting(write: Draft) -> None:
    _, found, verdict = write(
        "setting",
        "create schema plain; grant usage on schema plain to clerk;"
        "create table plain.notes (id uuid primary key, branch_id uuid not null, body text);"
        "alter table plain.notes enable row level security;"
        "create policy own on plain.notes to clerk"
        " using (branch_id = nullif(current_setting('chain.branch', true), '')::uuid);"
        "grant select, insert on plain.notes to clerk; drop schema chain cascade;",
    )
    assert (found.tenant_table, found.tenant_column) == (None, "branch_id")
    assert found.settings == {"chain.branch": "{tenant}"}
    assert problems(verdict) == []


@one_server
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "drop schema chain cascade; create table public.a (id int); create role reader;"
            "grant select on public.a to reader",
            "No column of tenants",
        ),
        ("drop owned by clerk", "No role was granted anything"),
    ],
)
def test_a_database_without_tenants_or_roles_is_an_error(
    write: Draft, tmp_path: Path, change: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        write("setting", change)
    assert not list(tmp_path.iterdir())


@one_server
def test_an_existing_file_is_not_overwritten(write: Draft, tmp_path: Path) -> None:
    (tmp_path / "isolation.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="is not overwritten"):
        write("setting")
    assert (tmp_path / "isolation.toml").read_text(encoding="utf-8") == "mine"


@contextmanager
def _checkout(server: Server, folder: Path, change: str = "") -> Iterator[Checkout]:
    with server.database() as database:
        with database.connect() as connection:
            connection.execute((SCHEMAS / "setting.sql").read_bytes())
            connection.execute(change.encode())
        (folder / "sql").mkdir()
        yield Checkout(folder, database)


@one_server
def test_the_command_writes_the_file_and_says_what_to_do(server: Server, tmp_path: Path) -> None:
    with _checkout(server, tmp_path) as checkout:
        result = checkout.runner("verify", "--init")
        assert result.code == 0, result.err
        assert "isolation.toml (0 to decide, 0 leaks)" in result.out
        again = checkout.runner("verify", "--init")
        assert again.code == 64
        assert "is not overwritten" in again.err
        assert checkout.runner("verify", "--only", "books").code == 0


@one_server
def test_the_command_fails_where_a_leak_is_found(server: Server, tmp_path: Path) -> None:
    with _checkout(server, tmp_path, ALL_READ) as checkout:
        result = checkout.runner("verify", "--init", "--json")
        assert result.code == 4
        document = result.document
        assert Path(document["file"]).name == "isolation.toml"
        assert document["undecided"] == []
        assert "chain.books" in {breach["subject"] for breach in document["breaches"]}


def test_the_command_takes_no_other_option(tmp_path: Path) -> None:
    result = Checkout(tmp_path).runner("verify", "--init", "--only", "users")
    assert result.code == 64
    assert "--init takes no --only" in result.err
