-- A session that waits for a lock which this one holds, other than a verify.
select concat_ws(' ', 'pid', waiter.pid, waiter.application_name)
from pg_catalog.pg_locks as wanted
inner join pg_catalog.pg_stat_activity as waiter on waiter.pid = wanted.pid
where not wanted.granted
    and waiter.application_name <> 'runner verify'
    and pg_catalog.pg_backend_pid() = any (pg_catalog.pg_blocking_pids(wanted.pid))
limit 1
