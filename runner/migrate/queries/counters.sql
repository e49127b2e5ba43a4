-- Rows this transaction inserted and deleted in each table that it changed, and in %(tables)s. What
-- earlier transactions of the session changed is included until it is flushed to the statistics.
-- The setting is for counts that follow: on Citus, they must not use other connections than the
-- writes did.
select
    schemaname,
    relname,
    n_tup_ins,
    n_tup_del
from pg_catalog.pg_stat_xact_user_tables
cross join set_config('citus.multi_shard_modify_mode', 'sequential', true) as setting
where
    n_tup_ins + n_tup_upd + n_tup_del > 0
    or relid = any(select to_regclass(t) from unnest(%(tables)s::text[]) as t)
order by relid
