-- The policies of one table, whether each applies to the current role, and the statement that
-- creates it.
select
    p.polname::text,
    p.polpermissive,
    parts.command,
    parts.roles,
    parts.condition,
    parts.check_condition,
    coalesce(left(pg_catalog.obj_description(p.oid, 'pg_policy'), 2000), ''),
    exists (
        select
        from unnest(p.polroles) as role (oid)
        where role.oid = 0 or pg_catalog.pg_has_role(current_user, role.oid, 'usage')
    ),
    format(
        E'create policy %%I on %%I.%%I\nas %%s for %%s to %%s%%s%%s;',
        p.polname,
        n.nspname,
        c.relname,
        case when p.polpermissive then 'permissive' else 'restrictive' end,
        parts.command,
        parts.quoted_roles,
        E'\nusing (' || nullif(parts.condition, '') || ')',
        E'\nwith check (' || nullif(parts.check_condition, '') || ')'
    )
from pg_catalog.pg_policy as p
inner join pg_catalog.pg_class as c on c.oid = p.polrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    select
        case p.polcmd
            when 'r' then 'select'
            when 'a' then 'insert'
            when 'w' then 'update'
            when 'd' then 'delete'
            else 'all'
        end as command,
        array_agg(coalesce(r.rolname::text, 'public') order by coalesce(r.rolname::text, 'public'))
            as roles,
        string_agg(
            coalesce(quote_ident(r.rolname), 'public'),
            ', '
            order by coalesce(r.rolname::text, 'public')
        ) as quoted_roles,
        coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid, true), '') as condition,
        coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid, true), '') as check_condition
    from unnest(p.polroles) as role (oid)
    left join pg_catalog.pg_roles as r on r.oid = role.oid
) as parts
where p.polrelid = %(table)s
order by p.polpermissive desc, p.polcmd = '*', position(p.polcmd::text in 'rawd'), p.polname
