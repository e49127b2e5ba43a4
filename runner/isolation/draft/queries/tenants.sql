-- Columns that may name the tenant of a row: by name, the table that a foreign key of this column alone
-- refers to (null: none does), how many tables have such a column, and how many have policies that
-- use it.

with tables as (
    select c.oid, c.oid::pg_catalog.regclass as name
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
        and not c.relispartition
        and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'
        and not exists (
            select
            from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.objid = c.oid
                and d.deptype = 'e'
        )
),

columns as (
    select tables.oid, a.attnum, a.attname::text as name
    from tables
    inner join pg_catalog.pg_attribute as a on a.attrelid = tables.oid
    where a.attnum > 0 and not a.attisdropped
),

referring as (
    select columns.name, k.confrelid as target
    from pg_catalog.pg_constraint as k
    inner join columns on columns.oid = k.conrelid and columns.attnum = k.conkey[1]
    where k.contype = 'f' and cardinality(k.conkey) = 1 and k.confrelid <> k.conrelid
    group by columns.name, k.confrelid
),

used as (
    select columns.name, count(distinct policy.polrelid) as policed
    from pg_catalog.pg_policy as policy
    inner join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
        and d.objid = policy.oid
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    inner join columns on columns.oid = d.refobjid and columns.attnum = d.refobjsubid
    group by columns.name
)

select
    columns.name as column_name,
    referring.target::bigint as target,
    count(distinct columns.oid)::int as tables,
    coalesce(max(used.policed), 0)::int as policed
from columns
left join referring on referring.name = columns.name
left join used on used.name = columns.name
where referring.target is not null or used.policed is not null
group by columns.name, referring.target
order by policed desc, tables desc, columns.name
