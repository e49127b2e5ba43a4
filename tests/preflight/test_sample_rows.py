"""Sample rows can be inserted into any schema, and migrations that depend on data fail on them."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import psycopg
import pytest
from conftest import SQL_DIR, Database, Server
from psycopg import Connection
from psycopg.rows import TupleRow

from runner.files import loader
from runner.migrate.migrator import Migrator
from runner.preflight import sample_rows
from runner.preflight.sample_rows import FillResult

SIX = ("organizations", "users", "projects", "workflows", "ai_agents", "audit_logs")


@pytest.fixture(scope="module")
def _shared(server: Server) -> Iterator[Connection[TupleRow]]:
    with server.database() as database, database.connect() as conn:
        yield conn


@pytest.fixture
def conn(_shared: Connection[TupleRow]) -> Iterator[Connection[TupleRow]]:
    """An empty database, in a transaction that is rolled back."""
    yield _shared
    _shared.rollback()


@pytest.fixture
def own(empty_database: Database) -> Iterator[Connection[TupleRow]]:
    """An empty database in autocommit mode."""
    with empty_database.connect(autocommit=True) as conn:
        yield conn


def filled(conn: Connection[TupleRow], schema: str, wanted: int = 4) -> dict[str, FillResult]:
    """Create this schema, then fill it."""
    conn.execute(dedent(schema).encode())
    return fill(conn, wanted)


def fill(conn: Connection[TupleRow], wanted: int = 4) -> dict[str, FillResult]:
    results = sample_rows.fill(conn, wanted=wanted)
    return {result.table.removeprefix("public."): result for result in results}


def column(conn: Connection[TupleRow], select: str) -> list[Any]:
    return [value for (value,) in conn.execute(select.encode())]


def refusal(conn: Connection[TupleRow], statements: str) -> str:
    """Run statements and roll back; return the SQLSTATE of their error, or "" for none."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(statements.encode())
    except psycopg.Error as error:
        return error.sqlstate or "no SQLSTATE"
    return ""


# --- the schema of sql/ --------------------------------------------------------------------------


def test_tables_are_filled_after_each_migration_and_the_next_one_applies(
    own: Connection[TupleRow],
) -> None:
    migrator = Migrator(own)
    with migrator.lock():
        for file in loader.read(SQL_DIR):
            migrator.apply([file])
            made = fill(own)
            there = [t for t in SIX if column(own, f"select to_regclass('public.{t}')") != [None]]
            for table in there:
                assert made[table].rows >= 4, (file.id, made[table])
                assert made[table].reason == ""
    assert there == list(SIX)
    nullable = own.execute(
        """
        select table_name, column_name
        from information_schema.columns
        where table_schema = 'public' and is_nullable = 'YES'
        """
    ).fetchall()
    assert ("workflows", "approver_id") in nullable
    for table, name in nullable:
        counts = f"select count(*) - count({name}), count({name}) from public.{table}"
        assert all(own.execute(counts.encode()).fetchall()[0]), (table, name)
    gates = "select distinct gate::text from public.workflows order by 1"
    assert column(own, gates) == [f"G{n}" for n in range(9)]
    assert column(own, "select distinct status from public.workflows order by 1") == [
        *("approved", "in_review", "pending", "rejected")
    ]


@pytest.fixture
def over_rows(database: Database) -> Iterator[Connection[TupleRow]]:
    with database.connect(autocommit=True) as conn:
        yield conn


