-- The migration tables: those of yoyo 9 with our columns added, in a schema of their own. In `public`,
-- where stock yoyo puts them, the API of a platform such as Supabase could reach them.
do $$
begin
    if to_regnamespace('yoyo') is null then
        create schema yoyo;
    end if;
end
$$;

comment on schema yoyo is 'Which migrations are applied. Written by the runner and by yoyo.';

create table if not exists yoyo._yoyo_migration (
    migration_hash  varchar(64) not null,
    migration_id    varchar(255),
    applied_at_utc  timestamp,
    constraint _yoyo_migration_pkey primary key (migration_hash)
);

create table if not exists yoyo._yoyo_log (
    id              varchar(36) not null,
    migration_hash  varchar(64),
    migration_id    varchar(255),
    operation       varchar(10),
    username        varchar(255),
    hostname        varchar(255),
    comment         varchar(255),
    created_at_utc  timestamp,
    constraint _yoyo_log_pkey primary key (id)
);

create table if not exists yoyo._yoyo_version (
    version             integer not null,
    installed_at_utc    timestamp,
    constraint _yoyo_version_pkey primary key (version)
);

insert into yoyo._yoyo_version (version, installed_at_utc)
values (2, now() at time zone 'utc')
on conflict (version) do nothing;

-- yoyo names the columns it writes, so additional ones are safe.
alter table yoyo._yoyo_migration
    add column if not exists content_sha256 text,
    add column if not exists code_sha256 text,
    add column if not exists content text,
    add column if not exists duration_ms double precision,
    add column if not exists applied_by text;

comment on table yoyo._yoyo_migration is 'One row for each migration that is applied now.';
comment on column yoyo._yoyo_migration.migration_hash is 'SHA-256 of the id: the key yoyo uses.';
comment on column yoyo._yoyo_migration.content_sha256 is 'SHA-256 of the file without line ending style and trailing space.';
comment on column yoyo._yoyo_migration.code_sha256 is 'SHA-256 of its code without comments and white space.';
comment on column yoyo._yoyo_migration.content is 'The file as it was applied, to show what an edit changed; null when large.';
comment on column yoyo._yoyo_migration.applied_by is 'Operating-system user, host and database role.';
comment on table yoyo._yoyo_log is 'Every apply, rollback, mark and unmark.';
comment on table yoyo._yoyo_version is 'The version of yoyo''s tables.';

-- The progress of a file outside a transaction, each statement of which commits on its own.
create table if not exists yoyo.progress (
    migration_id        text not null,
    statement_number    integer not null,
    statement_sha256    text not null,
    constraint progress_pkey primary key (migration_id, statement_number)
);

comment on table yoyo.progress is 'Completed statements of a non-transactional file that is not complete.';

alter table yoyo._yoyo_log add column if not exists fingerprint text;

comment on column yoyo._yoyo_log.fingerprint is 'Fingerprint of the catalog at the end of the run.';

-- Default privileges may grant access to new objects; no API role may have any to these.
do $$
declare
    revoke text;
begin
    for revoke in
        select distinct
            format('revoke all on %s from %s', things.name, coalesce(quote_ident(r.rolname), 'public'))
        from (
            select 'schema yoyo', nspacl from pg_catalog.pg_namespace where nspname = 'yoyo'
            union all
            select 'table ' || oid::regclass, relacl
            from pg_catalog.pg_class
            where relnamespace = 'yoyo'::regnamespace and relkind = 'r'
        ) as things (name, acl)
        cross join aclexplode(things.acl) as a
        left join pg_catalog.pg_roles as r on r.oid = a.grantee
        where a.grantee = 0 or r.rolname in ('anon', 'authenticated', 'service_role')
    loop
        execute revoke;
    end loop;
end
$$;
