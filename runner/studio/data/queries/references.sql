-- The foreign keys of one table, and those that reference it.
select
    f.conname::text,
    f.conrelid = %(table)s,
    f.conrelid::bigint,
    array(
        select a.attname::text
        from unnest(f.conkey) with ordinality as k (n, place)
        inner join pg_catalog.pg_attribute as a on a.attrelid = f.conrelid and a.attnum = k.n
        order by k.place
    ),
    f.confrelid::bigint,
    array(
        select a.attname::text
        from unnest(f.confkey) with ordinality as k (n, place)
        inner join pg_catalog.pg_attribute as a on a.attrelid = f.confrelid and a.attnum = k.n
        order by k.place
    ),
    pg_catalog.pg_get_constraintdef(f.oid)
from pg_catalog.pg_constraint as f
where f.contype = 'f'
    and f.conparentid = 0
    and %(table)s in (f.conrelid, f.confrelid)
order by cardinality(f.conkey), f.conname