def test_migrations_that_depend_on_data_fail_only_on_sample_rows(
    over_rows: Connection[TupleRow],
) -> None:
    data_dependent = {
        "alter table public.projects alter description set not null": "23502",
        "alter table public.workflows alter approved_at set not null": "23502",
        "alter table public.users alter auth_user_id set not null": "23502",
        "alter table public.projects add code text not null": "23502",
        "alter table public.audit_logs add place inet not null": "23502",
        "alter table public.projects add check (status in ('draft', 'active'))": "23514",
        "alter table public.workflows add check (gate <> 'G8')": "23514",
        "alter table public.organizations add check (octet_length(name) < 60)": "23514",
        "alter table public.ai_agents add check (config <> '{}')": "23514",
        "alter table public.users add check (created_at > '2010-01-01')": "23514",
        "create unique index on public.projects (description)": "23505",
        "create unique index on public.projects (org_id, name)": "23505",
        "create unique index on public.workflows (project_id, gate)": "23505",
        "create unique index on public.workflows (approver_id)": "23505",
        "create unique index on public.users (org_id, roles)": "23505",
        "alter table public.projects alter name type varchar(10)": "22001",
        "alter table public.projects alter name type text using convert_to(name, 'latin1')::text": (
            "22P05"
        ),
        "alter table public.projects add foreign key (name) references public.organizations (id)":
            "23503",
        """
        create type public.two_plans as enum ('FREE', 'PRO');
        alter table public.organizations alter billing_plan drop default,
            alter billing_plan type public.two_plans using billing_plan::text::public.two_plans
        """: "22P02",
    }  # fmt: skip
    for statement in data_dependent:
        assert refusal(over_rows, statement) == "", statement
    sample_rows.fill(over_rows)
    found = {statement: refusal(over_rows, statement) for statement in data_dependent}
    assert found == data_dependent


def test_repeated_fill_adds_the_wanted_rows_each_time(
    over_rows: Connection[TupleRow],
) -> None:
    first = fill(over_rows)
    for wanted in (4, 4, 20):
        before = {t: column(over_rows, f"select count(*) from public.{t}")[0] for t in SIX}
        made = fill(over_rows, wanted)
        assert wanted == 20 or made == first
        for table in SIX:
            [now] = column(over_rows, f"select count(*) from public.{table}")
            assert now - before[table] >= made[table].rows >= wanted


# --- what a column gets --------------------------------------------------------------------------


def test_values_vary_in_ways_that_break_migrations(conn: Connection[TupleRow]) -> None:
    filled(
        conn,
        """
        create type mood as enum ('sad', 'so so', 'happy');
        create table t (
            words text not null,
            code varchar(5) not null,
            n integer,
            amount numeric(6, 2) not null,
            is_on boolean not null,
            at timestamptz,
            doc jsonb not null,
            tags text[],
            moods mood[] not null,
            mood mood not null,
            size text not null check (size in ('S', 'M', 'L', 'it''s huge')),
            with_default text default 'as usual'
        );
        """,
    )
    words = column(conn, "select words from t")
    assert "" in words
    assert max(map(len, words)) > 300
    assert any(not text.isascii() for text in words)
    assert len(set(words)) < len(words)
    codes = column(conn, "select code from t")
    assert {len(code) for code in codes} >= {0, 5}
    numbers = column(conn, "select n from t")
    assert {None, 0, -1} < set(numbers)
    assert max(n for n in numbers if n) > 2**15
    assert {0, -1} < {int(amount) for amount in column(conn, "select amount from t")}
    assert column(conn, "select max(amount)::text from t") == ["9999.99"]
    assert set(column(conn, "select is_on from t")) == {True, False}
    assert column(conn, "select at::date::text from t where at < '1971-01-01'")
    assert column(conn, "select at from t where at > now() - interval '1 hour'")
    documents = column(conn, "select doc from t")
    assert {} in documents
    assert any(isinstance(value, dict) for doc in documents for value in doc.values())
    lengths = column(conn, "select cardinality(tags) from t")
    assert {None, 0} < set(lengths)
    assert max(length for length in lengths if length) > 1
    assert set(column(conn, "select unnest(moods)::text from t")) == {"sad", "so so", "happy"}
    assert {0, 3} <= set(column(conn, "select cardinality(moods) from t"))
    assert set(column(conn, "select mood::text from t")) == {"sad", "so so", "happy"}
    assert set(column(conn, "select size from t")) == {"S", "M", "L", "it's huge"}
    defaults = column(conn, "select with_default from t")
    assert {None, "as usual", ""} < set(defaults)


