-- The record tables of other migration tools in this database: the tool, the table, the schema if it
-- belongs to the tool alone, and a query for the names or numbers of what is applied. A table that
-- lacks a column or type of `needs` only has the name of one.
with tools (tool, schema_name, table_name, needs, applied) as (
    values
    ('yoyo', null, '_yoyo_migration', '{migration_id}', 'migration_id'),
    ('yoyo', null, '_yoyo_log', '{migration_id,operation}', null),
    ('yoyo', null, '_yoyo_version', '{installed_at_utc}', null),
    ('yoyo', null, 'yoyo_lock', '{locked}', null),
    ('Alembic', null, 'alembic_version', '{version_num}', 'version_num'),
    ('Atlas', 'atlas_schema_revisions', 'atlas_schema_revisions', '{version,description}', $$version || '_' || description$$),
    ('Diesel', null, '__diesel_schema_migrations', '{version}', 'version'),
    ('Django', null, 'django_migrations', '{app,name}', $$app || '.' || name$$),
    ('Drizzle', 'drizzle', '__drizzle_migrations', '{hash}', 'hash'),
    ('Entity Framework', null, '__EFMigrationsHistory', '{MigrationId}', '"MigrationId"'),
    -- The last row of each version says whether it is applied: not where that undoes or deletes it.
    ('Flyway', null, 'flyway_schema_history', '{installed_rank,script,success boolean}', $$case when type = 'BASELINE' then '..' || version else script end from (select distinct on (coalesce(h.version, h.script)) h.* from (select script, installed_rank, to_jsonb(r) ->> 'version' as version, to_jsonb(r) ->> 'type' as type from %1$s as r where success) as h order by coalesce(h.version, h.script), installed_rank desc) as a where coalesce(type !~ '^(UNDO|DELETE)', true) and script !~ '(^|/)U[0-9]' --$$),
    ('golang-migrate', null, 'schema_migrations', '{version bigint,dirty boolean}', $$'..' || version - dirty::int$$),
    ('goose', null, 'goose_db_version', '{id,version_id bigint,is_applied boolean}', 'version_id::text from %1$s where version_id > 0 group by version_id having (array_agg(is_applied order by id desc))[1] --'),
    ('graphile-migrate', 'graphile_migrate', 'migrations', '{filename}', 'filename'),
    ('Knex', null, 'knex_migrations', '{name}', 'name'),
    ('Knex', null, 'knex_migrations_lock', '{is_locked}', null),
    ('Liquibase', null, 'databasechangelog', '{id,filename}', 'filename'),
    ('Liquibase', null, 'databasechangeloglock', '{locked}', null),
    ('node-pg-migrate', null, 'pgmigrations', '{name,run_on}', 'name'),
    ('Prisma', null, '_prisma_migrations', '{migration_name,finished_at,rolled_back_at}', 'migration_name from %1$s where finished_at is not null and rolled_back_at is null --'),
    ('refinery', null, 'refinery_schema_history', '{version,name}', $$version || '_' || name$$),
    ('Sequelize', null, 'SequelizeMeta', '{name}', 'name'),
    ('sqitch', 'sqitch', 'changes', '{change}', 'change'),
    ('sql-migrate', null, 'gorp_migrations', '{id,applied_at}', 'id'),
    ('sqlx', null, '_sqlx_migrations', '{version,description,success boolean}', $$version || '_' || replace(description, ' ', '_') from %1$s where success --$$),
    ('Supabase', 'supabase_migrations', 'schema_migrations', '{version,name}', $$version || coalesce('_' || name, '')$$),
    ('tern', null, 'schema_version', '{version integer}', $$'..' || version$$),
    -- dbmate's, or that of Rails or another one which has the same.
    ('dbmate', null, 'schema_migrations', '{version}', 'version::text')
),
found as (
    select
        t.tool,
        n.nspname,
        c.relname,
        t.schema_name,
        t.applied,
        row_number() over (partition by c.oid order by cardinality(t.needs::text[]) desc) as rank
    from tools as t
    inner join pg_catalog.pg_class as c on c.relname = t.table_name and c.relkind in ('r', 'p')
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where
        n.nspname = coalesce(t.schema_name, n.nspname)
        -- Ours, and those of a platform such as Supabase.
        and n.nspname not in ('yoyo', '_realtime', 'auth', 'realtime', 'storage')
        and n.nspname !~ '^pg_'
        and t.needs::text[] <@ array(
            select unnest(array[a.attname::text, a.attname || ' ' || format_type(a.atttypid, null)])
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        )
)
select
    tool,
    format('%I.%I', nspname, relname),
    quote_ident(schema_name),
    -- What is longer than the name of a file is none.
    format(
        'select name::text from (select ' || applied || E' from %1$s\n) as a (name)'
        ' where length(name::text) < 1000',
        format('%I.%I', nspname, relname)
    )
from found
where rank = 1
order by 2
