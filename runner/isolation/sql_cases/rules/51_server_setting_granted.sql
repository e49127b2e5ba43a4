-- 51_server_setting_granted
-- A server setting that an API role may SET or ALTER SYSTEM.
-- source: https://www.postgresql.org/docs/current/sql-grant.html (GRANT ... ON PARAMETER)
-- why: With session_replication_role a tenant disables all triggers and foreign keys.

select
    format('parameter %s', p.parname) as object,
    format('%s may %s it', grantee.name, lower(acl.privilege_type)) as problem,
    format('revoke %s on parameter %I from %s;',
        lower(acl.privilege_type), p.parname, grantee.name) as fix
from pg_parameter_acl as p
cross join lateral aclexplode(p.paracl) as acl
left join pg_roles as g on g.oid = acl.grantee
cross join lateral (select coalesce(quote_ident(g.rolname), 'public') as name) as grantee
where acl.grantee = 0
    or g.rolname = 'authenticator'
    or g.oid in (select p.oid from platform_role as p)
    or g.oid in (select r.oid from api_role as r)
