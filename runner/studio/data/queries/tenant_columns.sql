-- The tables that name the tenant of a row, those with an index that begins with the column first.
select n.nspname::text, c.relname::text, bool_or(i.indexrelid is not null) as indexed
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
inner join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attname = %(column)s
left join pg_catalog.pg_index as i
    on i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indisvalid and i.indpred is null
where c.relkind in ('r', 'p')
    and not c.relispartition
    and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
    and pg_catalog.has_column_privilege(c.oid, a.attnum, 'select')
group by n.nspname, c.relname, c.oid, c.relpages
order by indexed desc, c.relpages, n.nspname, c.relname
limit 8
