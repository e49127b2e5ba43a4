-- 43_privilege_of_service_role
-- A privilege of service_role that permissions.toml does not give it.
-- source: a decision of this schema: service_role has the declared privileges only
-- why: The key of service_role is stored on servers; it must not allow changing the log or creating
--   code.

select
    format('relation %s', p.title) as object,
    format('service_role may %s', p.right_title) as problem,
    format('revoke %s on %s from service_role;', p.right_title, p.title) as fix
from privilege as p
where p.grantee_name = 'service_role'
    and p.kind in ('r', 'p')
    and not exists (
        select from declared as w
        where w.role = 'service_role'
            and w.relation = p.oid
            and w.privilege = p.privilege_type
            and coalesce(w.column_name, p.column_name) is not distinct from p.column_name
    )
