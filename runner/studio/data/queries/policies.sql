-- The policies of one table, and whether each binds whoever looks.
select
    p.polname::text,
    p.polpermissive,
    case p.polcmd
        when 'r' then 'select'
        when 'a' then 'insert'
        when 'w' then 'update'
        when 'd' then 'delete'
        else 'all'
    end,
    array(
        select coalesce(r.rolname::text, 'public')
        from unnest(p.polroles) as role (oid)
        left join pg_catalog.pg_roles as r on r.oid = role.oid
        order by 1
    ),
    coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid, true), ''),
    coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid, true), ''),
    coalesce(pg_catalog.obj_description(p.oid, 'pg_policy'), ''),
    exists (
        select
        from unnest(p.polroles) as role (oid)
        where role.oid = 0 or pg_catalog.pg_has_role(current_user, role.oid, 'usage')
    )
from pg_catalog.pg_policy as p
where p.polrelid = %(table)s
order by p.polpermissive desc, p.polcmd = '*', position(p.polcmd::text in 'rawd'), p.polname
