-- What session %(pid)s waits for and which sessions block it, oldest transaction first; no row while it
-- waits for no lock. Most roles do not see the state of other roles' sessions, only their PID.
select
    case l.locktype
        when 'relation' then l.relation::regclass::text
        when 'transactionid' then 'a row'
        when 'virtualxid' then 'the end of an older transaction'
        else concat_ws(' ', 'a lock of type', l.locktype)
    end,
    b.pid,
    coalesce(nullif(a.application_name, ''), 'unnamed program'),
    coalesce(a.usename, a.backend_type, 'a prepared transaction'),
    coalesce(host(a.client_addr), 'a local socket'),
    coalesce(a.state, 'state hidden from this role'),
    date_trunc('second', clock_timestamp() - a.state_change)::text,
    date_trunc('second', clock_timestamp() - a.xact_start)::text,
    left(
        -- For a file of a run: its name and text, without the settings in between.
        regexp_replace(
            regexp_replace(a.query, '\s+', ' ', 'g'),
            '^(/\* [^*]+ \*/) begin; (set local [^;]+; )+',
            '\1 '
        ),
        100
    )
from pg_catalog.pg_stat_activity as waiting
cross join lateral (
    select distinct blocking.pid
    from unnest(pg_blocking_pids(waiting.pid)) as blocking (pid)
) as b
left join pg_catalog.pg_stat_activity as a on a.pid = b.pid
left join pg_catalog.pg_locks as l on l.pid = waiting.pid and not l.granted
where
    waiting.pid = %(pid)s
    and waiting.wait_event_type = 'Lock'
order by a.xact_start nulls last, b.pid
