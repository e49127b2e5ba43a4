-- 48_temporary_objects
-- A role of the API that may make temporary objects, where the tables' owner could take it away.
-- source: sql/0009_enable_row_level_security.sql; CVE-2007-2138;
--   https://www.postgresql.org/docs/current/ddl-priv.html (TEMPORARY)
-- why: pg_temp is searched first: a temporary table or type stands before the real one.

select
    format('database %I', d.datname) as object,
    format('%s may make temporary objects in it', coalesce(g.rolname, 'public')) as problem,
    format('revoke temporary on database %I from %s;', d.datname, coalesce(g.rolname, 'public'))
        as fix
from pg_database as d
cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as acl
left join pg_roles as g on g.oid = acl.grantee
where d.datname = current_database()
    and acl.privilege_type = 'TEMPORARY'
    and (
        g.rolname = 'service_role'
        or g.oid in (select r.oid from api_role as r)
        or (
            acl.grantee = 0
            and exists (
                select from table_owner as o
                where pg_has_role(o.oid, d.datdba, 'usage')
            )
        )
    )
