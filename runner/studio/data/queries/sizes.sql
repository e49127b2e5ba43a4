-- The size of some tables with their indexes, without those that another session has locked: the
-- size would wait for that session.
select c.oid::bigint, pg_catalog.pg_total_relation_size(c.oid)
from pg_catalog.pg_class as c
where c.oid = any (%(tables)s::oid[])
    and not exists (
        select
        from pg_catalog.pg_locks as l
        where l.relation = c.oid and l.mode = 'AccessExclusiveLock'
    )
