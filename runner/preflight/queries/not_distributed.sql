-- The tables of a Citus database that only its coordinator has, although they have the column by
-- which others are distributed; the statements that distribute each; and what refuses that before.
with distributed as (
    select
        p.logicalrelid as relation,
        p.colocationid as colocation,
        a.attname,
        a.atttypid,
        -- The root of the tenants has that column as its whole key, as other tables may.
        exists (
            select
            from pg_catalog.pg_index as i
            where i.indrelid = p.logicalrelid and i.indisunique and i.indnatts = 1
                and i.indkey[0] = a.attnum
        ) as is_root
    from pg_catalog.pg_dist_partition as p
    inner join pg_catalog.pg_attribute as a
        on a.attrelid = p.logicalrelid
        and a.attname = pg_catalog.column_to_column_name(p.logicalrelid, p.partkey)
    where p.partmethod = 'h'
),
tenant_column as (
    select d.attname, d.atttypid, d.colocation, n.nearest
    from distributed as d
    cross join lateral (
        select format('%I.%I', s.nspname, r.relname) as nearest
        from distributed as o
        inner join pg_catalog.pg_class as r on r.oid = o.relation
        inner join pg_catalog.pg_namespace as s on s.oid = r.relnamespace
        where o.colocation = d.colocation
        order by not o.is_root, o.relation
        limit 1
    ) as n
    where not d.is_root
    group by d.attname, d.atttypid, d.colocation, n.nearest
)
select
    made.name,
    t.attname,
    concat_ws(
        E'\n',
        (
            select string_agg(format('drop policy %I on %s;', p.polname, made.name), E'\n')
            from pg_catalog.pg_policy as p
            where p.polrelid = c.oid and not p.polpermissive
        ),
        (
            select string_agg(
                format('-- alter policy %I on %s: without a sub-select', p.polname, made.name),
                E'\n'
            )
            from pg_catalog.pg_policy as p
            where p.polrelid = c.oid and p.polpermissive
                and concat(
                    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
                ) ~ '\mSELECT\M'
        ),
        (
            select string_agg(
                format('-- trigger %I on %s: for each row', g.tgname, made.name), E'\n'
            )
            from pg_catalog.pg_trigger as g
            where g.tgrelid = c.oid and coalesce(g.tgoldtable, g.tgnewtable) is not null
        ),
        (
            select string_agg(
                format('-- unique index %s: with %I', i.indexrelid::regclass, t.attname), E'\n'
            )
            from pg_catalog.pg_index as i
            where i.indrelid = c.oid and i.indisunique and not a.attnum = any(i.indkey)
        ),
        format(
            'select create_distributed_table(%L, %L, colocate_with => %L);',
            made.name, t.attname, t.nearest
        )
    )
from tenant_column as t
inner join pg_catalog.pg_attribute as a
    on a.attname = t.attname and a.atttypid = t.atttypid and not a.attisdropped
inner join pg_catalog.pg_class as c on c.oid = a.attrelid
inner join pg_catalog.pg_namespace as s on s.oid = c.relnamespace
cross join lateral (select format('%I.%I', s.nspname, c.relname) as name) as made
where
    c.relkind in ('r', 'p')
    and c.relpersistence = 'p'
    and not c.relispartition
    and not pg_catalog.relation_is_a_known_shard(c.oid)
    and not exists (
        select from pg_catalog.pg_dist_partition as p where p.logicalrelid = c.oid
    )
order by 1
