-- The triggers of tables and their partitions that fire: statements that switch each off, and on as it was.
select
    format('alter table only %%s disable trigger %%I', t.tgrelid::pg_catalog.regclass, t.tgname),
    format(
        'alter table only %%s enable %%s trigger %%I',
        t.tgrelid::pg_catalog.regclass,
        case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end,
        t.tgname
    )
from unnest(%(tables)s::bigint[]) as chosen (oid)
cross join lateral (
    select chosen.oid::pg_catalog.oid as relid
    union
    select tree.relid::pg_catalog.oid
    from pg_catalog.pg_partition_tree(chosen.oid::pg_catalog.oid::pg_catalog.regclass) as tree
) as each
inner join pg_catalog.pg_trigger as t on t.tgrelid = each.relid
where not t.tgisinternal and t.tgenabled <> 'D'
order by t.tgrelid, t.tgname
