-- The tables and views of the exposed schemas, and what the current role may do with each. These are
-- the schemas that are named, else those in which one of the roles holds any privilege, else all. A
-- name that two schemas have is given with its schema.

with relations as (
    select
        c.*,
        n.nspname,
        exists (
            select
            from pg_catalog.pg_roles as r
            where r.rolname = any (%(roles)s)
                and pg_catalog.has_schema_privilege(r.oid, n.oid, 'usage')
                and pg_catalog.has_any_column_privilege(
                    r.oid,
                    c.oid,
                    'select, insert, update, references'
                )
        ) as granted
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
        and not c.relispartition
        and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'
        and n.oid is distinct from to_regnamespace('yoyo')
        and not exists (
            select
            from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::regclass
                and d.objid = c.oid
                and d.deptype = 'e'
        )
),

exposed as (
    select relations.*
    from relations
    where case
        when %(schemas)s::text[] is not null then relations.nspname = any (%(schemas)s)
        when exists (select from relations where granted)
            then relations.relnamespace in (select relnamespace from relations where granted)
        else true
    end
)

select
    c.oid::bigint,
    case
        when strpos(c.relname, '.') > 0 then format('%%I.%%I', c.nspname, c.relname)
        when count(*) over (partition by c.relname) > 1 then c.nspname || '.' || c.relname
        else c.relname::text
    end as name,
    c.nspname::text,
    c.relname::text,
    c.relkind::text,
    coalesce(left(pg_catalog.obj_description(c.oid, 'pg_class'), 2000), ''),
    c.relrowsecurity,
    c.relforcerowsecurity,
    pg_catalog.row_security_active(c.oid),
    pg_catalog.has_schema_privilege(c.relnamespace, 'usage'),
    pg_catalog.has_any_column_privilege(c.oid, 'select'),
    nullif(c.reltuples, -1)::bigint,
    pg_catalog.pg_get_userbyid(c.relowner)::text
from exposed as c
order by c.relname, c.nspname
