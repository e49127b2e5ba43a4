-- A table by its name, and the tables that one of its columns refers to: the key, the columns that
-- name a row in words, and when a row was made. The key of the table itself is what the tenant column
-- of another table refers to, or the first column of its primary key.

with chosen as (
    select
        c.oid,
        coalesce(
            (
                select a.attname
                from pg_catalog.pg_constraint as k
                cross join lateral unnest(k.conkey, k.confkey) as part (own, other)
                inner join pg_catalog.pg_attribute as o
                    on o.attrelid = k.conrelid and o.attnum = part.own
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = c.oid and a.attnum = part.other
                where k.contype = 'f' and k.confrelid = c.oid and o.attname = %(tenant_column)s
                order by k.oid
                limit 1
            ),
            (
                select a.attname
                from pg_catalog.pg_index as i
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = c.oid and a.attnum = i.indkey[0]
                where i.indrelid = c.oid and i.indisprimary
            ),
            %(tenant_column)s
        )::text as key,
        false as referred
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
        and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'
        and (
            %(table)s in (n.nspname || '.' || c.relname, c.relname::text)
            or replace(%(table)s, '"', '') = n.nspname || '.' || c.relname
        )
),

tables as (
    select chosen.oid, chosen.key, chosen.referred
    from chosen
    union all
    select k.confrelid, a.attname::text, true
    from chosen
    inner join pg_catalog.pg_constraint as k
        on k.contype = 'f' and k.conrelid = chosen.oid and cardinality(k.conkey) = 1
    inner join pg_catalog.pg_attribute as o
        on o.attrelid = k.conrelid and o.attnum = k.conkey[1] and o.attname = %(column)s
    inner join pg_catalog.pg_attribute as a
        on a.attrelid = k.confrelid and a.attnum = k.confkey[1]
),

columns as (
    select
        a.attrelid,
        a.attname::text as name,
        case
            when t.typcategory = 'D' and pg_catalog.pg_get_expr(d.adbin, d.adrelid)
            ~ '^(now|(transaction|statement|clock)_timestamp)\(\)$|^CURRENT_TIMESTAMP' then 'created'
            when t.typcategory <> 'S' or a.attname = %(role)s then null
            when a.attname ~ '(^|_)e_?mail' then 'email'
            when a.attname ~ '(^|_)(name|title|nickname|label|handle|slug|domain|city)$' then 'label'
        end as purpose,
        array[
            a.attname <> 'name',
            a.attname !~ '^(display|full|nick|user)_?name$',
            a.attname !~ 'name$'
        ]::text || to_char(a.attnum, '00000') as rank
    from tables
    inner join pg_catalog.pg_attribute as a on a.attrelid = tables.oid
    inner join pg_catalog.pg_type as t on t.oid = a.atttypid
    left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0
        and not a.attisdropped
        and pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'select')
)

select
    tables.referred,
    n.nspname::text,
    c.relname::text,
    tables.key,
    (array_agg(columns.name order by columns.rank) filter (where purpose = 'label'))[1] as label,
    (array_agg(columns.name order by columns.rank) filter (where purpose = 'email'))[1] as email,
    (array_agg(columns.name order by columns.rank) filter (where purpose = 'created'))[1] as created,
    pg_catalog.row_security_active(c.oid) as limited
from tables
inner join pg_catalog.pg_class as c on c.oid = tables.oid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join columns on columns.attrelid = tables.oid
group by tables.referred, n.nspname, c.relname, c.oid, tables.key
order by tables.referred, count(*) filter (where purpose = 'label') = 0, n.nspname, c.relname
