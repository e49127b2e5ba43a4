-- 43_privilege_of_the_platform
-- A privilege of service_role that the permission table does not give it.
-- source: a decision of this schema: service_role: ... and nothing else
-- why: The key of service_role lies on servers; with it the log must not be edited, nor code
--   planted.

select
    format('relation %s', p.title) as object,
    format('service_role may %s', p.right_title) as problem,
    format('revoke %s on %s from service_role;', p.right_title, p.title) as fix
from privilege as p
where p.grantee_name = 'service_role'
    and p.kind in ('r', 'p')
    and not exists (
        select from promised as w
        where w.role = 'service_role'
            and w.relation = p.oid
            and w.privilege = p.name_of_it
            and coalesce(w.column_name, p.column_name) is not distinct from p.column_name
    )
