"""What a statement changes in the catalog is found without reading all of it."""

from __future__ import annotations

import re

from conftest import Database, one_server
from pytest import MonkeyPatch

from runner.files import statements
from runner.postgres.connection import Connection
from runner.preflight import catalog_changes
from runner.preflight.catalog_changes import CatalogChanges, take
from runner.queries import query
from runner.schema import snapshot
from runner.schema.snapshot import Snapshot

# Each changes a fact of an object that exists already, of many kinds.
KINDS = """
create schema more;
create table more.parents (id bigint generated always as identity primary key, name text);
create table more.children (id serial primary key, parent bigint references more.parents, at date);
grant usage on sequence more.parents_id_seq to anon;
grant select (name) on more.parents to authenticated;
comment on column more.parents.name is 'a';
comment on constraint children_parent_fkey on more.children is 'b';
create index children_at_idx on more.children (at);
comment on index more.children_at_idx is 'c';
alter table more.children add column kind text default 'x' check (kind <> '');
alter table more.children alter column kind set not null;
alter table more.children alter column kind type varchar(9);
alter sequence more.children_id_seq increment by 5;
alter table more.parents alter column id set cache 5;
alter table more.parents replica identity full;
alter table more.parents set (fillfactor = 70);
create type more.mood as enum ('good');
alter type more.mood add value 'bad';
create type more.pair as (a int);
alter type more.pair add attribute b text;
create domain more.word as text check (value <> '');
alter domain more.word add constraint short check (length(value) < 9);
comment on constraint short on domain more.word is 'd';
alter domain more.word set not null;
create table more.logs (at date not null, word more.word) partition by range (at);
create table more.logs_1 partition of more.logs for values from ('2020-01-01') to ('2021-01-01');
create index logs_at_idx on more.logs (at);
create table more.heirs () inherits (more.parents);
create view more.names as select name from more.parents;
create or replace view more.names as select name, id from more.parents;
create rule quiet as on delete to more.children do instead nothing;
create statistics more.both (dependencies) on parent, at from more.children;
comment on statistics more.both is 'j';
create cast (more.pair as text) with inout;
comment on cast (more.pair as text) is 'k';
create foreign data wrapper w;
create server s foreign data wrapper w;
create foreign table more.far (a int options (b '1'), c int) server s;
alter foreign table more.far alter column a options (set b '2');
comment on server s is 'l';
drop foreign data wrapper w cascade;
create function more.f() returns trigger language plpgsql as 'begin return new; end';
create or replace function more.f() returns trigger language plpgsql as 'begin end';
comment on function more.f() is 'e';
create trigger t before insert on more.children for each row execute function more.f();
comment on trigger t on more.children is 'f';
alter table more.children disable trigger t;
alter table more.parents disable trigger all;
alter table more.parents enable trigger all;
alter table more.children enable row level security;
create policy p on more.children using (parent = (select min(id) from more.parents));
comment on policy p on more.children is 'g';
alter policy p on more.children using (true);
drop policy p on more.children;
alter table more.parents rename column name to title;
alter table more.parents rename to elders;
alter table more.children drop column at;
do $$ begin alter table more.elders rename title to label; end $$;
do $$ begin execute 'alter table more.elders ren' || 'ame label to title'; end $$;
create function more.ren(a text, b text) returns int language plpgsql set search_path = more as
    'begin execute format(''alter %s rename %s'', a, b); return 1; end';
create view more.moods as select 'good'::more.mood as mood, title from more.elders;
create table more.filled as select 1 as ren where more.ren('table elders', 'title to l1') = 0;
values (more.ren('table elders', 'to parents'));
do $$ declare x int; begin x := more.ren('type mood', 'value ''good'' to ''fine'''); end $$;
create function more.g() returns trigger language plpgsql as
    'begin new.ren := more.ren(''type mood'', ''to feeling''); return new; end';
create trigger t before insert on more.filled for each row execute function more.g();
insert into more.filled values (1);
alter table more.filled add column a int default more.ren('table parents', 'l1 to title');
alter table more.filled add column b int default more.ren('table parents', 'to elders');
alter default privileges in schema more grant select on tables to anon;
alter table more.heirs owner to pg_monitor;
revoke select on more.elders from anon;
alter table more.elders set (toast.autovacuum_enabled = off);
alter table more.elders alter title set statistics 0;
create index logs_e on more.logs ((at + 1));
alter index more.logs_e alter 1 set statistics 0;
alter table more.logs_1 cluster on logs_1_at_idx;
alter function more.f() cost 9;
drop index more.logs_at_idx;
drop table more.heirs;
drop function more.f() cascade;
comment on column more.elders.title is null;
comment on schema more is 'h';
create table more.twice (a serial, b serial, up int);
alter table more.twice add primary key (a);
alter table more.twice add constraint self foreign key (up) references more.twice;
alter table more.twice disable trigger all;
alter sequence more.twice_b_seq owned by more.elders.title;
alter sequence more.twice_b_seq owned by none;
drop sequence more.twice_b_seq cascade;
alter table more.twice drop constraint self;
create function more.h() returns trigger language plpgsql as 'begin return new; end';
create trigger t before insert on more.logs for each row execute function more.h();
alter table only more.logs disable trigger t;
drop trigger t on more.logs;
alter table more.logs detach partition more.logs_1;
alter table more.logs attach partition more.logs_1 for values from ('2020-01-01') to ('2022-01-01');
grant select (ctid) on more.twice to anon;
create view more.joined as select * from more.twice as t (x) inner join more.logs on true;
alter table more.logs add column up int;
alter view more.joined set (security_invoker = true);
create publication more for table more.twice;
comment on publication more is 'm';
drop view more.joined;
drop type more.feeling cascade;
alter table more.twice alter a drop default;
alter index more.twice_pkey rename to twice_key;
comment on index more.twice_key is 'i';
comment on index more.twice_key is null;
create table more.x (id int, k int);
create table more.y (id int, l int);
create table more.z (k int);
create table more.ser (id serial);
create rule also as on insert to more.ser do also select 1 from more.x;
alter table more.ser enable row level security;
create policy pol on more.ser using
    (exists (select from more.x join more.y using (id) join more.z using (k)));
create function more.rows() returns setof more.x language sql
    begin atomic select * from more.x; end;
create function more.joins() returns bigint language sql
    begin atomic select count(*) from more.x join more.y using (id) join more.z using (k); end;
create view more.of_rows as select count(*) from more.rows() as q (a, b);
alter table more.y add column k int;
alter sequence more.ser_id_seq cache 20;
alter table more.x add column v int;
comment on rule also on more.ser is 'c';
alter rule also on more.ser rename to too;
create type more.span as range (subtype = int, multirange_type_name = more.spans);
create function more.takes(more.spans) returns int language sql as 'select 1';
alter type more.spans rename to stretches;
create type more.shell;
create function more.shell_in(cstring) returns more.shell
    language internal strict immutable as 'textin';
create function more.shell_out(more.shell) returns cstring
    language internal strict immutable as 'textout';
create type more.shell (input = more.shell_in, output = more.shell_out, like = text);
comment on type more.shell is 's';
alter type more.shell rename to hull;
create role more_role;
grant select on more.twice to more_role;
alter role more_role rename to less_role;
drop owned by less_role;
drop role less_role;
alter schema more rename to less;
drop schema less cascade;
drop publication more;
"""


