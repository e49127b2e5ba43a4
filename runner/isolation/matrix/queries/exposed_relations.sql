-- Every relation in the exposed schemas, and the privileges of the API roles on it.

select
    n.nspname::text as schema,
    c.relname::text as name,
    format('%%I.%%I', n.nspname, c.relname) as qualified,
    case c.relkind
        when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
        when 'm' then 'materialized view' when 'f' then 'foreign table'
    end as kind,
    c.relrowsecurity as secured,
    coalesce(
        (
            select option_value::bool
            from pg_catalog.pg_options_to_table(c.reloptions)
            where option_name = 'security_invoker'
        ),
        false
    ) as invoker,
    (
        select format('%%I.%%I', pn.nspname, p.relname)
        from pg_catalog.pg_inherits as i
        inner join pg_catalog.pg_class as p on p.oid = i.inhparent
        inner join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
        where i.inhrelid = c.oid and c.relispartition
    ) as parent,
    (
        select e.extname::text
        from pg_catalog.pg_depend as d
        inner join pg_catalog.pg_extension as e on e.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and d.objid = c.oid and d.deptype = 'e'
    ) as extension,
    coalesce(
        (
            select array_agg(format('%%s to %%s', privilege, role) order by role, position)
            from unnest(%(roles)s::text[]) as role
            cross join unnest(
                array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']
            ) with ordinality as wanted (privilege, position)
            where pg_catalog.has_table_privilege(role, c.oid, privilege)
                or (
                    privilege in ('select', 'insert', 'update', 'references')
                    and pg_catalog.has_any_column_privilege(role, c.oid, privilege)
                )
        ),
        '{}'
    ) as granted
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by 1, 2
