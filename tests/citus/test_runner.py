"""The runner on a Citus cluster: a folder of migrations, and a further source that distributes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from checkout import Checkout, until
from conftest import Database

from citus.conftest import WORKERS, Cluster

TABLES = """\
-- 0001_create_tables
-- Create tenants and their things.

create table if not exists public.tenants (id int primary key);
create table if not exists public.things (
    org_id int not null references public.tenants (id),
    id int not null,
    primary key (org_id, id)
);
create table if not exists public.hold (seconds int not null);
insert into public.tenants select generate_series(1, 20);
insert into public.things select n, n from generate_series(1, 20) as n;
"""
TABLES_BACK = """\
drop table if exists public.hold, public.things, public.tenants;
"""
# Sent as one message, this is refused: cannot insert multiple commands into a prepared statement.
DISTRIBUTE = """\
-- 0001_distribute
-- Distribute both, and change them at once.
-- depends: 0001_create_tables

set local citus.propagate_set_commands = 'local';
do $$
begin
    perform create_distributed_table('public.tenants', 'id', shard_count => 4);
    perform create_distributed_table('public.things', 'org_id', colocate_with => 'tenants');
    -- Else the next statement checks these rows, too, which nothing shows any more.
    perform truncate_local_data_after_distributing_table('public.tenants');
end
$$;
alter table public.things add column if not exists words text;
update public.things set words = 'x; y';
do $$ begin perform pg_sleep(seconds) from public.hold; end $$;
alter table public.things alter column words set not null;
"""
DISTRIBUTE_BACK = """\
alter table public.things drop column if exists words;
do $$
begin
    perform undistribute_table('public.tenants', cascade_via_foreign_keys => true);
end
$$;
"""
LATER = """\
-- 0002_change
-- A column, an index, a policy and a trigger of a distributed table.

