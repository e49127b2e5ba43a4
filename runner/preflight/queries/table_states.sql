-- What this transaction has done so far to existing tables: locks held, file on disk, sequential
-- scans, rows changed, and whether rows may be changed under row-level security. %(tables)s: the
-- oids of the tables. The counters are read with functions, because the view of them joins the
-- whole catalog.
with held as (
    select
        l.relation,
        array_agg(l.mode) as modes
    from pg_catalog.pg_locks as l
    where l.locktype = 'relation'
        and l.pid = pg_catalog.pg_backend_pid()
        and l.granted
    group by l.relation
)

select
    c.oid::bigint,
    coalesce(held.modes, '{}'),
    pg_catalog.pg_relation_filenode(c.oid)::bigint,
    pg_catalog.pg_stat_get_xact_numscans(c.oid),
    pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid)
    + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
    + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid),
    coalesce('RowExclusiveLock' = any (held.modes), false)
    and c.relkind = 'r'
    and pg_catalog.row_security_active(c.oid)
from pg_catalog.pg_class as c
left join held on held.relation = c.oid
where c.oid = any (%(tables)s::oid[])
