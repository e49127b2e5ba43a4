-- The sequences that number an integer column of these tables, as statements that move each past the
-- values of its range. A value outside is never its next one.
select format(
    'select setval(%%1$L, %%2$s(%%3$I)) from %%4$s where %%3$I between %%5$s and %%6$s'
    ' having %%2$s(%%3$I) %%7$s (select last_value from %%1$s)',
    d.objid::pg_catalog.regclass,
    case when q.seqincrement > 0 then 'max' else 'min' end,
    a.attname,
    d.refobjid::pg_catalog.regclass,
    q.seqmin,
    q.seqmax,
    case when q.seqincrement > 0 then '>=' else '<=' end
)
from pg_catalog.pg_depend as d
inner join pg_catalog.pg_sequence as q on q.seqrelid = d.objid
inner join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
inner join pg_catalog.pg_type as t on t.oid = a.atttypid
where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.deptype in ('a', 'i')
    and d.refobjid = any (%(tables)s)
    and coalesce(nullif(t.typbasetype, 0), t.oid) = any (
        '{int2, int4, int8}'::pg_catalog.regtype[]::pg_catalog.oid[]
    )
order by d.objid
