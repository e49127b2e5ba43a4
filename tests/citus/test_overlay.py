"""sql/citus/ on a real cluster: isolation, invariants and transactions across nodes."""

from __future__ import annotations

import itertools
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from uuid import uuid4

import psycopg
import pytest
from checkout import ROOT
from conftest import SERVICE, SQL_DIR, Database
from psycopg import Connection, IsolationLevel, errors
from psycopg.rows import TupleRow
from sql.fixture_rows import AWAY, HOME, STRANGER, TABLES, USERS, Org, fill
from sql.test_races import LEAVE, LEVELS, STEP_DOWN, Session

from runner.preflight.diff import difference
from runner.schema import snapshot

from .conftest import SHARDS, WORKERS, Cluster
from .overlay import FILES, ROLLBACKS, apply_base, execute, request, rows, run, value

sys.path.append(str(ROOT / "tests" / "docs"))
from pages import blocks, section

ROW = {
    "organizations": "id",
    "users": "member",
    "projects": "project",
    "workflows": "workflow",
    "ai_agents": "agent",
    "audit_logs": "audit",
}
EVERYTHING = "select count(*), md5(string_agg(t::text, ',' order by t::text)) from public.{} as t"


@pytest.fixture(scope="module")
def template(cluster: Cluster) -> Iterator[str]:
    """A database with the schema, two organizations on two workers, and the overlay."""
    with cluster.database() as made:
        with made.connect(autocommit=True) as conn:
            apply_base(conn)
            with conn.transaction():
                fill(conn)
            run(conn, *FILES)
        with cluster.template(made) as name:
            yield name


@pytest.fixture
def database(cluster: Cluster, template: str) -> Iterator[Database]:
    with cluster.database(of=template) as made:
        yield made


@pytest.fixture
def conn(database: Database) -> Iterator[Connection[TupleRow]]:
    """A superuser's connection to the coordinator, outside a transaction."""
    with database.connect(autocommit=True) as conn:
        yield conn


def contents(conn: Connection[TupleRow]) -> list[object]:
    return [rows(conn, EVERYTHING.format(table)) for table in TABLES]


LATER = """
alter table public.projects add column color text;
create index projects_org_id_color_idx on public.projects (org_id, color);
create policy delete_owner on public.projects for delete to authenticated
using (org_id = app.shard_caller_org_as('OWNER'));
set citus.enable_unsafe_triggers = on;
create trigger color before update on public.projects
for each row execute function app.touch_updated_at();
"""
FORGOTTEN = """
create table public.notes (org_id text, id text, primary key (org_id, id));
create policy tenant_isolation on public.notes as restrictive for all to authenticated
using (org_id = (select app.caller_org()));
"""


def test_files_run_twice_and_roll_back_to_the_schema(citus_database: Database) -> None:
    with citus_database.connect(autocommit=True) as conn:
        apply_base(conn)
        with conn.transaction():
            fill(conn)
        before, held = snapshot.take(conn), contents(conn)
        for _ in range(2):
            run(conn, *FILES)
        assert contents(conn) == held
        for table in ("public.users", "public.audit_logs", "app.accounts"):
            assert value(conn, f"select pg_relation_size('{table}')") == 0  # all rows have moved
        # As later files of sql/ may be: one that Citus takes to the shards, one that it does not.
        for statement in filter(str.strip, LATER.split(";")):
            conn.execute(statement.encode())
        conn.execute("select app.check_distribution()")
        for statement in filter(str.strip, FORGOTTEN.split(";")):
            conn.execute(statement.encode())
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as raised:
            conn.execute("select app.check_distribution()")
        assert "public.notes is on the coordinator only" in str(raised.value)
        assert "create_distributed_table('public.notes', 'org_id'" in str(raised.value)
        assert "tenant_isolation on public.notes is restrictive" in str(raised.value)
        assert "tenant_isolation on public.notes has a sub-select" in str(raised.value)
        conn.execute("drop table public.notes")
        conn.execute("drop trigger color on public.projects")
        conn.execute("drop policy delete_owner on public.projects")
        conn.execute("alter table public.projects drop column color")
        for _ in range(2):
            run(conn, *ROLLBACKS)
        assert difference(before, snapshot.take(conn)) == []
        assert contents(conn) == held


