-- Who holds the runner's advisory lock in this database. A bigint key is split over two columns.
select
    a.pid,
    coalesce(nullif(a.application_name, ''), 'unnamed program'),
    a.usename,
    coalesce(host(a.client_addr), 'a local socket'),
    date_trunc('second', now() - a.backend_start)::text,
    coalesce(a.state, 'state hidden from this role'),
    left(
        -- For a file of a run: its name and text, without the settings in between.
        regexp_replace(
            regexp_replace(a.query, '\s+', ' ', 'g'),
            '^(/\* [^*]+ \*/) begin; (set local [^;]+; )+',
            '\1 '
        ),
        100
    )
from pg_catalog.pg_locks as l
inner join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where
    l.locktype = 'advisory'
    and l.granted
    and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
    and l.classid = (%(key)s::bigint >> 32)::bigint::oid
    and l.objid = (%(key)s::bigint & 4294967295)::bigint::oid
    and l.objsubid = 1
