-- 15_table_not_distributed
-- A tenants' table that is not distributed by organization, together with the others.
-- source: sql/citus/0004_distribute_tables.sql; sql/citus/0006_check_distribution.sql
-- why: Its policies are those of the coordinator, which do not know the caller, and no query joins it
--   with the others on a worker.

select
    format('table %s', t.title) as object,
    case
        when d.logicalrelid is null then 'it is on the coordinator alone'
        when d.partmethod <> 'h' then 'every node has a copy of all its rows'
        when column_to_column_name(d.logicalrelid, d.partkey) <> t.key
            then format('it is distributed by another column than %I', t.key)
        else 'it is not distributed together with public.organizations'
    end as problem,
    format(
        'select create_distributed_table(%L, %L, colocate_with => ''public.organizations'');',
        t.title, t.key
    ) as fix
from tenant_table as t
left join pg_dist_partition as d on d.logicalrelid = t.oid
left join pg_dist_partition as first
    on first.logicalrelid = to_regclass('public.organizations')
where not t.is_child
    and t.key_number is not null
    and not coalesce(
        d.partmethod = 'h'
        and column_to_column_name(d.logicalrelid, d.partkey) = t.key
        and d.colocationid = first.colocationid,
        false
    )
