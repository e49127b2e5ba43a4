-- Returns a query for the duplicate keys that a unique index rejects; keys and condition are taken
-- from the invalid index.
select format(
    'select row(%%1$s)::text, count(*) from %%2$s where %%3$s group by %%1$s having count(*) > 1 '
    'order by count(*) desc, 1 limit %%4$s',
    string_agg(k.key, ', ' order by k.place),
    i.indrelid::regclass,
    concat_ws(
        ' and ',
        coalesce(pg_get_expr(i.indpred, i.indrelid), 'true'),
        case
            when not i.indnullsnotdistinct
            then string_agg(format('(%%s) is not null', k.key), ' and ' order by k.place)
        end
    ),
    %(limit)s::int
)
from pg_catalog.pg_index as i
inner join pg_catalog.pg_class as c on c.oid = i.indexrelid
cross join lateral (
    select
        place,
        pg_get_indexdef(i.indexrelid, place, false) as key
    from generate_series(1, i.indnkeyatts) as place
) as k
where
    i.indrelid = to_regclass(%(table)s)
    and c.relname = (parse_ident(%(name)s))[1]
group by i.indexrelid, i.indrelid, i.indpred, i.indnullsnotdistinct