def test_column_of_any_type_gets_a_value(conn: Connection[TupleRow]) -> None:
    types = """
        "char"; bit(3); bit varying; boolean; box; bytea; character(3); cidr; circle; date;
        datemultirange; daterange; double precision; inet; int4multirange; int4range; int8range;
        integer; interval; json; jsonb; jsonpath; line; lseg; macaddr; macaddr8; money; name;
        numeric; numeric(3, 3); numrange; oid; path; pg_lsn; point; polygon; real; regclass;
        smallint; text; time; timetz; timestamp; timestamptz; tsquery; tsrange; tstzmultirange;
        tsvector; uuid; varchar(1); pair; pair[]; integer[]; tsrange[]; varchar(2)[]
    """
    columns = [f"c{n} {name.strip()}" for n, name in enumerate(types.split(";"))]
    made = filled(
        conn, f"create type pair as (a int, b text); create table t ({', '.join(columns)})"
    )
    assert made["t"].rows > 4
    for name in columns:
        assert column(conn, f"select count({name.split()[0]}) > 0 from t") == [True], name


def test_vector_of_an_extension_has_the_declared_dimensions(
    conn: Connection[TupleRow],
) -> None:
    if not column(conn, "select true from pg_available_extensions where name = 'vector'"):
        pytest.skip("this server has no extension vector")
    made = filled(conn, "create extension vector; create table t (v vector(1536) not null)")
    assert made["t"].rows >= 4


def test_conditions_on_one_column_are_met(conn: Connection[TupleRow]) -> None:
    """By the column's default, by a value that the condition mentions, or by a guess."""
    made = filled(
        conn,
        r"""
        create table t (
            ref text not null default 'REF/7/x' check (ref ~ '^REF/\d/[x-z]$'),
            email text not null check (email = lower(email) and email ~ '^[^@\s]+@[^@\s]+$'),
            url text not null check (url like 'https://%'),
            slug text not null check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)+$'),
            currency char(3) not null check (currency ~ '^[A-Z]{3}$'),
            digest text not null check (digest ~ '^[0-9a-f]{64}$'),
            color text not null check (color ~ '^#[0-9a-f]{6}$'),
            key text not null check (key::uuid is not null),
            id text not null check (id ~ '^c[a-z0-9]{24}$'),
            name text not null check (char_length(name) between 3 and 40),
            age integer not null check (age > 18 and age < 20),
            word text not null check (char_length(word) > 10 and char_length(word) < 12),
            share numeric not null check (share > 0 and share <= 1),
            until date not null check (until > '2026-01-01'),
            list jsonb not null check (jsonb_typeof(list) = 'array'),
            tags text[] not null check (tags <@ array['red', 'green'] and cardinality(tags) > 1),
            number text not null check (number::int > 5)
        );
        """,
    )
    assert made["t"] == FillResult("public.t", made["t"].rows, "")
    assert made["t"].rows >= 4
    assert column(conn, "select distinct ref from t") == ["REF/7/x"]


def test_opaque_condition_is_met_by_existing_values(conn: Connection[TupleRow]) -> None:
    filled(conn, "create table t (code text not null check (code ~ '^Q{3}x+[&!]{2}$'))")
    assert column(conn, "select count(*) from t") == [0]
    conn.execute("insert into t values ('QQQxx&!')")
    assert fill(conn)["t"].rows == 4


