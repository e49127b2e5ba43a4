-- Other sessions that hold a lock on this table, or on any if it is null: strongest lock first, then oldest transaction.

select distinct on (rank, a.xact_start, a.pid)
    case l.mode
        when 'AccessExclusiveLock' then 1
        when 'ExclusiveLock' then 2
        when 'ShareRowExclusiveLock' then 2
        when 'ShareLock' then 2
        when 'RowExclusiveLock' then 4
        when 'AccessShareLock' then 5
        else 3
    end as rank,
    format(
        'pid %%s (%%s%%s, %%s on %%s since %%s UTC: %%s)',
        a.pid,
        a.usename,
        ', ' || nullif(a.application_name, ''),
        l.mode,
        l.relation::pg_catalog.regclass,
        to_char(a.xact_start at time zone 'UTC', 'HH24:MI:SS'),
        left(regexp_replace(a.query, '\s+', ' ', 'g'), 60)
    ) as holder
from pg_catalog.pg_locks as l
inner join pg_catalog.pg_stat_activity as a on a.pid = l.pid
inner join pg_catalog.pg_class as c on c.oid = l.relation
where l.granted
    and a.pid <> pg_catalog.pg_backend_pid()
    and l.database = (
        select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()
    )
    and case
        when %(table)s::text is null then c.oid >= 16384 and c.relkind in ('r', 'p')
        else c.relnamespace = 'public'::pg_catalog.regnamespace and c.relname = %(table)s
    end
order by rank, a.xact_start, a.pid
limit 3
