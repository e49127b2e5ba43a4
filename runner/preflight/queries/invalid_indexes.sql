-- Indexes that are not valid, as a failed concurrent build leaves them, and that no session builds.
select format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_index as i
inner join pg_catalog.pg_class as c on c.oid = i.indexrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where not i.indisvalid
    and c.relkind = 'i'
    and n.nspname !~ '^pg_'
    and not exists (
        select from pg_catalog.pg_stat_progress_create_index as p
        where p.index_relid = i.indexrelid
    )