def test_table_that_cannot_be_filled_has_a_reason(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table impossible (n integer primary key check (n > 1 and n < 1));
        create table orphan (n integer not null references impossible);
        create type nothing as enum ();
        create table empty_enum (n nothing not null);
        create table no_partition (n integer) partition by list (n);
        create table walled (n integer);
        create table swallowed (n integer);
        create function refuse() returns trigger language plpgsql as $$
        begin
            raise exception 'not today';
        end
        $$;
        create function swallow() returns trigger language plpgsql as 'begin return null; end';
        create trigger refuse before insert on walled execute function refuse();
        create trigger swallow before insert on swallowed for each row execute function swallow();
        create table beside (n integer);
        """,
    )
    assert {name: (m.rows, m.reason) for name, m in made.items() if name != "beside"} == {
        "impossible": (
            0,
            'new row for relation "impossible" violates check constraint "impossible_n_check"',
        ),
        "orphan": (0, "no row in public.impossible to refer to"),
        "empty_enum": (0, "no valid value for n"),
        "no_partition": (0, 'no partition of relation "no_partition" found for row'),
        "walled": (0, "not today"),
        "swallowed": (0, "a trigger or rule discards every row without an error"),
    }
    assert made["beside"].rows >= 4


def test_number_of_inserts_is_bounded(conn: Connection[TupleRow]) -> None:
    columns = ", ".join(f"c{n} text" for n in range(30))
    filled(
        conn,
        f"""
        create sequence tried;
        create table t ({columns});
        create function refuse() returns trigger language plpgsql as $$
        begin
            perform nextval('tried');
            raise exception 'attempt %', currval('tried');
        end
        $$;
        create trigger refuse before insert on t for each row execute function refuse();
        """,
    )
    assert column(conn, "select last_value from tried") == [60]


def test_insert_is_not_retried_if_only_a_generated_value_could_differ(
    conn: Connection[TupleRow],
) -> None:
    made = filled(
        conn,
        """
        create sequence tried;
        create table t (
            id integer default nextval('tried'),
            kind text not null check (kind in ('a', 'b')),
            upper_kind text unique generated always as (upper(kind)) stored
        );
        """,
    )
    assert made["t"].rows == 2
    assert column(conn, "select last_value < 12 from tried") == [True]


def test_rows_rejected_by_a_trigger_are_left_out(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table t (a text, b integer, c text not null);
        create function judge() returns trigger language plpgsql as $$
        begin
            if new.a = '' or new.b < 0 or length(new.c) > 100 or new.a is null and new.b > 9 then
                raise exception 'refused';
            end if;
            return new;
        end
        $$;
        create trigger judge before insert on t for each row execute function judge();
        """,
    )
    assert made["t"].rows >= 4
    assert column(conn, "select max(length(a)) > 300 from t") == [True]
    assert {None, 0} < set(column(conn, "select b from t"))
    assert {"made 1", ""} < set(column(conn, "select c from t"))


