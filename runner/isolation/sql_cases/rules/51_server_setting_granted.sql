-- 51_server_setting_granted
-- A server setting that a role of the API was allowed to change or to write to the server's files.
-- source: https://www.postgresql.org/docs/current/sql-grant.html (GRANT ... ON PARAMETER)
-- why: With session_replication_role a tenant turns every guard and every reference off.

select
    format('parameter %s', p.parname) as object,
    format('%s may %s it', coalesce(g.rolname, 'public'), lower(acl.privilege_type)) as problem,
    format('revoke %s on parameter %s from %s;',
        lower(acl.privilege_type), p.parname, coalesce(g.rolname, 'public')) as fix
from pg_parameter_acl as p
cross join lateral aclexplode(p.paracl) as acl
left join pg_roles as g on g.oid = acl.grantee
where acl.grantee = 0
    or g.rolname in ('service_role', 'authenticator')
    or g.oid in (select r.oid from api_role as r)
