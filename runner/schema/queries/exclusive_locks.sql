-- The relations of this database that another session has locked so that they cannot be read, and
-- who: the oldest transaction first.
select
    format(
        '%s is locked by pid %s (%s)',
        l.relation::regclass,
        l.pid,
        concat_ws(
            ', ', coalesce(nullif(a.application_name, ''), 'unnamed program'), a.usename, a.state
        )
    )
from pg_catalog.pg_locks as l
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'relation'
    and l.mode = 'AccessExclusiveLock'
    and l.granted
    and l.pid <> pg_catalog.pg_backend_pid()
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
order by a.xact_start, l.relation
limit 3
