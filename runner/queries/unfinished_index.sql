-- An index that a broken `create index concurrently` left behind: it costs writes, serves no read,
-- and `if not exists` would take it for the finished one. Null when none, or when still being built.
select format('%%I.%%I', n.nspname, c.relname)
from pg_catalog.pg_index as i
inner join pg_catalog.pg_class as c on c.oid = i.indexrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where
    i.indrelid = to_regclass(%(table)s)
    and c.relname = (parse_ident(%(index)s))[1]
    and not i.indisvalid
    and not exists (
        select from pg_catalog.pg_stat_progress_create_index as p
        where p.index_relid = i.indexrelid
    )
