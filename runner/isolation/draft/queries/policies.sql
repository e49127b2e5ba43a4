-- Each policy: its table, the roles it binds, the command, and its conditions.

select
    p.polrelid::bigint as table_oid,
    array(
        select case when role = 0 then 'public' else pg_catalog.pg_get_userbyid(role)::text end
        from unnest(p.polroles) as role
    ) as roles,
    p.polcmd::text as command,
    p.polpermissive as permissive,
    concat_ws(
        ' and ',
        pg_catalog.pg_get_expr(p.polqual, p.polrelid),
        pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
    ) as condition
from pg_catalog.pg_policy as p
order by p.polrelid, p.polname
