-- The existing tables that a migration may lock, with their estimated rows and their size in bytes.
select
    c.oid::bigint,
    format('%I.%I', n.nspname, c.relname),
    case when c.reltuples > 0 then c.reltuples::bigint end,  -- 0 may be from before the first row
    pg_catalog.pg_table_size(c.oid)
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm')
    and n.nspname !~ '^pg_'
    and n.nspname not in ('information_schema', 'yoyo')
order by 2
