-- The tables that this transaction was to change, under row-level security, and of which it changed
-- no row, although they are not empty.
select string_agg(l.relation::regclass::text, ', ' order by l.relation)
from pg_catalog.pg_locks as l
inner join pg_catalog.pg_class as c on c.oid = l.relation
where l.pid = pg_catalog.pg_backend_pid()
    and l.locktype = 'relation'
    and l.mode = 'RowExclusiveLock'
    and c.relkind = 'r'
    and pg_catalog.row_security_active(c.oid)
    and pg_catalog.pg_relation_size(c.oid) > 0
    and pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid)
    + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
    + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) = 0