alter table public.things add column if not exists due_on date default '2027-01-01';
create index if not exists things_due_on_idx on public.things (org_id, due_on);
alter table public.things enable row level security;
drop policy if exists select_all on public.things;
create policy select_all on public.things for select using (org_id > 0);
create or replace function public.touch() returns trigger language plpgsql
set search_path = pg_catalog, pg_temp
as $$ begin new.due_on := '2027-02-01'; return new; end $$;
set local citus.enable_unsafe_triggers = on;
create or replace trigger touch before update on public.things
for each row execute function public.touch();
update public.things set words = 'z' where org_id = 3;
"""
LATER_BACK = """\
set local citus.enable_unsafe_triggers = on;
drop trigger if exists touch on public.things;
drop function if exists public.touch();
drop policy if exists select_all on public.things;
alter table public.things disable row level security;
alter table public.things drop column if exists due_on;
"""


@pytest.fixture
def checkout(tmp_path: Path, citus_database: Database) -> Checkout:
    checkout = Checkout(tmp_path, citus_database)
    checkout.write(_0001_create_tables=TABLES, _0001_create_tables__rollback=TABLES_BACK)
    checkout.file("sql/citus/0001_distribute.sql", DISTRIBUTE)
    checkout.file("sql/citus/0001_distribute.rollback.sql", DISTRIBUTE_BACK)
    return checkout


def shards(checkout: Checkout) -> int:
    return int(checkout.value("select count(*) from pg_dist_shard"))


def test_overlay_and_later_files_are_applied_and_rolled_back(
    checkout: Checkout, cluster: Cluster
) -> None:
    assert checkout.runner("apply").code == 0
    before = checkout.value("select md5(string_agg(t::text, '' order by t)) from things as t")
    plan = checkout.runner("plan", "--with", "citus", "--json").document
    assert [one["id"] for one in plan["pending"]] == ["citus/0001_distribute"]
    assert plan["pending"][0]["error"] is None
    assert shards(checkout) == 0

    assert checkout.runner("apply", "--with", "citus").code == 0
    again = checkout.runner("apply", "--with", "citus", "--json").document
    assert (again["done"], again["applied"]) == ([], 2)
    assert shards(checkout) == 8
    assert checkout.value("select count(*) from things where words = 'x; y'") == 20

    checkout.write(_0002_change=LATER, _0002_change__rollback=LATER_BACK)
    planned = checkout.runner("plan")
    assert planned.code == 2, planned.err
    applied = checkout.runner("apply", "--json")  # without --with: the database knows its sources
    assert [one["id"] for one in applied.document["done"]] == ["0002_change"], applied.err
    assert checkout.runner("status").code == 0
    assert checkout.value("select due_on::text from things where org_id = 3") == "2027-02-01"

    for worker in range(1, WORKERS + 1):  # the records stay on the coordinator
        rows = cluster.sql(
            worker,
            "select count(*) from pg_class where relnamespace = to_regnamespace('yoyo')",
            database=str(checkout.database and checkout.database.name),
        )
        assert rows == [(0,)]

    rolled_back = checkout.runner("rollback", "--to", "0001", "--json")
    ids = [one["id"] for one in rolled_back.document["done"]]
    assert ids == ["0002_change", "citus/0001_distribute"], rolled_back.err
    assert shards(checkout) == 0
    assert before == checkout.value(
        "select md5(string_agg(t::text, '' order by t)) from things as t"
    )


def test_runner_killed_in_the_middle_of_a_file_leaves_nothing_of_it(
    checkout: Checkout, cluster: Cluster
) -> None:
    assert checkout.runner("apply").code == 0
    checkout.do("insert into public.hold values (600)")
    sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    with checkout.start_runner("apply", "--with", "citus") as process:
        until(lambda: checkout.value(sleeping) == 1)
        process.send_signal(signal.SIGKILL)
    until(lambda: checkout.value(sleeping) == 0)  # the server notices that its client is gone
    assert shards(checkout) == 0
    assert checkout.applied() == ["0001_create_tables"]
    for number in range(WORKERS + 1):
        assert cluster.sql(number, "select count(*) from pg_prepared_xacts") == [(0,)]

    checkout.do("delete from public.hold")
    resumed = checkout.runner("apply", "--with", "citus")
    assert resumed.code == 0, resumed.err
    assert shards(checkout) == 8


def test_errors_and_lock_timeouts_are_as_on_one_server(
    checkout: Checkout, cluster: Cluster
) -> None:
    assert checkout.runner("apply", "--with", "citus").code == 0
    checkout.write(
        _0002_bad="""\
        -- 0002_bad
        alter table public.things add column kept int;

        insert into public.things (org_id, id, words)
            values (1, 1, null);
        select 1;
        """
    )
    failed = checkout.runner("apply", "--json")
    error = failed.document["error"]
    assert (error["sqlstate"], error["line"], error["column"]) == ("23502", 4, 1)
    assert error["state"] == "No changes of 0002_bad were kept."
    checkout.write(_0002_bad="alter table public.things add column kept int;\nselect 1, nope;\n")
    error = checkout.runner("apply", "--json").document["error"]
    assert (error["sqlstate"], error["line"], error["column"]) == ("42703", 2, 11)
    column = "select count(*) from pg_attribute where attname = 'kept' and attnum > 0"
    assert checkout.value(column) == 0

    # A session on a worker, which holds a lock on its shards that the coordinator does not know.
    checkout.write(_0002_bad="alter table public.things add column kept int;\n")
    assert checkout.database
    worker = Database(cluster.node(1), checkout.database.name)
    with worker.connect() as conn:
        conn.execute("select count(*) from public.things")
        busy = checkout.runner("apply", "--lock-timeout", "0.2", "--busy-wait", "0.5", "--json")
        assert busy.document["error"]["sqlstate"] == "55P03"
        checkout.write(
            _0002_bad="-- transactional: false\nalter table public.things add column kept int;\n"
        )
        busy = checkout.runner("apply", "--lock-timeout", "0.2", "--busy-wait", "0.5", "--json")
        assert busy.document["error"]["sqlstate"] == "55P03"
    assert checkout.value(column) == 0
    assert checkout.runner("apply").code == 0


def test_index_outside_a_transaction_and_seeds(checkout: Checkout) -> None:
    checkout.write(
        _0002_index="""\
        -- transactional: false
        create index concurrently if not exists things_words_idx on public.things (org_id, words);
        alter table public.things add column if not exists more int;
        """
    )
    checkout.seed(
        _01_things="""\
        insert into public.tenants values (21) on conflict do nothing;
        insert into public.things (org_id, id, words) values (21, 1, 'a; b'), (21, 2, 'c')
        on conflict (org_id, id) do update set words = excluded.words
        where things.words is distinct from excluded.words;
        """
    )
    applied = checkout.runner("apply", "--with", "citus")
    assert applied.code == 0, applied.err
    assert checkout.value(
        "select indisvalid from pg_index where indexrelid = 'things_words_idx'::regclass"
    )
    for _ in range(2):
        loaded = checkout.runner("seed")
        assert loaded.code == 0, loaded.err
    assert checkout.value("select count(*) from public.things where org_id = 21") == 2


def test_forgotten_tenant_table_is_named_with_its_statements(checkout: Checkout) -> None:
    assert checkout.runner("apply", "--with", "citus").code == 0
    checkout.write(
        _0002_notes="""\
        create table public.notes (
            org_id int not null references public.tenants (id), id int not null,
            primary key (org_id, id), code text unique
        );
        create table public.kinds (id int primary key);
        alter table public.notes enable row level security;
        create policy mine on public.notes using (org_id = (select 1));
        create policy fence on public.notes as restrictive using (true);
        """
    )
    error = checkout.runner("apply", "--json").document["error"]
    assert error["message"].startswith("public.notes has org_id and is not distributed")
    statement = (
        "select create_distributed_table('public.notes', 'org_id', "
        "colocate_with => 'public.tenants');"
    )
    assert error["hint"].splitlines()[1:] == [
        "drop policy fence on public.notes;",
        "-- alter policy mine on public.notes: without a sub-select",
        "-- unique index notes_code_key: with org_id",
        statement,
    ]
    status = checkout.runner("status", "--json")
    assert (status.code, status.document["undistributed"][0]["table"]) == (2, "public.notes")

    checkout.file(
        "sql/citus/0002_distribute_notes.sql",
        "-- depends: 0002_notes\ndrop policy fence on public.notes;\n"
        "alter policy mine on public.notes using (org_id = 1);\n"
        f"alter table public.notes drop constraint notes_code_key;\n{statement}\n",
    )
    applied = checkout.runner("apply")
    assert applied.code == 0, applied.err
    assert checkout.runner("status").code == 0
