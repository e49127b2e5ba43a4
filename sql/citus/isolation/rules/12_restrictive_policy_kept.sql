-- 12_restrictive_policy_kept
-- A restrictive policy on a distributed table.
-- source: sql/citus/0002_write_policies_for_shards.sql
-- why: Citus makes it permissive on the shards: it adds access instead of limiting it.

select
    p.title as object,
    'it is restrictive here and permissive on every shard' as problem,
    format('drop policy %I on %s;', p.name, p.table_title) as fix
from policy as p
inner join pg_dist_partition as d on d.logicalrelid = p.table_oid
where not p.is_permissive
