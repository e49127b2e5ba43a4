-- An index as a failed build leaves it: its qualified name, and the session that is building it.
select
    format('%%I.%%I', n.nspname, c.relname),
    (
        select min(p.pid)
        from pg_catalog.pg_stat_progress_create_index as p
        where p.index_relid = i.indexrelid and p.pid <> pg_backend_pid()
    )
from pg_catalog.pg_index as i
inner join pg_catalog.pg_class as c on c.oid = i.indexrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where
    i.indrelid = to_regclass(%(table)s)
    and c.relname = (parse_ident(%(name)s))[1]
    and not i.indisvalid