def test_row_with_more_than_the_required_values_is_found(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table rich (a text, b integer, c date);
        create table odd_one (a text, b integer, c date);
        create function judge() returns trigger language plpgsql as $$
        begin
            if num_nulls(new.a, new.b, new.c) <> tg_argv[0]::int or new.a = 'made 1' then
                raise exception 'refused';
            end if;
            return new;
        end
        $$;
        create trigger judge before insert on rich for each row execute function judge(0);
        create trigger judge before insert on odd_one for each row execute function judge(2);
        """,
    )
    assert [table.rows >= 4 for table in made.values()] == [True, True]


# --- combinations of columns ----------------------------------------------------------------------


def test_each_alternative_of_a_condition_on_several_columns_is_met(
    conn: Connection[TupleRow],
) -> None:
    made = filled(
        conn,
        """
        create table payments (
            kind text not null check (kind in ('card', 'bank', 'cash')),
            card text,
            iban text,
            check ((kind = 'card') = (card is not null)),
            check ((kind = 'bank') = (iban is not null))
        );
        create table spans (starts date not null, ends date, check (ends > starts));
        create table one_of (
            a text, b text, c integer, d uuid, e date, f jsonb, g boolean,
            h text, i text, j text, k text, l text, m text, n text, o text,
            check (num_nonnulls(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) = 1)
        );
        """,
    )
    assert all(table.rows >= 4 for table in made.values())
    assert set(column(conn, "select kind from payments")) == {"card", "bank", "cash"}
    assert column(conn, "select count(*) > 0 from payments where kind = 'bank'") == [True]
    assert column(conn, "select count(ends) > 1 and count(ends) < count(*) from spans") == [True]
    counts = ", ".join(f"count({name})" for name in "abcdefghijklmno")
    assert all(conn.execute(f"select {counts} from one_of".encode()).fetchall()[0])


def test_composite_references_are_consistent(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table orgs (id uuid primary key default gen_random_uuid(), name text);
        create table people (
            org uuid not null references orgs, id integer generated always as identity,
            primary key (org, id)
        );
        create table plans (
            org uuid not null references orgs, id serial, boss integer,
            primary key (org, id), foreign key (org, boss) references people
        );
        create table steps (
            org uuid not null, plan integer not null, boss integer, deputy integer,
            foreign key (org) references orgs,
            foreign key (org, plan) references plans,
            foreign key (org, boss) references people,
            foreign key (org, deputy) references people match simple,
            check (boss <> deputy)
        );
        create table whole (
            org uuid, boss integer, foreign key (org, boss) references people match full
        );
        create table notes (
            org uuid not null, boss integer, foreign key (org, boss) references people
        );
        create table loose (
            org uuid references orgs, boss integer, foreign key (org, boss) references people
        );
        create table one_to_one (org uuid primary key references orgs);
        create table pairs (
            org uuid not null, boss integer not null, plan integer not null,
            primary key (org, boss, plan),
            foreign key (org, boss) references people,
            foreign key (org, plan) references plans
        );
        """,
    )
    assert all(table.rows >= 4 for table in made.values()), made
    for table, name in [
        ("plans", "boss"),
        ("steps", "boss"),
        ("steps", "deputy"),
        ("whole", "org"),
        ("notes", "boss"),
        ("loose", "boss"),
    ]:
        counts = f"select count({name}) > 0 and count({name}) < count(*) from {table}"
        assert column(conn, counts) == [True], (table, name)
    assert column(conn, "select count(distinct org) > 1 from steps") == [True]
    half = "select count(*) > 0 from loose where org is not null and boss is null"
    assert column(conn, half) == [True]


def test_condition_on_a_reference_is_met(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table a (n serial primary key);
        insert into a select from generate_series(1, 15);
        create table b (n integer not null references a check (n between 2 and 4));
        """,
    )
    assert made["b"].rows >= 4


def test_referenced_tables_are_filled_first_and_new_rows_used(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table likes (n integer);
        create table places (id integer primary key);
        create table mayors (id integer primary key references places);
        alter table likes add foreign key (n) references places;
        """,
    )
    assert list(made) == ["places", "likes", "mayors"]
    for _ in range(3):  # more rows than the newest ones that are examined
        assert fill(conn, wanted=12)["mayors"].rows == 12


def test_cyclic_references_are_first_null_then_filled(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table nodes (id serial primary key, parent integer references nodes, name text);
        create table eggs (id serial primary key, hen integer);
        create table a_hen (id serial primary key, egg integer not null references eggs);
        alter table eggs add foreign key (hen) references a_hen;
        create table never (id integer primary key references never);
        """,
    )
    for table, name in [("nodes", "parent"), ("eggs", "hen")]:
        counts = f"select count({name}) > 0 and count({name}) < count(*) from {table}"
        assert column(conn, counts) == [True], table
    assert list(made).index("eggs") < list(made).index("a_hen")
    assert made["a_hen"].rows >= 4
    assert made["nodes"].rows == column(conn, "select count(*) from nodes")[0]
    assert made["never"] == FillResult("public.never", 0, "no row in public.never to refer to")


def test_keys_are_respected_and_other_values_repeat(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table t (
            id integer primary key,
            slug text not null unique,
            org integer not null,
            name text not null,
            nick text,
            only_once text,
            email text not null,
            flag boolean not null,
            unique (org, name),
            unique (nick)
        );
        create unique index on t (lower(email));
        create unique index on t (flag) where flag;
        create table switch (is_on boolean primary key);
        create table pairs (a text not null, b text not null, unique (a, b));
        create table jobs (
            machine integer not null, status text not null check (status in ('on', 'done'))
        );
        create unique index on jobs (machine) where status = 'on';
        """,
        wanted=8,
    )
    assert made["t"].rows >= 8
    assert made["switch"].rows == 2
    for key in (
        *("t (org)", "t (name)", "t (only_once)", "t (org, flag)"),
        *("pairs (a)", "pairs (b)", "jobs (machine)"),
    ):
        assert refusal(conn, f"create unique index on {key}") == "23505", key
    assert column(conn, "select count(nick) > 1 and count(*) - count(nick) > 1 from t") == [True]
    again = fill(conn, wanted=8)
    assert again["t"].rows >= 8
    assert again["switch"].rows == 0


