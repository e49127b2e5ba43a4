-- The tables and materialized views of users, by schema and name.
select
    n.nspname::text,
    c.relname::text
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'm')
    and n.nspname !~ '^pg_'
    and n.nspname not in ('information_schema', 'yoyo')
order by n.nspname, c.relname
