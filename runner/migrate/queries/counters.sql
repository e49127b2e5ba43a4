-- Rows this session inserted, updated and deleted in each table. The counters include earlier
-- transactions that are not yet flushed to the statistics, so only the difference of two queries in
-- one transaction is meaningful. %(tables)s: tables to list in any case.
select
    schemaname,
    relname,
    relid = any(select to_regclass(t) from unnest(%(tables)s::text[]) as t) as named,
    n_tup_ins,
    n_tup_upd,
    n_tup_del
from pg_catalog.pg_stat_xact_user_tables
order by relid