def test_nulls_not_distinct_allows_one_null(conn: Connection[TupleRow]) -> None:
    made = filled(conn, "create table t (n integer unique nulls not distinct, a text)")
    assert made["t"].rows >= 4
    assert column(conn, "select count(*) from t where n is null") == [1]


def test_sequence_columns_are_left_to_the_database(conn: Connection[TupleRow]) -> None:
    """Other numbers could be the sequence's next ones, and make a valid insert fail."""
    made = filled(
        conn,
        """
        create sequence apart;
        create table t (
            id integer generated always as identity primary key,
            number integer generated by default as identity unique,
            old_way bigserial,
            other_way integer not null unique default (1000 + nextval('apart')),
            n integer not null,
            doubled integer generated always as (n * 2) stored check (doubled >= 0),
            name text not null default 'x'
        );
        """,
    )
    assert made["t"].rows >= 4
    assert column(conn, "select min(n) from t") == [0]
    assert column(conn, "select min(other_way) > 1000 from t") == [True]
    for name in ("id", "number", "old_way"):
        numbers = f"pg_get_serial_sequence('t', '{name}')"
        assert column(conn, f"select nextval({numbers}) > max({name}) from t") == [True]


def test_side_effects_of_testing_a_default_are_rolled_back(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table given (n integer);
        create function next_word() returns text language plpgsql as $$
        begin
            insert into given values (0);
            return (select 'word ' || count(*) from given);
        end
        $$;
        create table t (
            a text primary key default next_word(),
            b text not null default next_word() check (b like 'word %'),
            c integer,
            check (length(b) <> c)
        );
        """,
    )
    assert made["t"].rows >= 4
    assert column(conn, "select count(*) from given") == [made["given"].rows + 2 * made["t"].rows]


def test_domains_get_values_of_their_base_types(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create domain positive as integer check (value > 0);
        create domain small as positive not null check (value < 100);
        create domain word as varchar(8) default 'word' check (value <> '');
        create domain words as word[] check (cardinality(value) < 3);
        create table t (p positive, s small, w word, ws words, size word not null);
        """,
    )
    assert made["t"].rows >= 4
    assert column(conn, "select count(p) > 0 and count(p) < count(*) from t") == [True]
    assert column(conn, "select count(ws) > 0 and max(length(w)) = 8 from t") == [True]
    assert "word" in column(conn, "select size from t")


