-- The columns of tables that have a value of their own, with their types: all but generated ones.
select a.attrelid::bigint, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute as a
where a.attrelid = any (%(tables)s)
    and a.attnum > 0
    and not a.attisdropped
    and a.attgenerated = ''
order by a.attrelid, a.attnum
