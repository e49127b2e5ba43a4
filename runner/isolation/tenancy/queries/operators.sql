-- The equality operator of each column whose type is not PostgreSQL's own: of the type's default operator
-- class, else the one in the schema of the type, by its owner. Others are found in pg_catalog.
with recursive base (relation, name, type) as (
    select a.attrelid, a.attname, a.atttypid
    from pg_catalog.pg_attribute as a
    where a.attrelid = any (%(tables)s::bigint[]::oid[]) and a.attnum > 0 and not a.attisdropped
    union all
    select base.relation, base.name, t.typbasetype
    from base
    inner join pg_catalog.pg_type as t on t.oid = base.type and t.typtype = 'd'
)

select base.relation::bigint, base.name::text, format('operator(%%I.%%s)', n.nspname, equal.oprname)
from base
inner join pg_catalog.pg_type as t
    on t.oid = base.type
    and t.typtype <> 'd'
    and t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace
cross join lateral (
    select found.oprname, found.oprnamespace
    from (
        select o.oprname, o.oprnamespace, case m.amname when 'btree' then 1 else 2 end as place
        from pg_catalog.pg_opclass as c
        inner join pg_catalog.pg_am as m on m.oid = c.opcmethod and m.amname in ('btree', 'hash')
        inner join pg_catalog.pg_amop as p
            on p.amopfamily = c.opcfamily
            and p.amoplefttype = c.opcintype
            and p.amoprighttype = c.opcintype
            and p.amopstrategy = case m.amname when 'btree' then 3 else 1 end
        inner join pg_catalog.pg_operator as o on o.oid = p.amopopr
        where c.opcdefault and c.opcintype = t.oid
        union all
        select o.oprname, o.oprnamespace, 3
        from pg_catalog.pg_operator as o
        where o.oprname = '='
            and o.oprleft = t.oid
            and o.oprright = t.oid
            and o.oprnamespace = t.typnamespace
            and o.oprowner = t.typowner
    ) as found
    order by found.place
    limit 1
) as equal
inner join pg_catalog.pg_namespace as n on n.oid = equal.oprnamespace
where n.nspname <> 'pg_catalog'
