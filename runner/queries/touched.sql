-- What this transaction has done so far to the tables that were there before it: locks held, another
-- file on disk, rows read one after the other, rows changed. %(tables)s: their oids.
select
    c.oid::bigint,
    array(
        select l.mode
        from pg_catalog.pg_locks as l
        where l.locktype = 'relation'
            and l.relation = c.oid
            and l.pid = pg_catalog.pg_backend_pid()
            and l.granted
    ),
    pg_catalog.pg_relation_filenode(c.oid)::bigint,
    coalesce(s.seq_scan, 0),
    coalesce(s.n_tup_ins, 0) + coalesce(s.n_tup_upd, 0) + coalesce(s.n_tup_del, 0)
from pg_catalog.pg_class as c
left join pg_catalog.pg_stat_xact_all_tables as s on s.relid = c.oid
where c.oid = any (%(tables)s::oid[])
