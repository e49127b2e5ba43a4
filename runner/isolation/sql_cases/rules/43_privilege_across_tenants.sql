-- 43_privilege_across_tenants
-- A privilege of a role that crosses tenants, and that isolation.toml does not give it.
-- source: https://www.postgresql.org/docs/current/ddl-priv.html
-- why: What isolation.toml does not declare is not tried; this role's key is stored on servers.

select
    format('relation %s', p.title) as object,
    format('%s may %s', p.grantee_name, p.right_title) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name) as fix
from privilege as p
inner join platform_role as r on r.oid = p.grantee
where p.kind in ('r', 'p')
    and not exists (
        select from declared as w
        where w.role = r.name
            and w.relation = p.oid
            and w.privilege = p.privilege_type
            and coalesce(w.column_name, p.column_name) is not distinct from p.column_name
    )
