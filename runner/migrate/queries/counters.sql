-- Rows this transaction inserted and deleted in each table that it changed, and in %(tables)s. What
-- earlier transactions of the session changed is included until it is flushed to the statistics.
select
    schemaname,
    relname,
    n_tup_ins,
    n_tup_del
from pg_catalog.pg_stat_xact_user_tables
where
    n_tup_ins + n_tup_upd + n_tup_del > 0
    or relid = any(select to_regclass(t) from unnest(%(tables)s::text[]) as t)
order by relid