def test_recipe_for_a_new_table_distributes_it(conn: Connection[TupleRow]) -> None:
    """docs/scale.md, with a table as `new --table` writes it."""
    table = (SQL_DIR / "isolation" / "new_table.sql").read_text(encoding="utf-8")
    [recipe, _] = blocks(section(ROOT / "docs" / "scale.md", "Later migrations"), "sql")
    with conn.transaction():
        execute(conn, table.replace("new_things", "notes"))
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        conn.execute("select app.check_distribution()")
    for _ in range(2):
        with conn.transaction():
            execute(conn, recipe)
    conn.execute("select app.check_distribution()")
    insert = "insert into public.notes (org_id, project_id, name) values (%s, %s, 'Note')"
    with request(conn, HOME.caller("owner")):
        conn.execute(insert, [HOME.id, HOME.row("project")])
        conn.execute("update public.notes set name = 'Changed' where org_id = %s", [HOME.id])
    for target in (AWAY, HOME):
        with pytest.raises(errors.InsufficientPrivilege), request(conn, AWAY.caller("owner")):
            assert value(conn, "select count(*) from public.notes") == 0
            conn.execute(insert, [HOME.id, target.row("project")])
    log = "select action, actor_id from public.audit_logs where target_type = 'notes' order by id"
    assert sorted(rows(conn, log)) == [("insert", HOME.row("owner")), ("update", HOME.row("owner"))]


def test_check_names_what_differs_on_a_shard(conn: Connection[TupleRow]) -> None:
    single = "function app.caller_org() is written for a single server"
    faults = {
        "policies of public.projects differ on 8": "drop policy select_member on %s",
        "row-level security of public.projects": "alter table %s disable row level security",
        "triggers of public.projects": "alter table %s disable trigger user",
        "privileges of public.projects": "grant delete on %s to authenticated",
    }
    for fault in faults.values():
        conn.execute("select run_command_on_shards('public.projects', %s)", [fault])
    run(conn, SQL_DIR / "0006_create_caller_helpers.sql")
    with pytest.raises(errors.ObjectNotInPrerequisiteState) as raised:
        conn.execute("select app.check_distribution()")
    assert [fault for fault in (*faults, single) if fault not in str(raised.value)] == []


# crossing ----------------------------------------------------------------------------------------


def tries(target: Org, caller: Org) -> Iterator[str]:
    """Statements that a tenant sends to reach rows of another organization."""
    for table in TABLES:
        key = "id" if table == "organizations" else "org_id"
        row = target.id if table == "organizations" else target.row(ROW[table])
        own = caller.id if table == "organizations" else caller.row(ROW[table])
        column = {"workflows": "status", "ai_agents": "type", "audit_logs": "action"}.get(
            table, "name"
        )
        new = {
            "organizations": f"(id, name) values ('{target.id}', 'intruder')",
            "users": f"(org_id, email, name) values ('{target.id}', 'in@truder.test', 'intruder')",
            "projects": f"(org_id, name) values ('{target.id}', 'intruder')",
            "workflows": "(org_id, project_id, gate) values"
            f" ('{target.id}', '{target.row('project')}', 'G1')",
            "ai_agents": f"(org_id, type) values ('{target.id}', 'intruder')",
            "audit_logs": "(org_id, actor_id, action) values"
            f" ('{target.id}', '{target.row('member')}', 'intruded')",
        }[table]
        select = f"select to_jsonb(t)::text from public.{table} as t"
        update = f"update public.{table} as t set {column} = {column}"
        back = "returning *"
        yield f"{select} where t.{key} = '{target.id}'"
        yield f"{select} where t.id = '{row}'"
        yield select
        yield f"{select} where t.{key} in ('{caller.id}', '{target.id}')"
        yield f"select string_agg(to_jsonb(t)::text, ' ') from public.{table} as t"
        yield (
            f"{select} inner join public.users as u on u.org_id = t.{key}"
            f" where u.org_id = '{target.id}'"
        )
        yield f"{select} where t.{key} = '{target.id}' for update"
        yield f"{update} where {key} = '{target.id}' {back}"
        yield f"{update} where id = '{row}' {back}"
        yield f"{update} {back}"
        yield f"update public.{table} as t set {key} = '{target.id}' where t.id = '{own}' {back}"
        yield f"insert into public.{table} as t {new} {back}"
        yield f"with t as (insert into public.{table} {new} returning *) select * from t"
        yield f"delete from public.{table} as t where {key} = '{target.id}' {back}"
    for what in ("users", "projects", "workflows"):  # a row of the own with another's reference
        yield (
            "insert into public.workflows as t (org_id, project_id, gate) values"
            f" ('{caller.id}', '{target.row(ROW[what])}', 'G1') returning *"
        )


