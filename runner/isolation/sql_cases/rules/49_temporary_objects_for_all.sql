-- 49_temporary_objects_for_all
-- PUBLIC may make temporary objects, and the tables' owner is not the one who can change that.
-- source: a decision of this schema: revoke temporary where allowed
-- why: No function here can be misled by them; the next one might.
-- level: warning

select
    format('database %I', d.datname) as object,
    'PUBLIC, and so every tenant, may make temporary objects in it' as problem,
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
