-- The sequences that number a column of these tables, as statements that move each past the highest value.
select format(
    'select setval(%%L, max(%%I)) from %%s having max(%%I) >= (select last_value from %%s)',
    d.objid::pg_catalog.regclass,
    a.attname,
    d.refobjid::pg_catalog.regclass,
    a.attname,
    d.objid::pg_catalog.regclass
)
from pg_catalog.pg_depend as d
inner join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
inner join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.deptype in ('a', 'i')
    and d.refobjid = any (%(tables)s)
order by d.objid
