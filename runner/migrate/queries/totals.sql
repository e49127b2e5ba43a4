-- The rows of each of %(tables)s on a coordinator of Citus, whose statistics do not count those on
-- workers. Elsewhere none.
select
    format('%%s.%%s', n.nspname, c.relname),
    (xpath('//n/text()', query_to_xml(counted.query, false, true, '')))[1]::text::bigint
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    select format('select count(*) as n from %%I.%%I', n.nspname, c.relname)
) as counted (query)
where c.oid = any(select to_regclass(t) from unnest(%(tables)s::text[]) as t)
    and to_regclass('pg_catalog.pg_dist_partition') is not null