def test_every_partition_gets_rows_through_its_root(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create table by_day (at timestamptz not null, name text) partition by range (at);
        create table y1999 partition of by_day for values from ('1999-01-01') to ('2000-01-01');
        create table y2031 partition of by_day for values from ('2031-01-01') to ('2032-01-01');
        create table by_place (place text not null, n integer not null, primary key (place, n))
        partition by list (place);
        create table europe partition of by_place for values in ('fi', 'de');
        create table others partition of by_place default partition by hash (n);
        create table even partition of others for values with (modulus 2, remainder 0);
        create table odd partition of others for values with (modulus 2, remainder 1);
        create table visits (
            place text not null, n integer not null, foreign key (place, n) references by_place
        );
        """,
    )
    assert set(made) == {"by_day", "by_place", "visits"}
    assert all(table.rows >= 4 for table in made.values())
    assert all(table.rows >= 4 for table in fill(conn).values())
    for table in ("y1999", "y2031", "europe", "even", "odd"):
        assert column(conn, f"select count(*) > 0 from {table}") == [True], table


def test_exclusion_constraints_are_respected(conn: Connection[TupleRow]) -> None:
    schema = """
        create table rooms (during tstzrange not null, exclude using gist (during with &&));
        create table bookings (
            starts timestamptz not null, ends timestamptz not null, note text,
            check (starts < ends),
            exclude using gist (tstzrange(starts, ends) with &&)
        );
    """
    made = filled(conn, schema)
    assert [table.rows >= 4 for table in made.values()] == [True, True]
    assert [table.rows >= 4 for table in fill(conn).values()] == [True, True]


# --- tables --------------------------------------------------------------------------------------


def test_any_identifier_is_quoted(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create schema "my ""own"" schema";
        create type "my ""own"" schema"."a ""type"" %s" as enum ('50% "of" it''s');
        create table "my ""own"" schema"."a ""table"" %s {}" (
            "the ""col"" %s {}" "my ""own"" schema"."a ""type"" %s" not null,
            "select" integer not null unique check ("select" > 0),
            "place 0" integer,
            "from" integer references "my ""own"" schema"."a ""table"" %s {}" ("select"),
            check ("from" <> "place 0")
        );
        """,
    )
    assert list(made) == ['my "own" schema.a "table" %s {}']
    assert made['my "own" schema.a "table" %s {}'].rows >= 4


def test_table_without_columns_gets_rows(conn: Connection[TupleRow]) -> None:
    made = filled(conn, "create table t (); create table numbers (n serial)", wanted=70)
    assert (made["t"].rows, made["numbers"].rows) == (70, 70)
    assert column(conn, "select count(*) from t") == [70]


def test_views_and_tables_of_extensions_and_yoyo_are_skipped(conn: Connection[TupleRow]) -> None:
    made = filled(
        conn,
        """
        create schema yoyo;
        create table yoyo.log (n integer);
        create table of_extension (n integer);
        alter extension plpgsql add table of_extension;
        create temporary table passing (n integer);
        create view seen as select 1 as n;
        create table mine (n integer);
        """,
    )
    assert set(made) == {"mine"}


def test_only_rows_remain_afterwards(own: Connection[TupleRow]) -> None:
    filled(own, "create table t (n integer)")
    left = "select proname from pg_proc where pronamespace = pg_my_temp_schema()"
    assert column(own, left) == []
    assert own.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_deferred_constraint_is_met_by_each_row(own: Connection[TupleRow]) -> None:
    made = filled(
        own,
        """
        create table t (n integer);
        create function judge() returns trigger language plpgsql as $$
        begin
            if new.n < 0 then
                raise exception 'refused';
            end if;
            return null;
        end
        $$;
        create constraint trigger judge after insert on t deferrable initially deferred
        for each row execute function judge();
        """,
    )
    assert made["t"].rows >= 4
    assert column(own, "select min(n) from t") == [0]


def test_same_schema_gets_the_same_rows(conn: Connection[TupleRow]) -> None:
    schema = """
        create table a (n integer unique, t text not null, at date, check (n > 0));
        create table b (n integer references a (n), doc jsonb, is_on boolean);
    """
    contents = []
    for _ in range(2):
        filled(conn, schema)
        contents.append([conn.execute(f"select * from {t}".encode()).fetchall() for t in "ab"])
        conn.execute("drop table a, b")
    assert contents[0] == contents[1]


def test_lost_connection_raises_operational_error(own: Connection[TupleRow]) -> None:
    with pytest.raises(psycopg.OperationalError):
        filled(
            own,
            """
            create table t (n integer);
            create function leave() returns trigger language plpgsql as $$
            begin
                perform pg_terminate_backend(pg_backend_pid());
                return new;
            end
            $$;
            create trigger leave before insert on t for each row execute function leave();
            """,
        )
