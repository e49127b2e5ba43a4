-- 49_temporary_objects_for_public
-- PUBLIC may create temporary objects, and the tables' owner cannot revoke it.
-- source: CVE-2007-2138; https://www.postgresql.org/docs/current/ddl-priv.html (TEMPORARY)
-- why: No function of this schema is affected by them, but a later one might be.
-- level: warning

select
    format('database %I', d.datname) as object,
    'PUBLIC, and so every tenant, may create temporary objects in it' as problem,
    format(
        'revoke temporary on database %I from public;  -- as the owner of the database', d.datname
    ) as fix
from pg_database as d
cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as acl
where d.datname = current_database()
    and acl.privilege_type = 'TEMPORARY'
    and acl.grantee = 0
    and not exists (
        select from table_owner as o
        where pg_has_role(o.oid, d.datdba, 'usage')
    )