def cross(conn: Connection[TupleRow]) -> tuple[Counter[str], list[str]]:
    """Send all tries as five callers of each organization; return their ends and what crossed."""
    ends: Counter[str] = Counter()
    crossed = []
    for caller, target in ((HOME, AWAY), (AWAY, HOME)):
        people = [caller.caller(name) for name in ("owner", "admin", "member", "unlinked")]
        for who, statement in itertools.product([*people, STRANGER], tries(target, caller)):
            end, seen = "done", ""
            try:
                with request(conn, who):
                    seen = str(rows(conn, statement))
            except psycopg.Error as error:
                end, seen = str(error.sqlstate), f"{error} {error.diag.message_detail}"
            ends[end] += 1
            found = f" of {target.name}" in seen or (end == "done" and target.id in seen)
            if found or "intrude" in (seen if end == "done" else ""):
                crossed.append(f"{who.name}: {statement}: {seen}")
    return ends, crossed


def test_no_statement_crosses_organizations_before_or_after_a_rebalance(
    cluster: Cluster, template: str, database: Database, conn: Connection[TupleRow]
) -> None:
    held = contents(conn)
    before, crossed = cross(conn)
    assert crossed == []
    assert contents(conn) == held
    # Refused by policy, privilege or constraint; only a move between organizations by Citus itself.
    assert set(before) <= {"done", "42501", "23503", "0A000"}
    assert before["0A000"] <= 2 * 5 * len(TABLES)
    assert before.total() - before["0A000"] >= 760

    third = cluster.add_node()
    try:
        for name in (template, database.name):  # a copy still names the original among its objects
            cluster.sql(third, f"create database {name}")
        # No TCP port is open for the connections of the coordinator to itself.
        cluster.sql(0, f"alter system set citus.local_hostname = '{cluster.folder}'")
        cluster.sql(0, "select pg_reload_conf()")
        cluster.add_worker(database, third)
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="privileges differ on"):
            conn.execute("select app.check_distribution()")
        conn.execute("select app.protect_nodes()")
        conn.execute("select rebalance_table_shards(shard_transfer_mode => 'block_writes')")
        nodes = rows(
            conn, "select distinct nodeport from citus_shards where shard_size is not null"
        )
        assert len(nodes) == WORKERS + 2  # app.accounts is on the coordinator, too
        conn.execute("select app.check_distribution()")
        after, crossed = cross(conn)
        assert crossed == []
        assert contents(conn) == held
        assert after == before
    finally:
        cluster.kill(third)
        cluster.count -= 1
        shutil.rmtree(cluster.folder / f"node{third}")


def test_workers_know_no_caller_without_the_claims_of_this_transaction(
    conn: Connection[TupleRow],
) -> None:
    owner = HOME.caller("owner")
    count = "select count(*) from public.projects"
    with request(conn, owner):
        assert value(conn, count) == 2
    with conn.transaction():
        conn.execute("set local role authenticated")
        assert value(conn, count) == 0
        conn.execute("select set_config('request.jwt.claims', %s, true)", [owner.claims])
        assert value(conn, count) == 0


# invariants --------------------------------------------------------------------------------------

PAIRS = {
    "stepping down": (STEP_DOWN, STEP_DOWN, "owner", "other_owner"),
    "deleted": (LEAVE, LEAVE, "service", "service"),
    "mixed": (STEP_DOWN, LEAVE, "owner", "service"),
}


