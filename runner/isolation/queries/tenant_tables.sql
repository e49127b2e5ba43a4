-- The tables of the tenants with the column that holds a row's tenant. Names come quoted where they
-- are used in SQL. A partition is reached through its parent, or by a grant of its own.

select
    c.oid::regclass::text as qualified,
    quote_ident(a.attname) as key,
    c.relname::text as name
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
inner join pg_catalog.pg_attribute as a
    on a.attrelid = c.oid
    and not a.attisdropped
    and a.attname = case
        when array[n.nspname, c.relname]::text[] = %(tenant_table)s then %(tenant_key)s
        else %(column)s
    end
where n.nspname = 'public'
    and c.relkind in ('r', 'p')
    and (
        not c.relispartition
        or exists (
            select
            from unnest(%(roles)s::text[]) as role
            where has_table_privilege(
                role, c.oid, 'select, insert, update, delete, truncate, references, trigger'
            )
            or has_any_column_privilege(role, c.oid, 'select, insert, update, references')
        )
    )
order by c.relname
