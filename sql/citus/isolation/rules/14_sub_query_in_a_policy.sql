-- 14_sub_query_in_a_policy
-- A policy of a distributed table that reads a table, or calls a helper that the coordinator answers.
-- source: sql/citus/0002_write_policies_for_shards.sql
-- why: Citus refuses to read or write such a table as a tenant.

select
    c.title as object,
    format('its %s has another form than app.shard_…(): %s', c.clause, c.text) as problem,
    c.fix as fix
from written_condition as c
inner join pg_dist_partition as d on d.logicalrelid = c.table_oid
where c.is_for_tenants
    and c.text ~ '\mSELECT\M|\mapp\.(?!shard_)'