def test_concurrent_removal_of_two_owners_leaves_one(
    database: Database, conn: Connection[TupleRow]
) -> None:
    owners = "select id from public.users where org_id = %s and 'OWNER' = any (roles)"
    kept = 0
    for level, pair in itertools.product(LEVELS, PAIRS):
        _restore_owners(conn)
        first_removal, second_removal, *callers = PAIRS[pair]
        error = _race(database, conn, level, (first_removal, second_removal), callers)
        assert len(rows(conn, owners, [HOME.id])) == 1, (level, pair)
        assert error is None or error.sqlstate in ("23514", "40001", "42501"), error
        kept += 1
    assert kept == 9


def _restore_owners(conn: Connection[TupleRow]) -> None:
    """Make both users owners again, without the rows that would prevent their deletion."""
    with conn.transaction():
        conn.execute("update public.workflows set status = 'pending'")
        conn.execute("select app.allow_retention()")
        conn.execute("delete from public.audit_logs")
        for name in ("owner", "other_owner"):
            conn.execute(
                "insert into public.users (org_id, id, email, name, roles, auth_user_id)"
                " values (%s, %s, %s, 'Owner', '{OWNER}', %s)"
                " on conflict (org_id, id) do update set roles = excluded.roles",
                [HOME.id, HOME.row(name), f"{name}@home.test", HOME.auth(name)],
            )
        conn.execute("delete from public.audit_logs")


def _race(
    database: Database,
    watcher: Connection[TupleRow],
    level: IsolationLevel,
    removals: tuple[str, str],
    callers: list[str],
) -> psycopg.Error | None:
    """Let two transactions remove one owner each; return the error of the second, if any."""
    with database.connect() as first, database.connect() as second:
        texts = []
        names = ("owner", "other_owner")
        for conn, removal, name, caller in zip(
            (first, second), removals, names, callers, strict=True
        ):
            who = SERVICE if caller == "service" else HOME.caller(caller)
            conn.isolation_level = level
            conn.execute(f"set local role {who.role}")
            conn.execute("select set_config('request.jwt.claims', %s, true)", [who.claims])
            conn.execute("select app.pre_request()")
            texts.append(removal.format(org=HOME.id, id=HOME.row(name)))
            rows(conn, "select count(*) from public.users where org_id = %s", [HOME.id])
        assert first.execute(texts[0].encode()).rowcount == 1
        waiting = Session(second, texts[1])
        while not waiting.done and not rows(watcher, "select from citus_lock_waits"):
            pass
        first.commit()
        waiting.join()
        if waiting.error is None:
            try:
                second.commit()
            except psycopg.Error as error:
                waiting.error = error
        second.rollback()
        return waiting.error


BY_TENANTS = (
    "select app.invite({email}, 'Copy')",
    "insert into public.users (org_id, email, name) values ({org}, {email}, 'Copy')",
)
BY_OTHERS = (
    "select app.add_user({org}, {email}, 'Copy')",
    "select app.add_user({org}, {free}, 'Copy', auth_user_id => {account})",
    "select app.link_user({org}, {user}, {account})",
    "insert into public.users (org_id, email, name) values ({org}, {email}, 'Copy')",
    "insert into public.users (org_id, email, name) values ({org}, {email}, 'Copy');"
    " select app.sync_accounts()",
    "insert into public.users (org_id, email, name, auth_user_id)"
    " values ({org}, {free}, 'Copy', {account})",
    "insert into app.accounts (org_id, user_id, email) values ({org}, 'x', {email})",
    "insert into app.accounts (org_id, user_id, email, auth_user_id)"
    " values ({org}, 'x', {free}, {account})",
    "update public.users set email = {email} where org_id = {org} and id = {user}",
    "update public.users set auth_user_id = {account} where org_id = {org} and id = {user}",
    "update app.accounts set email = {email} where user_id = {user}",
    "update app.accounts set auth_user_id = {account} where user_id = {user}",
)


