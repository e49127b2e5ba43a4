-- The number of catalog rows that this transaction has written so far. If a statement leaves it
-- unchanged, a snapshot of the catalog would show no difference. -1 if the server does not count.
select
    case
        when pg_catalog.current_setting('track_counts')::boolean then sum(
            pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid)
            + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
            + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)
        )::bigint
        else -1
    end
from pg_catalog.pg_class as c
where c.relnamespace = 'pg_catalog'::regnamespace
    and c.relkind = 'r'
