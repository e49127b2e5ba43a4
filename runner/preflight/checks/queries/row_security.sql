-- The tables with row-level security, by schema and name.
select
    n.nspname::text,
    c.relname::text
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relrowsecurity
