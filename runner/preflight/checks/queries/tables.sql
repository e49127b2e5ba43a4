-- The tables and materialized views of users, by schema and name, and whether they are populated: all,
-- or if %(locked)s those that this transaction holds a lock on with which rows can be changed.
select
    n.nspname::text,
    c.relname::text,
    c.relispopulated
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'm')
    and n.nspname !~ '^pg_'
    and n.nspname not in ('information_schema', 'yoyo')
    and (
        not %(locked)s
        or c.oid in (
            select l.relation
            from pg_catalog.pg_locks as l
            where l.pid = pg_catalog.pg_backend_pid()
                and l.mode in ('RowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        )
    )
order by 1, 2
