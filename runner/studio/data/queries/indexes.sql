-- The indexes of one table: definition, size, number of scans.
-- `plain`: rows can be read in index order even where policies apply, because the comparison is
-- leakproof; `required`: no indexed column is nullable.
select
    i.relname::text,
    pg_catalog.pg_get_indexdef(i.oid),
    x.indisprimary,
    x.indisunique,
    x.indisvalid,
    pg_catalog.pg_relation_size(i.oid),
    coalesce(s.idx_scan, 0),
    parts.columns,
    parts.descending,
    m.amname = 'btree' and x.indisvalid and x.indpred is null and parts.plain,
    m.amname = 'btree' and x.indisunique and x.indisvalid and x.indpred is null and parts.required
        and x.indimmediate
from pg_catalog.pg_index as x
inner join pg_catalog.pg_class as i on i.oid = x.indexrelid
inner join pg_catalog.pg_am as m on m.oid = i.relam
left join pg_catalog.pg_stat_all_indexes as s on s.indexrelid = i.oid
cross join lateral (
    select
        array_agg(coalesce(a.attname::text, '') order by k.n) as columns,
        array_agg(x.indoption[k.n - 1] & 1 = 1 order by k.n) as descending,
        bool_and(coalesce(a.attnotnull and p.proleakproof, false)) as plain,
        bool_and(coalesce(a.attnotnull, false)) as required
    from generate_series(1, x.indnkeyatts) as k (n)
    left join pg_catalog.pg_attribute as a
        on a.attrelid = x.indrelid and a.attnum = x.indkey[k.n - 1] and a.attnum > 0
    left join pg_catalog.pg_opclass as c on c.oid = x.indclass[k.n - 1]
    left join pg_catalog.pg_amop as o
        on o.amopfamily = c.opcfamily and o.amopstrategy = 1
        and o.amoplefttype = c.opcintype and o.amoprighttype = c.opcintype
    left join pg_catalog.pg_operator as op on op.oid = o.amopopr
    left join pg_catalog.pg_proc as p on p.oid = op.oprcode
) as parts
where x.indrelid = %(table)s
order by x.indisprimary desc, i.relname
