-- What decides about rows beside functions, as PostgreSQL prints it: title, schema, owner, text. The
-- conditions of policies, views, and defaults of columns.

with relations as (
    select c.oid, c.relkind, n.nspname::text as schema, format('%I.%I', n.nspname, c.relname) as name,
        pg_catalog.pg_get_userbyid(c.relowner)::text as owner
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'
        and not exists (
            select
            from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.objid = c.oid
                and d.deptype = 'e'
        )
)

select
    format('policy %I on %s', p.polname, r.name),
    '',  -- also on a table of a platform: the policy is ours
    '',
    concat_ws(
        ' ', pg_catalog.pg_get_expr(p.polqual, r.oid), pg_catalog.pg_get_expr(p.polwithcheck, r.oid)
    )
from pg_catalog.pg_policy as p
inner join relations as r on r.oid = p.polrelid
union all
select format('view %s', r.name), r.schema, r.owner, pg_catalog.pg_get_viewdef(r.oid)
from relations as r
where r.relkind in ('v', 'm')
union all
select
    format('default of %s.%I', r.name, a.attname), r.schema, r.owner,
    pg_catalog.pg_get_expr(d.adbin, d.adrelid)
from pg_catalog.pg_attrdef as d
inner join relations as r on r.oid = d.adrelid
inner join pg_catalog.pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
order by 1
