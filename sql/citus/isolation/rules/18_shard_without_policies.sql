-- 18_shard_without_policies
-- A shard whose row-level security is not that of its table.
-- source: sql/citus/0006_check_distribution.sql
-- why: The shards decide who reaches a row: no policy is evaluated on the coordinator.

select
    format('table %s', t.title) as object,
    format('shard %s has %s, the table has %s', s.shardid, s.result, here.state) as problem,
    format('-- compare the policies of %s with those of its shards', t.title) as fix
from tenant_table as t
inner join pg_dist_partition as d on d.logicalrelid = t.oid and d.partmethod = 'h'
cross join lateral (
    select format(
        '%s, %s policies',
        case when t.is_secured then 'row-level security' else 'none' end,
        (select count(*) from pg_policy as p where p.polrelid = t.oid)
    )
) as here (state)
cross join lateral run_command_on_shards(
    t.oid::regclass,
    $$select format('%%s, %%s policies',
        case when c.relrowsecurity then 'row-level security' else 'none' end,
        (select count(*) from pg_policy as p where p.polrelid = c.oid and p.polpermissive))
    from pg_class as c where c.oid = '%s'::regclass$$
) as s
where s.result is distinct from here.state
