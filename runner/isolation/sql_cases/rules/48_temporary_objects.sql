-- 48_temporary_objects
-- An API role that may create temporary objects, although the tables' owner could revoke it.
-- source: CVE-2007-2138;
--   https://www.postgresql.org/docs/current/ddl-priv.html (TEMPORARY)
-- why: pg_temp is searched first: a temporary table or type shadows the real one.

select
    format('database %I', d.datname) as object,
    format('%s may create temporary objects in it', grantee.name) as problem,
    format('revoke temporary on database %I from %s;', d.datname, grantee.name) as fix
from pg_database as d
cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as acl
left join pg_roles as g on g.oid = acl.grantee
cross join lateral (select coalesce(quote_ident(g.rolname), 'public') as name) as grantee
where d.datname = current_database()
    and acl.privilege_type = 'TEMPORARY'
    and (
        g.oid in (select p.oid from platform_role as p)
        or g.oid in (select r.oid from api_role as r)
        or (
            acl.grantee = 0
            and exists (
                select from table_owner as o
                where pg_has_role(o.oid, d.datdba, 'usage')
            )
        )
    )
