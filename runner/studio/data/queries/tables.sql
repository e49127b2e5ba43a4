-- The tables and views of `public`, and what the current role may do with each.
select
    c.oid::bigint,
    c.relname::text,
    c.relkind::text,
    coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''),
    c.relrowsecurity,
    c.relforcerowsecurity,
    pg_catalog.row_security_active(c.oid),
    pg_catalog.has_any_column_privilege(c.oid, 'select'),
    nullif(c.reltuples, -1)::bigint,
    pg_catalog.pg_total_relation_size(c.oid),
    pg_catalog.pg_get_userbyid(c.relowner)::text
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'public'
    and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and not c.relispartition
    and not exists (
        select
        from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by c.relname