def test_address_and_account_are_unique_for_every_role(conn: Connection[TupleRow]) -> None:
    """A tenant, the platform and a superuser give a user what one of another organization has."""
    names = {
        "org": f"'{HOME.id}'",
        "user": f"'{HOME.row('other_member')}'",
        "email": "'member@away.test'",
        "account": f"'{AWAY.auth('member')}'",
        "free": "'free@home.test'",
    }
    everything = (*(EVERYTHING.format(table) for table in TABLES), "table app.accounts")
    held = [sorted(rows(conn, text)) for text in everything]
    for role, texts in (
        ("authenticated", BY_TENANTS),
        ("service_role", BY_OTHERS),
        ("", BY_OTHERS),
    ):
        for text in texts:
            who = HOME.caller("owner") if role == "authenticated" else SERVICE
            with pytest.raises(psycopg.Error) as refused, request(conn, who):
                if not role:
                    conn.execute("reset role")
                for statement in text.format(**names).split(";"):
                    conn.execute(statement.encode())
            # A constraint that is checked at the end is reported without its SQLSTATE.
            assert refused.value.sqlstate in ("23505", "23503", "XX000"), (role, text, refused)
    assert [sorted(rows(conn, text)) for text in everything] == held
    # With values that are free, both functions work, and for members neither.
    with request(conn, HOME.caller("admin")):
        conn.execute("select app.invite('first@home.test', 'New')")
    with request(conn, SERVICE):
        conn.execute("select app.add_user(%s, 'second@home.test', 'New')", [HOME.id])
        conn.execute("select app.link_user(%s, %s, %s)", [HOME.id, HOME.row("unlinked"), uuid4()])
    insert = "insert into public.users (org_id, email, name) values (%s, %s, 'New')"
    with request(conn, SERVICE):  # as seeds do; the account of a user who is gone goes, too
        for email, org in (("third@home.test", HOME), ("fourth@away.test", AWAY)):
            conn.execute(insert, [org.id, email])
        conn.execute("insert into app.accounts values ('gone@home.test', %s, 'gone')", [HOME.id])
        conn.execute("select app.sync_accounts()")
    agree = "select org_id, {}, email, auth_user_id from {} order by 1, 2"
    users = rows(conn, agree.format("id", "public.users"))
    assert users == rows(conn, agree.format("user_id", "app.accounts"))
    assert len(users) == 2 * len(USERS) + 4
    for refused_to in (HOME.caller("member"), STRANGER):
        with pytest.raises(errors.InsufficientPrivilege), request(conn, refused_to):
            conn.execute("select app.invite('fifth@home.test', 'New')")


# across nodes ------------------------------------------------------------------------------------

LOADERS, TRANSACTIONS = 4, 1000