@one_server
def test_catalog_is_known_after_each_statement(
    database: Database, monkeypatch: MonkeyPatch
) -> None:
    """Also if another session has committed it, or it was rolled back."""
    whole = []  # the statements after which everything is read

    def counted(connection: Connection) -> Snapshot:
        whole.append(statement.text)
        return take(connection)

    every = list(statements.split(KINDS))
    with database.connect() as conn, database.connect(autocommit=True) as other:
        changes = CatalogChanges(conn)
        before = changes.catalog
        monkeypatch.setattr(catalog_changes, "take", counted)
        with changes.undone():
            for statement in every:
                conn.execute(statement.text.encode())
                changes.since()
                assert changes.catalog.snapshot().facts == take(conn).facts, statement.text
            conn.rollback()
        assert len(whole) < len(every) / 2
        assert changes.since() is None
        assert changes.catalog is before
        facts, digest = before.snapshot().facts, _digest(conn)
        for statement in every:
            other.execute(statement.text.encode())
            changes.since()
            had, facts = (facts, digest), take(conn).facts
            assert changes.catalog.snapshot().facts == facts, statement.text
            digest = _digest(conn)
            assert had[0] == facts or had[1] != digest, statement.text
            conn.rollback()
        assert not before.difference(changes.catalog)


@one_server
def test_function_replaced_by_the_same_is_no_change(database: Database) -> None:
    text = b"create or replace function public.f() returns int language sql as 'select %d'"
    with database.connect() as conn:
        conn.execute(text % 1)
        conn.execute("comment on function public.f() is 'a'")
        changes = CatalogChanges(conn)
        conn.execute(text % 1)
        assert changes.since() is None
        for seen in (
            text % 2,
            b"comment on function public.f() is 'b'",
            b"grant execute on function public.f() to anon",
            text % 2 + b"; create table public.more (id int)",
            b"drop function public.f(); " + text % 2,
        ):
            conn.execute(seen)
            assert changes.since(), seen
            assert changes.catalog.snapshot().facts == take(conn).facts, seen


@one_server
def test_versions_are_of_every_catalog_that_facts_come_from(database: Database) -> None:
    names = "select relname from pg_class where relnamespace = 11 and relkind <> 'i'"
    with database.connect() as conn:
        catalogs = {name for (name,) in conn.execute(names)}
    read, known = (
        {*re.findall(r"\bpg_\w+", "".join(map(query, names)))} & catalogs
        for names in (("schema/catalog", "schema/scope"), ("schema/versions",))
    )
    # What a role may do is written beside it, or beside the object; the others are only named.
    assert read - known == {"pg_shdepend", "pg_largeobject", "pg_user_mapping"}


def _digest(connection: Connection) -> str:
    """Return the number by which `status` sees that nothing was changed."""
    digest = (
        "with {versions} select bit_xor(hashint8extended(version, owner::bigint)) from versions"
    )
    [(number,)] = connection.execute(snapshot.scoped(digest).encode())
    return str(number)
