-- The columns of one table: their type, what the current role may do with them, and whether they
-- can be compared and ordered.
select
    a.attname::text,
    pg_catalog.format_type(a.atttypid, a.atttypmod),
    case
        when t.typname in ('json', 'jsonb') then 'json'
        when t.typcategory = 'A' then 'list'
        when t.typcategory = 'N' then 'number'
        when t.typcategory = 'D' then 'time'
        when t.typcategory = 'B' then 'boolean'
        when t.typcategory = 'E' then 'enum'
        when t.typname = 'uuid' or a.attname = 'id' or a.attname ~ '_id$' then 'id'
        else 'text'
    end,
    a.attnotnull,
    coalesce(left(pg_catalog.pg_get_expr(d.adbin, d.adrelid), 2000), ''),
    a.attgenerated <> '' or a.attidentity <> '',
    coalesce(left(pg_catalog.col_description(a.attrelid, a.attnum), 2000), ''),
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'select'),
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'insert'),
    pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'update'),
    exists (
        select
        from pg_catalog.pg_opclass as k
        inner join pg_catalog.pg_am as m on m.oid = k.opcmethod and m.amname = 'btree'
        where k.opcdefault
            and (
                k.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid)
                or t.typcategory = 'E' and k.opcintype = 'pg_catalog.anyenum'::regtype
                or t.typname = 'varchar' and k.opcintype = 'pg_catalog.text'::regtype
            )
    ) as can_compare,
    array(
        select e.enumlabel::text
        from pg_catalog.pg_enum as e
        where e.enumtypid = t.oid
        order by e.enumsortorder
    )
from pg_catalog.pg_attribute as a
inner join pg_catalog.pg_type as t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = %(table)s and a.attnum > 0 and not a.attisdropped
order by a.attnum