def test_killed_worker_leaves_no_transaction_in_part(
    cluster: Cluster, database: Database, conn: Connection[TupleRow]
) -> None:
    organizations = _organizations_on_both_workers(conn)
    audit = "select count(*) from public.audit_logs where target_type = 'projects'"
    audited = int(str(value(conn, audit)))
    kept: list[str] = []
    failed: list[str] = []
    enough, dead = threading.Event(), threading.Event()

    def load() -> None:
        while not enough.is_set():
            with suppress(psycopg.Error), database.connect(autocommit=True) as each:
                while not enough.is_set():
                    name = f"load {uuid4()}"
                    try:
                        with request(each, SERVICE):
                            for organization in organizations:
                                each.execute(
                                    "insert into public.projects (org_id, name) values (%s, %s)",
                                    [organization, name],
                                )
                    except psycopg.Error:
                        failed.append(name)
                        dead.set()
                        raise
                    kept.append(name)

    threads = [threading.Thread(target=load) for _ in range(LOADERS)]
    for thread in threads:
        thread.start()
    try:
        for worker in (1, 2):
            _until(lambda: len(kept) >= worker * TRANSACTIONS // 3)  # noqa: B023
            dead.clear()
            cluster.kill(worker)
            _until(dead.is_set)
            cluster.revive(worker)
        _until(lambda: len(kept) >= TRANSACTIONS)
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert failed, "no transaction was interrupted"

    for _ in range(WORKERS):  # the first use of a connection to a worker that was killed fails
        with suppress(psycopg.Error):
            conn.execute("select recover_prepared_transactions()")
    _until(lambda: value(conn, "select recover_prepared_transactions()") == 0)
    count = "select name, count(*) from public.projects where name like 'load %' group by 1"
    found: dict[str, int] = dict(rows(conn, count))
    assert len(kept) >= TRANSACTIONS
    assert [name for name in kept if found.get(name) != len(organizations)] == []
    assert {found.get(name, 0) for name in failed} <= {0, len(organizations)}
    assert int(str(value(conn, audit))) - audited == sum(found.values())
    prepared = "select count(*) from pg_prepared_xacts where database = current_database()"
    assert [cluster.sql(node, prepared, database=database.name) for node in range(WORKERS + 1)] == [
        [(0,)]
    ] * (WORKERS + 1)


def _organizations_on_both_workers(conn: Connection[TupleRow]) -> list[str]:
    """Add organizations until there are three that are not all on one worker; return their ids."""
    place = """
        select p.groupid from pg_dist_placement as p
        where p.shardid = get_shard_id_for_distribution_column('public.projects', %s::text)
    """
    found: dict[str, object] = {}
    while len(found) < 3 or len(set(found.values())) < 2:
        id_ = str(
            value(conn, "insert into public.organizations (name) values ('Load') returning id")
        )
        found = dict([*found.items(), (id_, value(conn, place, [id_]))][-3:])
    return list(found)


def _until(reached: Callable[[], bool]) -> None:
    while not reached():
        threading.Event().wait(0.01)


def test_literal_organization_is_one_task(conn: Connection[TupleRow]) -> None:
    queries = {
        f"select name from public.projects where org_id = '{HOME.id}'": 1,
        f"select name from public.projects where org_id = '{HOME.id}' and id = 'x'": 1,
        "select p.name, w.gate from public.projects as p inner join public.workflows as w"
        " on w.org_id = p.org_id and w.project_id = p.id"
        f" where p.org_id = '{HOME.id}'": 1,
        f"update public.projects set name = name where org_id = '{HOME.id}'": 1,
        "select name from public.projects order by name": SHARDS,
        "select p.name, w.gate from public.projects as p inner join public.workflows as w"
        " on w.org_id = p.org_id and w.project_id = p.id order by 1, 2": SHARDS,
        "update public.projects set name = name": SHARDS,
    }
    with request(conn, HOME.caller("owner")):
        for query, tasks in queries.items():
            [[plan]] = rows(conn, f"explain (format json) {query}")
            assert f"'Task Count': {tasks}," in str(plan), query
        results = [rows(conn, query) for query in queries if query.startswith("select")]
        assert results[0] and sorted(results[0]) == results[3]
        assert results[2] and sorted(results[2]) == results[4]


def test_owner_removes_an_organization(conn: Connection[TupleRow]) -> None:
    """No other role deletes from the log, and a setting of another transaction is no use."""
    delete = "delete from public.audit_logs where org_id = %s"
    with conn.transaction():
        conn.execute("select app.allow_retention()")
        left = value(conn, "select current_setting('app.audit_retention')")
    with pytest.raises(errors.CheckViolation), conn.transaction():
        conn.execute("set local citus.propagate_set_commands = 'local'")
        conn.execute(f"set local app.audit_retention = '{left}'")
        conn.execute(delete, [AWAY.id])
    with pytest.raises(errors.InsufficientPrivilege), request(conn, SERVICE):
        conn.execute("select app.allow_retention()")
    with conn.transaction():
        conn.execute("select app.allow_retention()")
        conn.execute("delete from public.organizations where id = %s", [AWAY.id])
        for table in reversed(TABLES[1:]):
            conn.execute(f"delete from public.{table} where org_id = %s", [AWAY.id])
        conn.execute("delete from app.accounts where org_id = %s", [AWAY.id])
    assert [
        rows(conn, f"select * from public.{table} where org_id = %s", [AWAY.id])
        for table in TABLES[1:]
    ] == [[]] * 5
