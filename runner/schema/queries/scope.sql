-- Which schemas count, and whose they are: the first common table expressions of each query that reads
-- the catalog as facts.
--
-- The schemas that a platform such as Supabase may have made, by name; ownership decides, see below.
known_schemas (name) as (
    values
    ('_analytics'), ('_realtime'), ('auth'), ('cron'), ('extensions'), ('graphql'),
    ('graphql_public'), ('net'), ('pgbouncer'), ('pgmq'), ('pgsodium'), ('pgsodium_masks'),
    ('realtime'), ('storage'), ('supabase_functions'), ('vault')
),
extension_members as (
    select classid, objid
    from pg_depend
    where refclassid = 'pg_extension'::regclass and deptype = 'e'
),
-- The schemas of users: not PostgreSQL's, an extension's, or the records of a migration tool.
user_schemas as (
    select n.*, n.nspname in (select k.name from known_schemas as k) as is_known
    from pg_namespace as n
    where n.nspname !~ '^pg_'
        and n.nspname not in ('information_schema', 'supabase_migrations', 'yoyo')
        and not exists (
            select from extension_members as e
            where e.classid = 'pg_namespace'::regclass and e.objid = n.oid
        )
),
-- The role that owns this schema: the one that owns the most tables.
me as (
    select r.oid, r.rolname, r.rolsuper
    from pg_roles as r
    where r.oid = coalesce(
        -- begin: the main owner
        (
            select c.relowner
            from pg_class as c
            inner join user_schemas as n on n.oid = c.relnamespace
            where not n.is_known and c.relkind in ('r', 'p')
            group by c.relowner
            order by count(*) desc, c.relowner
            limit 1
        ),
        -- end: the main owner
        quote_ident(current_user)::regrole
    )
),
-- A platform's schema has a known name and an owner that is not ours and that no request acts as:
-- one of Supabase's roles, or one that cannot log in and has no privilege or policy on our tables.
all_schemas as (
    select
        n.oid,
        n.nspname,
        n.nspowner,
        n.nspacl,
        quote_ident(n.nspname) as name,
        true as is_users,
        0 as first_oid,
        n.is_known
        -- The role that deploys may own the schema that a platform puts its extensions into.
        and (n.nspowner = me.oid) = coalesce(x.only_extensions, false)
        and (
            coalesce(x.only_extensions, false)
            or o.rolname ~ '^supabase_'
            or not o.rolcanlogin and not exists (
                select from pg_shdepend as d
                left join pg_policy as p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
                inner join pg_class as c
                    on c.oid = coalesce(p.polrelid, d.objid)
                    and d.classid in ('pg_policy'::regclass, 'pg_class'::regclass)
                inner join user_schemas as own on own.oid = c.relnamespace and not own.is_known
                where d.dbid = (select oid from pg_database where datname = current_database())
                    and d.refobjid = n.nspowner
                    and d.deptype in ('a', 'r')
            )
        ) as is_platforms
    from user_schemas as n
    inner join pg_roles as o on o.oid = n.nspowner
    cross join me
    left join lateral (
        select true as only_extensions
        where n.nspowner = me.oid and n.nspname = 'extensions'
            and exists (select from pg_extension as e where e.extnamespace = n.oid)
            and not exists (
                select from pg_class as c
                where c.relnamespace = n.oid and c.oid not in (select objid from extension_members)
                    and c.relkind <> 'i'
            )
            and not exists (
                select from pg_proc as p
                where p.pronamespace = n.oid and p.oid not in (select objid from extension_members)
            )
    ) as x on true
    union all
    -- What users made in PostgreSQL's own schemas, and on the migration tables, counts too.
    select
        n.oid,
        n.nspname,
        n.nspowner,
        n.nspacl,
        quote_ident(n.nspname),
        false,
        case when n.nspname in ('supabase_migrations', 'yoyo') then 0 else 16384 end,
        false
    from pg_namespace as n
    where n.nspname in ('information_schema', 'pg_catalog', 'supabase_migrations', 'yoyo')
),
schemas as (
    select * from all_schemas where not is_platforms
),
platform_roles as (
    select s.nspowner as oid
    from all_schemas as s
    cross join me
    where s.is_platforms and s.nspowner <> me.oid
    union
    -- supabase_admin may own nothing in this database, and has default privileges.
    select r.oid
    from pg_roles as r
    cross join me
    where r.rolname ~ '^supabase_'
        and r.oid <> me.oid
        and exists (
            select from all_schemas as s
            inner join pg_roles as o on o.oid = s.nspowner
            where s.is_platforms and o.rolname ~ '^supabase_'
        )
)
