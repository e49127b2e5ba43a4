-- What this session has done to each table, by PostgreSQL's own counters. They also hold what earlier
-- transactions did and has not been handed to the statistics yet, so two looks in one transaction
-- tell what happened between them. %(tables)s: the tables to list in any case.
select
    schemaname,
    relname,
    relid = any(select to_regclass(t) from unnest(%(tables)s::text[]) as t) as named,
    n_tup_ins,
    n_tup_upd,
    n_tup_del
from pg_catalog.pg_stat_xact_user_tables
order by relid
