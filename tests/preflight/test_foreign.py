"""Records of other migration tools: what they applied is not applied a second time."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkout import Checkout
from conftest import Database, one_server

from runner.files import loader
from runner.migrate.plan import Record, compare
from runner.preflight import foreign

FILES = ("0001_a", "0002_b", "0003_c")
DATED = ("20240101120000_a", "20240202120000_b", "20240303120000_c")
# Tables as these tools make them, with two of three files recorded: files, SQL, table.
TABLES = {
    "Flyway": (
        FILES,
        "create table flyway_schema_history (installed_rank int, script text, success boolean);"
        "insert into flyway_schema_history values (1, 'V1__a.sql', true), (2, 'V2__b.sql', true),"
        " (3, 'V3__c.sql', false), (4, null, true)",
        "public.flyway_schema_history",
    ),
    "goose": (
        FILES,
        "create table goose_db_version (id serial, version_id bigint, is_applied boolean);"
        "insert into goose_db_version (version_id, is_applied)"
        " values (0, true), (1, true), (2, true), (3, true), (3, false)",
        "public.goose_db_version",
    ),
    "golang-migrate": (
        FILES,
        "create table schema_migrations (version bigint, dirty boolean);"
        "insert into schema_migrations values (2, false)",
        "public.schema_migrations",
    ),
    "dbmate": (
        DATED,
        "create table schema_migrations (version varchar);"
        "insert into schema_migrations values ('20240101120000'), ('20240202120000')",
        "public.schema_migrations",
    ),
    "sqlx": (
        DATED,
        "create table _sqlx_migrations (version bigint, description text, success boolean);"
        "insert into _sqlx_migrations values (20240101120000, 'a', true),"
        " (20240202120000, 'b', true), (20240303120000, 'c', false)",
        "public._sqlx_migrations",
    ),
    "Supabase": (
        DATED,
        "create schema supabase_migrations;"
        "create table supabase_migrations.schema_migrations (version text, name text);"
        "insert into supabase_migrations.schema_migrations values"
        " ('20240101120000', 'a'), ('20240202120000', null)",
        "supabase_migrations.schema_migrations",
    ),
    "graphile-migrate": (
        FILES,
        "create schema graphile_migrate; create table graphile_migrate.migrations (filename text);"
        "insert into graphile_migrate.migrations values ('0001_a.sql'), ('0002_b.sql')",
        "graphile_migrate.migrations",
    ),
    "Diesel": (
        DATED,
        "create table __diesel_schema_migrations (version varchar);"
        "insert into __diesel_schema_migrations values ('20240101120000'), ('20240202120000')",
        "public.__diesel_schema_migrations",
    ),
    "Sequelize": (
        FILES,
        'create schema "A b"; create table "A b"."SequelizeMeta" (name text);'
        """insert into "A b"."SequelizeMeta" values ('db/0001_a.sql'), ('0002_b')""",
        '"A b"."SequelizeMeta"',
    ),
}
# Tables whose names say nothing of files here, or that are a platform's.
UNKNOWN = {
    "Alembic": "create table alembic_version (version_num text);"
    "insert into alembic_version values ('1975ea83b712')",
    "Django": "create table django_migrations (app text, name text);"
    "insert into django_migrations values ('shop', '0001_a')",
    "": "create schema auth; create table auth.schema_migrations (version text);"
    "insert into auth.schema_migrations values ('1'), ('2')",
}
# Tables that only have the name of such records: nothing is read from them, and nothing fails.
LOOKALIKES = (
    "schema_version as select unnest(array['1.1', '\u00b2', repeat('1', 5000)]) as version",
    "schema_migrations as select unnest(array[repeat('1', 5000), '..x', '..']) as version",
    "schema_migrations as select jsonb '{}' as version, true as dirty",
    "schema_migrations as select 'a' as version, true as dirty",
    "_prisma_migrations as select 'a' as migration_name, now() as finished_at",
    "_sqlx_migrations as select 1 as version, 'a' as description",
    "goose_db_version as select '1' as version_id, true as is_applied",
    "flyway_schema_history as select 'V1__a.sql' as script, 1 as success",
    "refinery_schema_history as select jsonb '1' as version, 'a' as name",
    "knex_migrations as select null as name",
    "gorp_migrations as select timestamp 'infinity' as id, now() as applied_at",
)


@one_server
def test_files_that_another_tool_recorded_are_found(
    tmp_path: Path, empty_database: Database
) -> None:
    plans = {}
    for names in (FILES, DATED):
        folder = tmp_path / names[0]
        folder.mkdir()
        for name in names:
            (folder / f"{name}.sql").write_text("select 1;")
        plans[names] = loader.read(folder)
    with empty_database.connect(autocommit=True) as conn:
        for tool, (names, tables, table) in TABLES.items():
            with conn.transaction(force_rollback=True):
                conn.execute(tables.encode())
                plan = compare(plans[names], {})
                [(found, files)] = foreign.recorded(conn, plan)
                assert (found.tool, found.name) == (tool, table)
                assert [file.id for file in files] == [*names[:2]], tool
                # With records of our own, only whole names count.
                plan = compare(plans[names], {names[0]: Record(names[0])})
                named = [file.id for _, files in foreign.recorded(conn, plan) for file in files]
                assert named in ([], [names[1]]), tool
        for tool, tables in UNKNOWN.items():
            with conn.transaction(force_rollback=True):
                conn.execute(tables.encode())
                unknown = foreign.recorded(conn, compare(plans[FILES], {}))
                assert [(one.tool, of) for one, of in unknown] == [(tool, [])] * bool(tool)
        for table in LOOKALIKES:
            with conn.transaction(force_rollback=True):
                conn.execute(f"create table {table}".encode())
                lookalikes = foreign.recorded(conn, compare(plans[FILES], {}))
                assert not any(named for _, named in lookalikes), table
        role = "create role reader; set local role reader"
        with conn.transaction(force_rollback=True):  # unreadable records are none
            conn.execute(f"{TABLES['goose'][1]}; {role}".encode())
            assert [table.applied for table in foreign.tables(conn)] == [()]


@one_server
@pytest.mark.parametrize("schema", ["public", "app"])
def test_records_of_stock_yoyo_stop_every_command_until_the_baseline(
    tmp_path: Path, empty_database: Database, schema: str
) -> None:
    """yoyo: its records lie in the first schema of search_path."""
    checkout = Checkout(tmp_path, empty_database)
    checkout.write(
        _0001_credit="create table if not exists public.credit (amount int);",
        _0002_grant="insert into public.credit values (100);",
        _0003_more="insert into public.credit values (1);",
    )
    checkout.do(
        f"create schema if not exists {schema}; set search_path = {schema};"
        "create table _yoyo_migration (migration_hash text, migration_id text);"
        "create table _yoyo_version (version int, installed_at_utc date);"
        "insert into _yoyo_migration values ('a', '0001_credit'), ('b', '0002_grant');"
        "create table public.credit (amount int); insert into public.credit values (100)"
    )
    said = f"yoyo has applied 0001_credit, 0002_grant, as {schema}._yoyo_migration says"
    for command in ("apply", "plan", "up") if schema == "public" else ["apply"]:
        result = checkout.runner(command)
        assert (result.code, said in result.err) == (1, True), result.err
        assert "python -m runner baseline --to 0002_grant" in result.err
        assert "No changes were made." in result.err
    if schema == "app":
        assert checkout.runner("apply", "--ignore-records").code == 0
        assert checkout.value("select count(*) from public.credit") == 3
        return
    assert said in checkout.yoyo("apply").err
    result = checkout.runner("status")
    assert (result.code, checkout.applied()) == (2, [])
    baseline = "python -m runner baseline --to 0002_grant"
    assert result.out.splitlines()[-2:] == [
        f"3 pending: run {baseline}",
        "0001_credit, 0002_grant: applied by yoyo, as public._yoyo_migration says",
    ]
    checkout.do("update _yoyo_migration set migration_id = '0003_more' where migration_hash = 'b'")
    gap = "0003_more, as public._yoyo_migration says, but not 0002_grant"
    for command, to in {"apply": " --to 0001_credit", "status": " --to 0001_credit"}.items():
        result = checkout.runner(command)
        said = result.err + result.out
        assert (f"runner baseline{to}\n" in said, gap.partition(", ")[2] in said) == (True, True), (
            said
        )
    checkout.do("delete from _yoyo_migration where migration_hash = 'a'")
    result = checkout.runner("apply")
    assert "but not 0001_credit, 0002_grant" in result.err
    assert "runner baseline\n" in result.err
    checkout.do(
        "update _yoyo_migration set migration_id = '0002_grant';"
        "insert into _yoyo_migration values ('a', '0001_credit')"
    )
    result = checkout.runner("baseline", "--to", "0002_grant")
    assert result.code == 0, result.err
    assert checkout.runner("apply").code == 0
    assert checkout.value("select array_agg(amount) from public.credit") == [100, 1]
